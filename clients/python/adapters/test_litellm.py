"""litellm, which many programs call models through."""

import litellm
import pytest

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def to_script(scripted_url):
    return {"model": "openai/any", "api_base": scripted_url, "num_retries": 0}


@pytest.fixture
def to_nano(nano_url):
    return {"model": "openai/nano", "api_base": nano_url, "num_retries": 0}


def test_an_answer_with_its_reasoning(to_script):
    message = litellm.completion(messages=FRANCE, **to_script).choices[0].message
    assert message.content == "The capital of France is Paris."
    assert message.reasoning_content == "A question about geography."


def test_a_stream(to_nano):
    messages = [{"role": "user", "content": "Hello!"}]
    whole = litellm.completion(messages=messages, temperature=0, **to_nano)
    chunks = litellm.completion(messages=messages, temperature=0, stream=True, **to_nano)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content != ""


def test_a_tool_round_trip(to_script):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = litellm.completion(messages=messages, tools=[TOOL], **to_script).choices[0]
    assert first.finish_reason == "tool_calls"
    [call] = first.message.tool_calls
    assert call.function.arguments == '{"city":"Paris"}'
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages += [first.message.model_dump(), result]
    second = litellm.completion(messages=messages, tools=[TOOL], **to_script).choices[0]
    assert second.message.content == "It is sunny in Paris, 22 degrees."


def test_a_response(to_script):
    response = litellm.responses(input=FRANCE[0]["content"], **to_script)
    texts = [part.text for item in response.output if item.type == "message" for part in item.content]
    assert texts == ["The capital of France is Paris."]


def test_an_embedding(to_nano):
    answer = litellm.embedding(input=["a dog"], encoding_format="float", **to_nano)
    assert len(answer.data[0]["embedding"]) > 0


def test_a_text_completion(to_nano):
    settings = {**to_nano, "model": "text-completion-openai/nano"}
    answer = litellm.text_completion(prompt="The dog is", max_tokens=4, **settings)
    assert answer.choices[0].text


def test_a_prompt_that_is_too_long_is_an_error_of_its_own(to_nano):
    messages = [{"role": "user", "content": "word " * 5000}]
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(messages=messages, **to_nano)
