#!/usr/bin/env python3.11
"""Requests and scores of lm-evaluation-harness 0.4.13 on the data of this folder, with the model
without weights of crates/eval/tests/golden/stub.rs.

usage: make_requests.py DATA HUB OUT      with `lm_eval[api]==0.4.13` installed; HUB is made anew
"""
import hashlib
import json
import os
import sys
import zlib

DATA, HUB, OUT = (os.path.abspath(path) for path in sys.argv[1:])
SETS = {
    "cais/mmlu": [("jurisprudence", {"test": "mmlu/test/jurisprudence", "dev": "mmlu/dev/jurisprudence"})],
    "openai/gsm8k": [("main", {"test": "gsm8k/test"})],
    "truthfulqa/truthful_qa": [("multiple_choice", {"validation": "truthfulqa/validation"})],
    "allenai/winogrande": [("winogrande_xl", {s: "winogrande/" + s for s in ("train", "validation")})],
    "Rowan/hellaswag": [("default", {s: "hellaswag/" + s for s in ("train", "validation")})],
}
# Task, number of examples: what the golden requests of others do not have.
RUNS = [("truthfulqa_mc1", 0), ("truthfulqa_mc2", 0), ("winogrande", 0), ("winogrande", 3), ("hellaswag", 0),
        ("hellaswag", 3), ("gsm8k_cot", 8), ("mmlu_jurisprudence_generative", 0),
        ("mmlu_jurisprudence_generative", 5), ("mmlu_jurisprudence_continuation", 5)]

for name, configs in SETS.items():
    lines = ["---", "configs:"]
    for config, splits in configs:
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, source in splits.items():
            target = os.path.join(HUB, name, "data", config, split + ".jsonl")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(os.path.join(DATA, source + ".jsonl"), "rb") as file:
                open(target, "wb").write(file.read())
            lines += [f"  - split: {split}", f"    path: data/{config}/{split}.jsonl"]
    open(os.path.join(HUB, name, "README.md"), "w").write("\n".join(lines + ["---", ""]))
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=os.path.join(HUB, "cache"))
os.chdir(HUB)

import lm_eval  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402


class Stub(LM):
    def loglikelihood(self, requests, **_):
        answers = []
        for context, continuation in (request.args for request in requests):
            stripped = context.rstrip()
            continuation = context[len(stripped):] + continuation
            crc, total = zlib.crc32(stripped.encode()), 0
            for byte in continuation.encode():
                crc = zlib.crc32(bytes([byte]), crc)
                total += -(crc / 4294967296 * 5 + 0.01)
            answers.append((total, True))
        return answers

    def generate_until(self, requests, **_):
        numbers = [zlib.crc32(request.args[0].encode()) % 40 for request in requests]
        return [" B.\nnext" if n % 2 else f" The answer is {n}.\n$5" for n in numbers]

    def loglikelihood_rolling(self, requests, **_):
        raise NotImplementedError


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


for task, shots in RUNS:
    results = lm_eval.simple_evaluate(Stub(), tasks=[task], num_fewshot=shots, log_samples=True)
    with open(f"{OUT}/{task}.{shots}shot.jsonl", "w", encoding="utf-8") as file:
        file.write(json.dumps(results["results"][task], ensure_ascii=False) + "\n")
        samples = {}
        for sample in results["samples"][task]:
            samples.setdefault(sample["doc_id"], sample)
        for doc, sample in sorted(samples.items()):
            asked = sample["arguments"]
            row = {"doc_id": doc, "contexts": [sha(context) for context, *_ in asked],
                   "target": sample["target"]}
            if isinstance(asked[0][1], str):
                row["continuations"] = [continuation for _, continuation in asked]
            else:
                row["gen_kwargs"] = asked[0][1]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
