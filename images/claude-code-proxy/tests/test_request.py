"""Messages requests become Chat Completions requests."""

from __future__ import annotations

from typing import Any

import pytest

from claude_code_proxy.errors import ApiError
from claude_code_proxy.request import ChatRequest, translate
from claude_code_proxy.settings import Settings

SETTINGS = Settings(upstream_url="http://upstream/v1", upstream_key="none")
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
TOOL = {"name": "Read", "description": "Reads", "input_schema": {"type": "object"}}


def _translate(
    upstream_model: str = "m", settings: Settings = SETTINGS, **changes: Any
) -> ChatRequest:
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    } | changes
    return translate({k: v for k, v in body.items() if v is not ...}, upstream_model, settings)


def _messages(*messages: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = _translate(messages=list(messages), **changes).body["messages"]
    return result


def _user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def _assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _use(call_id: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "Read", "input": arguments}


def _result(call_id: str, content: Any = ..., **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, **more}
    return block if content is ... else block | {"content": content}


# --- system and plain messages ---


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Be brief.", "Be brief."),
        ([_text("Be"), _text("brief") | {"cache_control": {"type": "ephemeral"}}], "Be\n\nbrief"),
        ([_text("x-anthropic-billing-header: cc_version=1; cch=2;"), _text("Be")], "Be"),
    ],
)
def test_the_system_prompt_comes_first(system: Any, expected: str) -> None:
    """As a string or as blocks; Claude Code's accounting line is left out."""
    assert _messages({"role": "user", "content": "Hi"}, system=system) == [
        {"role": "system", "content": expected},
        {"role": "user", "content": "Hi"},
    ]


def test_system_messages_keep_their_place() -> None:
    """Claude Code sends reminders as `role: system` between the turns."""
    messages = _messages(
        {"role": "user", "content": "a"},
        {"role": "system", "content": "note"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": [_text("more")]},
        {"role": "user", "content": "c"},
    )

    assert [(m["role"], m["content"]) for m in messages] == [
        ("user", "a"),
        ("system", "note"),
        ("assistant", "b"),
        ("system", "more"),
        ("user", "c"),
    ]


def test_text_blocks_become_one_text() -> None:
    """Plain text is sent as a string, which every upstream takes."""
    assert _messages(_user(_text("a"), _text("b")))[0]["content"] == "a\n\nb"


def test_images_and_text_keep_their_order() -> None:
    """Inline images become data URLs, others keep their URL."""
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}

    assert _messages(_user(_text("a"), PNG, _text("b"), url))[0]["content"] == [
        _text("a"),
        PNG_PART,
        _text("b"),
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_documents_become_text_or_files() -> None:
    """Text documents are text; a PDF is a file part, which the upstream may refuse."""

    def document(**source: Any) -> dict[str, Any]:
        return {"type": "document", "title": "T", "source": source}

    text = document(type="text", media_type="text/plain", data="body")
    nested = document(type="content", content=[_text("in"), PNG])
    pdf = document(type="base64", media_type="application/pdf", data="JVBERg==")

    assert _messages(_user(text))[0]["content"] == "T\n\nbody"
    assert _messages(_user(nested))[0]["content"] == [_text("T"), _text("in"), PNG_PART]
    assert _messages(_user(pdf))[0]["content"] == [
        {
            "type": "file",
            "file": {"filename": "T", "file_data": "data:application/pdf;base64,JVBERg=="},
        }
    ]


def test_thinking_in_the_history_is_left_out() -> None:
    """It is signed for Anthropic's servers and means nothing to others."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "x"}

    assert _messages(
        _user(_text("a")), _assistant(thinking), _assistant(redacted, _text("b")), _user(_text("c"))
    ) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]


def test_blocks_of_server_tools_stay_readable() -> None:
    """A history that began at Anthropic keeps what other models can read of it."""
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"type": "web_search_result", "title": "Found", "encrypted_content": "zzz"}],
    }

    content = _messages(_user(_text("a")), _assistant(found))[1]["content"]

    assert "Found" in content
    assert "zzz" not in content


# --- tools in the history ---


def test_a_tool_round_trip_keeps_everything() -> None:
    """Text beside the calls, the calls, their results and the user's text beside these."""
    messages = _messages(
        _user(_text("go")),
        _assistant(_text("Reading."), _use("1", path="a"), _use("2")),
        _user(
            _text("before"),
            _result("1", "A"),
            _result("2", [_text("B"), _text("C")]),
            _text("after"),
        ),
    )

    assert messages[1:] == [
        {
            "role": "assistant",
            "content": "Reading.",
            "tool_calls": [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": "Read", "arguments": '{"path":"a"}'},
                },
                {"id": "2", "type": "function", "function": {"name": "Read", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "A"},
        {"role": "tool", "tool_call_id": "2", "content": "B\n\nC"},
        {"role": "user", "content": "before\n\nafter"},
    ]


def test_calls_without_text_have_no_content() -> None:
    """Null, not an empty string, which some upstreams refuse."""
    assert _messages(_user(_text("a")), _assistant(_use("1")))[1]["content"] is None


def test_nothing_comes_between_a_call_and_its_results() -> None:
    """OpenAI's API refuses it; what stands there moves behind the last result."""
    messages = _messages(
        _user(_text("go")),
        _assistant(_use("1"), _use("2")),
        {"role": "system", "content": "note"},
        _user(_result("1", "A"), _text("text")),
        _user(_result("2", "B")),
        _assistant(_text("done")),
    )

    assert [message["role"] for message in messages] == [
        "user", "assistant", "tool", "tool", "system", "user", "assistant",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (_result("1"), "(no output)"),
        (_result("1", ""), "(no output)"),
        (_result("1", []), "(no output)"),
        (_result("1", "boom", is_error=True), "Error: boom"),
        (_result("1", "Error: boom", is_error=True), "Error: boom"),
        (_result("1", is_error=True), "Error: (no output)"),
        (_result("1", [{"type": "tool_reference", "tool_name": "X"}]), "Tool: X"),
        (
            _result(
                "1",
                [{"type": "search_result", "title": "T", "source": "S", "content": [_text("c")]}],
            ),
            "T\nS\nc",
        ),
    ],
)
def test_results_of_every_shape_become_text(result: dict[str, Any], expected: str) -> None:
    """Missing, empty, failed and structured results all answer their call."""
    assert _messages(_user(_text("a")), _assistant(_use("1")), _user(result))[2] == {
        "role": "tool",
        "tool_call_id": "1",
        "content": expected,
    }


def test_an_image_in_a_result_follows_in_a_user_message() -> None:
    """Tool messages hold only text; the image names the call that it belongs to."""
    messages = _messages(
        _user(_text("a")), _assistant(_use("1")), _user(_result("1", [PNG]), _text("see?"))
    )

    assert messages[2]["content"] == "(the result is attached below)"
    assert messages[3]["content"] == [
        _text("Attached to the result of tool call 1:"),
        PNG_PART,
        _text("see?"),
    ]


# --- tools, choices, parameters ---


def test_tools_become_functions_and_server_tools_are_dropped() -> None:
    """What Anthropic's servers run, no other model's API can offer."""
    chat = _translate(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}]).body

    assert chat["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "Read",
                "description": "Reads",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "Read"},
            {"tool_choice": {"type": "function", "function": {"name": "Read"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_each_tool_choice_has_a_counterpart(choice: Any, expected: dict[str, Any]) -> None:
    """Also the wish for one call at a time."""
    chat = _translate(tools=[TOOL], tool_choice=choice).body

    assert {k: chat[k] for k in ("tool_choice", "parallel_tool_calls") if k in chat} == expected


def test_a_choice_of_a_dropped_tool_is_dropped_with_it() -> None:
    """Claude Code forces `web_search` that way; the model then answers in words."""
    chat = _translate(
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "tool", "name": "web_search"},
    ).body

    assert not {"tools", "tool_choice"} & chat.keys()


def test_a_long_tool_name_is_shortened_the_same_everywhere() -> None:
    """OpenAI's limit is 64 characters; MCP tools exceed it."""
    name = "mcp__" + "x" * 90
    chat = _translate(
        tools=[TOOL | {"name": name}],
        tool_choice={"type": "tool", "name": name},
        messages=[
            _user(_text("a")),
            _assistant({"type": "tool_use", "id": "1", "name": name, "input": {}}),
        ],
    )
    short = chat.body["tools"][0]["function"]["name"]

    assert len(short) == 64
    assert chat.body["tool_choice"]["function"]["name"] == short
    assert chat.body["messages"][1]["tool_calls"][0]["function"]["name"] == short
    assert chat.tool_names == {short: name}


def test_parameters_are_passed_on() -> None:
    """What has a counterpart is sent, what has none is tolerated."""
    chat = _translate(
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop_sequences=["END"],
        metadata={"user_id": "u1"},
        service_tier="auto",
        context_management={"edits": []},
        some_future_field={"x": 1},
        stream=True,
    ).body

    assert {key: value for key, value in chat.items() if key != "messages"} == {
        "model": "m",
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "user": "u1",
    }


def test_a_long_user_id_is_hashed() -> None:
    """Claude Code's is longer than OpenAI takes; equal ids stay equal."""
    users = [_translate(metadata={"user_id": "x" * 200}).body["user"] for _ in range(2)]

    assert len(users[0]) == 64
    assert users[0] == users[1]


@pytest.mark.parametrize(
    ("asked", "limits", "expected"),
    [
        (32_000, {}, 32_000),
        (32_000, {"max_tokens": 4_096}, 4_096),
        (1, {"min_tokens": 100}, 100),
        (32_000, {"model_max_tokens": {"m": 8_192}}, 8_192),
        (32_000, {"model_max_tokens": {"other": 8_192}}, 32_000),
    ],
)
def test_max_tokens_is_clamped(asked: int, limits: dict[str, Any], expected: int) -> None:
    """By the general limits and by the model's own."""
    settings = Settings(upstream_url="http://u", upstream_key="k", **limits)

    assert _translate(max_tokens=asked, settings=settings).body["max_tokens"] == expected


@pytest.mark.parametrize("model", ["gpt-5-mini", "o3", "openai/o4-mini"])
def test_openais_reasoning_models_get_their_own_limit_field(model: str) -> None:
    """They refuse `max_tokens`."""
    chat = _translate(upstream_model=model).body

    assert chat["max_completion_tokens"] == 100
    assert "max_tokens" not in chat


@pytest.mark.parametrize(
    ("request_fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4_096}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16_384}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({}, None),
    ],
)
def test_thinking_becomes_reasoning_effort(request_fields: Any, effort: str | None) -> None:
    """By the budget or by the named effort, only for models that are known to take it."""
    assert (
        _translate(upstream_model="groq-gpt-oss-20b", **request_fields).body.get("reasoning_effort")
        == effort
    )
    assert "reasoning_effort" not in _translate(upstream_model="llama", **request_fields).body


@pytest.mark.parametrize(
    ("show", "thinking", "shown"),
    [
        ("auto", None, False),
        ("auto", {"type": "disabled"}, False),
        ("auto", {"type": "adaptive"}, True),
        ("auto", {"type": "adaptive", "display": "omitted"}, False),
        ("always", None, True),
        ("never", {"type": "adaptive"}, False),
    ],
)
def test_reasoning_is_shown_to_who_asked(show: str, thinking: Any, shown: bool) -> None:
    """Unless the operator decided for all."""
    settings = Settings(upstream_url="http://u", upstream_key="k", show_reasoning=show)

    assert _translate(settings=settings, thinking=thinking).wants_thinking is shown


@pytest.mark.parametrize("field", ["output_format", "output_config"])
def test_an_output_schema_is_passed_on(field: str) -> None:
    """Under its present and its former name."""
    output = {"type": "json_schema", "schema": {"type": "object"}}
    value = output if field == "output_format" else {"format": output}

    assert _translate(**{field: value}).body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": {"type": "object"}},
    }


# --- refusals ---


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"model": ...}, "model"),
        ({"model": ""}, "model"),
        ({"max_tokens": ...}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": ...}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [7]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [_user()]}, "messages"),
        ({"messages": [_user(7)]}, "messages.0.content.0"),
        ({"messages": [_user({"text": "x"})]}, "messages.0.content.0.type"),
        ({"messages": [_user(_text("a"), {"type": "video"})]}, "messages.0.content.1.type"),
        ({"messages": [_user({"type": "text"})]}, "messages.0.content.0.text"),
        ({"messages": [_user(_use("1"))]}, "messages.0.content.0.type"),
        ({"messages": [_assistant(_result("1"))]}, "messages.0.content.0.type"),
        ({"messages": [_assistant(PNG)]}, "messages.0.content.0.type"),
        ({"messages": [_user({"type": "image"})]}, "messages.0.content.0.source"),
        (
            {"messages": [_user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
            "messages.0.content.0.source.type",
        ),
        (
            {"messages": [_user({"type": "document", "source": {"type": "url", "url": "u"}})]},
            "messages.0.content.0.source.type",
        ),
        ({"messages": [_user({"type": "tool_result"})]}, "messages.0.content.0.tool_use_id"),
        ({"messages": [_user(_result("1", 7))]}, "messages.0.content.0.content"),
        (
            {"messages": [_user(_result("1", [{"type": "x"}]))]},
            "messages.0.content.0.content.0.type",
        ),
        ({"messages": [_assistant(_use("1") | {"input": "x"})]}, "messages.0.content.0.input"),
        ({"system": 7}, "system"),
        ({"system": [_text("a"), PNG]}, "system.1.type"),
        ({"tools": {}}, "tools"),
        ({"tools": [TOOL | {"name": ""}]}, "tools.0.name"),
        ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "all"}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": "x"}, "top_p"),
        ({"stop_sequences": [""]}, "stop_sequences.0"),
        ({"stop_sequences": ["a", "b", "c", "d", "e"]}, "stop_sequences"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "extreme"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], path: str) -> None:
    """The message begins with the field's path."""
    with pytest.raises(ApiError) as caught:
        _translate(**changes)

    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"
    assert caught.value.message.split(":")[0] == path
