"""Each row of the README's table of requests, by the official SDK, JSON and streamed."""

from __future__ import annotations

import hashlib
from typing import Any

import anthropic
import pytest
from conftest import RunningProxy, StartProxy
from stand_in import StandIn
from table import HI, MODES, answer, ask

Json = dict[str, Any]

PNG: Json = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "aA=="},
}
PNG_PART: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aA=="}}
PDF: Json = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
PDF_PART: Json = {"file_data": "data:application/pdf;base64,JVBERg=="}
SCHEMA: Json = {"type": "object", "properties": {"path": {"type": "string"}}}
READ: Json = {"name": "Read", "description": "Reads", "input_schema": SCHEMA}
READ_FUNCTION: Json = {"name": "Read", "description": "Reads", "parameters": SCHEMA}
WEB_SEARCH: Json = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
LONG = "mcp__" + "server__" * 12


def text(value: str, **more: Any) -> Json:
    return {"type": "text", "text": value, **more}


def user(*blocks: Any) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def use(call: str, name: str = "Read", **arguments: Any) -> Json:
    return {"type": "tool_use", "id": call, "name": name, "input": arguments}


def result(call: str, *content: Any, **more: Any) -> Json:
    block = {"type": "tool_result", "tool_use_id": call, **more}
    return block | {"content": content[0]} if content else block


def called(call: str, arguments: str = "{}") -> Json:
    function = {"name": "Read", "arguments": arguments}
    return {"id": call, "type": "function", "function": function}


def document(**source: Any) -> Json:
    return {"type": "document", "title": "T", "context": "C", "source": source}


def case(row: str, name: str, sent: Json, **arrives: Any) -> Any:
    """Return what the client sends, and what of it arrives; None stands for what must not."""
    return pytest.param(sent, arrives, id=name, marks=pytest.mark.row(row))


def says(*messages: Json) -> Json:
    return {"messages": list(messages)}


def after_a_call(*blocks: Any) -> Json:
    return says(user(text("go")), assistant(use("1")), user(*blocks))


def result_of(content: str, *more: Json) -> list[Json]:
    """Return what arrives of `after_a_call`: the result's text, and messages behind it."""
    return [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [called("1")]},
        {"role": "tool", "tool_call_id": "1", "content": content},
        *more,
    ]


def function(**fields: Any) -> Json:
    return {"type": "function", "function": fields}


RESULT = "`tool_result`"
CHOICE = "`tool_choice` auto, any, tool, none"
LEFT_OUT = "`top_k`, `cache_control`, `service_tier`, `strict`, beta headers, unknown fields"
NO_PLACE = "`mcp_servers`, `container`, `context_management`"
TWO = [{"role": "system", "content": "Be brief."}, *HI]

CASES = [
    case("`system`, string or blocks", "string", {"system": "Be brief."}, messages=TWO),
    case("`system`, string or blocks", "block", {"system": [text("Be brief.")]}, messages=TWO),
    case(
        "`system`, string or blocks",
        "accounting",
        {"system": [text("x-anthropic-billing-header: cch=1;"), text("Be brief.")]},
        messages=TWO,
    ),
    case(
        "`role: system` in `messages`",
        "reminder",
        says(*HI, {"role": "system", "content": [text("Note")]}, user(text("b"))),
        messages=[
            *HI,
            {"role": "system", "content": "Note"},
            {"role": "user", "content": "b"},
        ],
    ),
    case(
        "text blocks",
        "joined",
        says(user(text("a"), text(""), text("b"))),
        messages=[{"role": "user", "content": "a\n\nb"}],
    ),
    case(
        "text blocks",
        "beside an image",
        says(user(text("a"), PNG, text("b"))),
        messages=[user(text("a"), PNG_PART, text("b"))],
    ),
    case(
        "consecutive messages of one role",
        "two users",
        says(*HI, user(text("b")), assistant(text("c")), assistant(text("d")), *HI),
        messages=[
            *HI,
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": "d"},
            *HI,
        ],
    ),
    case(
        "an assistant message at the end",
        "prefill",
        says(*HI, {"role": "assistant", "content": "The answer is"}),
        messages=[*HI, {"role": "assistant", "content": "The answer is"}],
    ),
    case(
        "image, base64 or URL",
        "both",
        says(user(PNG, {"type": "image", "source": {"type": "url", "url": "https://e.org/a"}})),
        messages=[user(PNG_PART, {"type": "image_url", "image_url": {"url": "https://e.org/a"}})],
    ),
    case(
        "document: text, content",
        "text",
        says(user(document(type="text", media_type="text/plain", data="body"))),
        messages=[{"role": "user", "content": "T\n\nC\n\nbody"}],
    ),
    case(
        "document: text, content",
        "content",
        says(user(document(type="content", content=[text("body")]))),
        messages=[{"role": "user", "content": "T\n\nC\n\nbody"}],
    ),
    case(
        "document: base64 PDF",
        "pdf",
        says(user(document(**PDF))),
        messages=[user(text("C"), {"type": "file", "file": PDF_PART | {"filename": "T"}})],
    ),
    case(
        "`search_result`",
        "in a result",
        after_a_call(
            result(
                "1",
                [
                    {
                        "type": "search_result",
                        "title": "Found",
                        "source": "https://e.org",
                        "content": [text("words")],
                        "citations": {"enabled": True},
                    }
                ],
            )
        ),
        messages=result_of("Found\nhttps://e.org\nwords"),
    ),
    case(
        "`tool_use`",
        "beside text",
        says(*HI, assistant(text("Look"), use("1", path="a")), user(result("1", "A"))),
        messages=[
            *HI,
            {
                "role": "assistant",
                "content": "Look",
                "tool_calls": [called("1", '{"path":"a"}')],
            },
            {"role": "tool", "tool_call_id": "1", "content": "A"},
        ],
    ),
    case(
        RESULT,
        "several, with text beside them",
        says(
            *HI,
            assistant(use("1"), use("2")),
            user(text("before"), result("2", "B"), result("1", [text("A"), text("a")])),
            {"role": "system", "content": "note"},
        ),
        messages=[
            *HI,
            {"role": "assistant", "content": None, "tool_calls": [called("1"), called("2")]},
            {"role": "tool", "tool_call_id": "2", "content": "B"},
            {"role": "tool", "tool_call_id": "1", "content": "A\n\na"},
            {"role": "user", "content": "before"},
            {"role": "system", "content": "note"},
        ],
    ),
    case(
        "… `is_error`",
        "failed",
        after_a_call(result("1", "boom", is_error=True)),
        messages=result_of("Error: boom"),
    ),
    case(
        "… missing or empty content",
        "missing",
        after_a_call(result("1")),
        messages=result_of("(no output)"),
    ),
    case(
        "… missing or empty content",
        "empty",
        after_a_call(result("1", [])),
        messages=result_of("(no output)"),
    ),
    case(
        "… images, PDFs",
        "both",
        after_a_call(
            result("1", [text("seen"), PNG, {"type": "document", "source": PDF}]), text("and?")
        ),
        messages=result_of(
            "seen",
            user(
                text("Attached to the result of tool call 1:"),
                PNG_PART,
                {"type": "file", "file": PDF_PART | {"filename": "document.pdf"}},
                text("and?"),
            ),
        ),
    ),
    case(
        "`thinking`, `redacted_thinking` in the history",
        "both",
        says(
            *HI,
            assistant(
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                text("b"),
            ),
            *HI,
        ),
        messages=[*HI, {"role": "assistant", "content": "b"}, *HI],
    ),
    case(
        "blocks of Anthropic's server tools in the history",
        "search",
        says(
            *HI,
            assistant(
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "s",
                    "content": [{"title": "Found", "encrypted_content": "zzz"}],
                }
            ),
            *HI,
        ),
        messages=[
            *HI,
            {
                "role": "assistant",
                "content": '{"type":"web_search_tool_result","tool_use_id":"s",'
                '"content":[{"title":"Found"}]}',
            },
            *HI,
        ],
    ),
    case(
        "`tools` with `input_schema`",
        "function",
        {"tools": [READ]},
        tools=[function(**READ_FUNCTION)],
    ),
    case(
        "`tools` with `input_schema`",
        "without properties",
        {"tools": [{"name": "Now", "input_schema": {"type": "object"}}]},
        tools=[function(name="Now", parameters={"type": "object", "properties": {}})],
    ),
    case(
        "server tools (`web_search_…` and the like), toolsets",
        "dropped",
        {
            "tools": [WEB_SEARCH, {"type": "computer_toolset_20260801"}, READ],
            "tool_choice": {"type": "tool", "name": "web_search"},
        },
        tools=[function(**READ_FUNCTION)],
        tool_choice=None,
    ),
    case(
        "server tools (`web_search_…` and the like), toolsets",
        "nothing left",
        {"tools": [WEB_SEARCH], "tool_choice": {"type": "any"}},
        tools=None,
        tool_choice=None,
    ),
    *[
        case(CHOICE, choice["type"], {"tools": [READ], "tool_choice": choice}, tool_choice=arrives)
        for choice, arrives in (
            ({"type": "auto"}, "auto"),
            ({"type": "any"}, "required"),
            ({"type": "tool", "name": "Read"}, function(name="Read")),
            ({"type": "none"}, "none"),
        )
    ],
    case(
        "`disable_parallel_tool_use`",
        "one by one",
        {"tools": [READ], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        tool_choice="auto",
        parallel_tool_calls=False,
    ),
    case("`max_tokens`", "passed", {"max_tokens": 99}, max_tokens=99, max_completion_tokens=None),
    case("`max_tokens`", "clamped", {"max_tokens": 64_000}, max_tokens=32_000),
    case(
        "`max_tokens`", "of the model", {"max_tokens": 64_000, "model": "small"}, max_tokens=8_192
    ),
    case("`max_tokens`", "cache warming", {"max_tokens": 0}, max_tokens=1),
    case(
        "`max_tokens`",
        "reasoning model",
        {"model": "gpt-5-mini"},
        max_tokens=None,
        max_completion_tokens=50,
    ),
    case(
        "`temperature`, `top_p`",
        "passed",
        {"temperature": 0.5, "top_p": 0.9},
        temperature=0.5,
        top_p=0.9,
    ),
    case(
        "`temperature`, `top_p`",
        "reasoning model",
        {"model": "gpt-5-mini", "temperature": 0, "top_p": 0.9},
        temperature=None,
        top_p=None,
    ),
    case(
        "`stop_sequences`",
        "passed",
        {"stop_sequences": ["a", "b", "c", "d"]},
        stop=["a", "b", "c", "d"],
    ),
    case("`metadata.user_id`", "short", {"metadata": {"user_id": "u"}}, user="u"),
    case(
        "`metadata.user_id`",
        "long",
        {"metadata": {"user_id": "u" * 99}},
        user=hashlib.sha256(b"u" * 99).hexdigest(),
    ),
    *[
        case(
            "`thinking.budget_tokens`",
            f"{model} {budget}",
            {"model": model, "thinking": {"type": "enabled", "budget_tokens": budget}},
            reasoning_effort=effort,
            thinking=None,
        )
        for model, budget, effort in (
            ("groq-gpt-oss-20b", 4_095, "low"),
            ("groq-gpt-oss-20b", 4_096, "medium"),
            ("groq-gpt-oss-20b", 16_384, "high"),
            ("big", 16_384, None),
        )
    ],
    *[
        case(
            "`output_config.effort`",
            effort,
            {"model": "groq-gpt-oss-20b", "output_config": {"effort": effort}},
            reasoning_effort=arrives,
        )
        for effort, arrives in (("low", "low"), ("medium", "medium"), ("max", "high"))
    ],
    case(
        "`output_config.effort`",
        "beside a budget",
        {
            "model": "groq-gpt-oss-20b",
            "output_config": {"effort": "max"},
            "thinking": {"type": "enabled", "budget_tokens": 2_000},
        },
        reasoning_effort="low",
    ),
    *[
        case(
            "`output_config.format`, `output_format`",
            name,
            {name: {"format": form} if name == "output_config" else form},
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "response", "schema": SCHEMA},
            },
        )
        for name in ("output_config", "output_format")
        for form in [{"type": "json_schema", "schema": SCHEMA}]
    ],
    case(
        LEFT_OUT,
        "tolerated",
        {
            "top_k": 5,
            "service_tier": "auto",
            "speed": "fast",
            "some_future_field": {"a": 1},
            "cache_control": {"type": "ephemeral"},
            "system": [text("Be brief.", cache_control={"type": "ephemeral", "ttl": "1h"})],
            "tools": [READ | {"strict": True, "cache_control": {"type": "ephemeral"}}],
            "extra_headers": {"anthropic-beta": "a-2026-01-01,b"},
        },
        messages=TWO,
        tools=[function(**READ_FUNCTION)],
        top_k=None,
        service_tier=None,
        speed=None,
        some_future_field=None,
        cache_control=None,
    ),
    case(
        NO_PLACE,
        "left out",
        {
            "mcp_servers": [{"type": "url", "url": "https://e.org", "name": "m"}],
            "tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}],
            "container": {"id": "c"},
            "context_management": {"edits": []},
        },
        mcp_servers=None,
        tools=None,
        container=None,
        context_management=None,
    ),
]


@MODES
@pytest.mark.parametrize(("sent", "arrives"), CASES)
async def test_a_row_of_requests(
    start_proxy: StartProxy, upstream: StandIn, sent: Json, arrives: Json, streamed: bool
) -> None:
    """What the client sends arrives as the table says, and the answer comes back."""
    upstream.models.append("gpt-5-mini")
    upstream.script = answer("Hello")
    proxy = await start_proxy(max_tokens=32_000, model_max_tokens={"small": 8_192})

    message = await ask(proxy, streamed, **sent)

    assert {name: upstream.last.get(name) for name in arrives} == arrives
    assert upstream.last.get("stream", False) is streamed
    assert message.model == sent.get("model", "claude-opus-4-8")
    assert [block.to_dict() for block in message.content] == [text("Hello")]


FILE: Json = {"type": "file", "file_id": "f"}
REFUSED = [
    ("image, base64 or URL", says(user({"type": "image", "source": FILE})),
     "messages.0.content.0.source.type"),
    ("document: base64 PDF", says(user(document(**FILE))), "messages.0.content.0.source.type"),
    ("document: base64 PDF", says(user(document(type="url", url="https://e.org/a.pdf"))),
     "messages.0.content.0.source.type"),
    ("`stop_sequences`", {"stop_sequences": list("abcde")}, "stop_sequences"),
    (CHOICE, {"tools": [READ], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ("`max_tokens`", {"max_tokens": -1}, "max_tokens"),
    ("`temperature`, `top_p`", {"temperature": 1.5}, "temperature"),
]  # fmt: skip


@MODES
@pytest.mark.parametrize(
    ("sent", "path"),
    [
        pytest.param(sent, path, id=f"{path}-{number}", marks=pytest.mark.row(row))
        for number, (row, sent, path) in enumerate(REFUSED)
    ],
)
async def test_what_a_row_refuses(
    proxy: RunningProxy, upstream: StandIn, sent: Json, path: str, streamed: bool
) -> None:
    """By 400 with the field's path, before anything is sent on."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        await ask(proxy, streamed, **sent)

    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message is not None
    assert caught.value.api_message.startswith(f"{path}: ")
    assert upstream.asked == []


@pytest.mark.row("`tool_use`")
@MODES
async def test_a_long_tool_name_comes_back_whole(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """The upstream sees 64 characters, the same everywhere, and the client its own name."""
    digest = hashlib.sha256(LONG.encode()).hexdigest()[:8]
    short = f"{LONG[:55]}_{digest}"
    upstream.script = answer(None, calls=(("c", short, "{}"),), finish="tool_calls")

    message = await ask(
        proxy,
        streamed,
        messages=[*HI, assistant(use("1", LONG)), user(result("1", "A"))],
        tools=[READ | {"name": LONG}],
        tool_choice={"type": "tool", "name": LONG},
    )

    names = [
        upstream.last["tools"][0]["function"]["name"],
        upstream.last["tool_choice"]["function"]["name"],
        upstream.last["messages"][1]["tool_calls"][0]["function"]["name"],
    ]
    assert names == [short] * 3
    assert [block.to_dict() for block in message.content] == [use("c", LONG)]


@pytest.mark.row("client tools (`bash_…`, `text_editor_…`, `memory_…`, `computer_…`)")
@MODES
@pytest.mark.parametrize(
    ("kind", "name", "argument"),
    [
        ("bash_20250124", "bash", "command"),
        ("text_editor_20250728", "str_replace_based_edit_tool", "insert_text"),
        ("memory_20250818", "memory", "old_path"),
        ("computer_20250124", "computer", "coordinate"),
    ],
)
async def test_client_tools_are_functions(
    proxy: RunningProxy, upstream: StandIn, kind: str, name: str, argument: str, streamed: bool
) -> None:
    """With a description and a schema, and called like any other tool."""
    upstream.script = answer(None, calls=(("c", name, f'{{"{argument}": "x"}}'),))

    message = await ask(
        proxy,
        streamed,
        tools=[{"type": kind, "name": name, "display_width_px": 8, "display_height_px": 6}],
    )

    (tool,) = upstream.last["tools"]
    assert tool["function"]["name"] == name
    assert tool["function"]["description"]
    assert argument in tool["function"]["parameters"]["properties"]
    assert [block.to_dict() for block in message.content] == [use("c", name, **{argument: "x"})]
    assert message.stop_reason == "tool_use"


@pytest.mark.row("header `x-litellm-customer-id`")
@MODES
async def test_the_customers_name_is_passed_on(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """The only header of the client's that is: neither its key nor its betas are."""
    upstream.script = answer("Hello")
    customer = {"x-litellm-customer-id": "alice"}

    await ask(proxy, streamed, extra_headers={**customer, "x-other": "y", "anthropic-beta": "z"})

    sent = upstream.headers[-1]
    assert sent["x-litellm-customer-id"] == "alice"
    assert not {"x-other", "anthropic-beta", "anthropic-version", "x-api-key"} & {
        name.lower() for name in sent
    }
