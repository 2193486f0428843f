"""Structured output through `.parse()` and Pydantic."""

from typing import Literal

import openai
import pytest
from pydantic import BaseModel, Field

ADA = "Ada Lovelace was born in London in 1815."


class Person(BaseModel):
    name: str
    born: int
    city: str


class Mood(BaseModel):
    mood: Literal["happy", "sad", "angry"]
    sure: bool


class Animal(BaseModel):
    kind: Literal["dog", "cat", "bird"]
    legs: int = Field(ge=2, le=4)
    colours: list[Literal["red", "black", "white"]] = Field(min_length=1, max_length=2)


def test_chat_parses_what_a_model_writes(scripted):
    answer = scripted.chat.completions.parse(
        model="any", messages=[{"role": "user", "content": ADA}], response_format=Person
    )
    assert answer.choices[0].message.parsed == Person(name="Ada Lovelace", born=1815, city="London")


def test_responses_parse_what_a_model_writes(scripted):
    response = scripted.responses.parse(model="any", input=ADA, text_format=Person)
    assert response.output_parsed == Person(name="Ada Lovelace", born=1815, city="London")


def test_arguments_of_a_call_are_parsed(scripted):
    answer = scripted.chat.completions.parse(
        model="any",
        messages=[{"role": "user", "content": f"Call the tool: {ADA}"}],
        tools=[openai.pydantic_function_tool(Person)],
    )
    parsed = answer.choices[0].message.tool_calls[0].function.parsed_arguments
    assert parsed == Person(name="Ada Lovelace", born=1815, city="London")


@pytest.mark.parametrize("form", [Mood, Animal])
@pytest.mark.parametrize("seed", range(3))
def test_nano_is_held_to_a_schema(nano, form, seed):
    messages = [{"role": "user", "content": "How are you?"}]
    answer = nano.chat.completions.parse(
        model="nano", messages=messages, response_format=form, seed=seed, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, form)


def test_nano_is_held_to_a_schema_in_responses(nano):
    response = nano.responses.parse(model="nano", input="How are you?", text_format=Mood)
    assert isinstance(response.output_parsed, Mood)


def test_nano_writes_an_object_when_asked_for_json(nano):
    answer = nano.chat.completions.create(
        model="nano",
        messages=[{"role": "user", "content": "Answer in JSON: how are you?"}],
        response_format={"type": "json_object"},
        max_tokens=60,
        temperature=0,
    )
    assert answer.choices[0].message.content.lstrip().startswith("{")


def test_a_schema_that_cannot_be_followed_is_refused(nano):
    schema = {"type": "object", "patternProperties": {"^a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as caught:
        nano.chat.completions.create(
            model="nano", messages=[{"role": "user", "content": "Hi"}], response_format=form
        )
    assert "patternProperties" in caught.value.message


def test_grammar_and_regex_are_followed(nano):
    messages = [{"role": "user", "content": "What is 2 plus 3?"}]
    settings = {"model": "nano", "messages": messages, "max_tokens": 20}
    answer = nano.chat.completions.create(extra_body={"regex": "[0-9]{3}"}, **settings)
    assert len(answer.choices[0].message.content) == 3
    assert answer.choices[0].message.content.isdigit()
    grammar = 'start: "yes" | "no"'
    answer = nano.chat.completions.create(extra_body={"grammar": grammar}, **settings)
    assert answer.choices[0].message.content in ("yes", "no")
