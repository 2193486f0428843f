"""An object out of a text: the answer is held to the schema while it is generated.

    pip install openai
    gptoss serve --model gpt-oss-20b
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python extract.py
"""

import os

from openai import OpenAI
from pydantic import BaseModel, Field


class Person(BaseModel):
    # Limits are followed too, so even a model that knows nothing comes to an end.
    name: str = Field(max_length=40)
    born: int = Field(ge=0, le=2100)
    city: str = Field(max_length=40)


client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "none"),
)
model = client.models.list().data[0].id
answer = client.chat.completions.parse(
    model=model,
    messages=[{"role": "user", "content": "Ada Lovelace was born in London in 1815."}],
    response_format=Person,
    temperature=0,
)
print(answer.choices[0].message.parsed)
