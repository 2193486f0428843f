"""Responses through OpenAI's SDK."""

import openai
import pytest

FRANCE = "What is the capital of France?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def test_nano_answers(nano):
    response = nano.responses.create(model="nano", input="Hello!", temperature=0)
    assert response.id.startswith("resp_") and response.status == "completed"
    assert response.output_text.strip()
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_reasoning_is_an_item_before_the_message(scripted):
    response = scripted.responses.create(model="any", input=FRANCE)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    reasoning, message = response.output
    assert reasoning.summary == [] and reasoning.content[0].type == "reasoning_text"
    assert reasoning.content[0].text == "A question about geography."
    assert message.status == "completed" and response.output_text.endswith("Paris.")
    assert response.usage.output_tokens_details.reasoning_tokens > 0


def test_events_come_in_order(scripted):
    events = list(scripted.responses.create(model="any", input=FRANCE, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    ordered = [
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.completed",
    ]
    message = kinds.index("response.output_text.delta")
    assert kinds.index(ordered[0]) < kinds.index(ordered[1]) < message
    assert all(kind in kinds for kind in ordered)
    added = [event for event in events if event.type == "response.output_item.added"]
    assert [event.output_index for event in added] == [0, 1]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    final = events[-1].response
    assert "".join(deltas) == final.output_text == "The capital of France is Paris."
    assert [item.id for item in final.output] == [event.item.id for event in added]


def test_the_helper_for_streams_collects_the_response(scripted):
    with scripted.responses.stream(model="any", input=FRANCE) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_response()
    assert "response.output_text.delta" in kinds
    assert final.output_text == "The capital of France is Paris."


def test_a_response_is_kept_continued_and_deleted(scripted):
    first = scripted.responses.create(model="any", input=FRANCE)
    assert scripted.responses.retrieve(first.id).output_text == first.output_text
    items = scripted.responses.input_items.list(first.id).data
    assert [item.role for item in items] == ["user"]
    second = scripted.responses.create(
        model="any", input="And of Italy?", previous_response_id=first.id
    )
    assert second.output_text == "The capital of Italy is Rome."
    assert second.previous_response_id == first.id
    scripted.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        scripted.responses.retrieve(first.id)


def test_what_is_not_to_be_stored_is_not(scripted):
    response = scripted.responses.create(model="any", input=FRANCE, store=False)
    with pytest.raises(openai.NotFoundError):
        scripted.responses.retrieve(response.id)


def test_a_tool_round_trip_with_the_whole_history(scripted):
    history = [{"role": "user", "content": "What is the weather in Paris?"}]
    settings = {"model": "any", "tools": [WEATHER], "store": False}
    first = scripted.responses.create(input=history, **settings)
    call = first.output[-1]
    assert (call.type, call.name, call.arguments) == (
        "function_call",
        "get_weather",
        '{"city":"Paris"}',
    )
    assert call.call_id.startswith("call_") and call.id.startswith("fc_")
    history += [item.model_dump(exclude_none=True) for item in first.output]
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    second = scripted.responses.create(input=history, **settings)
    assert second.output_text == "It is sunny in Paris, 22 degrees."


def test_a_tool_round_trip_through_the_stored_response(scripted):
    settings = {"model": "any", "tools": [WEATHER]}
    first = scripted.responses.create(input="What is the weather in Paris?", **settings)
    output = {
        "type": "function_call_output",
        "call_id": first.output[-1].call_id,
        "output": '{"sky": "sunny"}',
    }
    second = scripted.responses.create(input=[output], previous_response_id=first.id, **settings)
    assert second.output_text == "It is sunny in Paris, 22 degrees."


def test_arguments_of_a_call_are_streamed(scripted):
    events = list(
        scripted.responses.create(
            model="any", input="What is the weather in Paris?", tools=[WEATHER], stream=True
        )
    )
    kind = "response.function_call_arguments"
    deltas = [event.delta for event in events if event.type == f"{kind}.delta"]
    done = [event for event in events if event.type == f"{kind}.done"]
    assert "".join(deltas) == done[0].arguments == '{"city":"Paris"}'
    assert done[0].item_id == events[-1].response.output[-1].id


def test_a_preamble_is_a_message_before_the_call(scripted):
    response = scripted.responses.create(
        model="any", input="Look up the weather in Paris and tell me what you do.", tools=[WEATHER]
    )
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning", "message", "function_call"]
    assert response.output_text == "I am looking it up."


def test_an_output_without_its_call_is_refused(scripted):
    output = {"type": "function_call_output", "call_id": "call_unknown", "output": "x"}
    with pytest.raises(openai.BadRequestError) as caught:
        scripted.responses.create(model="any", input=[output], tools=[WEATHER])
    assert "call_unknown" in caught.value.message


def test_a_limit_makes_the_response_incomplete(nano):
    response = nano.responses.create(model="nano", input="Tell me a story.", max_output_tokens=4)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 4


def test_a_failure_in_the_stream_ends_it_as_failed(scripted):
    kinds = []
    with pytest.raises(openai.APIError):
        for event in scripted.responses.create(
            model="any", input="Fail in the middle.", stream=True
        ):
            kinds.append(event.type)
            if event.type == "response.failed":
                assert event.response.error.message
                raise openai.APIError("failed", None, body=None)
    assert "response.output_text.delta" in kinds
