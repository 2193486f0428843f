"""schemathesis against `/openapi.json`: whatever is sent, the server has no error of its own, and
what it answers is what the document says.

A schema cannot say everything that is wrong with a request, nor forbid what a server may be
generous about, so it is not checked whether requests are refused exactly where the schema says so.
"""

import re
import subprocess
import sys
from pathlib import Path

import httpx

EXAMPLES = 20
# Requests that are made at least; a run that makes none finds nothing.
REQUESTS_MIN = 1000
SEED = 20260101


def run(url: str, folder: Path, *more: str) -> subprocess.CompletedProcess:
    program = Path(sys.executable).with_name("st")
    command = [program, "run", f"{url}/openapi.json", "--url", url, "--no-color"]
    command += ["--seed", str(SEED), "--generation-deterministic", "--no-shrink"]
    command += ["--max-examples", str(EXAMPLES), "--request-timeout", "30"]
    command += ["--suppress-health-check", "all"]
    command += ["--phases", "coverage,fuzzing", "--warnings", "off", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)


def test_the_document_describes_every_path(scripted_url):
    document = httpx.get(scripted_url.removesuffix("/v1") + "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    paths = set(document["paths"])
    for path in [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/responses/{id}",
        "/v1/responses/{id}/cancel",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/tokenize",
        "/detokenize",
        "/tokenizer_info",
        "/health",
    ]:
        assert path in paths or f"/v1{path}" in paths, path


def test_no_request_makes_a_server_error(scripted_url, tmp_path):
    url = scripted_url.removesuffix("/v1")
    unchecked = "positive_data_acceptance,negative_data_rejection,ignored_auth"
    done = run(url, tmp_path, "--checks", "all", "--exclude-checks", unchecked)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    requests = re.search(r"(\d+) generated, \d+ passed", done.stdout)
    assert requests and int(requests[1]) >= REQUESTS_MIN, done.stdout[-2000:]
    assert httpx.get(f"{url}/health").status_code == 200
