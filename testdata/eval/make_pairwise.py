#!/usr/bin/env python3.11
"""numpy.sum of 1, 1/2, 1/3, … for 0 to 300 values.

usage: make_pairwise.py > pairwise.txt
"""
import numpy

values = numpy.array([1.0 / (i + 1) for i in range(300)])
for n in range(301):
    print(repr(float(numpy.sum(values[:n]))))
