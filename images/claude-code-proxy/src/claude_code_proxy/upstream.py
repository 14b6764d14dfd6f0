"""The HTTP client for the OpenAI-compatible upstream."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from claude_code_proxy import __version__
from claude_code_proxy.errors import ApiError, bad_gateway, from_upstream, upstream_timeout
from claude_code_proxy.settings import Settings

_CONNECT_TIMEOUT = 10.0
_MODELS_TIMEOUT = 10.0
_RETRY_PAUSE = 0.1
# Larger bodies are sent in pieces, so that other requests get their turn in between.
_IN_ONE_PIECE = 1024 * 1024
_MAX_ERROR_BODY = 64 * 1024
# After `[DONE]` only the end of the body is missing; reading it lets the connection be reused.
_DRAIN_TIMEOUT = 1.0


class Upstream:
    """A pool of connections to the upstream.

    Must be made inside a running event loop, and closed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        key = settings.upstream_key
        azure = settings.azure_api_version is not None
        headers = {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}
        headers |= {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"claude-code-proxy/{__version__}",
        }
        # Case-insensitive, so that a custom header replaces the one of the same name.
        all_headers = {name.lower(): value for name, value in headers.items()}
        all_headers |= {name.lower(): value for name, value in settings.custom_headers.items()}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers=all_headers,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=settings.request_timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Costs a look at the disk for each request, so only where it has a use.
            trust_env=settings.uses_http_proxy,
        )
        self._chat_url = URL(f"{settings.upstream_url}/chat/completions")
        self._models_url = URL(f"{settings.upstream_url}/models")

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings that no client may see."""
        return (self._settings.upstream_key,)

    async def chat(
        self, model: str, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send a chat completion and return its answer once the upstream accepted it.

        The answer is a context manager: leaving it early closes the connection, so the upstream
        stops generating.

        Raises:
            ApiError: The upstream refused, stayed silent or cannot be reached.
        """
        url = self._chat_url
        if self._settings.azure_api_version is not None:
            url = self._azure_url(model)
        response = await self._send(url, body, headers)
        if response.status != 200:
            async with response:
                raise await self._refusal(response)
        return response

    async def read_some(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the next bytes of an answer, none at its end."""
        with self._failures():
            return await response.content.readany()

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the whole body of an answer."""
        with self._failures():
            return await response.read()

    async def drain(self, response: aiohttp.ClientResponse) -> None:
        """Read what follows the last event, so that the connection can be used again."""
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                while not response.content.at_eof():
                    await response.content.readany()
        except (TimeoutError, aiohttp.ClientError):
            response.close()

    async def models(self) -> list[dict[str, Any]]:
        """Return the entries of the upstream's model list.

        Raises:
            ApiError: The upstream refused, stayed silent or gave no list.
        """
        if self._settings.azure_api_version is not None:
            # Azure lists base models there, not the deployments that requests must name.
            return []
        timeout = aiohttp.ClientTimeout(total=_MODELS_TIMEOUT)
        try:
            async with self._session.get(
                self._models_url, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                listing = orjson.loads(await response.read())
        except TimeoutError:
            raise upstream_timeout(_MODELS_TIMEOUT) from None
        except aiohttp.ClientError:
            raise bad_gateway("The upstream cannot be reached.") from None
        except orjson.JSONDecodeError:
            raise bad_gateway("The upstream's model list is malformed.") from None
        entries = listing.get("data") if isinstance(listing, dict) else None
        if not isinstance(entries, list):
            raise bad_gateway("The upstream's model list is malformed.")
        return [
            entry
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]
        ]

    def _azure_url(self, deployment: str) -> URL:
        return URL(
            f"{self._settings.upstream_url}/openai/deployments/{quote(deployment, safe='')}"
            f"/chat/completions?api-version={quote(self._settings.azure_api_version or '')}",
            encoded=True,
        )

    async def _send(
        self, url: URL, data: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send, and try again where the connection failed before an answer had begun."""
        tries_left = self._settings.max_retries
        while True:
            try:
                with self._failures(reraise=tries_left > 0):
                    return await self._session.post(
                        url,
                        data=data if len(data) <= _IN_ONE_PIECE else io.BytesIO(data),
                        headers=headers,
                        allow_redirects=False,
                    )
            except aiohttp.ClientConnectionError:
                tries_left -= 1
                await asyncio.sleep(_RETRY_PAUSE)

    async def _refusal(self, response: aiohttp.ClientResponse) -> ApiError:
        try:
            body = await response.content.read(_MAX_ERROR_BODY)
            while len(body) < _MAX_ERROR_BODY and not response.content.at_eof():
                body += await response.content.read(_MAX_ERROR_BODY - len(body))
        except (TimeoutError, aiohttp.ClientError):
            body = b""
        return from_upstream(response.status, body, response.headers, self.secrets)

    def _failures(self, *, reraise: bool = False) -> _Failures:
        return _Failures(self._settings.request_timeout, reraise)


class _Failures:
    """Turns the HTTP client's exceptions into errors for the client; a class, for speed."""

    __slots__ = ("_reraise", "_timeout")

    def __init__(self, timeout: float, reraise: bool) -> None:
        self._timeout = timeout
        self._reraise = reraise

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            raise ApiError(504, "timeout_error", "The upstream cannot be reached.") from None
        if isinstance(error, TimeoutError):
            raise upstream_timeout(self._timeout) from None
        if isinstance(error, aiohttp.ClientConnectionError):
            if self._reraise:
                return
            raise bad_gateway("The upstream cannot be reached or closed the connection.") from None
        if isinstance(error, aiohttp.ClientError):
            raise bad_gateway("The upstream's answer broke off or is malformed.") from None
