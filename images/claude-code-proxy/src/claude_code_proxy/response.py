"""Chat Completions answer to Messages answer, and the parts that streams share with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from claude_code_proxy.errors import ApiError, bad_gateway, from_stream
from claude_code_proxy.request import ChatRequest

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Token counts.

    Attributes:
        input: All input tokens, those from a cache included.
        cached: Input tokens that the upstream read from its cache.
        output: Output tokens, reasoning included.
    """

    input: int = 0
    cached: int = 0
    output: int = 0

    def to_anthropic(self) -> dict[str, int]:
        """Return Anthropic's `usage`, whose `input_tokens` leaves out what a cache gave."""
        return {
            "input_tokens": max(self.input - self.cached, 0),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": self.cached,
            "output_tokens": self.output,
        }


Estimate = Callable[[int], Usage]
"""Estimates the usage from the number of characters that the model wrote."""


def read_usage(reply: dict[str, Any]) -> Usage | None:
    """Return the usage that an answer or a chunk reports, if it does."""
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        groq = reply.get("x_groq")
        usage = groq.get("usage") if isinstance(groq, dict) else None
        if not isinstance(usage, dict):
            return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        input=_count(usage.get("prompt_tokens")),
        cached=_count(cached),
        output=_count(usage.get("completion_tokens")),
    )


def stop_reason(
    finish: str, *, has_tools: bool, refused: bool, matched: str | None
) -> tuple[str, str | None]:
    """Return Anthropic's stop reason and stop sequence for an OpenAI finish reason."""
    reason = _STOP_REASONS.get(finish, "end_turn")
    if refused:
        return "refusal", None
    if reason in ("end_turn", "tool_use"):
        # Upstreams disagree about `stop` with calls; the calls themselves do not lie.
        reason = "tool_use" if has_tools else "end_turn"
    if reason == "end_turn" and matched is not None:
        return "stop_sequence", matched
    return reason, None


def text_of(content: Any) -> str:
    """Return the text of a content that is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return ""


def translate(
    raw: bytes,
    request: ChatRequest,
    message_id: str,
    estimate: Estimate,
    secrets: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Translate an upstream's JSON answer.

    Raises:
        ApiError: It is no chat completion, or a tool call is not a JSON object (502).
    """
    try:
        reply = orjson.loads(raw)
        if not isinstance(reply, dict):
            raise bad_gateway("The upstream's answer is not a chat completion.")
        if reply.get("error") and not reply.get("choices"):
            raise from_stream(reply["error"], secrets)
        choice = reply["choices"][0]
        message = choice["message"]
        finish = choice.get("finish_reason") or "stop"
        content = _content(message, request, finish)
        usage = read_usage(reply) or estimate(len(orjson.dumps(content)))
    except ApiError:
        raise
    except (orjson.JSONDecodeError, AttributeError, IndexError, KeyError, TypeError):
        raise bad_gateway("The upstream's answer is not a chat completion.") from None
    matched = choice.get("stop_reason")
    reason, sequence = stop_reason(
        finish,
        has_tools=any(block["type"] == "tool_use" for block in content),
        refused=bool(message.get("refusal")),
        matched=matched if matched in request.stop_sequences else None,
    )
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage.to_anthropic(),
    }


def _content(message: dict[str, Any], request: ChatRequest, finish: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if request.wants_thinking and isinstance(reasoning, str) and reasoning.strip():
        blocks.append({"type": "thinking", "thinking": reasoning, "signature": ""})
    texts = (text_of(message.get("content")), text_of(message.get("refusal")))
    blocks.extend({"type": "text", "text": text} for text in texts if text.strip())
    for call in message.get("tool_calls") or ():
        arguments = _arguments(call["function"], finish)
        if arguments is not None:
            name = call["function"]["name"]
            blocks.append(
                {
                    "type": "tool_use",
                    "id": call.get("id") or f"toolu_{uuid.uuid4().hex[:24]}",
                    "name": request.tool_names.get(name, name),
                    "input": arguments,
                }
            )
    return blocks


def _arguments(function: dict[str, Any], finish: str) -> dict[str, Any] | None:
    """Return a call's input, or None for a call that the output limit cut off."""
    raw = function.get("arguments") or "{}"
    if isinstance(raw, dict):
        return raw
    try:
        parsed = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError:
        parsed = False
    if parsed is None:
        return {}
    if isinstance(parsed, dict):
        return parsed
    if finish == "length":
        return None
    raise bad_gateway(f"The model's arguments for tool {function['name']} are not a JSON object.")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
