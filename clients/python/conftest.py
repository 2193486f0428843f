"""Where the servers are: `cargo xtask clients` starts them and says so in the environment."""

import os
import tempfile

import openai
import pytest

KEY = "test-key"

# Data sets are converted into a cache, which shall neither be the user's nor an earlier run's.
CACHE = tempfile.TemporaryDirectory(prefix="clients-")


def setting(variable: str) -> str:
    """What the starter of the suites says in the environment."""
    if variable not in os.environ:
        pytest.exit(f"{variable} is not set: start the suites with `cargo xtask clients`", 2)
    return os.environ[variable]


def server(name: str) -> str:
    """The address of a server, such as `http://127.0.0.1:40000`."""
    return setting(f"CLIENTS_{name.upper()}_URL")


def pytest_configure(config: pytest.Config) -> None:
    # Nothing here may reach a hub, a tracing service or a real account.
    os.environ.update(
        OPENAI_API_KEY=KEY,
        OPENAI_AGENTS_DISABLE_TRACING="1",
        HF_HOME=CACHE.name,
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        LANGSMITH_TRACING="false",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        DO_NOT_TRACK="1",
        TQDM_DISABLE="1",
    )


@pytest.fixture(scope="session")
def nano_url() -> str:
    return server("nano") + "/v1"


@pytest.fixture(scope="session")
def scripted_url() -> str:
    return server("scripted") + "/v1"


@pytest.fixture(scope="session")
def limited_url() -> str:
    """A server with the key `test-key` that takes one request at a time."""
    return server("limited") + "/v1"


@pytest.fixture(scope="session")
def program() -> str:
    """The path of the program."""
    return setting("CLIENTS_PROGRAM")


@pytest.fixture(scope="session")
def nano(nano_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=nano_url, max_retries=0)


@pytest.fixture(scope="session")
def scripted(scripted_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=scripted_url, max_retries=0)


@pytest.fixture(scope="session")
def limited(limited_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=limited_url, max_retries=0)
