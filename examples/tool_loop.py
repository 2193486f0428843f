"""A loop of tool calls by hand, through OpenAI's SDK.

    pip install openai
    gptoss serve --model gpt-oss-20b
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python tool_loop.py
"""

import json
import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "none"),
)
model = client.models.list().data[0].id


def get_weather(city: str) -> dict:
    return {"city": city, "sky": "sunny", "degrees": 22}


tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
messages = [{"role": "user", "content": "What is the weather in Paris?"}]

while True:
    answer = client.chat.completions.create(model=model, messages=messages, tools=tools)
    message = answer.choices[0].message
    # The whole message goes back, with its reasoning: the model goes on from there.
    messages.append(message.model_dump(exclude_none=True))
    if not message.tool_calls:
        print(message.content)
        break
    for call in message.tool_calls:
        print(f"{call.function.name}({call.function.arguments})")
        try:
            result = get_weather(**json.loads(call.function.arguments))
        except (json.JSONDecodeError, TypeError) as error:
            # A model can write wrong arguments; told so, it can write others.
            result = {"error": str(error)}
        content = json.dumps(result)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
