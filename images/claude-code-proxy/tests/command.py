"""The installed command as a process."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp

SOURCE = Path(__file__).parents[1] / "src"
COMMAND = (sys.executable, "-m", "claude_code_proxy")


class Endpoint(Protocol):
    """An upstream that answers at `url` to whoever shows `key`."""

    url: str
    key: str


class Command:
    """A running proxy process that answers at `url`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, key: str) -> None:
        self.process = process
        self.url = url
        self.key = key

    def post(self, http: aiohttp.ClientSession, *, streamed: bool) -> Any:
        """Send a request with a valid key."""
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": "big", "max_tokens": 5, "messages": messages, "stream": streamed}
        headers = {"x-api-key": self.key}
        return http.post(self.url + "/v1/messages", json=body, headers=headers)

    async def wait_for(self, event: str) -> dict[str, Any]:
        """Read the log up to an event."""
        assert self.process.stdout is not None
        while True:
            line: dict[str, Any] = json.loads(await self.process.stdout.readline())
            if line["event"] == event:
                return line

    async def read_log(self) -> None:
        """Read the log until it ends, so that the process never waits for a reader."""
        assert self.process.stdout is not None
        while await self.process.stdout.read(65536):
            pass

    def resident(self) -> int:
        """Return the bytes of memory that the process holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Return the number of its open files and sockets."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def environment(**changes: str) -> dict[str, str]:
    """Return what the command needs to be found, and `changes`."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | changes


@asynccontextmanager
async def running_command(upstream: Endpoint, **changes: str) -> AsyncIterator[Command]:
    """Run the command in front of an upstream until the block ends."""
    key = "key-" + secrets.token_hex(16)
    defaults = {
        "OPENAI_API_KEY": upstream.key,
        "OPENAI_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": key,
        "BIG_MODEL": "big",
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    environ = environment(**defaults | changes)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environ, stdout=asyncio.subprocess.PIPE
    )
    command = Command(process, "", key)
    try:
        command.url = f"http://127.0.0.1:{(await command.wait_for('listening'))['port']}"
        yield command
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
