"""Each row of the README's tables of answers and errors, by the official SDK."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import pytest
from aiohttp import web
from conftest import RunningProxy, StartProxy
from stand_in import Script, StandIn, chunk, completion, failure, stream, tool_chunk, wire
from table import HI, MODES, answer, ask

Json = dict[str, Any]

TEXT = "`content`, `refusal`"
CALLS = "`tool_calls`"
STOP = "`stop`, `tool_calls`"
OTHER_STOPS = "`length`, `content_filter`"
USAGE_ROW = "`usage`"
TOOLS: list[Json] = [{"name": "Read", "input_schema": {"type": "object"}}]


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def use(call: str, **arguments: Any) -> Json:
    return {"type": "tool_use", "id": call, "name": "Read", "input": arguments}


def thinking(value: str) -> Json:
    return {"type": "thinking", "thinking": value, "signature": ""}


def case(row: str, name: str, script: Script, *content: Json, **more: Any) -> Any:
    """Return an upstream's script and what the client gets of it."""
    return pytest.param(script, list(content), more, id=name, marks=pytest.mark.row(row))


def called(*arguments: str, **more: Any) -> Script:
    calls = tuple((f"c{index}", "Read", raw) for index, raw in enumerate(arguments))
    return answer(None, calls=calls, **more)


REASONING = "`reasoning_content`, `reasoning`"
NO_CACHE = {"prompt_tokens": 20, "completion_tokens": 7}
CASES = [
    case(REASONING, "groq", answer("Yes", reasoning="Hm"), thinking("Hm"), text("Yes")),
    case(REASONING, "deepseek", answer("Yes", reasoning_content="Hm"), thinking("Hm"), text("Yes")),
    case(TEXT, "text", answer("Hello"), text("Hello")),
    case(TEXT, "blank", answer("\n ", calls=(("c", "Read", "{}"),)), use("c")),
    case(TEXT, "nothing", answer(None)),
    case(TEXT, "refusal", answer(None, refusal="No."), text("No."), stop_reason="refusal"),
    case(
        CALLS,
        "several",
        answer("Look", calls=(("a", "Read", '{"p": 1}'), ("b", "Read", '{"p": 2}'))),
        text("Look"),
        use("a", p=1),
        use("b", p=2),
    ),
    case(CALLS, "empty arguments", called(""), use("c0")),
    case(CALLS, "null arguments", called("null"), use("c0")),
    case(STOP, "end", answer("a"), text("a"), stop_reason="end_turn"),
    case(STOP, "calls that end in stop", called("{}"), use("c0"), stop_reason="tool_use"),
    case(STOP, "calls", called("{}", finish="tool_calls"), use("c0"), stop_reason="tool_use"),
    case(STOP, "no calls", answer("a", finish="tool_calls"), text("a"), stop_reason="end_turn"),
    case(
        STOP,
        "stop sequence",
        answer("a", extra={"stop_reason": "END"}),
        text("a"),
        stop_reason="stop_sequence",
        stop_sequence="END",
    ),
    case(OTHER_STOPS, "length", answer("a", finish="length"), text("a"), stop_reason="max_tokens"),
    case(
        OTHER_STOPS,
        "filter",
        answer("a", finish="content_filter"),
        text("a"),
        stop_reason="refusal",
    ),
    case(USAGE_ROW, "cached", answer("a"), text("a"), usage=(12, 8, 7)),
    case(USAGE_ROW, "not cached", answer("a", usage=NO_CACHE), text("a"), usage=(20, 0, 7)),
]


@MODES
@pytest.mark.parametrize(("script", "content", "more"), CASES)
async def test_a_row_of_answers(
    proxy: RunningProxy,
    upstream: StandIn,
    script: Script,
    content: list[Json],
    more: Json,
    streamed: bool,
) -> None:
    """What the upstream answers comes back as the table says."""
    upstream.script = script

    message = await ask(
        proxy,
        streamed,
        tools=TOOLS,
        stop_sequences=["END"],
        thinking={"type": "adaptive"},
    )

    assert [block.to_dict() for block in message.content] == content
    usage = message.usage
    got = {
        "stop_reason": message.stop_reason,
        "stop_sequence": message.stop_sequence,
        "usage": (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
    }
    assert {name: got[name] for name in more} == more


@pytest.mark.row(USAGE_ROW)
@MODES
async def test_missing_usage_is_estimated(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """Zeros would keep Claude Code from compacting."""
    upstream.script = answer("Hello there, this is it", usage=None)

    usage = (await ask(proxy, streamed, system="word " * 500)).usage

    assert 400 < usage.input_tokens < 700
    assert 3 < usage.output_tokens < 20


@pytest.mark.row(CALLS)
@MODES
@pytest.mark.parametrize("arguments", ["[1]", '{"a": '])
async def test_arguments_that_are_no_object_are_an_error(
    proxy: RunningProxy, upstream: StandIn, arguments: str, streamed: bool
) -> None:
    """A tool must not run on half of its input."""
    upstream.script = called(arguments, finish="tool_calls")

    with pytest.raises(anthropic.APIStatusError, match="not a JSON object") as caught:
        await ask(proxy, streamed, tools=TOOLS)

    assert caught.value.type == "api_error"


@pytest.mark.row(CALLS)
async def test_arguments_arrive_piece_by_piece_and_calls_one_after_the_other(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """A piece is passed on before the next one is there; a later call waits for the open one."""
    more = asyncio.Event()
    upstream.script = stream(
        wire(
            tool_chunk(0, '{"a"', id="a", name="Read"),
            tool_chunk(1, '{"b": 2}', id="b", name="Read"),
            done=False,
        ),
        more,
        wire(tool_chunk(0, ": 1}"), chunk("tool_calls")),
    )
    events = await proxy.client.messages.create(
        model="big",
        max_tokens=5,
        messages=HI,
        stream=True,  # type: ignore[arg-type]
    )
    seen: list[tuple[int, str]] = []
    async for event in events:
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            seen.append((event.index, event.delta.partial_json))
            more.set()

    assert seen == [(0, '{"a"'), (0, ": 1}"), (1, '{"b": 2}')]


@pytest.mark.row("its end")
async def test_a_stream_is_the_messages_apis_byte_for_byte(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Each event by its name, in the documented order, and nothing else."""
    upstream.script = answer("Hi", calls=(("c", "Read", "{}"),), finish="tool_calls")
    body = {"model": "m", "max_tokens": 5, "messages": HI, "stream": True}
    headers = {"x-api-key": proxy.key}
    async with proxy.http.post(proxy.url + "/v1/messages", json=body, headers=headers) as reply:
        raw = await reply.text()

    events = [block.splitlines() for block in raw.removesuffix("\n\n").split("\n\n")]
    assert reply.content_type == "text/event-stream"
    assert [len(lines) for lines in events] == [2] * len(events)
    data = [json.loads(line.removeprefix("data: ")) for _, line in events]
    assert [name for name, _ in events] == [f"event: {event['type']}" for event in data]
    assert data[0]["message"].pop("id").startswith("msg_")
    block, usage = "content_block", {"input_tokens": 12, "output_tokens": 7}
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 8}
    deltas = [
        {"type": "text_delta", "text": "H"},
        {"type": "text_delta", "text": "i"},
        {"type": "input_json_delta", "partial_json": "{"},
        {"type": "input_json_delta", "partial_json": "}"},
    ]
    assert data == [
        {
            "type": "message_start",
            "message": {
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": dict.fromkeys([*usage, *cache], 0),
            },
        },
        {"type": f"{block}_start", "index": 0, block: text("")},
        {"type": f"{block}_delta", "index": 0, "delta": deltas[0]},
        {"type": f"{block}_delta", "index": 0, "delta": deltas[1]},
        {"type": f"{block}_stop", "index": 0},
        {"type": f"{block}_start", "index": 1, block: use("c")},
        {"type": f"{block}_delta", "index": 1, "delta": deltas[2]},
        {"type": f"{block}_delta", "index": 1, "delta": deltas[3]},
        {"type": f"{block}_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": usage | cache,
        },
        {"type": "message_stop"},
    ]


# --- errors ---

NOT_UNDERSTOOD = "not reachable, not understood (also a stream where JSON was asked for)"
OPERATORS_KEY = "401"
REFUSALS = "402, 403, 404, 413, 429"
MEANT = [
    ("400, 422, other 4xx", 400, 400, "invalid_request_error"),
    ("400, 422, other 4xx", 409, 400, "invalid_request_error"),
    ("400, 422, other 4xx", 422, 400, "invalid_request_error"),
    (OPERATORS_KEY, 401, 502, "api_error"),
    (REFUSALS, 402, 402, "billing_error"),
    (REFUSALS, 403, 403, "permission_error"),
    (REFUSALS, 404, 404, "not_found_error"),
    (REFUSALS, 413, 413, "request_too_large"),
    (REFUSALS, 429, 429, "rate_limit_error"),
    ("408, 504, silence", 408, 504, "timeout_error"),
    ("408, 504, silence", 504, 504, "timeout_error"),
    ("503, 529", 503, 529, "overloaded_error"),
    ("503, 529", 529, 529, "overloaded_error"),
    ("other 5xx", 500, 500, "api_error"),
    ("other 5xx", 502, 502, "api_error"),
    (NOT_UNDERSTOOD, 302, 502, "api_error"),
]


@MODES
@pytest.mark.parametrize("shape", ["json", "html"])
@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [pytest.param(*case, id=str(case[0]), marks=pytest.mark.row(row)) for row, *case in MEANT],
)
async def test_a_row_of_errors(
    proxy: RunningProxy,
    upstream: StandIn,
    status: int,
    expected: int,
    kind: str,
    shape: str,
    streamed: bool,
) -> None:
    """As Anthropic's type and status, with the time to retry, whatever the body is."""
    headers = {"retry-after": "17"}

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", status=status, content_type="text/html", headers=headers)

    upstream.script = page if shape == "html" else failure(status, "because", headers)

    with pytest.raises(anthropic.APIStatusError) as caught:
        await ask(proxy, streamed)

    error = caught.value
    assert (error.status_code, error.type) == (expected, kind)
    assert error.response.headers["retry-after"] == "17"
    assert isinstance(error.body, dict)
    assert error.body["request_id"] == error.request_id
    assert "<html>" not in str(error.api_message)
    if shape == "json" and status not in (302, 401):
        assert "because" in str(error.api_message)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "17", "llm_provider-retry-after": "99"}, {"retry-after": "17"}),
        ({"llm_provider-retry-after": "99"}, {"retry-after": "99"}),
        ({"retry-after-ms": "1700"}, {"retry-after-ms": "1700"}),
        ({"x-other": "1"}, {}),
    ],
)
@MODES
async def test_the_time_to_retry_is_passed_on(
    proxy: RunningProxy, upstream: StandIn, headers: Json, expected: Json, streamed: bool
) -> None:
    """The SDKs and Claude Code wait for as long as the upstream says."""
    upstream.script = failure(429, "slow down", headers)

    with pytest.raises(anthropic.RateLimitError, match="slow down") as caught:
        await ask(proxy, streamed)

    got = caught.value.response.headers
    assert {name: got[name] for name in got if name.startswith(("retry", "llm", "x-o"))} == expected


@pytest.mark.row(OPERATORS_KEY)
@MODES
async def test_a_refused_key_is_the_operators(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """No retry, and no word of what the upstream says about the key."""
    upstream.script = failure(401, f"Incorrect API key provided: {upstream.key}")

    with pytest.raises(anthropic.APIStatusError, match="OPENAI_API_KEY") as caught:
        await ask(proxy, streamed)

    assert caught.value.response.headers["x-should-retry"] == "false"
    assert upstream.key not in caught.value.response.text


@pytest.mark.row("400, 422, other 4xx")
@MODES
@pytest.mark.parametrize(
    "error",
    [
        {"message": "Please reduce the length.", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 8192 tokens."},
    ],
)
async def test_a_full_context_is_told_in_words_that_claude_code_knows(
    proxy: RunningProxy, upstream: StandIn, error: Json, streamed: bool
) -> None:
    """It compacts its history when it reads them."""
    upstream.script = failure(400, **error)

    with pytest.raises(anthropic.BadRequestError) as caught:
        await ask(proxy, streamed)

    assert str(caught.value.api_message).startswith("prompt is too long: ")


@pytest.mark.row("400, 422, other 4xx")
@MODES
@pytest.mark.parametrize(
    "error",
    [
        {"message": "Failed to call a function.", "code": "tool_use_failed"},
        {"message": 'GroqException - {"error": {"code": "tool_use_failed"}}', "code": "400"},
    ],
    ids=["groq", "litellm"],
)
async def test_a_call_that_the_model_wrote_wrongly_can_be_tried_again(
    proxy: RunningProxy, upstream: StandIn, error: Json, streamed: bool
) -> None:
    """It is not the client's request that is wrong, and the SDKs do not repeat a 400."""
    upstream.script = failure(400, **error)

    with pytest.raises(anthropic.InternalServerError) as caught:
        await ask(proxy, streamed)

    assert (caught.value.status_code, caught.value.type) == (502, "api_error")


@pytest.mark.row("408, 504, silence")
@MODES
async def test_silence_is_a_timeout(
    start_proxy: StartProxy, upstream: StandIn, streamed: bool
) -> None:
    """Before the answer has begun, its status tells; after that an error event."""
    proxy = await start_proxy(request_timeout=0.2)
    begun = wire(chunk(content="x"), done=False)
    upstream.script = stream(begun, 30.0) if streamed else stream(30.0)

    with pytest.raises(anthropic.APIStatusError, match="REQUEST_TIMEOUT") as caught:
        await ask(proxy, streamed)

    assert caught.value.type == "timeout_error"
    assert caught.value.status_code == (200 if streamed else 504)


@pytest.mark.row(NOT_UNDERSTOOD)
@MODES
async def test_an_unreachable_upstream_is_a_bad_gateway(
    start_proxy: StartProxy, unused_tcp_port: int, streamed: bool
) -> None:
    """A refused connection."""
    proxy = await start_proxy(upstream_url=f"http://127.0.0.1:{unused_tcp_port}/v1")

    with pytest.raises(anthropic.APIStatusError) as caught:
        await ask(proxy, streamed)

    assert (caught.value.status_code, caught.value.type) == (502, "api_error")


@pytest.mark.row(NOT_UNDERSTOOD)
@MODES
@pytest.mark.parametrize(
    "body", ["{}", '{"choices": [{"delta": 7, "message": 7}]}', "[]", "{", "<html>"]
)
async def test_an_answer_that_is_no_completion_is_not_understood(
    proxy: RunningProxy, upstream: StandIn, body: str, streamed: bool
) -> None:
    """With status 200, and of the right content type."""
    if streamed:
        upstream.script = stream(f"data: {body}\n\n".encode())
    else:

        async def script(_: web.Request) -> web.Response:
            return web.Response(text=body, content_type="application/json")

        upstream.script = script

    with pytest.raises(anthropic.APIStatusError) as caught:
        await ask(proxy, streamed)

    assert caught.value.type == "api_error"
    assert caught.value.status_code == (200 if streamed else 502)


INSTEAD = "JSON where a stream was asked for"


@pytest.mark.row(INSTEAD)
async def test_json_in_place_of_a_stream_becomes_one(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Some upstreams do not stream certain models."""
    function = {"name": "Read", "arguments": "{}"}
    calls = [{"id": call, "type": "function", "function": function} for call in "ab"]
    upstream.script = completion("Look", tool_calls=calls)

    message = await ask(proxy, streamed=True, tools=TOOLS)

    assert [block.to_dict() for block in message.content] == [text("Look"), use("a"), use("b")]
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == 7


@pytest.mark.row(INSTEAD)
async def test_an_error_with_status_200_keeps_its_meaning(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """The stream is not begun for it, so the client gets a status."""
    upstream.script = failure(200, "slow down", code=429)

    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        await ask(proxy, streamed=True)


@pytest.mark.row(INSTEAD)
@pytest.mark.parametrize("body", ["{}", "[]", "{", '{"choices": [7]}', '{"choices": [{}]}'])
async def test_json_that_is_no_completion_is_no_stream(
    proxy: RunningProxy, upstream: StandIn, body: str
) -> None:
    """Told by the status, since nothing was sent."""

    async def script(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    upstream.script = script

    with pytest.raises(anthropic.APIStatusError, match="not a chat completion") as caught:
        await ask(proxy, streamed=True)

    assert caught.value.status_code == 502


@pytest.mark.row(NOT_UNDERSTOOD)
async def test_a_stream_in_place_of_json_is_not_understood(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Nobody asked for it."""
    upstream.script = stream(wire(chunk(content="a"), chunk("stop")))

    with pytest.raises(anthropic.APIStatusError) as caught:
        await ask(proxy, streamed=False)

    assert (caught.value.status_code, caught.value.type) == (502, "api_error")


@pytest.mark.parametrize("path", ["messages/batches", "files", "skills"])
async def test_what_is_not_served_is_not_found(proxy: RunningProxy, path: str) -> None:
    """In Anthropic's shape, which the SDK reads."""
    with pytest.raises(anthropic.NotFoundError) as caught:
        await proxy.client.post(f"/v1/{path}", cast_to=object, body={})

    assert caught.value.type == "not_found_error"
    assert json.loads(caught.value.response.text)["request_id"] == caught.value.request_id
