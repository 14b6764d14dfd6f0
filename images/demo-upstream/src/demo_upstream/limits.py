"""The allowance of tokens per minute, counted the way Groq counts it."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from demo_upstream.errors import rate_limited, request_too_large

_WINDOW_SECONDS = 60.0
_UNLIMITED_TOKENS = 300_000
_REQUESTS_PER_DAY = 500_000


class Allowance:
    """Tokens that each model may still be asked for in the running minute.

    A `tokens_per_minute` of 0 means no limit. `clock` returns seconds.
    """

    def __init__(self, tokens_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = tokens_per_minute
        self._clock = clock
        self._spent: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)
        self._requests = 0

    def take(self, model: str, tokens: int) -> None:
        """Spend `tokens` on `model`.

        Raises:
            ApiError: 413 when a whole minute's allowance is too little, 429 when it is used up.
        """
        self._requests += 1
        if not self._limit:
            return
        if tokens > self._limit:
            raise request_too_large(model, self._limit, tokens)
        used = self._used(model)
        if used + tokens > self._limit:
            wait = _WINDOW_SECONDS - (self._clock() - self._spent[model][0][0])
            raise rate_limited(model, self._limit, used, tokens, max(wait, 0.001))
        self._spent[model].append((self._clock(), tokens))

    def headers(self, model: str) -> dict[str, str]:
        """Return the headers that tell what is left; requests are by day, tokens by minute."""
        limit = self._limit or _UNLIMITED_TOKENS
        return {
            "x-ratelimit-limit-requests": str(_REQUESTS_PER_DAY),
            "x-ratelimit-limit-tokens": str(limit),
            "x-ratelimit-remaining-requests": str(max(0, _REQUESTS_PER_DAY - self._requests)),
            "x-ratelimit-remaining-tokens": str(max(0, limit - self._used(model))),
            "x-ratelimit-reset-requests": "172.8ms",
            "x-ratelimit-reset-tokens": f"{60.0 * self._used(model) / limit:g}s",
        }

    def _used(self, model: str) -> int:
        spent = self._spent[model]
        while spent and self._clock() - spent[0][0] >= _WINDOW_SECONDS:
            spent.popleft()
        return sum(tokens for _, tokens in spent)
