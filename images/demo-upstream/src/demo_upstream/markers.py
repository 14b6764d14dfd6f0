"""Faults and paces that the last user message asks for, written as `[demo:...]` in its text."""

import re
from dataclasses import dataclass

_MARKER = re.compile(r"\[demo:([a-z_]+|\d{3})(?:=([0-9]+(?:\.[0-9]+)?))?\]")
_SECONDS_AT_MOST = 3600.0
_WORDS_AT_MOST = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Markers:
    """What the markers in one message ask for; the defaults ask for nothing.

    `status` is answered instead of a completion, to the first `status_times` requests that bring
    the same message, or to all of them when it is None. Durations are in seconds.
    """

    status: int | None = None
    status_times: int | None = None
    context: bool = False
    tool_use_failed: bool = False
    slow: float = 0.0
    pause: float = 0.0
    words: int | None = None
    cut: bool = False
    error: bool = False
    parallel: bool = False
    reason: bool = False


def read_markers(text: str) -> Markers:
    """Return what the markers in `text` ask for; unknown ones are left alone."""
    found: dict[str, str] = dict(_MARKER.findall(text))
    status = next((name for name in found if name.isdigit()), None)
    times = found.get(status or "", "")
    words = found.get("words", "")
    return Markers(
        status=int(status) if status else None,
        status_times=int(float(times)) if times else None,
        context="context" in found,
        tool_use_failed="tool_use_failed" in found,
        slow=_seconds(found.get("slow")),
        pause=_seconds(found.get("pause")),
        words=min(int(float(words)), _WORDS_AT_MOST) if words else None,
        cut="cut" in found,
        error="error" in found,
        parallel="parallel" in found,
        reason="reason" in found,
    )


def without_markers(text: str) -> str:
    """Return `text` as a person would quote it."""
    return " ".join(_MARKER.sub(" ", text).split())


def _seconds(value: str | None) -> float:
    return min(float(value), _SECONDS_AT_MOST) if value else 0.0
