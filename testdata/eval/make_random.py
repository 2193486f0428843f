#!/usr/bin/env python3.11
"""Draws of random.Random(seed).sample(range(n), k), as CPython makes them.

usage: make_random.py > random.jsonl
"""
import json
import random

for seed in (0, 1, 1234, 2**31, 2**32 + 5, 2**63 - 1):
    for n, k in ((1, 1), (5, 5), (21, 5), (22, 5), (84, 6), (86, 6), (277, 21), (1119, 25),
                 (7473, 8), (100000, 40), (2**31 + 7, 3)):
        rnd = random.Random(seed)
        draws = [rnd.sample(range(n), k) for _ in range(3)]
        print(json.dumps({"seed": seed, "n": n, "k": k, "draws": draws}))
