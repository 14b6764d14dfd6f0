"""Many requests and many streams: nothing is lost and nothing piles up."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from command import Command, running_command
from stand_in import StandIn, chunk, completion, stream, usage_chunk, wire

MEBIBYTE = 1024 * 1024
WARM, ALL = 2_000, 10_000
STREAMS = 500
PIECES = 400
END = '{"type":"message_stop"}'


@asynccontextmanager
async def loaded(upstream: StandIn) -> AsyncIterator[tuple[Command, aiohttp.ClientSession]]:
    """Run the command with its log read, and a client without a limit of connections."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        running_command(upstream) as command,
        aiohttp.ClientSession(connector=connector) as http,
        asyncio.TaskGroup() as group,
    ):
        reader = group.create_task(command.read_log())
        yield command, http
        reader.cancel()


async def test_memory_stays_flat_over_ten_thousand_requests(upstream: StandIn) -> None:
    """Whole and streamed ones in turn, 16 at a time."""
    whole = completion("Hello " * 200)
    streamed = stream(
        wire(*(chunk(content="Hello ") for _ in range(20)), chunk("stop"), usage_chunk())
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        # What the stand-in notes of each request would grow in its place.
        is_stream = upstream.asked.pop().get("stream")
        upstream.headers.clear()
        upstream.paths.clear()
        return await (streamed if is_stream else whole)(request)

    upstream.script = answer

    async def ask(command: Command, http: aiohttp.ClientSession, numbers: itertools.count) -> None:
        while (number := next(numbers)) < ALL:
            async with command.post(http, streamed=number % 2 == 0) as reply:
                text = await reply.text()
            assert reply.status == 200
            assert END in text or '"stop_reason":"end_turn"' in text
            resident[number] = command.resident() if number in (WARM, ALL - 1) else 0

    resident: dict[int, int] = {}
    async with loaded(upstream) as (command, http):
        numbers = itertools.count()
        await asyncio.gather(*[ask(command, http, numbers) for _ in range(16)])

    assert len(resident) == ALL
    # Measured: 24 KiB. A leak of one kilobyte a request would be 8.
    assert resident[ALL - 1] - resident[WARM] < 2 * MEBIBYTE


async def test_five_hundred_streams_at_once(upstream: StandIn) -> None:
    """All open together, all complete, and afterwards nothing of them is held."""
    release = asyncio.Event()
    upstream.script = stream(
        wire(chunk(content="a"), done=False), release, wire(chunk(content="b"), chunk("stop"))
    )
    async with loaded(upstream) as (command, http):
        async with http.get(f"{command.url}/health") as reply:
            await reply.read()
        before, idle = command.descriptors(), command.resident()
        replies = await asyncio.gather(*[command.post(http, streamed=True) for _ in range(STREAMS)])
        for reply in replies:
            await reply.content.readuntil(b"content_block_delta")
        grown = command.resident() - idle
        release.set()
        texts = await asyncio.gather(*[reply.text() for reply in replies])
        await http.close()
        # The pool of connections to the upstream empties by itself, in about half a minute.
        for _ in range(120):
            if command.descriptors() <= before:
                break
            await asyncio.sleep(0.5)
        after = command.descriptors()

    assert [reply.status for reply in replies] == [200] * STREAMS
    assert all(text.rstrip().endswith(END) for text in texts)
    # Measured: 38 KiB a stream.
    assert grown < STREAMS * 128 * 1024
    assert after <= before


async def test_a_client_that_reads_nothing_costs_no_memory(upstream: StandIn) -> None:
    """The upstream would send 40 MB; it is held up instead."""
    piece = wire(chunk(content="x" * 100_000), done=False)
    sent = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(PIECES):
            await response.write(piece)
            sent += 1
        return response

    upstream.script = pour
    async with loaded(upstream) as (command, http):
        async with command.post(http, streamed=True) as reply:
            idle, before = command.resident(), -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.5)
            grown = command.resident() - idle
        assert reply.status == 200

    assert 0 < sent < PIECES
    # Measured: 4 MiB.
    assert grown < 8 * MEBIBYTE
