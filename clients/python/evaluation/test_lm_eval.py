"""lm-evaluation-harness 0.4.13 against nano, with tasks that lie beside this file.

Its command is run as a user runs it. Texts become tokens through `/tokenize`, so that no tokenizer
and no network is needed.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent


def evaluate(tmp_path, model, task, url, *more):
    """Results and samples of one task."""
    # The tasks name their data relative to the folder that the harness runs in.
    arguments = f"base_url={url},model=nano,max_length=1024,num_concurrent=1,max_retries=1"
    command = [sys.executable, "-m", "lm_eval", "run", "--model", model, "--tasks", task]
    command += ["--model_args", arguments, "--include_path", str(HERE), "--log_samples"]
    command += ["--output_path", str(tmp_path), *more]
    environment = os.environ | {"HF_HOME": str(tmp_path / "hub"), "TQDM_DISABLE": "1"}
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    [results] = tmp_path.rglob("results_*.json")
    [samples] = tmp_path.rglob("samples_*.jsonl")
    lines = samples.read_text(encoding="utf-8").splitlines()
    return json.loads(results.read_text())["results"][task], [json.loads(line) for line in lines]


def log_probability(url, context, continuation):
    """That of the continuation, from one request of our own."""
    count = len(httpx.post(f"{url}/tokenize", json={"prompt": context}).json()["tokens"])
    request = {"model": "nano", "prompt": context + continuation, "echo": True, "logprobs": 1}
    answer = httpx.post(f"{url}/completions", json=request | {"max_tokens": 0}, timeout=60)
    return sum(answer.json()["choices"][0]["logprobs"]["token_logprobs"][count:])


def test_log_probabilities_of_continuations(tmp_path, nano_url):
    url = f"{nano_url}/completions"
    results, samples = evaluate(
        tmp_path, "local-completions", "gptoss_facts", url, "--batch_size", "2"
    )
    assert len(samples) == 6
    compared = 0
    for sample in samples:
        for choice, [[value, _greedy]] in zip(sample["doc"]["choices"], sample["resps"]):
            expected = log_probability(nano_url, sample["doc"]["text"], f" {choice}")
            assert float(value) == pytest.approx(expected, abs=1e-4)
            compared += 1
    assert compared == 12
    # Guessing gives a half.
    assert results["acc,none"] >= 5 / 6


def test_text_that_is_generated(tmp_path, nano_url):
    url = f"{nano_url}/completions"
    results, samples = evaluate(tmp_path, "local-completions", "gptoss_sums", url)
    assert len(samples) == 4 and all(sample["resps"][0][0] for sample in samples)
    assert 0 <= results["exact_match,last-number"] <= 1


def test_answers_in_a_chat(tmp_path, nano_url):
    url = f"{nano_url}/chat/completions"
    results, samples = evaluate(
        tmp_path, "local-chat-completions", "gptoss_sums", url, "--apply_chat_template"
    )
    assert len(samples) == 4
    # What nano was trained on: it has to see its own frame to answer so.
    right = sum(re.findall(r"\d+", s["resps"][0][0])[-1:] == [s["doc"]["answer"]] for s in samples)
    assert results["exact_match,last-number"] == right / 4 >= 0.5
