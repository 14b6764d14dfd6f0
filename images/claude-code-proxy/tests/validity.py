"""What both APIs ask of what is sent: their SDKs' types, and the order of calls and results."""

from __future__ import annotations

import json
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

Json = dict[str, Any]

_CHAT: TypeAdapter[Any] = TypeAdapter(completion_create_params.CompletionCreateParams)
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def check_chat(chat: Json) -> None:
    """Fail unless this is a Chat Completions request in which each call has its result behind it.

    A call at the end may still wait for its own.
    """
    # Consumes the lazy parts too.
    _CHAT.dump_json(_CHAT.validate_python(chat, strict=True))
    pending: list[str] = []
    for message in chat["messages"]:
        if message["role"] == "tool":
            pending.remove(message["tool_call_id"])
        else:
            assert not pending, "something stands between a call and its result"
        pending.extend(call["id"] for call in message.get("tool_calls") or ())


def check_message(message: Json) -> None:
    """Fail unless this is a whole answer of the Messages API."""
    _MESSAGE.validate_python(message, strict=True)


def check_event(event: Json) -> None:
    """Fail unless this is an event of a streamed answer of the Messages API."""
    _EVENT.validate_python(event, strict=True)


def rebuild(events: list[Json]) -> list[Json]:
    """Return the content blocks that a client puts together."""
    blocks: list[Json] = []
    arguments = ""
    for event in events:
        match event["type"]:
            case "content_block_start":
                blocks.append(dict(event["content_block"]))
                arguments = ""
            case "content_block_delta":
                delta = event["delta"]
                match delta["type"]:
                    case "input_json_delta":
                        arguments += delta["partial_json"]
                    case "text_delta":
                        blocks[-1]["text"] += delta["text"]
                    case "thinking_delta":
                        blocks[-1]["thinking"] += delta["thinking"]
            case "content_block_stop" if blocks[-1]["type"] == "tool_use":
                blocks[-1]["input"] = json.loads(arguments)
    return blocks
