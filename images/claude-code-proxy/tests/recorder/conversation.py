"""The files that recordings are kept in: a line for each distinct part and for each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder.filler import fill

Json = dict[str, Any]

DIRECTORY = Path(__file__).parents[1] / "conversations"
# Nearly the same in each request of a session: kept once, and named by their place.
_PARTS = ("system", "tools", "messages")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request as Claude Code sent it, with filler for text.

    Attributes:
        status: What the proxy in front of the demo upstream answered.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Json | None
    status: int


def save(path: Path, version: str, requests: Sequence[Json]) -> None:
    """Write sanitised requests of the CLI's `version` to a file."""
    parts: dict[str, int] = {}

    def number(part: Any) -> int:
        return parts.setdefault(_line(part), len(parts))

    lines = [_line(_with_parts(request, number)) for request in requests]
    path.write_text(
        f'{{"claude_code": {json.dumps(version)},\n'
        f'"parts": [\n{_joined(parts)}\n],\n"requests": [\n{_joined(lines)}\n]}}\n'
    )


def load(path: Path) -> list[Request]:
    """Return the requests of a file, with filler in place of its forms."""
    kept = json.loads(path.read_text())
    parts = [fill(part) for part in kept["parts"]]
    return [
        Request(**fill(_with_parts(request, parts.__getitem__))) for request in kept["requests"]
    ]


def _with_parts(request: Json, exchange: Callable[[Any], Any]) -> Json:
    body = request["body"]
    if body is None:
        return request
    lists = {name: body[name] for name in _PARTS if isinstance(body.get(name), list)}
    changed = {name: [exchange(part) for part in parts] for name, parts in lists.items()}
    return {**request, "body": {**body, **changed}}


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _joined(lines: Iterable[str]) -> str:
    return ",\n".join(lines)
