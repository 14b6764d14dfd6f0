"""The HTTP server: routes, client keys, and the life of a request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from claude_code_proxy import jsontext
from claude_code_proxy import request as chat_request
from claude_code_proxy import response as chat_response
from claude_code_proxy.errors import ApiError, bad_gateway, invalid_request
from claude_code_proxy.logs import Log, where
from claude_code_proxy.metrics import CONTENT_TYPE, Metrics
from claude_code_proxy.models import ModelCatalog
from claude_code_proxy.response import Usage
from claude_code_proxy.settings import Settings
from claude_code_proxy.sse import SseOverflowError, SseParser, encode
from claude_code_proxy.stream import PING, StreamTranslator
from claude_code_proxy.tokens import count_chat
from claude_code_proxy.upstream import Upstream

CUSTOMER_HEADER = "x-litellm-customer-id"
# Docker's and Kubernetes' checks come every few seconds and each would ask the upstream.
_READY_MAX_AGE = 2.0
_MODELS_ROUTE, _MODEL_ROUTE = "/v1/models", "/v1/models/{model}"
_MODELS_PAGE, _MODELS_PAGE_LIMIT = 20, 1000
_SHOWN_NAME = 64
# Only in the log: no client is left to see it.
_CLIENT_CLOSED = 499
# In place of the HTTP library's name and version.
_SERVER = "claude-code-proxy"
_PING_BYTES = encode(PING)


class Exchange:
    """One request and what its log line will say.

    Attributes:
        http: The request.
        route: Its route, or `other`.
        id: The id that the client gets in the `request-id` header.
        fields: What the log line says about it.
    """

    __slots__ = ("fields", "http", "id", "response", "route", "started")

    def __init__(self, http: web.BaseRequest, route: str) -> None:
        self.http = http
        self.route = route
        # Unique is enough: nothing is secret about it.
        self.id = f"req_{random.getrandbits(128):032x}"
        self.fields: dict[str, Any] = {}
        self.response: web.StreamResponse | None = None
        self.started = time.monotonic()

    def json(
        self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """Return a JSON response that carries the request's id."""
        return web.Response(
            body=orjson.dumps(body),
            status=status,
            headers={
                **(headers or {}),
                "content-type": "application/json",
                "request-id": self.id,
                "server": _SERVER,
            },
        )


Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]


class Proxy:
    """Answers requests.

    Args:
        settings: How to.
        upstream: Where the answers come from.
        log: Gets one line for each request.
        metrics: Counts them.
    """

    def __init__(self, settings: Settings, upstream: Upstream, log: Log, metrics: Metrics) -> None:
        self._settings = settings
        self._upstream = upstream
        self._log = log
        self._metrics = metrics
        self.catalog = ModelCatalog(upstream.models, settings.models_ttl)
        self._key_digests = [_digest(key) for key in settings.client_keys]
        self._public: dict[str, dict[str, Handler]] = {
            "/": {"GET": self._alive, "HEAD": self._alive},
            "/health": {"GET": self._alive, "HEAD": self._alive},
            "/ready": {"GET": self._ready, "HEAD": self._ready},
        }
        self._private: dict[str, dict[str, Handler]] = {
            "/v1/messages": {"POST": self._messages},
            "/v1/messages/count_tokens": {"POST": self._count_tokens},
            _MODELS_ROUTE: {"GET": self._models},
            _MODEL_ROUTE: {"GET": self._model},
            "/metrics": {"GET": self._show_metrics},
        }
        # Asked every few seconds by machines.
        self._quiet = {*self._public, "/metrics"}
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every failure becomes an error in Anthropic's shape."""
        exchange = Exchange(http, self._route_name(http.path))
        self._open += 1
        self._metrics.opened()
        self._idle.clear()
        response: web.StreamResponse | None = None
        try:
            response = await self._answer(exchange)
        except asyncio.CancelledError:
            exchange.fields["error"] = "client_disconnected"
            raise
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()
            self._record(exchange, response)
        return response

    async def wait_idle(self, seconds: float) -> bool:
        """Wait until no request is open; return whether that came within `seconds`."""
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        try:
            return await self._route(exchange)(exchange)
        except ApiError as error:
            failure = error
        except ConnectionResetError:
            return _client_is_gone(exchange)
        except Exception as error:
            self._log.write(
                "ERROR",
                "bug",
                request_id=exchange.id,
                error=type(error).__name__,
                frames=where(error),
            )
            failure = ApiError(500, "api_error", "The proxy failed on this request.")
        exchange.fields["error"] = failure.kind
        if exchange.response is not None and exchange.response.prepared:
            try:
                await exchange.response.write(encode(failure.body(exchange.id)))
                await exchange.response.write_eof()
            except ConnectionResetError:
                return _client_is_gone(exchange)
            return exchange.response
        return exchange.json(failure.body(exchange.id), failure.status, failure.headers)

    def _route_name(self, path: str) -> str:
        """Return the route of a path: one of a few, whatever strangers ask for."""
        if path in self._public or path in self._private:
            return path
        return _MODEL_ROUTE if path.startswith(f"{_MODELS_ROUTE}/") else "other"

    def _route(self, exchange: Exchange) -> Handler:
        method = exchange.http.method
        methods = self._public.get(exchange.route)
        if methods is None:
            # Asked before the route is known, so that strangers cannot map the routes.
            self._authenticate(exchange.http)
            methods = self._private.get(exchange.route)
        if methods is None:
            raise ApiError(404, "not_found_error", "There is no such route.")
        handler = methods.get(method)
        if handler is None:
            raise ApiError(
                405,
                "invalid_request_error",
                f"The method {method[:16]} is not allowed here.",
                {"allow": ", ".join(methods)},
            )
        return handler

    def _authenticate(self, http: web.BaseRequest) -> None:
        if not self._key_digests:
            return
        scheme, _, bearer = http.headers.get("authorization", "").partition(" ")
        shown = [http.headers.get("x-api-key", "")]
        if scheme.lower() == "bearer":
            shown.append(bearer.strip())
        valid = False
        for candidate in filter(None, shown):
            digest = _digest(candidate)
            for known in self._key_digests:
                valid |= hmac.compare_digest(digest, known)
        if not valid:
            raise ApiError(
                401,
                "authentication_error",
                "No valid key: send one as x-api-key or as Authorization: Bearer.",
            )

    # --- routes ---------------------------------------------------------------------------

    async def _alive(self, exchange: Exchange) -> web.StreamResponse:
        return exchange.json({"status": "ok"})

    async def _ready(self, exchange: Exchange) -> web.StreamResponse:
        try:
            await self.catalog.entries(_READY_MAX_AGE)
        except ApiError as error:
            # Unauthenticated: the upstream's own words are not for strangers.
            raise ApiError(503, error.kind, "The upstream does not answer.") from None
        return exchange.json({"status": "ready"})

    async def _models(self, exchange: Exchange) -> web.StreamResponse:
        entries = await self.catalog.entries()
        return exchange.json(_models_page(entries, exchange.http.query))

    async def _model(self, exchange: Exchange) -> web.StreamResponse:
        name = exchange.http.path.removeprefix(f"{_MODELS_ROUTE}/")
        entry = await self.catalog.entry(name, self._settings)
        if entry is None:
            raise ApiError(404, "not_found_error", f"model: {name[:_SHOWN_NAME]}")
        return exchange.json(_model(entry))

    async def _show_metrics(self, exchange: Exchange) -> web.StreamResponse:
        headers = {"content-type": CONTENT_TYPE, "request-id": exchange.id, "server": _SERVER}
        return web.Response(body=self._metrics.render(), headers=headers)

    async def _count_tokens(self, exchange: Exchange) -> web.StreamResponse:
        body = await self._read_json(exchange)
        asked = chat_request.requested_model(body)
        model = await self.catalog.choose(asked, self._settings)
        exchange.fields |= {"model": asked, "upstream_model": model}
        chat = chat_request.translate({**body, "max_tokens": 1}, model, self._settings)
        return exchange.json({"input_tokens": count_chat(chat.body)})

    async def _messages(self, exchange: Exchange) -> web.StreamResponse:
        body = await self._read_json(exchange)
        asked = chat_request.requested_model(body)
        model = await self.catalog.choose(asked, self._settings)
        exchange.fields |= {"model": asked, "upstream_model": model}
        chat = chat_request.translate(body, model, self._settings)
        exchange.fields["stream"] = chat.stream
        customer = exchange.http.headers.get(CUSTOMER_HEADER)
        headers = {CUSTOMER_HEADER: customer} if customer else {}
        exchange.fields["client"] = customer
        payload = orjson.dumps(chat.body)
        # Parsed, a request can be megabytes: they are not held while the upstream thinks.
        chat.body.clear()
        del body

        def estimate(written: int) -> Usage:
            return Usage(input=count_chat(orjson.loads(payload)), output=-(-written // 4))

        message_id = f"msg_{random.getrandbits(96):024x}"
        async with await self._upstream.chat(model, payload, headers) as reply:
            self._metrics.accepted(model, time.monotonic() - exchange.started)
            if chat.stream:
                translator = StreamTranslator(chat, message_id, estimate, self._upstream.secrets)
                return await self._stream(exchange, reply, translator)
            message = chat_response.translate(
                await self._upstream.read(reply),
                chat,
                message_id,
                estimate,
                self._upstream.secrets,
            )
        exchange.fields |= message["usage"]
        return exchange.json(message)

    async def _stream(
        self, exchange: Exchange, reply: aiohttp.ClientResponse, translator: StreamTranslator
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
                "request-id": exchange.id,
                "server": _SERVER,
            }
        )
        whole: bytes | None = None
        if reply.content_type == "application/json":
            # Some upstreams do not stream, and some report errors so, with status 200.
            events = translator.whole(await self._upstream.read(reply))
            exchange.fields |= events[-2]["usage"]
            whole = b"".join(map(encode, events))
        exchange.response = response
        await response.prepare(exchange.http)
        with _Pinger(response, self._settings.ping_interval) as pinger:
            await pinger.write(encode(translator.start()))
            if whole is not None:
                await pinger.write(whole)
            else:
                async for piece in self._events(exchange, reply, translator):
                    await pinger.write(piece)
        # The client has its whole answer; its end of body is what says that the upstream's
        # connection is free for its next request.
        await self._upstream.drain(reply)
        await response.write_eof()
        return response

    async def _events(
        self, exchange: Exchange, reply: aiohttp.ClientResponse, translator: StreamTranslator
    ) -> AsyncIterator[bytes]:
        """Yield the encoded events of an upstream's stream, up to and including its end."""
        parser = SseParser()
        while True:
            chunk = await self._upstream.read_some(reply)
            try:
                datas = parser.feed(chunk) if chunk else parser.close()
            except SseOverflowError:
                raise bad_gateway("The upstream's stream is malformed.") from None
            encoded: list[bytes] = []
            failure: ApiError | None = None
            done = not chunk
            for data in datas:
                if data == b"[DONE]":
                    done = True
                    break
                try:
                    encoded.extend(map(encode, translator.feed(data)))
                except ApiError as error:
                    failure = error
                    break
            # What came before a failure is the client's all the same.
            if encoded:
                yield b"".join(encoded)
            if failure is not None:
                raise failure
            if done:
                closing = translator.end()
                exchange.fields |= closing[-2]["usage"]
                yield b"".join(map(encode, closing))
                return

    # --- helpers --------------------------------------------------------------------------

    async def _read_json(self, exchange: Exchange) -> Any:
        raw = await self._read_body(exchange.http)
        try:
            return jsontext.loads(raw)
        except ValueError:
            raise ApiError(
                400, "invalid_request_error", "The request body is not valid JSON."
            ) from None

    async def _read_body(self, http: web.BaseRequest) -> bytes:
        limit = self._settings.max_body_bytes
        if (http.content_length or 0) > limit:
            raise _too_large(limit)
        if http.headers.get("expect", "").lower() == "100-continue":
            await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            http.writer.output_size = 0
        chunks: list[bytes] = []
        size = 0
        try:
            while not http.content.at_eof():
                chunk = await http.content.readany()
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
        except (aiohttp.ClientPayloadError, aiohttp.http_exceptions.HttpProcessingError):
            raise ApiError(
                400, "invalid_request_error", "The request body cannot be read."
            ) from None
        return b"".join(chunks)

    def _record(self, exchange: Exchange, response: web.StreamResponse | None) -> None:
        http, fields = exchange.http, exchange.fields
        status = response.status if response is not None else _CLIENT_CLOSED
        seconds = time.monotonic() - exchange.started
        streamed, error = bool(fields.get("stream")), fields.get("error")
        self._metrics.closed(exchange.route, status, seconds, stream=streamed, error=error)
        if "output_tokens" in fields:
            self._metrics.used(fields["upstream_model"], fields)
        level = "DEBUG" if exchange.route in self._quiet else "INFO"
        self._log.write(
            "WARNING" if status >= 500 else level,
            "request",
            request_id=exchange.id,
            method=http.method,
            path=http.path,
            status=status,
            duration_ms=round(seconds * 1000, 1),
            **fields,
        )


class _Pinger:
    """Writes to a stream, and pings the client while there is nothing to write."""

    def __init__(self, response: web.StreamResponse, interval: float) -> None:
        self._response = response
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._writing = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> _Pinger:
        self._timer = self._loop.call_later(self._interval, self._check)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def write(self, data: bytes) -> None:
        """Write whole events."""
        self._writing = True
        await self._response.write(data)
        self._writing = False
        self._last = self._loop.time()

    def _check(self) -> None:
        # One timer for each interval instead of one for each chunk.
        wait = self._last + self._interval - self._loop.time()
        if wait <= 0:
            wait = self._interval
            # A write that waits for a slow client needs no ping behind it.
            if not self._writing:
                self._task = self._loop.create_task(self._ping())
        self._timer = self._loop.call_later(wait, self._check)

    async def _ping(self) -> None:
        try:
            await self.write(_PING_BYTES)
        except (ConnectionError, RuntimeError):
            # The stream's own write meets the same failure and handles it.
            return


def _client_is_gone(exchange: Exchange) -> web.StreamResponse:
    """Return what the log needs; nobody is left to read it."""
    exchange.fields["error"] = "client_disconnected"
    return exchange.response or exchange.json({}, _CLIENT_CLOSED)


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "request_too_large", f"The request body is larger than {limit} bytes.")


def _digest(key: str) -> bytes:
    # Equal lengths, so that the comparison does not tell how long a key is.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _models_page(entries: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of the model list in Anthropic's shape."""
    raw_limit = query.get("limit", str(_MODELS_PAGE))
    if not raw_limit.isdecimal() or not 1 <= int(raw_limit) <= _MODELS_PAGE_LIMIT:
        raise invalid_request("limit", f"Input should be a whole number, 1 to {_MODELS_PAGE_LIMIT}")
    limit = int(raw_limit)
    ids = [entry["id"] for entry in entries]
    before, after = query.get("before_id"), query.get("after_id")
    for name, cursor in (("before_id", before), ("after_id", after)):
        if cursor is not None and cursor not in ids:
            raise invalid_request(name, "no model has this id")
    if before is not None:
        end = ids.index(before)
        start = max(end - limit, 0)
        more = start > 0
    else:
        start = ids.index(after) + 1 if after is not None else 0
        end = min(start + limit, len(ids))
        more = end < len(ids)
    page = entries[start:end]
    return {
        "data": [_model(entry) for entry in page],
        "has_more": more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _model(entry: dict[str, Any]) -> dict[str, Any]:
    created = entry.get("created")
    seconds = created if isinstance(created, int) and 0 <= created < 2**33 else 0
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["id"],
        "created_at": datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }
