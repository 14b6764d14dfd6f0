"""Decides what is answered: always the same for the same request."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from demo_upstream.examples import example
from demo_upstream.markers import Markers, read_markers, without_markers
from demo_upstream.validation import ChatRequest, text_of

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)
_TICKS = re.compile(r"`([^`\n]+)`")
_QUOTES = re.compile(r"\"([^\"\n]+)\"|'([^'\n]+)'")
_RUN_LINE = re.compile(r"^\s*run:\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_VERB = re.compile(r"\b(run|execute|use|call)\b", re.IGNORECASE)
# Claude Code asks so for a summary, and names its tools while it does.
_FORBIDDEN = re.compile(r"\bdo not (run|execute|use|call) any tools?\b", re.IGNORECASE)
_QUOTED_AT_MOST = 300
_OUTPUT_AT_MOST = 4000
_FILLER = "the quick brown fox jumps over the lazy dog while everyone else keeps working".split()


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A call that the model asks for; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What is answered: reasoning and text in pieces of one token each, or tool calls."""

    markers: Markers
    reasoning: tuple[str, ...]
    pieces: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish_reason: str

    @property
    def completion_tokens(self) -> int:
        """What the completion costs, in tokens."""
        calls = sum(len(call.arguments) // 4 + 8 for call in self.calls)
        return max(1, len(self.reasoning) + len(self.pieces) + calls)


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return what the user said last, without what the client program added on its own."""
    for message in reversed(messages):
        if message["role"] == "user":
            text = _REMINDER.sub("", text_of(message.get("content"))).strip()
            if text:
                return text
    return ""


def plan(request: ChatRequest) -> Reply:
    """Return the answer to `request`."""
    said = last_user_text(request.messages)
    markers = read_markers(said)
    outputs = _tool_outputs(request.messages)
    calls = () if outputs else _calls(request, said, markers)
    reasoning = _reasoning(request, said, markers)
    if calls:
        return Reply(
            markers=markers,
            reasoning=reasoning,
            pieces=(),
            calls=calls,
            finish_reason="tool_calls",
        )
    text = _text(request, said, outputs, markers)
    for sequence in request.stop:
        text = text.split(sequence, 1)[0]
    pieces = tuple(_PIECE.findall(text))
    room = max(0, request.max_completion_tokens - len(reasoning))
    return Reply(
        markers=markers,
        reasoning=reasoning[: request.max_completion_tokens],
        pieces=pieces[:room],
        calls=(),
        finish_reason="length" if len(pieces) > room else "stop",
    )


def _tool_outputs(messages: list[dict[str, Any]]) -> list[str]:
    """Return what tools answered since the user last said something."""
    outputs: list[str] = []
    for message in reversed(messages):
        if message["role"] == "tool":
            outputs.append(text_of(message.get("content")))
        elif message["role"] == "user":
            if _REMINDER.sub("", text_of(message.get("content"))).strip():
                break
        elif message["role"] == "assistant" and not message.get("tool_calls"):
            break
    return outputs[::-1]


def _calls(request: ChatRequest, said: str, markers: Markers) -> tuple[ToolCall, ...]:
    if not request.tools or request.tool_choice == "none" or _FORBIDDEN.search(said):
        return ()
    tool = _wanted_tool(request, said, markers)
    if tool is None:
        return ()
    parameters = tool["function"].get("parameters") or {}
    commands = _commands(said)
    texts = commands or _quoted(said) or ["demo"]
    calls = [_call(tool, parameters, texts)]
    if markers.parallel and request.parallel_tool_calls:
        calls.append(_call(tool, parameters, texts[1:] or texts))
    return tuple(calls)


def _wanted_tool(request: ChatRequest, said: str, markers: Markers) -> dict[str, Any] | None:
    by_name = {tool["function"]["name"]: tool for tool in request.tools}
    if request.forced_tool is not None:
        return by_name[request.forced_tool]
    shell = next((tool for tool in request.tools if _takes_command(tool)), None)
    if shell is not None and _commands(said):
        return shell
    if _VERB.search(said):
        for name, tool in by_name.items():
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said):
                return tool
    if request.tool_choice == "required" or markers.parallel:
        return shell or request.tools[0]
    return None


def _takes_command(tool: dict[str, Any]) -> bool:
    properties = (tool["function"].get("parameters") or {}).get("properties") or {}
    command = properties.get("command")
    return isinstance(command, dict) and command.get("type") == "string"


def _commands(said: str) -> list[str]:
    """Return the shell commands that `said` asks to run."""
    lines: list[str] = _RUN_LINE.findall(said)
    if lines:
        return [line.strip().strip("`") for line in lines]
    if not _VERB.search(said):
        return []
    fenced = [block.strip() for block in _FENCE.findall(said)]
    return fenced or _TICKS.findall(said)


def _quoted(said: str) -> list[str]:
    return [*_TICKS.findall(said), *(a or b for a, b in _QUOTES.findall(said))]


def _call(tool: dict[str, Any], parameters: dict[str, Any], texts: list[str]) -> ToolCall:
    if _takes_command(tool):
        required = {*(parameters.get("required") or []), "command"} - {"command"}
        rest = example({**parameters, "required": sorted(required)}, itertools.repeat(texts[0]))
        arguments = {"command": texts[0], **rest}
    else:
        arguments = example(parameters, _endless(texts))
    return ToolCall(
        name=tool["function"]["name"], arguments=json.dumps(arguments, ensure_ascii=False)
    )


def _endless(texts: list[str]) -> Iterator[str]:
    return itertools.chain(texts, itertools.repeat(texts[-1]))


def _reasoning(request: ChatRequest, said: str, markers: Markers) -> tuple[str, ...]:
    if not (request.model.reasons or markers.reason) or not request.include_reasoning:
        return ()
    quote = without_markers(said)[:80]
    return tuple(_PIECE.findall(f"The user says: {quote}. I should answer briefly."))


def _text(request: ChatRequest, said: str, outputs: list[str], markers: Markers) -> str:
    quote = without_markers(said)
    if len(quote) > _QUOTED_AT_MOST:
        quote = f"{quote[:_QUOTED_AT_MOST].rstrip()}…"
    if request.response_schema is not None:
        answer = example(request.response_schema, itertools.repeat(quote or "demo"))
        return json.dumps(answer, ensure_ascii=False)
    if markers.words is not None:
        return " ".join(_FILLER[number % len(_FILLER)] for number in range(markers.words))
    if outputs:
        return f"The tool answered: {chr(10).join(outputs)[:_OUTPUT_AT_MOST]}"
    return (
        f"You said: “{quote}”. This is the demo upstream, answering as {request.model.name}: "
        "no model was asked."
    )
