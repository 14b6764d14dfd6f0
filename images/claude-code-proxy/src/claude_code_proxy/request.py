"""Messages request to Chat Completions request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from claude_code_proxy import client_tools
from claude_code_proxy.errors import ApiError, invalid_request
from claude_code_proxy.settings import Settings

# OpenAI's limits; Anthropic allows longer tool names, and MCP servers make use of it.
_MAX_TOOL_NAME = 64
_MAX_STOP_SEQUENCES = 4
_MAX_USER = 64
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# Claude Code's accounting line, different in every request: it would defeat prompt caches.
_BILLING_PREFIX = "x-anthropic-billing-header:"
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_LOW_BUDGET, _MEDIUM_BUDGET = 4_096, 16_384
_STRICT_MODELS = ("gpt-5", "o1", "o3", "o4")
_OTHER_BLOCKS = frozenset(
    {
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "browser_state",
        "code_execution_tool_result",
        "container_upload",
        "fallback",
        "mcp_tool_listing",
        "mcp_tool_result",
        "mcp_tool_use",
        "server_tool_use",
        "text_editor_code_execution_tool_result",
        "tool_addition",
        "tool_removal",
        "tool_search_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    }
)

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """A translated request and what its answer needs to be translated back.

    Attributes:
        body: The Chat Completions request.
        model: The name that the client asked for.
        stream: Whether the client wants events.
        wants_thinking: Whether reasoning is shown as thinking blocks.
        stop_sequences: The client's stop sequences.
        tool_names: Original tool names by the shortened ones that the upstream sees.
    """

    body: Json
    model: str
    stream: bool
    wants_thinking: bool
    stop_sequences: tuple[str, ...] = ()
    tool_names: Mapping[str, str] = field(default_factory=dict)


def requested_model(body: Any) -> str:
    """Return the model that a parsed request names.

    Raises:
        ApiError: The request is not an object or names no model.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request_error", "The request body must be a JSON object.")
    return _text(body, "model", "", non_empty=True)


def translate(body: Json, model: str, settings: Settings) -> ChatRequest:
    """Translate a Messages request for the upstream's `model`.

    Raises:
        ApiError: A field is wrong (400); the message begins with its path.
    """
    asked = requested_model(body)
    tool_names: dict[str, str] = {}
    stop_sequences = _stop_sequences(body)
    stream = _boolean(body, "stream", "")
    limit = settings.clamp_tokens(model, _max_tokens(body))
    chat: Json = {
        "model": model,
        "messages": _messages(body, tool_names),
        _limit_name(model): limit,
    }
    if stream:
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    for name, most in (("temperature", 1.0), ("top_p", 1.0)):
        value = body.get(name)
        if value is not None:
            if type(value) not in (int, float) or not 0 <= value <= most:
                raise invalid_request(name, f"must be a number from 0 to {most:g}")
            if not _is_strict(model):
                chat[name] = value
    if stop_sequences:
        chat["stop"] = list(stop_sequences)
    user = _user(body)
    if user:
        chat["user"] = user
    _add_tools(body, chat, tool_names)
    _add_output_format(body, chat)
    wants_thinking = _add_reasoning(body, chat, settings)
    return ChatRequest(
        body=chat,
        model=asked,
        stream=stream,
        wants_thinking=wants_thinking,
        stop_sequences=stop_sequences,
        tool_names=tool_names,
    )


# --- small readers -------------------------------------------------------------------------


def _join(path: str, name: str | int) -> str:
    return f"{path}.{name}" if path else str(name)


def _text(source: Json, name: str, path: str, *, non_empty: bool = False) -> str:
    value = source.get(name)
    if value is None:
        raise invalid_request(_join(path, name), "Field required")
    if not isinstance(value, str):
        raise invalid_request(_join(path, name), "Input should be a valid string")
    if non_empty and not value:
        raise invalid_request(_join(path, name), "String should have at least 1 character")
    return value


def _boolean(source: Json, name: str, path: str) -> bool:
    value = source.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_request(_join(path, name), "Input should be a valid boolean")
    return bool(value)


def _object(source: Json, name: str, path: str) -> Json | None:
    value = source.get(name)
    if value is not None and not isinstance(value, dict):
        raise invalid_request(_join(path, name), "Input should be an object")
    return value


def _list(source: Json, name: str, path: str) -> list[Any]:
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_request(_join(path, name), "Input should be a valid list")
    return value


def _max_tokens(body: Json) -> int:
    value = body.get("max_tokens")
    if value is None:
        raise invalid_request("max_tokens", "Field required")
    if type(value) is not int or value < 0:
        raise invalid_request("max_tokens", "Input should be a whole number of at least 0")
    # 0 warms Anthropic's prompt cache without an answer; no other API has that.
    return max(value, 1)


def _limit_name(model: str) -> str:
    """Return the field that bounds the output."""
    return "max_completion_tokens" if _is_strict(model) else "max_tokens"


def _is_strict(model: str) -> bool:
    """Tell whether a model is one of OpenAI's that refuse `max_tokens` and sampling parameters."""
    return model.lower().rpartition("/")[2].startswith(_STRICT_MODELS)


def _stop_sequences(body: Json) -> tuple[str, ...]:
    sequences = _list(body, "stop_sequences", "")
    for index, sequence in enumerate(sequences):
        if not isinstance(sequence, str) or not sequence:
            raise invalid_request(f"stop_sequences.{index}", "Input should be a non-empty string")
    if len(sequences) > _MAX_STOP_SEQUENCES:
        raise invalid_request(
            "stop_sequences", f"the upstream's API takes at most {_MAX_STOP_SEQUENCES}"
        )
    return tuple(sequences)


def _user(body: Json) -> str | None:
    metadata = _object(body, "metadata", "")
    user = metadata.get("user_id") if metadata else None
    if user is None:
        return None
    if not isinstance(user, str):
        raise invalid_request("metadata.user_id", "Input should be a valid string")
    return user if len(user) <= _MAX_USER else hashlib.sha256(user.encode()).hexdigest()


# --- messages ------------------------------------------------------------------------------


class _Conversation:
    """Collects chat messages in an order that the OpenAI API accepts.

    The answers to an assistant's tool calls must follow it at once, so everything else waits
    until the last of them is there.
    """

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._pending: set[str] = set()
        self._held: list[Json] = []

    def assistant(self, message: Json) -> None:
        self.flush()
        self.messages.append(message)
        self._pending = {call["id"] for call in message.get("tool_calls", ())}

    def tool(self, message: Json) -> None:
        self.messages.append(message)
        self._pending.discard(message["tool_call_id"])

    def other(self, message: Json) -> None:
        self._held.append(message)
        if not self._pending:
            self.flush()

    def settle(self) -> None:
        """End one message of the client's: what it held back may go out if nothing is missing."""
        if not self._pending:
            self.flush()

    def flush(self) -> None:
        self.messages.extend(self._held)
        self._held.clear()
        self._pending.clear()


def _messages(body: Json, tool_names: dict[str, str]) -> list[Json]:
    if body.get("messages") is None:
        raise invalid_request("messages", "Field required")
    messages = _list(body, "messages", "")
    if not messages:
        raise invalid_request("messages", "at least one message is required")
    conversation = _Conversation()
    system = _system_text(body.get("system"), "system")
    if system:
        conversation.other({"role": "system", "content": system})
    for index, message in enumerate(messages):
        path = f"messages.{index}"
        if not isinstance(message, dict):
            raise invalid_request(path, "Input should be an object")
        role = message.get("role")
        content = message.get("content")
        if role == "user":
            _add_user(conversation, content, f"{path}.content")
        elif role == "assistant":
            _add_assistant(conversation, content, f"{path}.content", tool_names)
        elif role == "system":
            text = _system_text(content, f"{path}.content")
            if text:
                conversation.other({"role": "system", "content": text})
        else:
            raise invalid_request(f"{path}.role", "Input should be 'user', 'assistant' or 'system'")
    conversation.flush()
    if not any(message["role"] != "system" for message in conversation.messages):
        raise invalid_request("messages", "at least one message must have content")
    return conversation.messages


def _system_text(content: Any, path: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for block, kind, here in _blocks(content, path):
        if kind == "text":
            text = _text(block, "text", here)
            if text and not text.startswith(_BILLING_PREFIX):
                texts.append(text)
        else:
            texts.extend(_textual(block, kind, here))
    return "\n\n".join(texts)


def _blocks(content: Any, path: str) -> list[tuple[Json, str, str]]:
    """Return each content block with its type and its path."""
    if not isinstance(content, list):
        raise invalid_request(path, "Input should be a string or a list of content blocks")
    found: list[tuple[Json, str, str]] = []
    for index, block in enumerate(content):
        here = f"{path}.{index}"
        if not isinstance(block, dict):
            raise invalid_request(here, "Input should be an object")
        kind = block.get("type")
        if not isinstance(kind, str):
            raise invalid_request(f"{here}.type", "Field required")
        found.append((block, kind, here))
    return found


def _add_user(conversation: _Conversation, content: Any, path: str) -> None:
    if isinstance(content, str):
        if content:
            conversation.other({"role": "user", "content": content})
        return
    parts: list[Json] = []
    for block, kind, here in _blocks(content, path):
        if kind == "tool_result":
            message, media = _tool_result(block, here)
            conversation.tool(message)
            parts.extend(media)
        else:
            parts.extend(_user_parts(block, kind, here))
    if parts:
        conversation.other({"role": "user", "content": _compact(parts)})
    conversation.settle()


def _compact(parts: list[Json]) -> str | list[Json]:
    """Return plain text where there is nothing else: more upstreams take a string than parts."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _user_parts(block: Json, kind: str, path: str) -> list[Json]:
    match kind:
        case "text":
            text = _text(block, "text", path)
            return [_text_part(text)] if text else []
        case "image":
            return [_image_part(block, path)]
        case "document":
            return _document_parts(block, path)
        case "tool_use":
            raise invalid_request(f"{path}.type", "tool_use belongs in an assistant message")
    return [_text_part(text) for text in _textual(block, kind, path)]


def _text_part(text: str) -> Json:
    return {"type": "text", "text": text}


def _textual(block: Json, kind: str, path: str) -> list[str]:
    """Return blocks that have no counterpart as text, so that nothing of the history is lost."""
    match kind:
        case "thinking" | "redacted_thinking":
            return []
        case "search_result":
            lines = [str(block.get(name)) for name in ("title", "source") if block.get(name)]
            for part, inner, here in _blocks(block.get("content"), f"{path}.content"):
                lines.extend(
                    [_text(part, "text", here)] if inner == "text" else _textual(part, inner, here)
                )
            return ["\n".join(lines)]
        case "tool_reference":
            return [f"Tool: {_text(block, 'tool_name', path)}"]
        case "compaction":
            text = block.get("content")
            return [text] if isinstance(text, str) and text else []
    if kind in _OTHER_BLOCKS:
        return [orjson.dumps(_without_ciphertext(block)).decode()]
    raise invalid_request(
        f"{path}.type", f"'{kind[:64]}' is not a content block that is known here"
    )


def _without_ciphertext(value: Any) -> Any:
    """Leave out what only Anthropic's servers can read, and cache marks."""
    if isinstance(value, dict):
        return {
            name: _without_ciphertext(inner)
            for name, inner in value.items()
            if not name.startswith("encrypted_") and name != "cache_control"
        }
    if isinstance(value, list):
        return [_without_ciphertext(inner) for inner in value]
    return value


def _source(block: Json, path: str) -> tuple[Json, str]:
    source = _object(block, "source", path)
    if source is None:
        raise invalid_request(f"{path}.source", "Field required")
    return source, _text(source, "type", f"{path}.source")


def _image_part(block: Json, path: str) -> Json:
    source, kind = _source(block, path)
    match kind:
        case "base64":
            media_type = _text(source, "media_type", f"{path}.source")
            if media_type not in _IMAGE_TYPES:
                raise invalid_request(
                    f"{path}.source.media_type", f"Input should be one of {', '.join(_IMAGE_TYPES)}"
                )
            data = _text(source, "data", f"{path}.source", non_empty=True)
            url = f"data:{media_type};base64,{data}"
        case "url":
            url = _text(source, "url", f"{path}.source", non_empty=True)
        case _:
            raise invalid_request(
                f"{path}.source.type", "only base64 and url images can reach this upstream"
            )
    return {"type": "image_url", "image_url": {"url": url}}


def _document_parts(block: Json, path: str) -> list[Json]:
    source, kind = _source(block, path)
    titles = [block[name] for name in ("title", "context") if isinstance(block.get(name), str)]
    here = f"{path}.source"
    match kind:
        case "text":
            return [_text_part("\n\n".join([*titles, _text(source, "data", here)]))]
        case "content":
            content = source.get("content")
            parts = [_text_part(title) for title in titles]
            if isinstance(content, str):
                return [*parts, _text_part(content)]
            for inner, inner_kind, inner_path in _blocks(content, f"{here}.content"):
                parts.extend(_user_parts(inner, inner_kind, inner_path))
            return parts
        case "base64":
            media_type = _text(source, "media_type", here)
            if media_type != "application/pdf":
                raise invalid_request(f"{here}.media_type", "Input should be 'application/pdf'")
            data = _text(source, "data", here, non_empty=True)
            name = block.get("title") if isinstance(block.get("title"), str) else None
            context = block.get("context")
            parts = [_text_part(context)] if isinstance(context, str) and context else []
            file = {
                "filename": name or "document.pdf",
                "file_data": f"data:application/pdf;base64,{data}",
            }
            return [*parts, {"type": "file", "file": file}]
    raise invalid_request(
        f"{here}.type", "only text, content and base64 documents can reach this upstream"
    )


def _tool_result(block: Json, path: str) -> tuple[Json, list[Json]]:
    """Return the tool message, and the parts that only a user message can hold."""
    call_id = _text(block, "tool_use_id", path, non_empty=True)
    failed = _boolean(block, "is_error", path)
    content = block.get("content")
    media: list[Json] = []
    if content is None:
        text = ""
    elif isinstance(content, str):
        text = content
    else:
        parts: list[Json] = []
        for inner, kind, here in _blocks(content, f"{path}.content"):
            parts.extend(_user_parts(inner, kind, here))
        text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
        media = [part for part in parts if part["type"] != "text"]
    if not text:
        text = "(the result is attached below)" if media else "(no output)"
    if failed and not text.lower().startswith("error"):
        text = f"Error: {text}"
    if media:
        media.insert(0, _text_part(f"Attached to the result of tool call {call_id}:"))
    return {"role": "tool", "tool_call_id": call_id, "content": text}, media


def _add_assistant(
    conversation: _Conversation, content: Any, path: str, tool_names: dict[str, str]
) -> None:
    if isinstance(content, str):
        if content:
            conversation.assistant({"role": "assistant", "content": content})
        return
    texts: list[str] = []
    calls: list[Json] = []
    for block, kind, here in _blocks(content, path):
        if kind == "text":
            text = _text(block, "text", here)
            if text:
                texts.append(text)
        elif kind == "tool_use":
            calls.append(_tool_call(block, here, tool_names))
        elif kind in ("image", "document", "tool_result"):
            raise invalid_request(f"{here}.type", f"{kind} belongs in a user message")
        else:
            texts.extend(_textual(block, kind, here))
    if not texts and not calls:
        return
    message: Json = {"role": "assistant", "content": "\n\n".join(texts) if texts else None}
    if calls:
        message["tool_calls"] = calls
    conversation.assistant(message)


def _tool_call(block: Json, path: str, tool_names: dict[str, str]) -> Json:
    arguments = _object(block, "input", path)
    name = _text(block, "name", path, non_empty=True)
    return {
        "id": _text(block, "id", path, non_empty=True),
        "type": "function",
        "function": {
            "name": _short_name(name, tool_names),
            "arguments": orjson.dumps(arguments or {}).decode(),
        },
    }


# --- tools and output ----------------------------------------------------------------------


def _short_name(name: str, tool_names: dict[str, str]) -> str:
    """Return a name that OpenAI's API takes, the same one for the same tool every time."""
    if len(name) <= _MAX_TOOL_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    short = f"{name[: _MAX_TOOL_NAME - 9]}_{digest}"
    tool_names[short] = name
    return short


def _add_tools(body: Json, chat: Json, tool_names: dict[str, str]) -> None:
    tools: list[Json] = []
    names: set[str] = set()
    for index, tool in enumerate(_list(body, "tools", "")):
        path = f"tools.{index}"
        if not isinstance(tool, dict):
            raise invalid_request(path, "Input should be an object")
        schema = _object(tool, "input_schema", path)
        known = None
        if schema is None and tool.get("type") not in (None, "custom"):
            known = client_tools.as_function(tool)
            if known is None:
                # Run by Anthropic's servers: no other model's API can offer it.
                names.add(str(tool.get("name") or tool.get("type")))
                continue
        name = _text(tool, "name", path, non_empty=True)
        names.add(name)
        function: Json = {"name": _short_name(name, tool_names)}
        if known is not None:
            function["description"], function["parameters"] = known
        elif schema is None:
            raise invalid_request(f"{path}.input_schema", "Field required")
        else:
            # OpenAI's API refuses objects that do not name their properties.
            required = {
                "type": schema.get("type", "object"),
                "properties": schema.get("properties") or {},
            }
            function["parameters"] = schema | required
            if tool.get("description") is not None:
                function["description"] = _text(tool, "description", path)
        tools.append({"type": "function", "function": function})
    choice = _object(body, "tool_choice", "")
    kind = _text(choice, "type", "tool_choice") if choice else None
    if kind not in (None, "auto", "any", "tool", "none"):
        raise invalid_request("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")
    wanted = _text(choice, "name", "tool_choice") if choice and kind == "tool" else None
    if wanted is not None and wanted not in names:
        raise invalid_request("tool_choice.name", "no tool of this name is in `tools`")
    if not tools:
        return
    chat["tools"] = tools
    if choice is None:
        return
    if wanted is not None:
        short = _short_name(wanted, tool_names)
        if any(tool["function"]["name"] == short for tool in tools):
            chat["tool_choice"] = {"type": "function", "function": {"name": short}}
    else:
        chat["tool_choice"] = "required" if kind == "any" else kind
    if _boolean(choice, "disable_parallel_tool_use", "tool_choice"):
        chat["parallel_tool_calls"] = False


def _add_output_format(body: Json, chat: Json) -> None:
    config = _object(body, "output_config", "") or {}
    path = "output_config.format"
    output = _object(config, "format", "output_config")
    if output is None:
        path = "output_format"
        output = _object(body, "output_format", "")
    if output is None:
        return
    if output.get("type") != "json_schema":
        raise invalid_request(f"{path}.type", "Input should be 'json_schema'")
    schema = _object(output, "schema", path)
    if schema is None:
        raise invalid_request(f"{path}.schema", "Field required")
    chat["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": schema},
    }


def _add_reasoning(body: Json, chat: Json, settings: Settings) -> bool:
    """Ask for reasoning where the model takes it; return whether the client is to see it."""
    thinking = _object(body, "thinking", "") or {}
    kind = thinking.get("type", "disabled")
    if not isinstance(kind, str):
        raise invalid_request("thinking.type", "Input should be a valid string")
    effort: str | None = None
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if type(budget) is not int or budget < 1:
            raise invalid_request(
                "thinking.budget_tokens", "Input should be a whole number of at least 1"
            )
        effort = "low" if budget < _LOW_BUDGET else "medium"
        if budget >= _MEDIUM_BUDGET:
            effort = "high"
    config = _object(body, "output_config", "") or {}
    if config.get("effort") is not None:
        named = _text(config, "effort", "output_config")
        if named not in _EFFORTS:
            raise invalid_request(
                "output_config.effort", f"Input should be one of {', '.join(_EFFORTS)}"
            )
        effort = effort or _EFFORTS[named]
    if effort and settings.accepts_reasoning_effort(chat["model"]):
        chat["reasoning_effort"] = effort
    if settings.show_reasoning != "auto":
        return settings.show_reasoning == "always"
    return kind != "disabled" and thinking.get("display") != "omitted"
