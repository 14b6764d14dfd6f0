"""Which upstream model serves the name that a client asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from claude_code_proxy.errors import ApiError
from claude_code_proxy.settings import Settings

# Names that an attacker makes up must not cause an upstream call each.
_REFRESH_PAUSE = 5.0
_OPENAI_PREFIX = "openai/"


def tier_model(name: str, settings: Settings) -> str | None:
    """Return the model for a name of Claude's opus, sonnet or haiku family, of any generation."""
    lowered = name.lower()
    if "haiku" in lowered:
        return settings.small_model
    if "sonnet" in lowered:
        return settings.middle_model
    if "opus" in lowered:
        return settings.big_model
    return None


class ModelCatalog:
    """The upstream's model list, kept fresh without delaying requests.

    Args:
        fetch: Gets the entries of the upstream's `/models`.
        ttl: How long a list counts as fresh, in seconds.
    """

    def __init__(self, fetch: Callable[[], Awaitable[list[dict[str, Any]]]], ttl: float) -> None:
        self._fetch = fetch
        self._ttl = ttl
        self._entries: list[dict[str, Any]] = []
        self._names: frozenset[str] = frozenset()
        self._fetched = float("-inf")
        self._attempted = float("-inf")
        self._error: ApiError | None = None
        self._refresh: asyncio.Task[None] | None = None

    async def entries(self, max_age: float | None = None) -> list[dict[str, Any]]:
        """Return the upstream's models, at most `max_age` seconds old unless the upstream fails.

        Raises:
            ApiError: The upstream fails and no list was ever had.
        """
        if time.monotonic() - self._fetched > (self._ttl if max_age is None else max_age):
            await self._refreshed()
            if self._error is not None and (max_age is not None or not self._entries):
                raise self._error
        return self._entries

    async def choose(self, name: str, settings: Settings) -> str:
        """Return the upstream model for the name that a client asks for (rule: README)."""
        if time.monotonic() - self._fetched > self._ttl:
            self.prefetch()
        served = self._served(name)
        if served is not None:
            return served
        mapped = tier_model(name, settings)
        if mapped is not None:
            return mapped
        configured = (settings.big_model, settings.middle_model, settings.small_model)
        for candidate in (name, name.removeprefix(_OPENAI_PREFIX)):
            if candidate in configured:
                return candidate
        if self._refresh is not None or time.monotonic() - self._attempted > _REFRESH_PAUSE:
            await self._refreshed()
        return self._served(name) or settings.big_model

    async def entry(self, name: str, settings: Settings) -> dict[str, Any] | None:
        """Return the list's entry for a name that is served as such or as one of Claude's tiers.

        Raises:
            ApiError: The upstream fails and no list was ever had.
        """
        entries = await self.entries()
        wanted = self._served(name) or tier_model(name, settings)
        for entry in entries:
            if entry["id"] == wanted:
                return {**entry, "id": name}
        return None

    def prefetch(self) -> None:
        """Refresh the list in the background, unless that was tried a moment ago."""
        if time.monotonic() - self._attempted > _REFRESH_PAUSE:
            self._start_refresh()

    async def close(self) -> None:
        """Stop a refresh in flight."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.gather(self._refresh, return_exceptions=True)

    def _served(self, name: str) -> str | None:
        if name in self._names:
            return name
        bare = name.removeprefix(_OPENAI_PREFIX)
        return bare if bare in self._names else None

    def _start_refresh(self) -> asyncio.Task[None]:
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._load())
        return self._refresh

    async def _refreshed(self) -> None:
        # Shielded: one client that goes away must not cancel what others wait for.
        await asyncio.shield(self._start_refresh())

    async def _load(self) -> None:
        try:
            entries = await self._fetch()
        except ApiError as error:
            self._error = error
        else:
            self._error = None
            self._entries = entries
            self._names = frozenset(entry["id"] for entry in entries)
            self._fetched = time.monotonic()
        finally:
            self._attempted = time.monotonic()
            self._refresh = None
