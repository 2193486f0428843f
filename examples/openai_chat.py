"""A chat through OpenAI's SDK: the answer as it comes, then a second turn.

    pip install openai
    gptoss serve
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python openai_chat.py
"""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
    # A server on this machine needs no key, but the SDK wants one.
    api_key=os.environ.get("OPENAI_API_KEY", "none"),
)
model = client.models.list().data[0].id
messages = []

for text in ["Hello!", "What is 2 plus 3?"]:
    print(f"> {text}")
    messages.append({"role": "user", "content": text})
    answer = ""
    for chunk in client.chat.completions.create(
        model=model, messages=messages, temperature=0, stream=True
    ):
        delta = chunk.choices[0].delta.content or ""
        print(delta, end="", flush=True)
        answer += delta
    print()
    messages.append({"role": "assistant", "content": answer})
