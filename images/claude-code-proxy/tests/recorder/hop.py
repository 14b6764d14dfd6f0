"""Stands between Claude Code and the proxy, and keeps what passes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

# Between two neighbours only; `accept-encoding` is what a client can read.
_NOT_PASSED = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_ANSWERED_WITH = ("content-type", "request-id", "retry-after", "x-should-retry")


class Hop:
    """A recording reverse proxy.

    Attributes:
        url: Where Claude Code is to connect.
        recorded: The requests: method, path, headers, body, status.
        streaming: Set when a piece of an answer has gone out.
        left: How many answers the client did not wait for.
    """

    def __init__(self, target: str, http: aiohttp.ClientSession) -> None:
        self.url = ""
        self.recorded: list[dict[str, Any]] = []
        self.streaming = asyncio.Event()
        self.left = 0
        self._target = target
        self._http = http

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass a request on and its answer back."""
        data = await request.read()
        headers = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() not in _NOT_PASSED
        }
        kept = {
            "method": request.method,
            "path": request.path_qs,
            "headers": headers,
            "body": json.loads(data) if data else None,
        }
        self.recorded.append(kept)
        url = self._target + request.path_qs
        async with self._http.request(
            request.method, url, headers=headers, data=data or None
        ) as answer:
            kept["status"] = answer.status
            response = web.StreamResponse(
                status=answer.status,
                headers={
                    name: answer.headers[name] for name in _ANSWERED_WITH if name in answer.headers
                },
            )
            try:
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                    self.streaming.set()
            except ConnectionResetError:
                self.left += 1
            except asyncio.CancelledError:
                self.left += 1
                raise
        return response


@asynccontextmanager
async def running_hop(target: str) -> AsyncIterator[Hop]:
    """Record what goes to `target` until the block ends."""
    async with aiohttp.ClientSession() as http:
        hop = Hop(target, http)
        runner = web.ServerRunner(web.Server(hop.handle, handler_cancellation=True))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        hop.url = f"http://127.0.0.1:{site.port}"
        yield hop
        await runner.cleanup()
