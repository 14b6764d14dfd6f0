"""A real server on a free port, and Groq's own SDK as its client."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from groq import AsyncGroq

from demo_upstream.server import build_app
from demo_upstream.settings import Settings

LLAMA = "llama-3.3-70b-versatile"
BASH = {
    "type": "function",
    "function": {
        "name": "Bash",
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "timeout": {"type": "integer", "minimum": 5},
            },
            "required": ["command", "timeout"],
        },
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A server that runs, with the SDK's client and a plain one that show the right key."""

    url: str
    key: str
    groq: AsyncGroq
    http: aiohttp.ClientSession

    async def ask(self, text: str, **options: Any) -> Any:
        """Return what the SDK makes of the answer to one user message."""
        return await self.groq.chat.completions.create(
            model=options.pop("model", LLAMA),
            messages=options.pop("messages", [{"role": "user", "content": text}]),
            **options,
        )

    async def post(self, body: Any) -> tuple[int, Any]:
        """Return the status and the JSON that a raw body is answered with."""
        async with self.http.post(f"{self.url}/openai/v1/chat/completions", json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Return a function that starts a server with environment variables of the test's choice."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def start_one(**environment: str) -> Running:
        key = f"gsk_{secrets.token_hex(12)}"
        settings = Settings.from_environment(
            {"DEMO_API_KEY": key, "DEMO_CHUNK_MILLISECONDS": "0", **environment}
        )
        runner = web.AppRunner(build_app(settings), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        groq = AsyncGroq(api_key=key, base_url=url, max_retries=0)
        http = aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"})
        closing.extend([groq.close, http.close, runner.cleanup])
        return Running(url=url, key=key, groq=groq, http=http)

    yield start_one
    for close in closing:
        await close()


@pytest.fixture
async def upstream(start: Callable[..., Awaitable[Running]]) -> Running:
    """Return a server with nothing special about it."""
    return await start()
