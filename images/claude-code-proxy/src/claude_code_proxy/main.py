"""The command `claude-code-proxy`: start, serve, drain, stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

import uvloop
from aiohttp import web

from claude_code_proxy import __version__
from claude_code_proxy.logs import LibraryHandler, Log
from claude_code_proxy.server import Proxy
from claude_code_proxy.settings import Settings, SettingsError
from claude_code_proxy.upstream import Upstream

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
  HOST, PORT, LOG_LEVEL, GRACEFUL_SHUTDOWN_TIMEOUT, MAX_REQUEST_BYTES, PING_SECONDS
"""
# What a cancelled request gets to close its upstream connection before the process ends.
_CANCEL_GRACE = 2.0
_LISTEN_BACKLOG = 1024


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
    sys.exit(uvloop.run(serve(settings, log)))


async def serve(settings: Settings, log: Log) -> int:
    """Serve until SIGTERM or SIGINT, finish what is open, and return the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    upstream = Upstream(settings)
    proxy = Proxy(settings, upstream, log)
    server = web.Server(proxy.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_CANCEL_GRACE)
    try:
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port, backlog=_LISTEN_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            problem = f"HOST, PORT: cannot listen on {settings.host}:{settings.port}"
            reason = error.strerror or type(error).__name__
            print(f"claude-code-proxy: {problem} ({reason}): set another one", file=sys.stderr)
            return 2
        proxy.catalog.prefetch()
        log.write("INFO", "listening", host=settings.host, port=site.port, version=__version__)
        await stop.wait()
        await site.stop()
        # Requests that are already in the socket's buffer still become open ones.
        await asyncio.sleep(0)
        server.pre_shutdown()
        log.write("INFO", "draining", timeout_s=settings.shutdown_timeout)
        finished = await proxy.wait_idle(settings.shutdown_timeout)
        log.write("INFO" if finished else "WARNING", "stopped", finished=finished)
        return 0
    finally:
        await runner.cleanup()
        await proxy.catalog.close()
        await upstream.close()
