"""The official SDK talks to the proxy, JSON and streamed."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from aiohttp import web
from conftest import RunningProxy, StartProxy
from stand_in import StandIn, chunk, completion, failure, stream, usage_chunk, wire

HI: list[Any] = [{"role": "user", "content": "Hi"}]


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


@pytest.mark.row("`reasoning_content`, `reasoning`")
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


async def test_a_call_cut_by_the_output_limit_is_left_out(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """The stop reason tells why."""
    call = {"id": "c", "function": {"name": "Read", "arguments": '{"a": '}}
    upstream.script = completion("x", tool_calls=[call], finish="length")

    message = await _ask(proxy, streamed=False)

    assert [block.type for block in message.content] == ["text"]
    assert message.stop_reason == "max_tokens"


# --- errors ---


async def test_the_upstream_key_is_blanked_in_every_message(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Whatever the upstream repeats."""
    upstream.script = failure(400, f"bad header Bearer {upstream.key}")

    _, _, error = await proxy.post({"model": "big", "max_tokens": 5, "messages": HI})

    assert error["error"]["message"] == "bad header Bearer ***"


@pytest.mark.parametrize(
    "message",
    [
        "messages[5].content must be a string",
        "Invalid content type. image_url is only supported by certain models.",
        "big is not a multimodal model",
    ],
)
async def test_a_refused_image_is_told_in_words_that_claude_code_knows(
    proxy: RunningProxy, upstream: StandIn, message: str
) -> None:
    """It takes the image out of the conversation, which would be stuck with it."""
    upstream.script = failure(400, message)

    with pytest.raises(anthropic.BadRequestError, match="Could not process image: "):
        await _ask(proxy, streamed=True)


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


@pytest.mark.row("broken off, malformed, or with an error in it")
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


@pytest.mark.row("broken off, malformed, or with an error in it")
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


@pytest.mark.row("broken off, malformed, or with an error in it")
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


@pytest.mark.row("its start")
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


@pytest.mark.row("silence")
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


@pytest.mark.row("a client that leaves it")
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
