"""A stand-in for an OpenAI-compatible upstream, scripted by the tests."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 8},
}


class StandIn:
    """Records what it is asked and answers by its `script`."""

    def __init__(self) -> None:
        self.key = "sk-" + secrets.token_hex(16)
        self.models = ["big", "middle", "small", "groq-gpt-oss-20b"]
        self.models_status = 200
        self.models_asked = 0
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.paths: list[str] = []
        self.cancelled = asyncio.Event()
        self.script: Script = completion("Hello")
        self.url = ""

    @property
    def last(self) -> dict[str, Any]:
        """The body of the last chat request."""
        return self.asked[-1]

    async def __aenter__(self) -> StandIn:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        azure = "/v1/openai/deployments/{deployment}/chat/completions"
        app.router.add_post(azure, self._chat)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(request.headers)
        self.paths.append(request.path_qs)
        try:
            return await self.script(request)
        except (asyncio.CancelledError, ConnectionResetError):
            self.cancelled.set()
            raise

    async def _models(self, _: web.Request) -> web.Response:
        self.models_asked += 1
        entries = [
            {"id": name, "object": "model", "created": 1_700_000_000} for name in self.models
        ]
        return web.json_response({"object": "list", "data": entries}, status=self.models_status)


def completion(
    text: str | None = None,
    *,
    finish: str = "stop",
    usage: dict[str, Any] | None = USAGE,
    extra: dict[str, Any] | None = None,
    **message: Any,
) -> Script:
    """Answer with one chat completion; `extra` goes beside its finish reason."""

    async def answer(_: web.Request) -> web.Response:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, **message},
            "finish_reason": finish,
            **(extra or {}),
        }
        body: dict[str, Any] = {"id": "c", "object": "chat.completion", "choices": [choice]}
        if usage:
            body["usage"] = usage
        return web.json_response(body)

    return answer


def failure(status: int, message: str = "no", headers: Any = None, **error: Any) -> Script:
    """Answer with an OpenAI-shaped error."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(
            {"error": {"message": message, **error}}, status=status, headers=headers
        )

    return answer


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return one chunk of a streamed answer."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def tool_chunk(index: int, arguments: str | None = None, **call: Any) -> dict[str, Any]:
    """Return a chunk with a piece of a tool call; `name` goes into its function."""
    name = call.pop("name", None)
    function = {"name": name, "arguments": arguments}
    present = {key: value for key, value in function.items() if value is not None}
    return chunk(tool_calls=[{"index": index, "function": present, **call}])


def wire(*chunks: Any, done: bool = True, end: bytes = b"\n\n") -> bytes:
    """Return chunks as the bytes of a stream; a bytes element is sent as it is."""
    parts = [
        item if isinstance(item, bytes) else b"data: " + json.dumps(item).encode() + end
        for item in chunks
    ]
    return b"".join(parts) + (b"data: [DONE]" + end if done else b"")


def usage_chunk(usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the chunk that reports the usage."""
    return {"choices": [], "usage": usage or USAGE}


def stream(*pieces: bytes | asyncio.Event | float) -> Script:
    """Answer with a stream: bytes are sent, events are waited for, numbers are seconds of rest."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
            elif isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                await asyncio.sleep(piece)
        return response

    return answer
