"""Schemas of the official test suite: each is accepted, or refused with a clear 400, and every
document that nano writes under an accepted one is valid.

A schema that is accepted and not followed shows as a document that is not valid: nano knows no
JSON, so what it writes comes from the schema alone.
"""

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jsonschema
import pytest

ROOT = Path(os.environ.get("CLIENTS_ROOT", Path(__file__).parents[3]))
CASES = ROOT / "clients/json_schema_suite/cases"

# Tokens of one document; a longer one is cut and says nothing.
TOKENS_MAX = 48
AT_ONCE = 8

# Keywords that have to be followed in at least one schema of their file.
FOLLOWED = """
    additionalProperties allOf anyOf boolean_schema const enum exclusiveMaximum exclusiveMinimum
    items maxItems maxLength maximum minItems minLength minimum pattern prefixItems properties ref
    required type
""".split()

# Files whose keyword is refused wherever it stands.
REFUSED = "contains dependentRequired patternProperties propertyNames uniqueItems".split()


def schemas():
    """File and number of each schema, what it is about, and itself."""
    for path in sorted(CASES.glob("*.json")):
        for number, group in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            yield path.stem, number, group["description"], group["schema"]


def ask(client: httpx.Client, number: int, schema) -> httpx.Response:
    form = {"type": "json_schema", "json_schema": {"name": "case", "schema": schema}}
    request = {
        "model": "nano",
        "messages": [{"role": "user", "content": "Hello!"}],
        "response_format": form,
        "max_tokens": TOKENS_MAX,
        "temperature": 1.0,
        "seed": number,
    }
    return client.post("/chat/completions", json=request)


@pytest.fixture(scope="module")
def answers(nano_url):
    """What the server says to each schema."""
    cases = list(schemas())
    with httpx.Client(base_url=nano_url, timeout=120) as client:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            given = pool.map(lambda item: ask(client, item[0], item[1][3]), enumerate(cases))
            return list(zip(cases, given))


def test_every_schema_is_accepted_or_refused_with_a_reason(answers):
    assert len(answers) == 247
    wrong = []
    for (file, number, description, _), answer in answers:
        if answer.status_code == 200:
            continue
        error = answer.json().get("error", {})
        clear = answer.status_code == 400 and len(error.get("message", "")) > 20
        if not clear or error.get("type") != "invalid_request_error":
            wrong.append((file, number, description, answer.status_code, answer.text[:200]))
    assert not wrong, wrong


def test_keywords_are_followed_or_refused(answers):
    accepted = Counter(case[0] for case, answer in answers if answer.status_code == 200)
    print("accepted schemas by file:", dict(accepted))
    assert [file for file in FOLLOWED if not accepted[file]] == []
    assert [file for file in REFUSED if accepted[file]] == []


def test_every_document_is_valid(answers):
    invalid, finished, cut = [], 0, 0
    for (file, number, description, schema), answer in answers:
        if answer.status_code != 200:
            continue
        choice = answer.json()["choices"][0]
        if choice["finish_reason"] == "length":
            cut += 1
            continue
        finished += 1
        text = choice["message"]["content"]
        try:
            jsonschema.Draft202012Validator(schema).validate(json.loads(text))
        except (json.JSONDecodeError, jsonschema.ValidationError) as error:
            invalid.append((file, number, description, text, str(error)[:120]))
    print(f"{finished} documents finished, {cut} were cut")
    assert not invalid, invalid
    assert finished >= 60
