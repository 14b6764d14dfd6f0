"""The command `claude-code-proxy`: read the environment, listen, run the workers."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from claude_code_proxy import __version__
from claude_code_proxy.logs import LibraryHandler, Log
from claude_code_proxy.settings import Settings, SettingsError
from claude_code_proxy.workers import Workers

_USAGE = """\
Serves Anthropic's Messages API from an OpenAI-compatible upstream.
It takes no options: the environment tells it everything.

required:
  OPENAI_API_KEY               the upstream's key (or OPENAI_API_KEY_FILE)
  ANTHROPIC_API_KEY            keys that clients must show, separated by commas
                               (or ANTHROPIC_API_KEY_FILE, or ALLOW_UNAUTHENTICATED=true)
upstream:
  OPENAI_BASE_URL              its base URL (also OPENAI_API_BASE)
  AZURE_API_VERSION            set for Azure OpenAI
  CUSTOM_HEADER_X_FOO          sends the header X-FOO
  REQUEST_TIMEOUT, MAX_RETRIES
models:
  BIG_MODEL, MIDDLE_MODEL, SMALL_MODEL
  MAX_TOKENS_LIMIT, MIN_TOKENS_LIMIT, MODEL_MAX_OUTPUT_TOKENS
  REASONING_EFFORT_MODELS, SHOW_REASONING, MODELS_CACHE_SECONDS
server:
  HOST, PORT, WORKERS, LOG_LEVEL, GRACEFUL_SHUTDOWN_TIMEOUT, MAX_REQUEST_BYTES, PING_SECONDS
"""
_LISTEN_BACKLOG = 1024
# Read by prometheus_client when it is imported: workers keep their values there, to be added up.
_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def main() -> None:
    """Run the command; the exit code is 2 where the environment is wrong."""
    parser = argparse.ArgumentParser(
        prog="claude-code-proxy",
        description=_USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.parse_args()
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        for problem in error.problems:
            print(f"claude-code-proxy: {problem}", file=sys.stderr)
        sys.exit(2)
    log = Log(settings.log_level)
    logging.basicConfig(handlers=[LibraryHandler(log)], level=logging.WARNING)
    for warning in settings.warnings:
        log.write("WARNING", "settings", message=warning)
    try:
        listeners = _listen(settings.host, settings.port)
    except OSError as error:
        problem = f"HOST, PORT: cannot listen on {settings.host}:{settings.port}"
        reason = error.strerror or type(error).__name__
        print(f"claude-code-proxy: {problem} ({reason}): set another one", file=sys.stderr)
        sys.exit(2)
    with _shared_metrics(settings.workers):
        sys.exit(_run(settings, log, listeners))


def _listen(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [
        socket.create_server(address, family=family, backlog=_LISTEN_BACKLOG)
        for family, _, _, _, address in found
    ]


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """Give several workers a place where each one's values can be read by the others."""
    os.environ.pop(_METRICS_DIRECTORY, None)
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="claude-code-proxy-") as directory:
        os.environ[_METRICS_DIRECTORY] = directory
        yield


def _run(settings: Settings, log: Log, listeners: list[socket.socket]) -> int:
    # Not before `_shared_metrics`.
    from claude_code_proxy.metrics import forget_worker
    from claude_code_proxy.serving import serve

    if settings.workers == 1:
        return serve(settings, log, listeners)
    return Workers(
        settings.workers,
        listeners,
        lambda parent_lives: serve(settings, log, listeners, parent_lives),
        forget_worker,
        log,
    ).run()
