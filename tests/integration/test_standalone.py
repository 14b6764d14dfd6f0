"""The proxy's image by itself, with the well-known proxy's variables and nothing of the project."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anthropic
import httpx2
import pytest

from tests.integration.deployment import Deployment, docker

START_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Standalone:
    """A running container that answers at *url* to whoever shows *key*."""

    container: str
    url: str
    key: str


def environment(path: Path, values: dict[str, str]) -> str:
    """Write a file for ``docker run --env-file``, so that no argument list holds a secret."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return str(path)


@pytest.fixture(scope="module")
def standalone(
    gateway: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    """Run the image that the deployment built, in front of a demo upstream of its own."""
    name = f"standalone-{secrets.token_hex(4)}"
    directory = tmp_path_factory.mktemp(name)
    upstream_key, key = secrets.token_hex(16), secrets.token_hex(16)
    images = {
        service: docker(
            "inspect", "--format", "{{.Image}}", gateway.resources("Container")[service]
        )
        for service in ("gateway-demo-upstream", "gateway-proxy")
    }
    upstream = environment(directory / "upstream.env", {"DEMO_API_KEY": upstream_key})
    proxy = environment(
        directory / "proxy.env",
        {
            "OPENAI_API_KEY": upstream_key,
            "OPENAI_BASE_URL": f"http://{name}-upstream:8000/openai/v1",
            "ANTHROPIC_API_KEY": key,
            "BIG_MODEL": "openai/gpt-oss-120b",
            "MIDDLE_MODEL": "llama-3.3-70b-versatile",
            "SMALL_MODEL": "llama-3.1-8b-instant",
            "HOST": "0.0.0.0",
            "PORT": "8082",
            "LOG_LEVEL": "info",
            "MAX_TOKENS_LIMIT": "4096",
            "MIN_TOKENS_LIMIT": "100",
            "REQUEST_TIMEOUT": "90",
            "MAX_RETRIES": "2",
            "CUSTOM_HEADER_X_TEAM": "platform",
        },
    )
    run = ["run", "--detach", "--network", name]
    docker("network", "create", name)
    try:
        docker(
            *run,
            "--name",
            f"{name}-upstream",
            "--env-file",
            upstream,
            images["gateway-demo-upstream"].strip(),
        )
        docker(
            *run,
            "--name",
            name,
            "--env-file",
            proxy,
            "--publish",
            "127.0.0.1::8082",
            images["gateway-proxy"].strip(),
        )
        url = f"http://{docker('port', name, '8082').split()[0]}"
        await_health(url, name)
        yield Standalone(container=name, url=url, key=key)
    finally:
        docker("rm", "--force", "--volumes", name, f"{name}-upstream", check=False)
        docker("network", "rm", name)


def await_health(url: str, container: str) -> None:
    """Wait for the first answer."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"never healthy:\n{docker('logs', container, check=False)}")


@pytest.mark.parametrize(
    ("model", "served_by"),
    [
        ("claude-opus-5", "openai/gpt-oss-120b"),
        ("claude-sonnet-5", "llama-3.3-70b-versatile"),
        ("claude-haiku-5", "llama-3.1-8b-instant"),
        ("llama-3.1-8b-instant", "llama-3.1-8b-instant"),
    ],
)
def test_the_sdk_is_served_by_the_model_of_the_variables(
    standalone: Standalone, model: str, served_by: str
) -> None:
    """Whole and streamed; the demo upstream says which model it answers as."""
    client = anthropic.Anthropic(base_url=standalone.url, api_key=standalone.key, max_retries=0)
    request = {
        "model": model,
        "max_tokens": 10_000,
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    whole = client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        streamed = stream.get_final_message()

    for message in (whole, streamed):
        assert served_by in message.content[-1].text
        assert (message.model, message.stop_reason) == (model, "end_turn")


def test_a_stranger_is_refused(standalone: Standalone) -> None:
    """Anyone who reaches the port is not a client yet."""
    client = anthropic.Anthropic(base_url=standalone.url, api_key="wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(
            model="claude-opus-5", max_tokens=5, messages=[{"role": "user", "content": "Hi"}]
        )


def test_its_log_holds_no_key(standalone: Standalone) -> None:
    """Neither the clients' nor the upstream's; it says what was served, in tokens too."""
    log = docker("logs", standalone.container)

    assert standalone.key not in log
    assert '"output_tokens":' in log


def test_it_stops_at_once_when_idle(standalone: Standalone) -> None:
    """With exit code 0: it is process 1 and handles the signal."""
    docker("stop", "--time", "30", standalone.container)

    assert docker("inspect", "--format", "{{.State.ExitCode}}", standalone.container).strip() == "0"
