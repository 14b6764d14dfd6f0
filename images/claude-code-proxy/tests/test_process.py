"""The installed command as a process: start, refusal, drain."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from pathlib import Path

import aiohttp
import pytest
from command import COMMAND, Command, environment, running_command
from stand_in import StandIn, chunk, stream, wire


async def _run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=environment(**environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("option", ["--help", "--version"])
async def test_help_needs_no_environment(option: str) -> None:
    """And explains the variables."""
    code, out, _ = await _run(option)

    assert code == 0
    assert ("OPENAI_BASE_URL" if option == "--help" else "claude-code-proxy ") in out


async def test_a_wrong_variable_stops_the_start_with_one_line() -> None:
    """On standard error, with an exit code of its own."""
    key = secrets.token_hex(16)
    code, out, err = await _run(OPENAI_API_KEY=key, ANTHROPIC_API_KEY=key, PORT="none")

    assert (code, out) == (2, "")
    assert err == "claude-code-proxy: PORT is not a whole number: set 0 to 65535\n"


async def test_a_port_in_use_stops_the_start_with_one_line(upstream: StandIn) -> None:
    """It names the variables to change."""
    key = secrets.token_hex(16)
    port = upstream.url.split(":")[2].split("/")[0]
    code, _, err = await _run(
        OPENAI_API_KEY=key, ANTHROPIC_API_KEY=key, PORT=port, HOST="127.0.0.1"
    )

    assert code == 2
    assert err.startswith("claude-code-proxy: HOST, PORT")
    assert err.count("\n") == 1


async def test_an_idle_server_stops_at_once(upstream: StandIn) -> None:
    """A client's open keep-alive connection does not hold it up."""
    async with running_command(upstream) as command, aiohttp.ClientSession() as http:
        async with http.get(command.url + "/health") as reply:
            await reply.read()
        command.process.send_signal(signal.SIGTERM)

        # Far below GRACEFUL_SHUTDOWN_TIMEOUT, whose default is 600 s.
        assert await asyncio.wait_for(command.process.wait(), 30) == 0


async def test_open_requests_are_finished_after_sigterm(upstream: StandIn) -> None:
    """Streams and plain answers run to their end while new connections are refused."""
    release = asyncio.Event()
    upstream.script = stream(
        wire(chunk(content="a"), done=False), release, wire(chunk(content="b"), chunk("stop"))
    )
    count = 50
    async with running_command(upstream) as command, aiohttp.ClientSession() as http:
        replies = await asyncio.gather(*[command.post(http, streamed=True) for _ in range(count)])
        for reply in replies:
            await reply.content.readuntil(b"content_block_delta")
        command.process.send_signal(signal.SIGTERM)
        await command.wait_for("draining")
        async with aiohttp.ClientSession() as other:
            with pytest.raises(aiohttp.ClientConnectorError):
                await command.post(other, streamed=True)
        release.set()
        texts = await asyncio.gather(*[reply.text() for reply in replies])
        code = await asyncio.wait_for(command.process.wait(), 30)

    assert all(text.rstrip().endswith('{"type":"message_stop"}') for text in texts)
    assert len(texts) == count
    assert code == 0


async def test_the_drain_has_an_end(upstream: StandIn) -> None:
    """After GRACEFUL_SHUTDOWN_TIMEOUT what is still open is cut, upstream too."""
    upstream.script = stream(wire(chunk(content="a"), done=False), asyncio.Event())
    async with (
        running_command(upstream, GRACEFUL_SHUTDOWN_TIMEOUT="0.2") as command,
        aiohttp.ClientSession() as http,
    ):
        reply = await command.post(http, streamed=True)
        await reply.content.readuntil(b"content_block_delta")
        command.process.send_signal(signal.SIGTERM)
        stopped = await command.wait_for("stopped")
        code = await asyncio.wait_for(command.process.wait(), 30)
        await asyncio.wait_for(upstream.cancelled.wait(), 30)

    assert stopped["finished"] is False
    assert code == 0


async def _metric(command: Command, http: aiohttp.ClientSession, name: str) -> float:
    headers = {"x-api-key": command.key}
    async with http.get(command.url + "/metrics", headers=headers) as reply:
        text = await reply.text()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_workers_share_the_port_and_add_up_their_metrics(upstream: StandIn) -> None:
    """Whichever of them is asked."""
    async with running_command(upstream, WORKERS="3") as command:
        for _ in range(2):
            await command.wait_for("listening")
        for _ in range(20):
            # A connection of its own for each, so that every worker may get some.
            async with aiohttp.ClientSession() as http, command.post(http, streamed=False) as reply:
                assert reply.status == 200
        async with aiohttp.ClientSession() as http:
            counted = await _metric(command, http, "claude_code_proxy_requests_total")
        command.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(command.process.wait(), 30)

    assert counted == 20
    assert code == 0


async def test_a_worker_that_dies_is_replaced(upstream: StandIn) -> None:
    """And its death is logged."""
    async with running_command(upstream, WORKERS="2") as command:
        await command.wait_for("listening")
        victim = _children(command.process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        died = await command.wait_for("worker_died")
        await command.wait_for("listening")
        alive = _children(command.process.pid)
        async with aiohttp.ClientSession() as http, command.post(http, streamed=False) as reply:
            assert reply.status == 200

    assert (died["worker"], died["code"]) == (victim, -signal.SIGKILL)
    assert len(alive) == 2
    assert victim not in alive


async def test_workers_drain_too(upstream: StandIn) -> None:
    """A stream in each of them runs to its end; the signal reaches all."""
    release = asyncio.Event()
    upstream.script = stream(
        wire(chunk(content="a"), done=False), release, wire(chunk(content="b"), chunk("stop"))
    )
    async with running_command(upstream, WORKERS="2") as command, aiohttp.ClientSession() as http:
        await command.wait_for("listening")
        replies = await asyncio.gather(*[command.post(http, streamed=True) for _ in range(8)])
        for reply in replies:
            await reply.content.readuntil(b"content_block_delta")
        command.process.send_signal(signal.SIGTERM)
        for _ in range(2):
            await command.wait_for("draining")
        async with aiohttp.ClientSession() as other:
            with pytest.raises(aiohttp.ClientConnectorError):
                await command.post(other, streamed=True)
        release.set()
        texts = await asyncio.gather(*[reply.text() for reply in replies])
        code = await asyncio.wait_for(command.process.wait(), 30)

    assert all(text.rstrip().endswith('{"type":"message_stop"}') for text in texts)
    assert code == 0


async def test_workers_do_not_outlive_their_parent(upstream: StandIn) -> None:
    """However it went: the port is free again."""
    async with running_command(upstream, WORKERS="2") as command:
        await command.wait_for("listening")
        command.process.kill()
        await command.process.wait()
        for _ in range(2):
            await command.wait_for("stopped")
