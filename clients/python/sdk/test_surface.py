"""Completions, embeddings, models and the paths beside them."""

import base64
import math
import struct

import httpx
import openai
import pytest


def test_completions_echo_a_prompt_with_its_log_probabilities(nano):
    answer = nano.completions.create(
        model="nano", prompt="The dog is happy.", echo=True, logprobs=1, max_tokens=1, temperature=0
    )
    choice = answer.choices[0]
    logprobs = choice.logprobs
    assert choice.text.startswith("The dog is happy.")
    assert "".join(logprobs.tokens) == choice.text
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    assert all(value <= 0 and math.isfinite(value) for value in logprobs.token_logprobs[1:])
    # The most probable token is among those that are listed, so greedy can be told.
    for value, top in zip(logprobs.token_logprobs[1:], logprobs.top_logprobs[1:]):
        assert value <= max(top.values()) + 1e-9


def test_prompts_come_as_texts_and_as_tokens_one_and_many(nano, nano_url):
    tokens = httpx.post(f"{nano_url}/tokenize", json={"prompt": "The dog is"}).json()["tokens"]
    settings = {"model": "nano", "max_tokens": 5, "temperature": 0}
    forms = ["The dog is", tokens, ["The dog is", "The cat is"], [tokens, tokens]]
    answers = [nano.completions.create(prompt=form, **settings) for form in forms]
    assert [len(answer.choices) for answer in answers] == [1, 1, 2, 2]
    texts = {answer.choices[0].text for answer in answers}
    assert len(texts) == 1 and texts != {""}
    assert [choice.index for choice in answers[2].choices] == [0, 1]


def test_a_completion_is_streamed(nano):
    settings = {"model": "nano", "prompt": "The dog is", "max_tokens": 8, "temperature": 0}
    whole = nano.completions.create(**settings).choices[0].text
    chunks = nano.completions.create(stream=True, **settings)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole


def test_text_to_tokens_and_back(nano_url):
    for text in ["Hello!", "naïve 🦀", ""]:
        tokens = httpx.post(f"{nano_url}/tokenize", json={"prompt": text}).json()["tokens"]
        answer = httpx.post(f"{nano_url}/detokenize", json={"tokens": tokens})
        assert answer.json()["prompt"] == text
    assert "eos_token" in httpx.get(f"{nano_url}/tokenizer_info").json()


def test_embeddings_are_the_same_as_numbers_and_as_bytes(nano):
    settings = {"model": "nano", "input": ["a dog", "a cat", "two plus three"]}
    numbers = nano.embeddings.create(encoding_format="float", **settings).data
    packed = nano.embeddings.create(encoding_format="base64", **settings).data
    assert [entry.index for entry in numbers] == [0, 1, 2]
    for plain, text in zip(numbers, packed):
        raw = base64.b64decode(text.embedding)
        unpacked = struct.unpack(f"<{len(raw) // 4}f", raw)
        assert len(plain.embedding) == len(unpacked) > 0
        assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(plain.embedding, unpacked))
    # What the SDK asks for by itself.
    default = nano.embeddings.create(**settings).data[1].embedding
    assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(default, numbers[1].embedding))
    assert numbers[0].embedding != numbers[1].embedding


def test_models_are_listed_and_shown(nano):
    listed = nano.models.list().data
    assert [model.id for model in listed] == ["nano"] and listed[0].object == "model"
    assert nano.models.retrieve("nano").id == "nano"
    with pytest.raises(openai.NotFoundError):
        nano.models.retrieve("gpt-17")


def test_the_state_of_the_server_can_be_read(nano_url):
    base = nano_url.removesuffix("/v1")
    assert httpx.get(f"{base}/health").status_code == 200
    assert httpx.get(f"{base}/ready").status_code == 200
    metrics = httpx.get(f"{base}/metrics").text
    for name in ["vllm:num_requests_running", "vllm:generation_tokens_total"]:
        assert name in metrics


def test_a_request_keeps_its_id(nano_url):
    answer = httpx.get(f"{nano_url}/models", headers={"x-request-id": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    assert httpx.get(f"{nano_url}/models").headers["x-request-id"]


async def collect(client):
    stream = await client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": "Hello!"}], temperature=0, stream=True
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_eight_at_once_get_the_same_as_one_alone(nano_url):
    import asyncio

    async def run(number):
        async with openai.AsyncOpenAI(base_url=nano_url) as client:
            return await asyncio.gather(*[collect(client) for _ in range(number)])

    alone = asyncio.run(run(1))
    assert set(asyncio.run(run(8))) == set(alone) != {""}
