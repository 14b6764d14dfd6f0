"""Checks a chat request the way Groq does, before anything is answered."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo_upstream.catalog import Model
from demo_upstream.errors import bad_request, context_length_exceeded, model_not_found

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PARAMETERS = frozenset(
    """citation_options compound_custom disable_tool_validation documents exclude_domains
    frequency_penalty function_call functions include_domains include_reasoning logit_bias logprobs
    max_completion_tokens max_tokens messages metadata model n parallel_tool_calls presence_penalty
    reasoning_effort reasoning_format response_format search_settings seed service_tier stop store
    stream stream_options temperature tool_choice tools top_logprobs top_p user""".split()
)
_MESSAGE_PROPERTIES = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {
        "role",
        "content",
        "name",
        "tool_calls",
        "function_call",
        "reasoning",
        "executed_tools",
    },
    "tool": {"role", "content", "name", "tool_call_id"},
    "function": {"role", "content", "name"},
}
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """A chat request that passed every check."""

    model: Model
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    tool_choice: str
    forced_tool: str | None
    parallel_tool_calls: bool
    max_completion_tokens: int
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool
    include_reasoning: bool
    response_schema: dict[str, Any] | None
    prompt_tokens: int


def parse_chat_request(body: Any, models: Mapping[str, Model]) -> ChatRequest:
    """Return the request in `body`.

    Raises:
        ApiError: what Groq would answer instead of a completion.
    """
    if not isinstance(body, dict):
        raise bad_request("request body must be a JSON object")
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise bad_request("'model' : property 'model' is missing", param="model")
    if name not in models:
        raise model_not_found(name)
    model = models[name]
    if model.strict:
        for key in body:
            if key not in _PARAMETERS:
                raise bad_request(f"property '{key}' is unsupported", param=key)
    messages = _messages(body, model)
    tools = _tools(body)
    tool_choice, forced_tool = _tool_choice(body, tools)
    limit = _limit(body, model)
    prompt_tokens = count_prompt_tokens(messages, tools)
    if prompt_tokens > model.context_window:
        raise context_length_exceeded()
    if body.get("n") not in (None, 1):
        raise bad_request("'n' : number must be at most 1", param="n")
    if not model.reasons and model.strict:
        for key in ("reasoning_effort", "reasoning_format", "include_reasoning"):
            if body.get(key) is not None:
                raise bad_request(f"`{key}` is not supported with this model", param=key)
    options = body.get("stream_options") or {}
    if options and not body.get("stream"):
        raise bad_request(
            "'stream_options' : only allowed when 'stream' is true", param="stream_options"
        )
    stop = body.get("stop") or ()
    return ChatRequest(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=tool_choice,
        forced_tool=forced_tool,
        parallel_tool_calls=body.get("parallel_tool_calls") is not False,
        max_completion_tokens=limit,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        include_reasoning=body.get("include_reasoning") is not False
        and body.get("reasoning_format") != "hidden",
        response_schema=_response_schema(body),
        prompt_tokens=prompt_tokens,
    )


def text_of(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return ""


def count_prompt_tokens(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> int:
    """Return an estimate of what the prompt costs, in tokens; the same prompt costs the same."""
    characters = sum(
        len(text_of(message.get("content"))) + len(str(message.get("tool_calls") or ""))
        for message in messages
    ) + sum(len(str(tool)) for tool in tools)
    return math.ceil(characters / _CHARACTERS_PER_TOKEN) + 4 * len(messages)


def _messages(body: dict[str, Any], model: Model) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if messages is None:
        raise bad_request("'messages' : property 'messages' is missing", param="messages")
    if not isinstance(messages, list):
        raise bad_request("'messages' : value must be an array", param="messages")
    if not messages:
        raise bad_request("'messages' : minimum number of items is 1", param="messages")
    called: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        if not isinstance(message, dict):
            raise bad_request(f"'{where}' : value must be an object", param="messages")
        role = message.get("role")
        if role not in _ROLES:
            raise bad_request(
                f"'{where}' : discriminator property 'role' has invalid value", param="messages"
            )
        _check_message(message, role, where, model)
        if role == "assistant":
            called.update(str(call.get("id")) for call in message.get("tool_calls") or [])
        if role == "tool" and message["tool_call_id"] not in called:
            raise bad_request(
                f"'{where}' : for 'role:tool' there must be a preceding message with "
                f"'tool_calls' that has the id '{message['tool_call_id']}'",
                param="messages",
            )
    return messages


def _check_message(message: dict[str, Any], role: str, where: str, model: Model) -> None:
    content = message.get("content")
    for key in message:
        if model.strict and key not in _MESSAGE_PROPERTIES[role]:
            raise _unfit(where, role, key, f"property '{key}' is unsupported")
    if role == "tool" and not message.get("tool_call_id"):
        raise _unfit(where, role, "tool_call_id", "property 'tool_call_id' is missing")
    if content is None and not (role == "assistant" and message.get("tool_calls")):
        raise _unfit(where, role, "content", "property 'content' is missing")
    if content is not None and not isinstance(content, str | list):
        raise _unfit(where, role, "content", "value must be a string or an array")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "image_url" and not model.sees_images:
            raise bad_request(f"messages[{where.split('.')[1]}].content must be a string")
        if kind not in ("text", "image_url"):
            raise _unfit(where, role, f"content.{number}.type", "value is not one of the known")
        if model.strict and isinstance(part, dict) and "cache_control" in part:
            raise _unfit(
                where, role, f"content.{number}", "property 'cache_control' is unsupported"
            )


def _unfit(where: str, role: str, key: str, what: str) -> Exception:
    reason = f"[('{where}.{key}' : {what})]"
    return bad_request(
        f"'{where}' : for 'role:{role}' the following must be satisfied{reason}",
        param="messages",
    )


def _tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise bad_request("'tools' : value must be an array", param="tools")
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type") != "function":
            raise bad_request(f"'tools.{index}.type' : value must be 'function'", param="tools")
        if not isinstance(function.get("name"), str) or not function["name"]:
            raise bad_request(f"'tools.{index}.function.name' : is missing", param="tools")
    if len(tools) > 128:
        raise bad_request("'tools' : maximum number of items is 128", param="tools")
    return tools


def _tool_choice(body: dict[str, Any], tools: list[dict[str, Any]]) -> tuple[str, str | None]:
    choice = body.get("tool_choice")
    if choice is None:
        return ("auto" if tools else "none"), None
    if isinstance(choice, str) and choice in ("none", "auto", "required"):
        if choice == "required" and not tools:
            raise bad_request("Tool choice is required, but no tools were given", param="tools")
        return choice, None
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = (choice.get("function") or {}).get("name")
        if name in {tool["function"]["name"] for tool in tools}:
            return "required", name
        raise bad_request(
            f"Tool choice is '{name}', which is not among the tools of this request",
            param="tool_choice",
        )
    raise bad_request(
        "'tool_choice' : value must be one of [none auto required] or an object that names a "
        "function",
        param="tool_choice",
    )


def _limit(body: dict[str, Any], model: Model) -> int:
    for key in ("max_completion_tokens", "max_tokens"):
        limit = body.get(key)
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise bad_request(f"'{key}' : value must be an integer of at least 1", param=key)
        if limit > model.max_completion_tokens:
            raise bad_request(
                f"`{key}` must be less than or equal to `{model.max_completion_tokens}`, the "
                f"maximum value for `{key}` is less than the `context_window` for this model",
                param=key,
            )
        return limit
    return model.max_completion_tokens


def _response_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") in (None, "text"):
        return None
    if wanted["type"] == "json_object":
        return {
            "type": "object",
            "properties": {"answer": {"type": "string"}},
            "required": ["answer"],
        }
    if wanted["type"] == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        if isinstance(schema, dict):
            return schema
    raise bad_request(
        "'response_format' : value must have a type of [text json_object json_schema]",
        param="response_format",
    )
