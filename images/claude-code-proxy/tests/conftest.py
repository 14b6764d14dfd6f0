"""A real proxy on a free port, in front of a stand-in for the upstream."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import anthropic
import pytest
from aiohttp import web
from hypothesis import settings as hypothesis_settings
from stand_in import StandIn

from claude_code_proxy.logs import Log
from claude_code_proxy.metrics import Metrics
from claude_code_proxy.server import Proxy
from claude_code_proxy.settings import Settings
from claude_code_proxy.upstream import Upstream

# No folder of examples in the checkout, and no limit that a busy machine can break.
hypothesis_settings.register_profile("plain", database=None, deadline=None)
hypothesis_settings.load_profile("plain")


@dataclass(kw_only=True)
class RunningProxy:
    """A proxy that answers at `url` to whoever shows `key`."""

    url: str
    key: str
    log: io.BytesIO
    http: aiohttp.ClientSession
    client: anthropic.AsyncAnthropic

    async def post(self, body: Any, path: str = "/v1/messages", **options: Any) -> Any:
        """Post JSON with a valid key; return status, headers and parsed body."""
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        data = io.BytesIO(json.dumps(body).encode())
        async with self.http.post(self.url + path, data=data, headers=headers, **options) as reply:
            return reply.status, reply.headers, await reply.json()


StartProxy = Callable[..., Awaitable[RunningProxy]]


@asynccontextmanager
async def running_proxy(settings: Settings) -> AsyncIterator[RunningProxy]:
    """Serve on a free port for as long as the block lasts."""
    log = io.BytesIO()
    upstream = Upstream(settings)
    proxy = Proxy(settings, upstream, Log("DEBUG", log), Metrics())
    server = web.Server(proxy.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site.port}"
    key = settings.client_keys[0] if settings.client_keys else ""
    client = anthropic.AsyncAnthropic(base_url=url, api_key=key or "none", max_retries=0)
    async with aiohttp.ClientSession() as http, client:
        yield RunningProxy(url=url, key=key, log=log, http=http, client=client)
    await runner.cleanup()
    await proxy.catalog.close()
    await upstream.close()


@pytest.fixture
async def upstream() -> AsyncIterator[StandIn]:
    """Run a stand-in upstream that serves `big`, `middle`, `small` and `groq-gpt-oss-20b`."""
    async with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def start_proxy(upstream: StandIn) -> AsyncIterator[StartProxy]:
    """Start proxies with settings of their own."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> RunningProxy:
            settings = {
                "upstream_url": upstream.url,
                "upstream_key": upstream.key,
                "client_keys": ("key-" + secrets.token_hex(16),),
                "big_model": "big",
                "middle_model": "middle",
                "small_model": "small",
                "max_retries": 0,
            } | changes
            return await stack.enter_async_context(running_proxy(Settings(**settings)))

        yield start


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> RunningProxy:
    """Run a proxy with plain settings."""
    return await start_proxy()
