"""The README's translation tables, and the official SDK as the client that proves their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anthropic
import pytest
from aiohttp import web
from conftest import RunningProxy
from stand_in import USAGE, Script, chunk, completion, stream, tool_chunk, usage_chunk, wire

README = Path(__file__).parents[1] / "README.md"
SECTIONS = ("Which model answers", "Translation of requests", "Translation of answers")
HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
MODES = pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def readme_rows() -> list[str]:
    """Return the first cell of each row of the three sections' tables."""
    parts = _HEADING.split(README.read_text())
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [cell for title in SECTIONS for cell in _first_cells(sections[title])]


def _first_cells(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for index, line in enumerate(lines):
        is_rule = line.startswith("|---")
        is_head = index + 1 < len(lines) and lines[index + 1].startswith("|---")
        if not is_rule and not is_head:
            yield line.split("|")[1].strip()


def proved_rows(*modules: ModuleType) -> list[str]:
    """Return the rows that tests are marked with, on themselves or on one of their cases."""
    return [
        mark.args[0]
        for module in modules
        for test in vars(module).values()
        for mark in _marks(getattr(test, "pytestmark", []))
        if mark.name == "row"
    ]


def _marks(marks: list[pytest.Mark]) -> Iterator[pytest.Mark]:
    for mark in marks:
        yield mark
        if mark.name == "parametrize":
            for case in mark.args[1]:
                yield from getattr(case, "marks", ())


async def ask(proxy: RunningProxy, streamed: bool, **fields: Any) -> anthropic.types.Message:
    """Ask through the SDK; fields that it has no argument for go into the body."""
    body: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 50, "messages": HI} | fields
    named = {name: body.pop(name) for name in ("model", "max_tokens", "messages")}
    headers = body.pop("extra_headers", None)
    # A time-out of its own: the SDK refuses long answers that are not streamed without one.
    options: dict[str, Any] = {"extra_body": body, "extra_headers": headers, "timeout": 60}
    if not streamed:
        return await proxy.client.messages.create(**named, **options)
    async with proxy.client.messages.stream(**named, **options) as events:
        return await events.get_final_message()


def answer(
    text: str | None = "Hello",
    *,
    calls: tuple[tuple[str, str, str], ...] = (),
    finish: str = "stop",
    usage: dict[str, Any] | None = USAGE,
    extra: dict[str, Any] | None = None,
    **message: Any,
) -> Script:
    """Answer each request in its own way, JSON or streamed, with the same content.

    `calls` are id, name and arguments; `extra` goes beside the finish reason.
    """
    whole = dict(message)
    if calls:
        whole["tool_calls"] = [
            {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call, name, arguments in calls
        ]
    pieces = [chunk(role="assistant", content="")]
    pieces += [chunk(**{name: value}) for name, value in message.items()]
    pieces += [chunk(content=piece) for piece in _halves(text or "")]
    for index, (call, name, arguments) in enumerate(calls):
        pieces.append(tool_chunk(index, "", id=call, name=name))
        pieces += [tool_chunk(index, piece) for piece in _halves(arguments)]
    last = chunk(finish)
    last["choices"][0] |= extra or {}
    pieces += [last, *([usage_chunk(usage)] if usage else [])]

    async def script(request: web.Request) -> web.StreamResponse:
        if (await request.json()).get("stream"):
            return await stream(wire(*pieces))(request)
        response = await completion(text, finish=finish, usage=usage, extra=extra, **whole)(request)
        assert isinstance(response, web.Response)
        return response

    return script


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [part for part in (text[:middle], text[middle:]) if part]
