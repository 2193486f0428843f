"""OpenAI's Agents SDK for Python, over both interfaces."""

import asyncio

import openai
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from pydantic import BaseModel

set_tracing_disabled(True)


class Person(BaseModel):
    name: str
    born: int
    city: str


@function_tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@function_tool
def multiply(a: int, b: int) -> int:
    """The product of two numbers."""
    return a * b


MODELS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


def run(kind, url, text, **settings):
    """What an agent answers, in a loop of its own with a client of its own."""

    async def inside():
        async with openai.AsyncOpenAI(base_url=url, max_retries=0) as client:
            model = MODELS[kind]("any", openai_client=client)
            agent = Agent(name="Helper", model=model, **settings)
            return await Runner.run(agent, text, max_turns=6)

    return asyncio.run(inside())


@pytest.fixture(params=MODELS)
def kind(request) -> str:
    return request.param


def test_an_agent_calls_two_tools_and_answers(kind, scripted_url):
    text = "Add 12 and 30, then double the sum."
    result = run(kind, scripted_url, text, tools=[add, multiply], instructions="Use tools.")
    assert result.final_output == "The result is 84."
    outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    assert [str(output) for output in outputs] == ["42", "84"]


def test_the_reasoning_is_among_the_items(kind, scripted_url):
    result = run(kind, scripted_url, "What is the capital of France?")
    assert result.final_output == "The capital of France is Paris."
    kinds = [item.type for item in result.new_items]
    assert kinds == ["reasoning_item", "message_output_item"]


def test_an_answer_has_the_type_that_was_asked_for(kind, scripted_url):
    text = "Ada Lovelace was born in London in 1815."
    result = run(kind, scripted_url, text, output_type=Person)
    assert result.final_output == Person(name="Ada Lovelace", born=1815, city="London")


def test_a_streamed_run_ends_as_a_whole_one(kind, scripted_url):
    async def inside():
        async with openai.AsyncOpenAI(base_url=scripted_url, max_retries=0) as client:
            model = MODELS[kind]("any", openai_client=client)
            agent = Agent(name="Helper", model=model, tools=[add, multiply])
            text = "Add 12 and 30, then double the sum."
            result = Runner.run_streamed(agent, text, max_turns=6)
            names = [
                event.name
                async for event in result.stream_events()
                if event.type == "run_item_stream_event"
            ]
            return result.final_output, names

    output, names = asyncio.run(inside())
    assert output == "The result is 84."
    calls = [name for name in names if name in ("tool_called", "tool_output")]
    assert calls == ["tool_called", "tool_output"] * 2


def test_a_second_turn_takes_the_first_with_it(kind, scripted_url):
    async def inside():
        async with openai.AsyncOpenAI(base_url=scripted_url, max_retries=0) as client:
            model = MODELS[kind]("any", openai_client=client)
            agent = Agent(name="Helper", model=model)
            first = await Runner.run(agent, "What is the capital of France?")
            turns = first.to_input_list() + [{"role": "user", "content": "And of Italy?"}]
            return (await Runner.run(agent, turns)).final_output

    assert asyncio.run(inside()) == "The capital of Italy is Rome."
