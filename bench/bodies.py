"""The requests that are sent, and what the stand-in upstream makes of them."""

from __future__ import annotations

import json
from typing import Any

from claude_code_proxy.request import translate
from claude_code_proxy.settings import Settings

# The stand-in's models: all pieces of a stream at once, or 2 ms apart.
BURST, PACED = MODELS = ("bench", "bench-paced")
SETTINGS = Settings(upstream_url="http://127.0.0.1", upstream_key="")


def messages_request(
    kilotokens: int, *, stream: bool, model: str = BURST, pieces: int = 64
) -> dict[str, Any]:
    """Return a Messages request of about that size: tools, a system prompt, many tool turns.

    The stand-in answers with as many words as `max_tokens` allows, each of them a piece.
    """
    rest = kilotokens * 1000 * 4
    system = "Follow the rules of this project and answer briefly. " * 20
    read = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    tools = [
        {"name": f"Read{n}", "description": system[:400], "input_schema": read} for n in range(4)
    ]
    rest -= len(system) + len(json.dumps(tools))
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Say hello."}]
    turn = 0
    while rest > 0:
        text = "def handler(request):\n    return respond(request.body)\n"[:55] * (
            min(rest, 4000) // 55 + 1
        )
        call = {
            "type": "tool_use",
            "id": f"call_{turn}",
            "name": "Read0",
            "input": {"path": "a.py"},
        }
        result = {"type": "tool_result", "tool_use_id": f"call_{turn}", "content": text}
        messages += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
        rest -= len(text) + 150
        turn += 1
    return {
        "model": model,
        "max_tokens": pieces,
        "stream": stream,
        "system": system,
        "tools": tools,
        "messages": messages,
    }


def as_chat(messages: dict[str, Any]) -> dict[str, Any]:
    """Return the same request as the upstream gets it."""
    return translate(messages, messages["model"], SETTINGS).body
