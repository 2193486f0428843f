"""`gptoss eval` and lm-evaluation-harness 0.4.13 against `gptoss serve`: the same scores, the same
log-likelihoods and the same texts, of the harness's own tasks on slices of the data.

The data is laid out as the hub has it below a folder that the harness runs in: it prefers a local
folder of a data set's name.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

LIMIT = 16
# Data set, configuration, and the file of each split. The questions of ARC-Easy are asked without
# examples, so that it does not matter whose these are.
SETS = [
    ("allenai/ai2_arc", "ARC-Easy", "arc_easy/test", "arc_challenge/train"),
    ("allenai/ai2_arc", "ARC-Challenge", "arc_challenge/test", "arc_challenge/train"),
    ("openai/gsm8k", "main", "gsm8k/test", "gsm8k/train"),
]


@pytest.fixture(scope="module")
def data():
    return Path(os.environ["CLIENTS_ROOT"]) / "testdata/eval/data"


@pytest.fixture(scope="module")
def hub(data, tmp_path_factory):
    """A folder with the data sets under their names."""
    root = tmp_path_factory.mktemp("hub")
    cards = {}
    for name, config, test, train in SETS:
        lines = cards.setdefault(name, ["---", "configs:"])
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, source in [("test", test), ("train", train), ("validation", test)]:
            target = root / name / config / f"{split}.jsonl"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((data / f"{source}.jsonl").read_bytes())
            lines += [f"  - split: {split}", f"    path: {config}/{split}.jsonl"]
    for name, lines in cards.items():
        (root / name / "README.md").write_text("\n".join([*lines, "---", ""]))
    return root


@pytest.fixture(scope="module")
def manager():
    return TaskManager()


def harness(manager, url, task, shots):
    arguments = f"base_url={url}/completions,model=nano,max_length=1024,num_concurrent=1"
    done = lm_eval.simple_evaluate(
        model="local-completions",
        model_args=arguments,
        tasks=[task],
        task_manager=manager,
        num_fewshot=shots,
        limit=LIMIT,
        batch_size=4,
    )
    samples = {}
    for sample in done["samples"][task]:
        samples.setdefault(sample["doc_id"], sample)
    return done["results"][task], samples


def ours(program, data, folder, task, shots):
    """Scores and samples of the program itself, which cuts long prompts as a client would."""
    output = folder / "run.jsonl"
    words = ["eval", "nano", "--tasks", task, "--data", str(data), "--limit", str(LIMIT)]
    words += ["--num-fewshot", str(shots), "--cut", "api", "--json", "-o", str(output)]
    run = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    samples = {line["sample"]["doc"]: line["sample"] for line in lines if "sample" in line}
    return json.loads(run.stdout)["results"][task], samples


def same_scores(theirs, found):
    metrics = [name for name in theirs if "," in name]
    assert len(metrics) >= 4, theirs
    for name in metrics:
        assert found[name] == theirs[name], name


def same_float(a, b):
    # From Python 3.12 on, `sum` rounds otherwise than from left to right.
    return a == b if sys.version_info < (3, 12) else a == pytest.approx(b, abs=1e-12)


@pytest.mark.parametrize(("task", "shots"), [("arc_easy", 0), ("arc_challenge", 3)])
def test_log_likelihoods(task, shots, program, data, hub, manager, nano_url, tmp_path, monkeypatch):
    monkeypatch.chdir(hub)
    scores, samples = harness(manager, nano_url, task, shots)
    found_scores, found = ours(program, data, tmp_path, task, shots)
    same_scores(scores, found_scores)
    assert samples.keys() == found.keys() and len(found) == LIMIT
    compared = 0
    for doc, sample in samples.items():
        answer = found[doc]["answer"]
        responses = [response for [response] in sample["resps"]]
        assert len(responses) == len(answer["logprobs"])
        for (value, greedy), own, own_greedy in zip(
            responses, answer["logprobs"], answer["greedy"], strict=True
        ):
            assert same_float(float(value), own), (doc, value, own)
            assert str(greedy) == str(own_greedy), doc
            compared += 1
    assert compared >= 3 * LIMIT


def test_texts(program, data, hub, manager, nano_url, tmp_path, monkeypatch):
    """Five examples are more than the context holds: both cut them on the left."""
    monkeypatch.chdir(hub)
    scores, samples = harness(manager, nano_url, "gsm8k", 5)
    found_scores, found = ours(program, data, tmp_path, "gsm8k", 5)
    same_scores(scores, found_scores)
    assert samples.keys() == found.keys() and len(found) == LIMIT
    texts = {doc: sample["resps"][0][0] for doc, sample in samples.items()}
    assert texts == {doc: sample["answer"]["text"] for doc, sample in found.items()}
    assert any(texts.values())
