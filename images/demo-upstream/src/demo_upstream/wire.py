"""The JSON that Groq sends: completions, and the chunks of a streamed one."""

import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from demo_upstream.replies import Reply
from demo_upstream.validation import ChatRequest

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_QUEUE_SECONDS = 0.02
_PROMPT_SECONDS_PER_TOKEN = 0.00005


def new_request_id() -> str:
    """Return an id in the form of Groq's request ids."""
    return "req_" + "".join(secrets.choice(_ALPHABET) for _ in range(26))


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """One completion on its way out."""

    request: ChatRequest
    reply: Reply
    request_id: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4()}")
    created: int = field(default_factory=lambda: int(time.time()))
    started: float = field(default_factory=time.monotonic)

    def body(self) -> dict[str, Any]:
        """Return the whole completion."""
        message: dict[str, Any] = {"role": "assistant"}
        if self.reply.pieces or not self.reply.calls:
            message["content"] = "".join(self.reply.pieces)
        if self.reply.reasoning:
            message["reasoning"] = "".join(self.reply.reasoning)
        if self.reply.calls:
            message["tool_calls"] = self._tool_calls(indexed=False)
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": self.reply.finish_reason,
                }
            ],
            "usage": self._usage(),
            "usage_breakdown": None,
            "x_groq": {"id": self.request_id},
        }

    def first_chunk(self) -> dict[str, Any]:
        """Return the chunk that opens a stream."""
        chunk = self._chunk({"role": "assistant", "content": ""})
        return {**chunk, "x_groq": {"id": self.request_id}}

    def middle_chunks(self) -> Iterator[dict[str, Any]]:
        """Yield what is said, one piece a chunk; each tool call comes whole, in one chunk."""
        for piece in self.reply.reasoning:
            yield self._chunk({"reasoning": piece, "channel": "analysis"})
        for piece in self.reply.pieces:
            yield self._chunk({"content": piece})
        for call in self._tool_calls(indexed=True):
            yield self._chunk({"tool_calls": [call]})

    def last_chunks(self) -> Iterator[dict[str, Any]]:
        """Yield the end of a stream: why it ends, what it cost, and again where that was asked."""
        usage = self._usage()
        bill = {"id": self.request_id, "usage": usage}
        yield {**self._chunk({}, finish_reason=self.reply.finish_reason), "x_groq": bill}
        if self.request.include_usage:
            yield {
                **self._head("chat.completion.chunk"),
                "choices": [],
                "usage": usage,
                "x_groq": bill,
            }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.request.model.name,
            "system_fingerprint": "fp_demo000000",
            "service_tier": "on_demand",
        }

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _tool_calls(self, *, indexed: bool) -> list[dict[str, Any]]:
        return [
            {
                # Unique across a conversation, since every reply has an id of its own.
                "id": f"call_{self.id.replace('-', '')[-20:]}{index:02d}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
                **({"index": index} if indexed else {}),
            }
            for index, call in enumerate(self.reply.calls)
        ]

    def _usage(self) -> dict[str, Any]:
        prompt, completion = self.request.prompt_tokens, self.reply.completion_tokens
        prompt_time = round(prompt * _PROMPT_SECONDS_PER_TOKEN, 9)
        completion_time = round(time.monotonic() - self.started, 9)
        usage: dict[str, Any] = {
            "queue_time": _QUEUE_SECONDS,
            "prompt_tokens": prompt,
            "prompt_time": prompt_time,
            "completion_tokens": completion,
            "completion_time": completion_time,
            "total_tokens": prompt + completion,
            "total_time": round(prompt_time + completion_time, 9),
        }
        if self.reply.reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": len(self.reply.reasoning)}
        return usage
