"""schemathesis against `/openapi.json`: whatever is sent, the server has no error of its own."""

import subprocess
import sys
from pathlib import Path

import httpx

EXAMPLES = 40
SEED = 20260101


def run(url: str, folder: Path, *more: str) -> subprocess.CompletedProcess:
    program = Path(sys.executable).with_name("st")
    command = [program, "run", f"{url}/openapi.json", "--url", url, "--no-color"]
    command += ["--seed", str(SEED), "--generation-deterministic", "--no-shrink"]
    command += ["--max-examples", str(EXAMPLES), "--request-timeout", "30"]
    command += ["--generation-database", "none", "--suppress-health-check", "all"]
    command += ["--phases", "examples,coverage,fuzzing", "--warnings", "off", *more]
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
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    done = run(url, tmp_path, "--checks", checks)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert httpx.get(f"{url}/health").status_code == 200
