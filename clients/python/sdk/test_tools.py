"""Tools of Chat Completions through OpenAI's SDK."""

import json

import openai
import pytest

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}


def function(name, parameters):
    described = {"name": name, "description": f"Tool {name}.", "parameters": parameters}
    return {"type": "function", "function": described}


TOOLS = [
    function("get_weather", CITY),
    function("add", NUMBERS),
    function("multiply", NUMBERS),
    function("write_file", {"type": "object", "properties": {"path": {"type": "string"}}}),
]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]


def test_a_round_trip(scripted):
    settings = {"model": "any", "tools": TOOLS}
    choice = scripted.chat.completions.create(messages=WEATHER, **settings).choices[0]
    call = choice.message.tool_calls[0]
    assert choice.finish_reason == "tool_calls" and call.id and call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Paris"}')
    assert choice.message.reasoning == "I need the weather tool."
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "sunny"}'}
    messages = WEATHER + [choice.message.model_dump(exclude_none=True), result]
    answer = scripted.chat.completions.create(messages=messages, **settings).choices[0]
    assert answer.finish_reason == "stop"
    assert answer.message.content == "It is sunny in Paris, 22 degrees."
    assert not answer.message.tool_calls


def test_an_agent_loop_of_two_calls(scripted):
    functions = {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b}
    messages = [{"role": "user", "content": "Add 12 and 30, then double the sum."}]
    called = []
    for _ in range(4):
        answer = scripted.chat.completions.create(model="any", messages=messages, tools=TOOLS)
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            value = functions[call.function.name](**json.loads(call.function.arguments))
            called.append((call.function.name, value))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(value)})
    assert called == [("add", 42), ("multiply", 84)]
    assert message.content == "The result is 84."


def test_a_streamed_call_can_be_put_together(scripted):
    stream = scripted.chat.completions.create(
        model="any", messages=WEATHER, tools=TOOLS, stream=True
    )
    name, arguments, ids, end = "", "", set(), None
    for chunk in stream:
        choice = chunk.choices[0]
        end = choice.finish_reason or end
        for call in choice.delta.tool_calls or []:
            assert call.index == 0
            ids |= {call.id} if call.id else set()
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert (name, arguments, end) == ("get_weather", '{"city":"Paris"}', "tool_calls")
    assert len(ids) == 1


def test_a_preamble_is_content_beside_the_call(scripted):
    text = "Look up the weather in Paris and tell me what you do."
    messages = [{"role": "user", "content": text}]
    answer = scripted.chat.completions.create(model="any", messages=messages, tools=TOOLS)
    message = answer.choices[0].message
    assert message.content == "I am looking it up."
    assert message.reasoning == "Say it, then call."
    assert message.tool_calls[0].function.name == "get_weather"


def test_broken_arguments_reach_the_client_unchanged(scripted):
    messages = [{"role": "user", "content": "Write the file with broken arguments."}]
    settings = {"model": "any", "messages": messages, "tools": TOOLS}
    broken = '{"path": "a.txt", "text": "never closed'
    choice = scripted.chat.completions.create(**settings).choices[0]
    assert choice.message.tool_calls[0].function.arguments == broken
    arguments = ""
    for chunk in scripted.chat.completions.create(stream=True, **settings):
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments += call.function.arguments or ""
    assert arguments == broken


def test_a_result_without_its_call_is_refused(scripted):
    messages = WEATHER + [{"role": "tool", "tool_call_id": "call_unknown", "content": "x"}]
    with pytest.raises(openai.BadRequestError) as caught:
        scripted.chat.completions.create(model="any", messages=messages, tools=TOOLS)
    assert "call_unknown" in caught.value.message


def test_a_named_tool_that_does_not_exist_is_refused(scripted):
    choice = {"type": "function", "function": {"name": "fly"}}
    with pytest.raises(openai.BadRequestError) as caught:
        scripted.chat.completions.create(
            model="any", messages=WEATHER, tools=TOOLS, tool_choice=choice
        )
    assert caught.value.param == "tool_choice"


def test_a_forced_tool_is_called(scripted):
    for tool_choice in ["required", {"type": "function", "function": {"name": "get_weather"}}]:
        answer = scripted.chat.completions.create(
            model="any", messages=WEATHER, tools=TOOLS, tool_choice=tool_choice
        )
        assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_a_tool_name_that_is_no_name_is_refused(scripted):
    for name in ["two words", "<|end|>", ""]:
        with pytest.raises(openai.BadRequestError):
            scripted.chat.completions.create(
                model="any", messages=WEATHER, tools=[function(name, CITY)]
            )
