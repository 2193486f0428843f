#!/usr/bin/env python3.11
"""Examples that the samplers of lm-evaluation-harness 0.4.13 draw.

usage: make_shots.py SAMPLERS_PY > shots.jsonl     (lm_eval/api/samplers.py of the wheel)
"""
import importlib.util
import json
import sys

spec = importlib.util.spec_from_file_location("samplers", sys.argv[1])
samplers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(samplers)
POOLS = [list(range(8)), list(range(40)), list(range(300)), [7, 7, 7, 1, 2, 3, 4, 7], [1, 2] * 20]
for pool in POOLS:
    docs = [{"id": i} for i in pool]
    for name in ("default", "first_n"):
        for exclude in (False, True):
            for n in (1, 4):
                sampler = samplers.get_sampler(name)(docs, rnd=1234)
                steps = []
                for doc in (7, 1, 3, 7, 250):
                    eval_doc = {"id": doc} if exclude else None
                    shots = sampler.sample(n, eval_doc=eval_doc)
                    steps.append({"doc": doc, "shots": [s["id"] for s in shots]})
                print(json.dumps({"pool": pool, "sampler": name, "exclude_self": exclude, "n": n,
                                  "steps": steps}))
