"""What Prometheus reads: counts, times and tokens, never who asked for what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from claude_code_proxy import __version__

CONTENT_TYPE = CONTENT_TYPE_LATEST
# A model thinks for minutes: the library's own buckets end at 10 s.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_TOKENS = {
    "input_tokens": "input",
    "cache_read_input_tokens": "cached",
    "output_tokens": "output",
}


class Metrics:
    """The values of one process; with several workers, `render` gives the sum of all."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # Several workers' values live in files, and a collector of its own adds these up.
        own = None if "PROMETHEUS_MULTIPROC_DIR" in os.environ else self._registry
        if own is None:
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=own)
            PlatformCollector(registry=own)
        # Looked up by the library, under a lock, they cost as much as the counting itself.
        self._requests = cache(
            Counter(
                "claude_code_proxy_requests",
                "Requests answered.",
                ("route", "status"),
                registry=own,
            ).labels
        )
        self._errors = cache(
            Counter(
                "claude_code_proxy_errors",
                "Errors told to clients, by Anthropic's error type; also inside streams.",
                ("route", "type"),
                registry=own,
            ).labels
        )
        self._seconds = cache(
            Histogram(
                "claude_code_proxy_request_duration_seconds",
                "From the request's head to the last byte of its answer.",
                ("route", "stream"),
                buckets=_SECONDS,
                registry=own,
            ).labels
        )
        self._first = cache(
            Histogram(
                "claude_code_proxy_upstream_answer_seconds",
                "From the request's head to the upstream's acceptance.",
                ("model",),
                buckets=_SECONDS,
                registry=own,
            ).labels
        )
        self._tokens = cache(
            Counter(
                "claude_code_proxy_tokens",
                "Tokens as told to clients: input without cached ones, cached, output.",
                ("model", "kind"),
                registry=own,
            ).labels
        )
        self._open = Gauge(
            "claude_code_proxy_requests_open",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=own,
        )
        build = Gauge(
            "claude_code_proxy_build_info",
            "1, with the version.",
            ("version",),
            multiprocess_mode="max",
            registry=own,
        )
        build.labels(__version__).set(1)

    def opened(self) -> None:
        """Note that a request has begun."""
        self._open.inc()

    def closed(
        self, route: str, status: int, seconds: float, *, stream: bool, error: str | None
    ) -> None:
        """Note how a request has ended."""
        self._open.dec()
        self._requests(route, str(status)).inc()
        self._seconds(route, "true" if stream else "false").observe(seconds)
        if error is not None:
            self._errors(route, error).inc()

    def accepted(self, model: str, seconds: float) -> None:
        """Note that the upstream has accepted a request for one of its models."""
        self._first(model).observe(seconds)

    def used(self, model: str, usage: Mapping[str, Any]) -> None:
        """Add the usage of an answer, in Anthropic's shape."""
        for name, kind in _TOKENS.items():
            self._tokens(model, kind).inc(usage.get(name) or 0)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


def forget_worker(pid: int) -> None:
    """Take a worker that is gone out of what counts only the living."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]
