"""instructor, in the ways in which it asks for an object."""

import instructor
import openai
import pytest
from pydantic import BaseModel, ConfigDict, Field

ADA = "Ada Lovelace was born in London in 1815."
# Objects have a class of their own that is made of the one asked for, so fields are compared.
EXPECTED = {"name": "Ada Lovelace", "born": 1815, "city": "London"}


class Person(BaseModel):
    name: str
    born: int = Field(gt=0)
    city: str


class Mood(BaseModel):
    # A small model that may add fields adds them for ever.
    model_config = ConfigDict(extra="forbid")
    happy: bool


def ask(url, mode, text, **settings):
    client = instructor.from_openai(openai.OpenAI(base_url=url, max_retries=0), mode=mode)
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(messages=messages, **settings)


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT])
def test_through_a_tool(scripted_url, mode):
    text = f"Call the tool: {ADA}"
    person = ask(scripted_url, mode, text, model="any", response_model=Person)
    assert isinstance(person, Person) and person.model_dump() == EXPECTED


def test_through_a_schema(scripted_url):
    mode = instructor.Mode.JSON_SCHEMA
    person = ask(scripted_url, mode, ADA, model="any", response_model=Person)
    assert isinstance(person, Person) and person.model_dump() == EXPECTED


def test_a_wrong_object_is_asked_for_again(scripted_url):
    mode = instructor.Mode.TOOLS
    settings = {"model": "any", "response_model": Person, "max_retries": 2}
    person = ask(scripted_url, mode, f"Try again: {ADA}", **settings)
    assert person.born == 1815


def test_nano_through_a_schema(nano_url):
    mode = instructor.Mode.JSON_SCHEMA
    settings = {"model": "nano", "response_model": Mood, "max_retries": 0, "seed": 1}
    mood = ask(nano_url, mode, "How are you?", **settings)
    assert isinstance(mood, Mood)
