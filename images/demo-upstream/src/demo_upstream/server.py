"""The HTTP side: routes, keys, and the pace at which an answer goes out."""

import asyncio
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from demo_upstream.catalog import catalog
from demo_upstream.errors import (
    ApiError,
    bad_request,
    context_length_exceeded,
    internal_error,
    invalid_api_key,
    model_not_found,
    rate_limited,
    request_too_large,
    tool_use_failed,
    unknown_url,
)
from demo_upstream.limits import Allowance
from demo_upstream.markers import Markers
from demo_upstream.replies import Reply, last_user_text, plan
from demo_upstream.settings import Settings
from demo_upstream.validation import ChatRequest, parse_chat_request
from demo_upstream.wire import Completion, new_request_id

BASE_PATH = "/openai/v1"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REQUEST_ID = web.RequestKey("request_id", str)
_BODY_BYTES_AT_MOST = 64 * 1024 * 1024
_TOKENS_SHOWN_IN_FAULTS = 6000


def build_app(settings: Settings) -> web.Application:
    """Return the application that answers like Groq's API."""
    upstream = _Upstream(settings)
    app = web.Application(
        middlewares=[_errors_as_groq_does, upstream.require_key],
        client_max_size=_BODY_BYTES_AT_MOST,
    )
    app.router.add_get("/health", _health)
    app.router.add_get(f"{BASE_PATH}/models", upstream.list_models)
    app.router.add_get(f"{BASE_PATH}/models/{{name:.+}}", upstream.show_model)
    app.router.add_post(f"{BASE_PATH}/chat/completions", upstream.chat)
    return app


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


@web.middleware
async def _errors_as_groq_does(request: web.Request, handler: _Handler) -> web.StreamResponse:
    request[_REQUEST_ID] = new_request_id()
    try:
        return await handler(request)
    except ApiError as error:
        return _json(request, error.body, status=error.status, headers=error.headers)
    except web.HTTPRequestEntityTooLarge:
        body = {"error": {"message": "Request Entity Too Large", "type": "invalid_request_error"}}
        return _json(request, body, status=413)
    except ConnectionResetError:
        # Nobody is there any more; aiohttp would report any other end as a crash.
        return web.Response(status=500)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _json(request, unknown_url(request.method, request.path).body, status=404)


def _json(
    request: web.Request,
    body: dict[str, Any],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"x-request-id": request[_REQUEST_ID], **(headers or {})},
    )


class _Upstream:
    """The routes behind the key, and what they remember."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models = catalog(settings.extra_models)
        self._allowance = Allowance(settings.tokens_per_minute)
        self._faults: Counter[str] = Counter()

    @web.middleware
    async def require_key(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let only callers in that show a key; the health check needs none."""
        if request.path != "/health":
            scheme, _, shown = request.headers.get("authorization", "").partition(" ")
            known = any(
                hmac.compare_digest(shown.strip().encode(), key.encode())
                for key in self._settings.api_keys
            )
            if scheme.lower() != "bearer" or not known:
                raise invalid_api_key()
        return await handler(request)

    async def list_models(self, request: web.Request) -> web.Response:
        """Answer with every model."""
        data = [model.listing() for model in self._models.values()]
        return _json(request, {"object": "list", "data": data})

    async def show_model(self, request: web.Request) -> web.Response:
        """Answer with one model."""
        name = request.match_info["name"]
        if name not in self._models:
            raise model_not_found(name)
        return _json(request, self._models[name].listing())

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer a chat request, whole or streamed."""
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise bad_request(f"request body is not valid JSON: {error}") from error
        chat = parse_chat_request(body, self._models)
        reply = plan(chat)
        self._raise_fault(chat, reply.markers)
        self._allowance.take(chat.model.name, chat.prompt_tokens + reply.completion_tokens)
        completion = Completion(request=chat, reply=reply, request_id=request[_REQUEST_ID])
        if chat.stream:
            return await self._stream(request, completion)
        await asyncio.sleep(reply.markers.slow + reply.markers.pause)
        if reply.markers.cut:
            _drop(request)
        if reply.markers.error:
            raise internal_error()
        headers = self._allowance.headers(chat.model.name)
        return _json(request, completion.body(), headers=headers)

    def _raise_fault(self, chat: ChatRequest, markers: Markers) -> None:
        if markers.context:
            raise context_length_exceeded()
        if markers.tool_use_failed:
            raise tool_use_failed("<function=demo{")
        if markers.status is None:
            return
        if markers.status_times is not None:
            said = f"{chat.model.name}\0{last_user_text(chat.messages)}"
            self._faults[said] += 1
            if self._faults[said] > markers.status_times:
                return
        name, limit = chat.model.name, _TOKENS_SHOWN_IN_FAULTS
        match markers.status:
            case 401:
                raise invalid_api_key()
            case 404:
                raise model_not_found(name)
            case 413:
                raise request_too_large(name, limit, max(chat.prompt_tokens, limit + 1))
            case 429:
                error = rate_limited(name, limit, limit, chat.prompt_tokens, 2.0)
                error.headers.update(self._allowance.headers(name))
                raise error
            case status if status >= 500:
                raise internal_error(status)
            case _:
                raise bad_request("This is the fault that the message asked for")

    async def _stream(self, request: web.Request, completion: Completion) -> web.StreamResponse:
        reply = completion.reply
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream",
                "cache-control": "no-cache",
                "x-request-id": completion.request_id,
                **self._allowance.headers(completion.request.model.name),
            }
        )
        # A client that goes away in the middle of an answer is nothing to report.
        with suppress(ConnectionResetError):
            await response.prepare(request)
            await asyncio.sleep(reply.markers.slow)
            await _send(response, completion.first_chunk())
            await self._send_paced(request, response, completion)
            if reply.markers.error:
                await response.write(
                    b"event: error\ndata: " + orjson.dumps(internal_error().body) + b"\n\n"
                )
                return response
            for chunk in completion.last_chunks():
                await _send(response, chunk)
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        return response

    async def _send_paced(
        self, request: web.Request, response: web.StreamResponse, completion: Completion
    ) -> None:
        """Send each chunk when it is due, so that slow writes do not add up."""
        reply = completion.reply
        middle = _count_chunks(reply) // 2
        clock = asyncio.get_running_loop().time
        due = clock()
        for number, chunk in enumerate(completion.middle_chunks()):
            if number == middle:
                if reply.markers.cut:
                    _drop(request)
                if reply.markers.error:
                    return
                due += reply.markers.pause
            due += self._settings.chunk_seconds
            await asyncio.sleep(max(0.0, due - clock()))
            await _send(response, chunk)


def _count_chunks(reply: Reply) -> int:
    return len(reply.reasoning) + len(reply.pieces) + len(reply.calls)


async def _send(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")


def _drop(request: web.Request) -> None:
    """Close the connection without a word.

    Raises:
        ConnectionResetError: always, for nothing can be sent any more.
    """
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError
