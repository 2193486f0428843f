"""langchain-openai and LangChain's agents."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

ADA = "Ada Lovelace was born in London in 1815."


class Person(BaseModel):
    """Somebody."""

    name: str
    born: int
    city: str


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@tool
def multiply(a: int, b: int) -> int:
    """The product of two numbers."""
    return a * b


@pytest.fixture(params=["chat", "responses"])
def model(request, scripted_url) -> ChatOpenAI:
    """A model behind either interface."""
    return ChatOpenAI(
        base_url=scripted_url,
        model="any",
        max_retries=0,
        use_responses_api=request.param == "responses",
    )


@pytest.fixture
def nano_model(nano_url) -> ChatOpenAI:
    return ChatOpenAI(base_url=nano_url, model="nano", temperature=0, max_retries=0)


def test_nano_answers_and_streams_the_same(nano_model):
    answer = nano_model.invoke("Hello!")
    assert answer.text and answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"
    chunks = list(nano_model.stream("Hello!"))
    assert len(chunks) > 2
    assert "".join(chunk.text for chunk in chunks) == answer.text


def test_many_at_once(nano_model):
    alone = nano_model.invoke("Hello!").text
    assert {answer.text for answer in nano_model.batch(["Hello!"] * 4)} == {alone}

    async def run():
        return [chunk.text async for chunk in nano_model.astream("Hello!")]

    assert "".join(asyncio.run(run())) == alone


def test_a_question_is_answered(model):
    answer = model.invoke("What is the capital of France?")
    assert answer.text == "The capital of France is Paris."


def test_a_stream_has_its_usage(model):
    model = model.model_copy(update={"stream_usage": True})
    whole = None
    for chunk in model.stream("What is the capital of France?"):
        whole = chunk if whole is None else whole + chunk
    assert whole.text == "The capital of France is Paris."
    assert whole.usage_metadata["output_tokens"] > 0


def test_tools_round_trip(model):
    bound = model.bind_tools([get_weather])
    question = HumanMessage("What is the weather in Paris?")
    first = bound.invoke([question])
    assert isinstance(first, AIMessage)
    [call] = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    second = bound.invoke([question, first, result])
    assert second.text == "It is sunny in Paris, 22 degrees."


def test_a_streamed_call_is_put_together(model):
    whole = None
    for chunk in model.bind_tools([get_weather]).stream("What is the weather in Paris?"):
        whole = chunk if whole is None else whole + chunk
    [call] = whole.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})


def test_broken_arguments_are_an_invalid_call_and_no_error(model):
    @tool
    def write_file(path: str, text: str) -> str:
        """Writes a file."""
        return "written"

    answer = model.bind_tools([write_file]).invoke("Write the file with broken arguments.")
    assert not answer.tool_calls
    assert answer.invalid_tool_calls[0]["name"] == "write_file"


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(model, method):
    text = ADA if method == "json_schema" else f"Call the tool: {ADA}"
    person = model.with_structured_output(Person, method=method).invoke(text)
    assert person == Person(name="Ada Lovelace", born=1815, city="London")


def test_an_agent_calls_two_tools_and_answers(model):
    agent = create_agent(model, tools=[add, multiply])
    question = {"role": "user", "content": "Add 12 and 30, then double the sum."}
    messages = agent.invoke({"messages": [question]})["messages"]
    results = [message.content for message in messages if isinstance(message, ToolMessage)]
    assert results == ["42", "84"]
    assert messages[-1].text == "The result is 84."


def test_an_agent_streams_its_steps(model):
    agent = create_agent(model, tools=[add, multiply])
    question = {"role": "user", "content": "Add 12 and 30, then double the sum."}
    nodes = []
    for step in agent.stream({"messages": [question]}, stream_mode="updates"):
        nodes += list(step)
    assert nodes == ["model", "tools", "model", "tools", "model"]


def test_nano_fills_a_form(nano_model):
    class Mood(BaseModel):
        """How somebody feels."""

        happy: bool

    assert isinstance(nano_model.with_structured_output(Mood).invoke("How are you?"), Mood)


def test_embeddings(nano_url):
    # Texts are sent as they are: the tokens of another vocabulary would mean nothing to nano.
    embedder = OpenAIEmbeddings(base_url=nano_url, model="nano", check_embedding_ctx_length=False)
    first, second = embedder.embed_documents(["a dog", "a cat"])
    assert len(first) == len(second) > 0 and first != second
    assert embedder.embed_query("a dog") == pytest.approx(first, rel=1e-5)
