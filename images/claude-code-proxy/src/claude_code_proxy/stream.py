"""Chat Completions chunks to the events of a Messages stream: a state machine without I/O."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from claude_code_proxy.errors import bad_gateway, from_stream
from claude_code_proxy.request import ChatRequest
from claude_code_proxy.response import Estimate, Usage, read_usage, stop_reason, text_of

Event = dict[str, Any]
PING: Event = {"type": "ping"}
# By a block's kind: the type of its deltas, and what they call the text that they carry.
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


@dataclass(slots=True)
class _Block:
    """One content block of the answer.

    Attributes:
        kind: `text`, `thinking` or `tool_use`.
        waiting: Text or JSON that was not sent yet.
        sent: The JSON that was sent, for tool calls only.
    """

    kind: str
    waiting: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    call_id: str = ""
    name: str = ""
    started: bool = False

    @property
    def arguments(self) -> str:
        return "".join(self.sent) + "".join(self.waiting)

    def is_complete(self) -> bool:
        """Tell whether nothing more can follow: only a tool call's JSON says so by itself."""
        if self.kind != "tool_use":
            return True
        try:
            return isinstance(orjson.loads(self.arguments), dict)
        except orjson.JSONDecodeError:
            return False


class StreamTranslator:
    """Turns chunks into events.

    A Messages stream has one open block at a time. The first block of `_queue` is the open one;
    what belongs to later ones waits until it is complete.

    Args:
        request: The request that is being answered.
        message_id: The id of the answer.
        estimate: Used when the upstream reports no usage.
        secrets: Strings that must not appear in an error message.
    """

    def __init__(
        self,
        request: ChatRequest,
        message_id: str,
        estimate: Estimate,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._request = request
        self._message_id = message_id
        self._estimate = estimate
        self._secrets = secrets
        self._queue: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self._tools = 0
        self._written = 0
        self._finish: str | None = None
        self._stop_match: str | None = None
        self._refused = False
        self._usage: Usage | None = None

    def start(self) -> Event:
        """Return the event that opens the stream."""
        return {
            "type": "message_start",
            "message": {
                "id": self._message_id,
                "type": "message",
                "role": "assistant",
                "model": self._request.model,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": Usage().to_anthropic(),
            },
        }

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that one chunk gives rise to.

        Raises:
            ApiError: The chunk is an error or no chunk at all; the stream must end.
        """
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise bad_gateway("The upstream's stream is malformed.") from None
        if not isinstance(chunk, dict):
            raise bad_gateway("The upstream's stream is malformed.")
        if chunk.get("error"):
            raise from_stream(chunk["error"], self._secrets)
        self._usage = read_usage(chunk) or self._usage
        choices = chunk.get("choices")
        if not choices:
            return []
        try:
            choice = choices[0]
            events: list[Event] = []
            delta = choice.get("delta")
            if delta:
                self._delta(delta, events)
            finish = choice.get("finish_reason")
            matched = choice.get("stop_reason")
        except (AttributeError, IndexError, KeyError, TypeError):
            raise bad_gateway("The upstream's stream is malformed.") from None
        if isinstance(finish, str) and finish:
            self._finish = finish
        if isinstance(matched, str) and matched in self._request.stop_sequences:
            self._stop_match = matched
        return events

    def whole(self, raw: bytes) -> list[Event]:
        """Return the events of an answer that came as JSON, all but the first.

        Raises:
            ApiError: It is an error or no chat completion.
        """
        try:
            reply = orjson.loads(raw)
            if not reply.get("error"):
                choice = reply["choices"][0]
                choice["delta"] = choice.pop("message")
                choice["finish_reason"] = choice.get("finish_reason") or "stop"
        except (orjson.JSONDecodeError, AttributeError, IndexError, KeyError, TypeError):
            raise bad_gateway("The upstream's answer is not a chat completion.") from None
        return [*self.feed(orjson.dumps(reply)), *self.end()]

    def end(self) -> list[Event]:
        """Return the events that close the stream.

        Raises:
            ApiError: The upstream broke off, or a tool call is not a JSON object.
        """
        if self._finish is None:
            raise bad_gateway("The upstream's stream broke off before its end.")
        events: list[Event] = []
        while self._queue:
            self._close(self._queue[0], events)
        reason, sequence = stop_reason(
            self._finish, has_tools=self._tools > 0, refused=self._refused, matched=self._stop_match
        )
        usage = self._usage or self._estimate(self._written)
        events.append(
            {
                "type": "message_delta",
                "delta": {"stop_reason": reason, "stop_sequence": sequence},
                "usage": usage.to_anthropic(),
            }
        )
        events.append({"type": "message_stop"})
        return events

    # Lists to append to, not generators: half of the time of a chunk went into these.

    def _delta(self, delta: dict[str, Any], events: list[Event]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning and isinstance(reasoning, str):
            self._written += len(reasoning)
            if self._request.wants_thinking:
                self._prose("thinking", reasoning, events)
        content = delta.get("content")
        if content:
            self._prose("text", text_of(content), events)
        refusal = delta.get("refusal")
        if refusal:
            self._refused = True
            self._prose("text", text_of(refusal), events)
        for call in delta.get("tool_calls") or ():
            self._tool_delta(call, events)

    def _prose(self, kind: str, text: str, events: list[Event]) -> None:
        if not text:
            return
        if kind == "text":
            self._written += len(text)
        block = self._queue[-1] if self._queue else None
        if block is not None and block.started and block.kind == kind:
            # Nearly every chunk comes this way.
            events.append(self._block_delta(block, text))
            return
        if block is None or block.kind != kind:
            block = _Block(kind)
            self._queue.append(block)
        block.waiting.append(text)
        self._advance(events)

    def _tool_delta(self, call: dict[str, Any], events: list[Event]) -> None:
        function = call.get("function") or {}
        call_id, name = call.get("id") or "", function.get("name") or ""
        index = call.get("index")
        if not isinstance(index, int):
            index = len(self._calls) if call_id and name else max(self._calls, default=0)
        block = self._calls.get(index)
        # Some upstreams number all calls 0: a new id together with a name is a new call.
        if block is None or (name and call_id and block.call_id not in ("", call_id)):
            block = _Block("tool_use")
            self._calls[index] = block
            self._queue.append(block)
        block.call_id = block.call_id or call_id
        block.name = block.name or name
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if arguments:
            self._written += len(arguments)
            block.waiting.append(arguments)
        self._advance(events)

    def _advance(self, events: list[Event]) -> None:
        """Send what can be sent: close complete blocks that others wait for, stream the first."""
        while len(self._queue) > 1 and self._queue[0].is_complete():
            self._close(self._queue[0], events)
        self._send(self._queue[0], events)

    def _send(self, block: _Block, events: list[Event]) -> None:
        if block.kind == "tool_use":
            if not block.name:
                return
            if not block.sent and "{" not in "".join(block.waiting):
                # `null` or blank arguments stand for an empty object: wait for what comes.
                self._open(block, events)
                return
        elif not block.started and not "".join(block.waiting).strip():
            # Blank so far: a block that stays blank is not sent at all.
            return
        self._open(block, events)
        if block.waiting:
            text = "".join(block.waiting)
            block.waiting.clear()
            events.append(self._block_delta(block, text))

    def _open(self, block: _Block, events: list[Event]) -> None:
        if block.started:
            return
        block.started = True
        events.append(
            {
                "type": "content_block_start",
                "index": self._index,
                "content_block": self._empty(block),
            }
        )

    def _empty(self, block: _Block) -> dict[str, Any]:
        match block.kind:
            case "text":
                return {"type": "text", "text": ""}
            case "thinking":
                return {"type": "thinking", "thinking": "", "signature": ""}
        self._tools += 1
        return {
            "type": "tool_use",
            "id": block.call_id or f"toolu_{uuid.uuid4().hex[:24]}",
            "name": self._request.tool_names.get(block.name, block.name),
            "input": {},
        }

    def _block_delta(self, block: _Block, text: str) -> Event:
        if block.kind == "tool_use":
            block.sent.append(text)
        kind, name = _DELTAS[block.kind]
        return {
            "type": "content_block_delta",
            "index": self._index,
            "delta": {"type": kind, name: text},
        }

    def _close(self, block: _Block, events: list[Event]) -> None:
        if block.kind == "tool_use":
            self._check_call(block)
        self._send(block, events)
        if block.started:
            events.append({"type": "content_block_stop", "index": self._index})
            self._index += 1
        self._queue.popleft()

    def _check_call(self, block: _Block) -> None:
        if not block.name:
            raise bad_gateway("The upstream's stream holds a tool call without a name.")
        if block.arguments.strip() in ("", "null"):
            block.waiting = ["{}"]
        elif self._finish != "length" and not block.is_complete():
            raise bad_gateway(f"The model's arguments for tool {block.name} are not a JSON object.")
