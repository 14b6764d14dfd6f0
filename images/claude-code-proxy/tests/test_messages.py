"""The official SDK talks to the proxy, JSON and streamed."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from aiohttp import web
from conftest import RunningProxy, StartProxy
from stand_in import StandIn, chunk, completion, failure, stream, tool_chunk, usage_chunk, wire

HI: list[Any] = [{"role": "user", "content": "Hi"}]
TOOLS: list[Any] = [{"name": "Read", "input_schema": {"type": "object"}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "Read", "arguments": '{"path": "a"}'}}


async def _ask(proxy: RunningProxy, *, streamed: bool, **changes: Any) -> anthropic.types.Message:
    request: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 50, "messages": HI}
    request |= changes
    if not streamed:
        return await proxy.client.messages.create(**request)
    async with proxy.client.messages.stream(**request) as events:
        return await events.get_final_message()


both = pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])


@both
async def test_the_sdk_reads_an_answer(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """Text, stop reason, usage and the model that was asked for."""
    if streamed:
        upstream.script = stream(
            wire(chunk(content="Hel"), chunk(content="lo"), chunk("stop"), usage_chunk())
        )

    message = await _ask(proxy, streamed=streamed)

    assert message.model == "claude-opus-4-8"
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "Hello"}]
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 12
    assert message.usage.cache_read_input_tokens == 8
    assert message.usage.output_tokens == 7
    assert message.id.startswith("msg_")
    assert upstream.last["model"] == "big"
    assert upstream.headers[-1]["authorization"] == f"Bearer {upstream.key}"


@both
async def test_the_sdk_reads_tool_calls(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """Text first, then each call with its input."""
    second = CALL | {"id": "c2", "function": {"name": "Read", "arguments": ""}}
    upstream.script = completion("Look", finish="tool_calls", tool_calls=[CALL, second])
    if streamed:
        upstream.script = stream(
            wire(
                chunk(content="Look"),
                tool_chunk(0, '{"path"', id="c1", name="Read"),
                tool_chunk(0, ': "a"}'),
                tool_chunk(1, "", id="c2", name="Read"),
                chunk("tool_calls"),
            )
        )

    message = await _ask(proxy, streamed=streamed, tools=TOOLS)

    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"path": "a"},
        {},
    ]
    assert message.stop_reason == "tool_use"


@both
async def test_the_sdk_reads_reasoning(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """As a thinking block before the text, where the client asked for thinking."""
    upstream.script = completion("Yes", reasoning="Hmm")
    if streamed:
        upstream.script = stream(wire(chunk(reasoning="Hmm"), chunk(content="Yes"), chunk("stop")))

    asked = await _ask(proxy, streamed=streamed, thinking={"type": "adaptive"})
    plain = await _ask(proxy, streamed=streamed)

    assert [block.type for block in asked.content] == ["thinking", "text"]
    assert [block.type for block in plain.content] == ["text"]


@both
async def test_a_long_tool_name_comes_back_whole(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """The upstream sees 64 characters, the client its own name."""
    name = "mcp__" + "x" * 100

    async def answer(request: web.Request) -> web.StreamResponse:
        short = (await request.json())["tools"][0]["function"]["name"]
        call = {"id": "c", "function": {"name": short, "arguments": "{}"}}
        if streamed:
            pieces = wire(tool_chunk(0, "{}", id="c", name=short), chunk("tool_calls"))
            return await stream(pieces)(request)
        return await completion(tool_calls=[call], finish="tool_calls")(request)

    upstream.script = answer

    message = await _ask(proxy, streamed=streamed, tools=[TOOLS[0] | {"name": name}])

    assert [block.name for block in message.content if block.type == "tool_use"] == [name]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"tool_calls": [{}]}}]},
        [],
    ],
)
async def test_an_answer_that_is_no_completion_is_a_bad_gateway(
    proxy: RunningProxy, upstream: StandIn, answer: Any
) -> None:
    """Nothing is made up for what is missing."""

    async def script(_: web.Request) -> web.Response:
        return web.json_response(answer)

    upstream.script = script

    with pytest.raises(anthropic.APIStatusError) as caught:
        await _ask(proxy, streamed=False)

    assert caught.value.status_code == 502


async def test_broken_arguments_are_a_bad_gateway(proxy: RunningProxy, upstream: StandIn) -> None:
    """A tool must not run on half of its input."""
    call = {"id": "c", "function": {"name": "Read", "arguments": '{"a": '}}
    upstream.script = completion(tool_calls=[call], finish="tool_calls")

    with pytest.raises(anthropic.APIStatusError, match="not a JSON object"):
        await _ask(proxy, streamed=False)


async def test_a_call_cut_by_the_output_limit_is_left_out(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """The stop reason tells why."""
    call = {"id": "c", "function": {"name": "Read", "arguments": '{"a": '}}
    upstream.script = completion("x", tool_calls=[call], finish="length")

    message = await _ask(proxy, streamed=False)

    assert [block.type for block in message.content] == ["text"]
    assert message.stop_reason == "max_tokens"


async def test_missing_usage_is_estimated(proxy: RunningProxy, upstream: StandIn) -> None:
    """Zeros would keep Claude Code from compacting."""
    upstream.script = completion("Hello there", usage=None)

    usage = (await _ask(proxy, streamed=False)).usage

    assert usage.input_tokens > 0
    assert usage.output_tokens > 0


# --- errors ---


@both
@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 502, "api_error"),
        (402, 402, "billing_error"),
        (403, 403, "permission_error"),
        (404, 404, "not_found_error"),
        (408, 504, "timeout_error"),
        (413, 413, "request_too_large"),
        (422, 400, "invalid_request_error"),
        (429, 429, "rate_limit_error"),
        (500, 500, "api_error"),
        (502, 502, "api_error"),
        (503, 529, "overloaded_error"),
        (504, 504, "timeout_error"),
        (302, 502, "api_error"),
    ],
)
async def test_an_upstream_error_keeps_its_meaning(
    proxy: RunningProxy, upstream: StandIn, streamed: bool, status: int, expected: int, kind: str
) -> None:
    """Also for streams, whose status is not sent before the upstream accepted."""
    upstream.script = failure(status, "because")

    body = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": HI, "stream": streamed}
    got, headers, error = await proxy.post(body)

    assert got == expected
    assert error["type"] == "error"
    assert error["error"]["type"] == kind
    assert error["request_id"] == headers["request-id"]


async def test_the_time_to_retry_is_passed_on(proxy: RunningProxy, upstream: StandIn) -> None:
    """The SDK and Claude Code wait for as long as the upstream says."""
    upstream.script = failure(429, "slow down", {"retry-after": "17"})

    with pytest.raises(anthropic.RateLimitError, match="slow down") as caught:
        await _ask(proxy, streamed=True)

    assert caught.value.response.headers["retry-after"] == "17"


async def test_a_refused_upstream_key_is_not_the_clients_fault(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """No 401, no retry, and no word of what the upstream says about the key."""
    upstream.script = failure(401, f"Incorrect API key provided: {upstream.key}")

    with pytest.raises(anthropic.APIStatusError, match="OPENAI_API_KEY") as caught:
        await _ask(proxy, streamed=False)

    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert upstream.key not in caught.value.response.text


async def test_the_upstream_key_is_blanked_in_every_message(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Whatever the upstream repeats."""
    upstream.script = failure(400, f"bad header Bearer {upstream.key}")

    _, _, error = await proxy.post({"model": "big", "max_tokens": 5, "messages": HI})

    assert error["error"]["message"] == "bad header Bearer ***"


async def test_a_full_context_is_told_in_words_that_claude_code_knows(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """It compacts its history when it reads them."""
    upstream.script = failure(400, "Please reduce the length.", code="context_length_exceeded")

    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        await _ask(proxy, streamed=False)


@both
async def test_a_silent_upstream_times_out(
    start_proxy: StartProxy, upstream: StandIn, streamed: bool
) -> None:
    """After REQUEST_TIMEOUT without a byte."""
    proxy = await start_proxy(request_timeout=0.2)
    upstream.script = (
        stream(30.0) if not streamed else stream(wire(chunk(content="x"), done=False), 30.0)
    )

    body = {"model": "big", "max_tokens": 5, "messages": HI, "stream": streamed}
    headers = {"x-api-key": proxy.key}
    async with proxy.http.post(proxy.url + "/v1/messages", json=body, headers=headers) as reply:
        text = await reply.text()

    assert reply.status == (200 if streamed else 504)
    assert "timeout_error" in text
    assert "message_stop" not in text


@both
async def test_an_unreachable_upstream_is_a_bad_gateway(
    start_proxy: StartProxy, unused_tcp_port: int, streamed: bool
) -> None:
    """A refused connection."""
    proxy = await start_proxy(upstream_url=f"http://127.0.0.1:{unused_tcp_port}/v1", max_retries=1)

    body = {"model": "claude-opus-4", "max_tokens": 5, "messages": HI, "stream": streamed}
    status, _, error = await proxy.post(body)

    assert (status, error["error"]["type"]) == (502, "api_error")


async def test_a_connection_that_breaks_before_the_answer_is_tried_again(
    start_proxy: StartProxy, upstream: StandIn
) -> None:
    """As a pooled connection that the upstream closed in that moment."""
    proxy = await start_proxy(max_retries=2)

    async def once(request: web.Request) -> web.StreamResponse:
        upstream.script = completion("Hello")
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    upstream.script = once

    message = await _ask(proxy, streamed=False)

    assert len(upstream.asked) == 2
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    "pieces",
    [
        wire(chunk(content="Hel"), done=False),
        wire(chunk(content="Hel")),
        wire(chunk(content="Hel"), b"data: {nonsense}\n\n"),
        wire(chunk(content="Hel"), b'data: {"choices"', done=False),
        b"<html>",
        b"",
    ],
)
async def test_a_broken_stream_ends_in_an_error_event(
    proxy: RunningProxy, upstream: StandIn, pieces: bytes
) -> None:
    """Never in something that looks like a whole answer."""
    upstream.script = stream(pieces)

    with pytest.raises(anthropic.APIError):
        await _ask(proxy, streamed=True)


async def test_a_connection_that_breaks_inside_the_stream_ends_in_an_error_event(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """The end of the body is missing, not only the end of the answer."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = await _begin(request, wire(chunk(content="Hel"), chunk("stop"), done=False))
        assert request.transport is not None
        request.transport.abort()
        return response

    upstream.script = cut

    with pytest.raises(anthropic.APIError, match=r"broke off|closed the connection"):
        await _ask(proxy, streamed=True)


async def test_an_error_inside_the_stream_becomes_an_error_event(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """With the upstream's kind, after what came before it."""
    error = {"error": {"message": "slow down", "code": 429}}
    upstream.script = stream(wire(chunk(content="Hel"), error))
    texts: list[str] = []

    async def read() -> None:
        async with proxy.client.messages.stream(model="big", max_tokens=5, messages=HI) as events:
            async for text in events.text_stream:
                texts.append(text)  # noqa: PERF401  (what came before the error counts)

    with pytest.raises(anthropic.APIStatusError, match="slow down"):
        await read()

    assert texts == ["Hel"]


# --- the life of a stream ---


async def _begin(request: web.Request, first: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(first)
    return response


async def test_the_stream_opens_before_the_first_word(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """As soon as the upstream accepted, and pieces are passed on one by one."""
    first, second = asyncio.Event(), asyncio.Event()
    upstream.script = stream(
        b": accepted\n\n",
        first,
        wire(chunk(content="a"), done=False),
        second,
        wire(chunk(content="b"), chunk("stop")),
    )
    events = await proxy.client.messages.create(model="big", max_tokens=5, messages=HI, stream=True)

    assert (await anext(events)).type == "message_start"
    first.set()
    assert (await anext(events)).type == "content_block_start"
    assert (await anext(events)).type == "content_block_delta"
    second.set()
    assert [event.type async for event in events][-1] == "message_stop"


async def test_a_silent_stream_is_pinged(start_proxy: StartProxy, upstream: StandIn) -> None:
    """So that nothing on the way takes it for dead."""
    proxy = await start_proxy(ping_interval=0.05)
    pinged = asyncio.Event()
    upstream.script = stream(
        wire(chunk(content="a"), done=False), pinged, wire(chunk(content="b"), chunk("stop"))
    )
    body = {"model": "big", "max_tokens": 5, "messages": HI, "stream": True}
    headers = {"x-api-key": proxy.key}
    seen: list[bytes] = []
    async with proxy.http.post(proxy.url + "/v1/messages", json=body, headers=headers) as reply:
        async for line in reply.content:
            if line.startswith(b"event: "):
                seen.append(line.split()[1])
            if seen.count(b"ping") == 2:
                pinged.set()

    assert seen[0] == b"message_start"
    assert seen.count(b"ping") >= 2
    assert seen[-1] == b"message_stop"


@both
async def test_a_client_that_leaves_stops_the_upstream(
    proxy: RunningProxy, upstream: StandIn, streamed: bool
) -> None:
    """Nobody pays for an answer that nobody reads."""
    arrived = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        arrived.set()
        if streamed:
            await _begin(request, wire(chunk(content="a"), done=False))
        await asyncio.Event().wait()
        return web.Response()

    upstream.script = wait
    task = asyncio.create_task(_ask(proxy, streamed=streamed))
    await arrived.wait()
    task.cancel()
    await asyncio.wait([task])

    await asyncio.wait_for(upstream.cancelled.wait(), 10)
    assert upstream.cancelled.is_set()


async def test_a_slow_reader_slows_the_upstream_down(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """What is not read is not piled up in memory."""
    sent = 0
    piece = wire(chunk(content="x" * 60_000), done=False)
    total = 600

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = await _begin(request, b"")
        for _ in range(total):
            await response.write(piece)
            sent += 1
        await response.write(wire(chunk("stop")))
        return response

    upstream.script = pour
    body = {"model": "big", "max_tokens": 5, "messages": HI, "stream": True}
    headers = {"x-api-key": proxy.key}
    async with proxy.http.post(proxy.url + "/v1/messages", json=body, headers=headers) as reply:
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        stalled_at = sent
        text = await reply.text()

    assert 0 < stalled_at < total, "the upstream was read on although nobody took the answer"
    assert text.count("x") >= 60_000 * total
    assert '"message_stop"' in text


async def test_connections_to_the_upstream_are_used_again(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """For answers and for streams."""
    ports: set[int] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        if (await request.json()).get("stream"):
            return await stream(wire(chunk(content="a"), chunk("stop")))(request)
        return await completion("a")(request)

    upstream.script = answer
    # The model list is fetched beside the first request and would take a connection of its own.
    await proxy.client.models.list()
    for streamed in (True, False, True, True, False):
        await _ask(proxy, streamed=streamed)

    assert len(ports) == 1
