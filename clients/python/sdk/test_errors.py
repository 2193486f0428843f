"""Errors as OpenAI's SDK sees them, and its retries."""

import threading
import time

import httpx
import openai
import pytest

HELLO = [{"role": "user", "content": "Hello!"}]
SLOW = [{"role": "user", "content": "Take your time."}]


def test_a_wrong_value_names_its_field(nano):
    for field, value in [("temperature", -1), ("top_p", 7), ("n", 0), ("top_logprobs", 99)]:
        with pytest.raises(openai.BadRequestError) as caught:
            nano.chat.completions.create(model="nano", messages=HELLO, extra_body={field: value})
        error = caught.value
        assert error.type == "invalid_request_error", field
        assert error.param == field and field in error.message


def test_a_field_that_is_not_supported_is_named(nano):
    with pytest.raises(openai.BadRequestError) as caught:
        nano.chat.completions.create(
            model="nano", messages=HELLO, functions=[{"name": "f", "parameters": {}}]
        )
    assert caught.value.code == "unsupported_parameter" and caught.value.param == "functions"


def test_an_unknown_field_is_ignored(nano):
    nano.chat.completions.create(
        model="nano", messages=HELLO, max_tokens=1, extra_body={"never_heard_of": 1}
    )


def test_a_missing_field_is_named(nano):
    with pytest.raises((openai.BadRequestError, openai.UnprocessableEntityError)) as caught:
        nano.post("/chat/completions", body={"model": "nano"}, cast_to=object)
    assert "messages" in caught.value.message


def test_no_json_is_an_error_of_the_client(nano_url):
    for body in [b"", b"{", b"[]", b'"text"', b"\xff\xfe"]:
        answer = httpx.post(
            f"{nano_url}/chat/completions",
            content=body,
            headers={"content-type": "application/json"},
        )
        assert 400 <= answer.status_code < 500, body
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_prompt_that_is_too_long_has_the_code_that_agents_look_for(nano):
    messages = [{"role": "user", "content": "word " * 5000}]
    with pytest.raises(openai.BadRequestError) as caught:
        nano.chat.completions.create(model="nano", messages=messages)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as caught:
        nano.responses.create(model="nano", input="word " * 5000)
    assert caught.value.code == "context_length_exceeded"


def test_an_unknown_model_is_not_found(nano):
    with pytest.raises(openai.NotFoundError) as caught:
        nano.chat.completions.create(model="gpt-17", messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_an_unknown_path_is_not_found(nano):
    with pytest.raises(openai.NotFoundError):
        nano.get("/no/such/path", cast_to=object)


def test_a_wrong_method_is_said_to_be_one(nano_url):
    answer = httpx.get(f"{nano_url}/chat/completions")
    assert answer.status_code == 405 and "error" in answer.json()


def test_a_key_is_needed_where_there_are_keys(limited_url):
    stranger = openai.OpenAI(base_url=limited_url, api_key="wr0ng-s3cret", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.models.list()
    assert "wr0ng-s3cret" not in caught.value.message
    assert httpx.get(f"{limited_url}/models").status_code == 401


def test_a_failure_in_the_stream_is_an_error(scripted):
    messages = [{"role": "user", "content": "Fail in the middle."}]
    text = ""
    with pytest.raises(openai.APIError):
        for chunk in scripted.chat.completions.create(model="a", messages=messages, stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text == "The first half"


def test_a_foreign_host_is_refused(nano_url):
    answer = httpx.get(f"{nano_url}/models", headers={"host": "evil.example"})
    assert 400 <= answer.status_code < 500


class Busy:
    """A request that keeps the only place of the limited server for a while."""

    def __init__(self, client):
        self.client = client
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        stream = self.client.chat.completions.create(model="a", messages=SLOW, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                self.started.set()

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(30)
        return self

    def __exit__(self, *_):
        self.thread.join(30)


def test_a_full_server_says_when_to_come_back(limited):
    with Busy(limited), pytest.raises(openai.RateLimitError) as caught:
        limited.chat.completions.create(model="a", messages=HELLO)
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert caught.value.type == "rate_limit_error"


def test_the_sdk_comes_back_by_itself(limited):
    patient = limited.with_options(max_retries=5)
    start = time.monotonic()
    with Busy(limited):
        answer = patient.chat.completions.create(model="a", messages=HELLO)
    assert answer.choices[0].message.content == "Done."
    # It waited as long as it was told to, instead of asking at once again.
    assert time.monotonic() - start >= 1


def test_a_client_that_goes_away_frees_its_place(limited):
    stream = limited.chat.completions.create(model="a", messages=SLOW, stream=True)
    next(iter(stream))
    stream.close()
    patient = limited.with_options(max_retries=2)
    assert patient.chat.completions.create(model="a", messages=HELLO).choices[0].message.content
