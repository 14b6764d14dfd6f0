"""The life of one serving process: start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Sequence

import uvloop
from aiohttp import web

from claude_code_proxy import __version__
from claude_code_proxy.logs import Log
from claude_code_proxy.metrics import Metrics
from claude_code_proxy.server import Proxy
from claude_code_proxy.settings import Settings
from claude_code_proxy.upstream import Upstream
from claude_code_proxy.workers import STOP_SIGNALS

# What a cancelled request gets to close its upstream connection before the process ends.
_CANCEL_GRACE = 2.0


def serve(
    settings: Settings,
    log: Log,
    listeners: Sequence[socket.socket],
    parent_lives: int | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, finish what is open, and return the exit code.

    Args:
        settings: How to.
        log: Gets a line for each request.
        listeners: What to accept from.
        parent_lives: A file descriptor whose end is as good as SIGTERM.
    """
    return uvloop.run(_serve(settings, log, listeners, parent_lives))


async def _serve(
    settings: Settings, log: Log, listeners: Sequence[socket.socket], parent_lives: int | None
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    if parent_lives is not None:
        loop.add_reader(parent_lives, stop.set)
    upstream = Upstream(settings)
    proxy = Proxy(settings, upstream, log, Metrics())
    server = web.Server(proxy.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_CANCEL_GRACE)
    try:
        await runner.setup()
        sites = [web.SockSite(runner, listener) for listener in listeners]
        for site in sites:
            await site.start()
        proxy.catalog.prefetch()
        # What the start made is never garbage; a look through all of it would halt every stream.
        gc.collect()
        gc.freeze()
        port = listeners[0].getsockname()[1]
        log.write("INFO", "listening", host=settings.host, port=port, version=__version__)
        await stop.wait()
        for site in sites:
            await site.stop()
        # Requests that are already in the socket's buffer still become open ones.
        await asyncio.sleep(0)
        server.pre_shutdown()
        log.write("INFO", "draining", timeout_s=settings.shutdown_timeout)
        finished = await proxy.wait_idle(settings.shutdown_timeout)
        log.write("INFO" if finished else "WARNING", "stopped", finished=finished)
        return 0
    finally:
        if parent_lives is not None:
            loop.remove_reader(parent_lives)
        await runner.cleanup()
        await proxy.catalog.close()
        await upstream.close()
