"""What the program asks the engine, against a small engine of the test's own."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socketserver
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pulumi
import pytest

import engine
import waiting
from components.caddy import OPENS_TO_LABEL
from diagnosis import LINES, diagnosis, failed_build
from interruption import interruption
from waiting import RESTARTS, until_healthy

Answers = dict[str, Any]
IMAGE = "llm-gateway/caddy:0a1b2c3"
EDGE = {
    "Labels": {"llm-gateway.stack": "prod", "llm-gateway.service": "edge"},
    "Ports": [{"IP": "127.0.0.1", "PrivatePort": 8443, "PublicPort": 8443, "Type": "tcp"}],
    "ImageID": "sha256:1",
}


class Handler(BaseHTTPRequestHandler):
    """Answers what the test said for a path, 404 otherwise."""

    def do_GET(self) -> None:
        known: Answers = self.server.answers  # type: ignore[attr-defined]
        body = known.get(self.path.partition("?")[0])
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.answers["received"] = self.rfile.read(length)  # type: ignore[attr-defined]
        self.do_GET()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Run an engine that answers with what the test puts in."""
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.answers = {}  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.answers  # type: ignore[attr-defined]
        server.shutdown()


def frame(stream: int, text: str) -> bytes:
    """Return one frame of a log as the engine sends it."""
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text.encode()


def container(**state: Any) -> dict[str, Any]:
    """Return an inspected container."""
    restarts = state.pop("restarts", 0)
    healthy = {"Status": "running", "OOMKilled": False, "Error": "", "ExitCode": 0}
    return {"State": healthy | state, "RestartCount": restarts}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "runs, but did not get healthy"),
        ({"restarts": 3}, "does not stay up (3 restarts)"),
        (
            {"Status": "restarting", "ExitCode": 2, "restarts": 4},
            "ends with code 2 each time it is started (4 restarts)",
        ),
        ({"Status": "exited", "ExitCode": 137}, "is stopped (code 137)"),
        ({"OOMKilled": True, "Status": "exited"}, "needs more memory than resources allows it"),
        ({"Error": "port is already allocated", "Status": "created"}, "port is already allocated"),
    ],
)
def test_a_failed_container_is_shown_with_its_condition_and_its_last_lines(
    answers: Answers, state: dict[str, Any], words: str
) -> None:
    """Both streams of the log, without the engine's frames."""
    answers["/containers/gw-1/json"] = container(**state)
    answers["/containers/gw-1/logs"] = frame(1, "starting\n") + frame(2, "no such model\n")

    text = diagnosis("gateway-litellm", "gw-1")

    assert text is not None
    assert text.startswith("gateway-litellm ")
    assert words in text
    assert "    starting\n    no such model\n" in text
    assert "docker logs gw-1" in text


def test_a_traceback_in_one_line_of_json_is_shown_as_its_last_lines(answers: Answers) -> None:
    """The cause stands at its end."""
    frames = [f'  File "{number}.py"' for number in range(LINES)]
    message = "\n".join([*frames, "ValueError: no such strategy"])
    answers["/containers/gw-1/json"] = container()
    answers["/containers/gw-1/logs"] = frame(1, json.dumps({"message": message}) + "\n7\n")

    text = str(diagnosis("gateway-litellm", "gw-1"))

    assert '"1.py"' not in text
    assert '"2.py"' in text
    assert "    ValueError: no such strategy\n    7\n" in text


def test_a_container_that_was_never_made_has_nothing_to_say(answers: Answers) -> None:
    """The provider's own error is all there is."""
    assert diagnosis("gateway-litellm", "gw-1") is None


def wait(seconds: int = 60) -> None:
    """Wait for a container as a deployment does."""
    asyncio.run(until_healthy("gateway-litellm", "gw-1", seconds))


def test_a_deployment_goes_on_when_a_container_gets_healthy(answers: Answers) -> None:
    """Not before, and soon after."""
    answers["/containers/gw-1/json"] = container(Health={"Status": "starting"})
    deployment = threading.Thread(target=wait)
    deployment.start()
    deployment.join(0.5)
    assert deployment.is_alive()

    answers["/containers/gw-1/json"] = container(Health={"Status": "healthy"})
    deployment.join(10)

    assert not deployment.is_alive()


def test_a_container_that_does_not_get_healthy_ends_the_deployment(answers: Answers) -> None:
    """With its condition, and what it and its last health check said."""
    check = {"Output": "groq refuses the key"}
    answers["/containers/gw-1/json"] = container(Health={"Status": "starting", "Log": [check]})
    answers["/containers/gw-1/logs"] = frame(2, "no such model\n")

    with pytest.raises(pulumi.RunError, match="gateway-litellm runs, but did not get") as failure:
        wait(1)

    assert "no such model" in str(failure.value)
    assert "groq refuses the key" in str(failure.value)


def test_a_container_that_ends_again_and_again_is_not_waited_for(answers: Answers) -> None:
    """The former restarts of one that runs since long do not count."""
    former, health = 7, {"Status": "unhealthy"}
    state = {"Status": "restarting", "ExitCode": 1, "Health": health}
    answers["/containers/gw-1/json"] = container(**state, restarts=former)
    answers["/containers/gw-1/logs"] = b""
    failures: list[str] = []

    def note() -> None:
        try:
            wait()
        except pulumi.RunError as failure:
            failures.append(str(failure))

    deployment = threading.Thread(target=note)
    deployment.start()
    deployment.join(0.5)
    assert deployment.is_alive()
    answers["/containers/gw-1/json"] = container(**state, restarts=former + RESTARTS)
    deployment.join(10)

    assert ["ends with code 1" in failure for failure in failures] == [True]


def test_a_container_that_is_gone_ends_the_deployment_with_what_to_do(answers: Answers) -> None:
    """Only a refresh tells the stack that it must be made again."""
    with pytest.raises(pulumi.RunError, match=r"gone .*pulumi refresh"):
        wait()
    assert "/containers/gw-1/json" not in answers


def test_an_engine_that_says_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be starting again."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(pulumi.RunError, match="did not get healthy within 1 s"):
        wait(1)


def test_what_takes_long_is_told_while_the_deployment_waits(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with its condition and its last lines."""
    answers["/containers/gw-1/json"] = container(Health={"Status": "starting"})
    answers["/containers/gw-1/logs"] = frame(2, "no such model\n")
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.3)

    with pytest.raises(pulumi.RunError):
        wait(1)

    (said,) = told
    assert said.startswith("still waiting for gateway-litellm, which runs, but")
    assert "no such model" in said


def test_what_a_gate_was_opened_to_is_not_waited_for(answers: Answers) -> None:
    """A provider may have withdrawn its key since; tokens can be taken away all the same."""
    answers["/containers/gw-1/json"] = container(Health={"Status": "unhealthy"})
    answers["/containers/gw-1/logs"] = b""
    gate = {"Labels": {OPENS_TO_LABEL: "gw-10,gw-2"}}
    answers["/containers/json"] = [gate]
    with pytest.raises(pulumi.RunError):
        wait(1)

    gate["Labels"][OPENS_TO_LABEL] = "gw-10,gw-1,gw-2"
    wait()


def test_a_preview_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> None:
    """What it sees is what is deployed, healthy or not."""
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    answers["/containers/gw-1/json"] = container(Health={"Status": "starting"})
    wait()


def field(number: int, content: str | bytes) -> bytes:
    """Return a field of a protocol buffer with up to 127 bytes of content."""
    raw = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2, len(raw)]) + raw


def trace(*entries: bytes) -> bytes:
    """Return what the engine answers to a build: one trace for each entry, and how it ended."""
    lines = [
        json.dumps({"id": "moby.buildkit.trace", "aux": base64.b64encode(entry).decode()})
        for entry in entries
    ]
    return "\r\n".join([*lines, json.dumps({"error": "exit code: 1"})]).encode()


def vertex(digest: str, error: str = "") -> bytes:
    """Return what BuildKit says about a step, of which a flag and a time are not asked for."""
    cached, completed = b"\x20\x01", field(6, b"\x08\x80\x02")
    return field(1, field(1, digest) + cached + completed + (field(7, error) if error else b""))


def log(digest: str, text: str) -> bytes:
    """Return what a step printed on its standard error."""
    return field(3, field(1, digest) + b"\x18\x02" + field(4, text))


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a build context with a file that is not part of it."""
    for name, text in {"Dockerfile": "FROM scratch", ".dockerignore": "*.md", "a.md": ""}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_build_that_fails_shows_what_its_step_printed(answers: Answers, context: Path) -> None:
    """Not what other steps did."""
    answers["/build"] = trace(
        vertex("sha256:a") + log("sha256:a", "all is well\n"),
        log("sha256:b", "cc: No space "),
        log("sha256:b", "left on device\n") + vertex("sha256:b", "exit code: 1"),
    )

    text = failed_build("images-proxy-build", context, {"BASE": "base:1"})

    assert text is not None
    assert text.startswith("images-proxy-build: its build fails.")
    assert "\n    cc: No space left on device\n" in text
    assert "all is well" not in text


def test_a_build_is_repeated_with_the_context_of_the_first(answers: Answers, context: Path) -> None:
    """An archive that BuildKit knows as one by its first kilobyte."""
    failed_build("images-proxy-build", context, {})

    with tarfile.open(fileobj=io.BytesIO(answers["received"])) as sent:
        assert sent.getnames() == [".dockerignore", "Dockerfile"]
    with tarfile.open(fileobj=io.BytesIO(answers["received"][:1024])) as begun:
        assert begun.next() is not None


@pytest.mark.parametrize("answer", [None, trace(vertex("sha256:a"))], ids=["no answer", "success"])
def test_a_build_that_does_not_fail_again_has_nothing_to_say(
    answers: Answers, context: Path, answer: bytes | None
) -> None:
    """The provider's own error is all there is."""
    answers["/build"] = answer

    assert failed_build("images-proxy-build", context, {}) is None


def test_an_engine_elsewhere_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers would need keys that only the provider has."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://engine.example.com")

    assert engine.containers(label="any") == []
    assert engine.last_lines("any", 3) == []
    assert not engine.is_local()


def edge(**changes: Any) -> Callable[[Answers], None]:
    """Return what makes the engine run that edge."""

    def put(answers: Answers) -> None:
        answers["/containers/json"] = [EDGE | changes]
        answers["/images/sha256%3A1/json"] = {"RepoTags": [IMAGE], "RepoDigests": None}

    return put


@pytest.mark.parametrize(
    ("running", "said"),
    [
        (edge(), None),
        (edge(Labels={"llm-gateway.service": "litellm"}), None),
        (edge(Ports=[]), None),
        (edge(ImageID="sha256:2"), "the image of Caddy changed"),
        (edge(Ports=[{"IP": "127.0.0.1", "PublicPort": 9443}]), "bindAddress or httpsPort changed"),
        (edge(Ports=[{"IP": "0.0.0.0", "PublicPort": 8443}]), "bindAddress or httpsPort changed"),
        (Answers.clear, None),
    ],
    ids=["same", "another service", "without a port", "image", "port", "address", "nothing runs"],
)
def test_what_clients_will_notice_is_told_before(
    answers: Answers, running: Callable[[Answers], None], said: str | None
) -> None:
    """Only what replaces the container that holds the port."""
    running(answers)

    text = interruption("prod", "127.0.0.1", 8443, IMAGE)

    assert text is None if said is None else said in str(text)
