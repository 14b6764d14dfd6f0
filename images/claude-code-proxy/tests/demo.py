"""The demo upstream, run from its source: it refuses what Groq refuses."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from demo_upstream.server import build_app
from demo_upstream.settings import Settings

BIG, MIDDLE, SMALL = "openai/gpt-oss-120b", "llama-3.3-70b-versatile", "llama-3.1-8b-instant"
# What the least of them may be asked for.
MAX_TOKENS = 32_768


@dataclass(kw_only=True)
class Demo:
    """A demo upstream that answers at `url` to whoever shows `key`."""

    url: str
    key: str


@asynccontextmanager
async def running_demo(*, vision_model: str) -> AsyncIterator[Demo]:
    """Serve on a free port for as long as the block lasts, with a further model that sees."""
    key = "gsk_" + secrets.token_hex(16)
    environment = {
        "DEMO_API_KEY": key,
        "DEMO_CHUNK_MILLISECONDS": "0",
        "DEMO_EXTRA_MODELS": vision_model,
    }
    runner = web.AppRunner(build_app(Settings.from_environment(environment)), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Demo(url=f"http://127.0.0.1:{site.port}/openai/v1", key=key)
    await runner.cleanup()
