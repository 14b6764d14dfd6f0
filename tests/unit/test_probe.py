"""What a health probe says of a service that is there, late, sick or absent."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from components.service import HealthCheck, http_probe

Serve = Callable[[int], http.server.HTTPServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that binds a service with a fixed status, which answers once told to."""
    servers: list[http.server.HTTPServer] = []

    def bind(status: int) -> http.server.HTTPServer:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        return server

    yield bind
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(server: http.server.HTTPServer) -> int:
    """Let a service answer; return its port."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def probe(port: int, patience_seconds: int) -> subprocess.Popen[bytes]:
    """Start the probe as the engine does."""
    kind, _python, *arguments = http_probe(port, "/health", patience_seconds=patience_seconds)
    assert kind == "CMD"
    return subprocess.Popen([sys.executable, *arguments])


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_a_service_is_what_its_status_says(serve: Serve, status: int, code: int) -> None:
    """Only 200 is healthy."""
    assert probe(answer(serve(status)), 0).wait() == code


def test_a_patient_probe_waits_for_a_service_that_starts(serve: Serve) -> None:
    """It is still there when the service begins to answer, and then says so."""
    server = serve(200)
    waiting = probe(server.server_port, 60)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1)
    answer(server)

    assert waiting.wait() == 0


def test_a_service_that_is_not_there_is_unhealthy(serve: Serve) -> None:
    """Nothing listens."""
    server = serve(200)
    port = answer(server)
    server.shutdown()
    server.server_close()

    assert probe(port, 0).wait() == 1


def test_creation_waits_for_the_retries_of_a_probe_that_hangs() -> None:
    """Each of them may take the interval and the whole time-out."""
    check = HealthCheck(test=[], interval_seconds=2, timeout_seconds=15, start_seconds=180)

    assert check.deadline_seconds == 180 + 4 * 17
