"""LiteLLM's image by itself: its routes, its providers, its workers."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator

import pytest

from tests.integration.deployment import Deployment, docker
from tests.integration.test_standalone import environment

SECONDS = 600
ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen("http://127.0.0.1:4000" + sys.argv[1], timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
WORKERS = """
import json, pathlib
workers = []
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    if fields["PPid"].strip() == "1" and "litellm" in status.with_name("cmdline").read_text():
        workers.append(int(fields["Pid"]))
print(json.dumps(workers))
"""
COMPLETE = """
import sys
import gateway_litellm
gateway_litellm.prepare()
import litellm
litellm.suppress_debug_info = True
try:
    litellm.completion(model=sys.argv[1], messages=[{"role": "user", "content": "Hello."}],
                       api_base="http://127.0.0.1:9", api_key="none", api_version="2024-10-21",
                       max_retries=0)
except (litellm.exceptions.APIConnectionError, litellm.exceptions.InternalServerError) as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def litellm(gateway: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the image that the deployment built, with two workers and nothing to reach."""
    name = f"litellm-{secrets.token_hex(4)}"
    deployed = gateway.resources("Container")["gateway-litellm"]
    image = docker("inspect", "--format", "{{.Image}}", deployed).strip()
    variables = environment(
        tmp_path_factory.mktemp(name) / "litellm.env",
        {"LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(24)}", "NUM_WORKERS": "2"},
    )
    run = ["run", "--detach", "--name", name, "--network", "none", "--env-file", variables]
    try:
        docker(*run, image, "litellm", "--port", "4000")
        await_status(name, "/health/readiness", 200)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


def python(container: str, program: str, *arguments: str) -> str:
    """Run a program inside and return what it prints."""
    return docker("exec", container, "python3", "-c", program, *arguments, check=False).strip()


def await_status(container: str, path: str, status: int) -> None:
    """Wait for an answer."""
    deadline = time.monotonic() + SECONDS
    while python(container, ASK, path) != str(status):
        assert time.monotonic() < deadline, docker("logs", container, check=False)
        time.sleep(1)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health/liveliness", 200),
        ("/v1/models", 401),
        ("/v1/chat/completions", 405),
        ("/v1/messages", 405),
        ("/v1/messages/count_tokens", 405),
        ("/key/list", 404),
        ("/config/yaml", 404),
        ("/v1/embeddings", 404),
        ("/openapi.json", 404),
    ],
)
def test_only_what_the_gateway_uses_is_served(litellm: str, path: str, status: int) -> None:
    """GET without a key: what exists refuses it, and administration does not exist."""
    assert python(litellm, ASK, path) == str(status)


@pytest.mark.parametrize(
    "model",
    [
        "groq/llama-3.3-70b-versatile",
        "openai/gpt-4o",
        "openrouter/openai/gpt-4o",
        "anthropic/claude-sonnet-4-5",
        "azure/gpt-4o",
        "ollama_chat/llama3",
    ],
)
def test_every_kind_of_provider_is_asked(litellm: str, model: str) -> None:
    """What the start leaves out does not keep LiteLLM from calling any of them."""
    assert python(litellm, COMPLETE, model) in ("APIConnectionError", "InternalServerError")


def test_a_worker_that_hangs_is_replaced(litellm: str) -> None:
    """The other one serves meanwhile, and so does the new one."""
    first, second = json.loads(python(litellm, WORKERS))
    python(litellm, f"import os, signal; os.kill({first}, signal.SIGSTOP)")
    deadline = time.monotonic() + SECONDS
    while first in (workers := json.loads(python(litellm, WORKERS))) or len(workers) < 2:
        assert time.monotonic() < deadline, workers
        time.sleep(1)

    assert second in workers
    await_status(litellm, "/health/readiness", 200)


def test_it_ends_when_it_is_told_to(litellm: str) -> None:
    """With the workers, and not by force."""
    docker("stop", "--time", "30", litellm)

    assert docker("inspect", "--format", "{{.State.ExitCode}}", litellm).strip() == "0"
