"""lm-evaluation-harness 0.4.13 against nano, with tasks that lie beside this file.

Its own function is called that its command calls, because its packages take long to import. Texts
become tokens through `/tokenize`, so that no tokenizer and no network is needed.
"""

import re
from pathlib import Path

import httpx
import lm_eval
import pytest
from lm_eval.tasks import TaskManager

HERE = Path(__file__).parent


@pytest.fixture
def evaluate(monkeypatch):
    """Results and samples of one task."""
    # The tasks name their data relative to the folder that the harness runs in.
    monkeypatch.chdir(HERE)

    def run(model, task, url, **settings):
        arguments = f"base_url={url},model=nano,max_length=1024,num_concurrent=1,max_retries=1"
        manager = TaskManager(include_path=str(HERE), include_defaults=False)
        done = lm_eval.simple_evaluate(
            model=model, model_args=arguments, tasks=[task], task_manager=manager, **settings
        )
        return done["results"][task], done["samples"][task]

    return run


def log_probability(url, context, continuation):
    """That of the continuation, from one request of our own."""
    count = len(httpx.post(f"{url}/tokenize", json={"prompt": context}).json()["tokens"])
    request = {"model": "nano", "prompt": context + continuation, "echo": True, "logprobs": 1}
    answer = httpx.post(f"{url}/completions", json=request | {"max_tokens": 0}, timeout=60)
    return sum(answer.json()["choices"][0]["logprobs"]["token_logprobs"][count:])


def test_log_probabilities_of_continuations(evaluate, nano_url):
    url = f"{nano_url}/completions"
    results, samples = evaluate("local-completions", "gptoss_facts", url, batch_size=2)
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


def test_text_that_is_generated(evaluate, nano_url):
    url = f"{nano_url}/completions"
    results, samples = evaluate("local-completions", "gptoss_sums", url)
    assert len(samples) == 4 and all(sample["resps"][0][0] for sample in samples)
    assert 0 <= results["exact_match,last-number"] <= 1


def test_answers_in_a_chat(evaluate, nano_url):
    url = f"{nano_url}/chat/completions"
    results, samples = evaluate(
        "local-chat-completions", "gptoss_sums", url, apply_chat_template=True
    )
    assert len(samples) == 4
    # What nano was trained on: it has to see its own frame to answer so.
    right = sum(re.findall(r"\d+", s["resps"][0][0])[-1:] == [s["doc"]["answer"]] for s in samples)
    assert results["exact_match,last-number"] == right / 4 >= 0.5
