"""The examples for Python, run as a reader runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("CLIENTS_ROOT", Path(__file__).parents[3])) / "examples"

# File, the server it talks to, and what it has to print.
EXAMPLES = [
    ("openai_chat.py", "nano", "Hello"),
    ("langchain_agent.py", "scripted", "The result is 84."),
    ("tool_loop.py", "scripted", "It is sunny in Paris, 22 degrees."),
    ("extract.py", "scripted", "name='Ada Lovelace' born=1815 city='London'"),
    ("extract.py", "nano", "name="),
]


@pytest.mark.parametrize("file,server,expected", EXAMPLES)
def test_an_example_runs(file, server, expected, request):
    url = request.getfixturevalue(f"{server}_url")
    environment = os.environ | {"OPENAI_BASE_URL": url}
    command = [sys.executable, str(FOLDER / file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout


def test_every_example_is_run():
    assert {path.name for path in FOLDER.glob("*.py")} == {file for file, _, _ in EXAMPLES}
