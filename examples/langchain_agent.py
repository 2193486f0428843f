"""A LangChain agent with two tools.

    pip install langchain langchain-openai
    gptoss serve --model gpt-oss-20b
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python langchain_agent.py
"""

import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@tool
def multiply(a: int, b: int) -> int:
    """The product of two numbers."""
    return a * b


model = ChatOpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "none"),
    model=os.environ.get("MODEL", "gpt-oss-20b"),
    # Responses keep the model's reasoning between its calls of tools.
    use_responses_api=True,
)
agent = create_agent(model, tools=[add, multiply])
question = {"role": "user", "content": "Add 12 and 30, then double the sum."}

for step in agent.stream({"messages": [question]}, stream_mode="updates"):
    for node, update in step.items():
        message = update["messages"][-1]
        calls = getattr(message, "tool_calls", None)
        print(f"{node}: {calls or message.text}")
