"""The command, as a process of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from demo_upstream.settings import Settings, SettingsError

COMMAND = [sys.executable, "-c", "from demo_upstream.main import main; main()"]
SOURCE = str(Path(__file__).parent.parent / "src")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_command_says_in_one_line_that_the_key_is_missing():
    """And exits with a failure, without a traceback."""
    done = subprocess.run(
        COMMAND, env={"PYTHONPATH": SOURCE}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "demo-upstream: DEMO_API_KEY is missing: set it to the key that callers must show"
    ]


def test_the_command_finishes_a_stream_before_it_stops():
    """SIGTERM closes the door; who is inside is served to the end."""
    key, port = f"gsk_{secrets.token_hex(12)}", free_port()
    process = subprocess.Popen(
        COMMAND,
        env={
            **os.environ,
            "PYTHONPATH": SOURCE,
            "DEMO_API_KEY": key,
            "HOST": "127.0.0.1",
            "PORT": str(port),
        },
    )
    try:
        wait_until_healthy(port)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/openai/v1/chat/completions",
            data=b'{"model": "llama-3.1-8b-instant", "stream": true,'
            b' "messages": [{"role": "user", "content": "[demo:words=40]"}]}',
            headers={"authorization": f"Bearer {key}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 # http
            first = answer.readline()
            process.send_signal(signal.SIGTERM)
            rest = answer.read()

        assert first.startswith(b"data: {")
        assert rest.rstrip().endswith(b"data: [DONE]")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def wait_until_healthy(port: int) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("the command never became healthy")


def test_every_wrong_variable_is_named_at_once():
    """With what it takes."""
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"PORT": "web", "DEMO_CHUNK_MILLISECONDS": "-1"})

    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "DEMO_API_KEY",
        "PORT",
        "DEMO_CHUNK_MILLISECONDS",
    ]
