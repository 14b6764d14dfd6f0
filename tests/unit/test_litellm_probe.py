"""LiteLLM's health check, run as the container runs it, beside servers that stand in."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.litellm import PROBE_TEMPLATE, Deployment
from components.provider_keys import key_checks
from components.rendering import render


class Server(ThreadingHTTPServer):
    """Answers everything with one status and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """Run one for LiteLLM and one for the provider."""
    pair = Server(), Server()
    yield pair
    for server in pair:
        server.shutdown()
        server.server_close()


KEY = secrets.token_hex(16)


def probe(
    directory: Path, servers: tuple[Server, Server], **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the probe once for a model of Groq's."""
    litellm, provider = servers
    address = f"http://127.0.0.1:{provider.server_port}/openai/v1"
    deployments = [
        Deployment(
            name=name,
            litellm_model=f"groq/{name}",
            key_env="GROQ_API_KEY",
            api_base=changes.get("api_base", "os.environ/ADDRESS"),
        )
        for name in ("a", "b")
    ]
    (directory / "probe.py").write_text(render(PROBE_TEMPLATE, {}))
    (directory / "keys.json").write_text(key_checks(deployments))
    return subprocess.run(
        [sys.executable, "-I", "-S", str(directory / "probe.py"), str(litellm.server_port)],
        env={**os.environ, "TMPDIR": str(directory), "GROQ_API_KEY": KEY, "ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_key_is_asked_about_once(tmp_path: Path, servers: tuple[Server, Server]) -> None:
    """Not for each model, and not with each probe."""
    statuses = [probe(tmp_path, servers).returncode for _ in range(3)]

    assert statuses == [0, 0, 0]
    assert servers[1].asked == [("/openai/v1/models", f"Bearer {KEY}")]


def test_a_refused_key_is_named_and_not_asked_about_each_time(
    tmp_path: Path, servers: tuple[Server, Server]
) -> None:
    """The deployment fails, and the provider does not see a storm of wrong keys."""
    servers[1].status = 401

    first, second = (probe(tmp_path, servers) for _ in range(2))

    assert (first.returncode, second.returncode) == (1, 1)
    for run in (first, second):
        assert "groq refuses the key in GROQ_API_KEY" in run.stdout
        assert KEY not in run.stdout + run.stderr
    assert len(servers[1].asked) == 1


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_what_is_no_clear_refusal_does_not_hold_a_deployment_up(
    status: int, tmp_path: Path, servers: tuple[Server, Server]
) -> None:
    """A provider that is down, or a key that may not list models."""
    servers[1].status = status

    assert probe(tmp_path, servers).returncode == 0


def test_a_provider_that_cannot_be_reached_does_not_hold_a_deployment_up(
    tmp_path: Path, servers: tuple[Server, Server]
) -> None:
    """The connection is refused."""
    assert probe(tmp_path, servers, api_base="http://127.0.0.1:1").returncode == 0


def test_a_litellm_that_is_not_ready_is_not_healthy(
    tmp_path: Path, servers: tuple[Server, Server]
) -> None:
    """And no provider is asked before."""
    servers[0].status = 503

    assert probe(tmp_path, servers).returncode == 1
    assert servers[1].asked == []


def test_providers_without_a_key_or_a_known_way_to_ask_are_left_out() -> None:
    """One question for each key, none that holds it."""
    text = key_checks(
        [
            Deployment(name="a", litellm_model="ollama_chat/a", api_base="http://ollama.test"),
            Deployment(name="b", litellm_model="mistral/b", key_env="MISTRAL_API_KEY"),
            Deployment(
                name="c",
                litellm_model="azure/c",
                key_env="AZURE_API_KEY",
                api_base="https://one.openai.azure.com/",
                api_version="2024-10-21",
            ),
        ]
    )

    assert '"base": "https://one.openai.azure.com"' in text
    assert '"path": "/openai/models?api-version=2024-10-21"' in text
    assert "MISTRAL" not in text
    assert "ollama" not in text
