"""Where a session plays: the real CLI with a home and a working directory of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from recorder.hop import Hop

_SECONDS_AT_MOST = 180


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One session's machine.

    Attributes:
        executable: The CLI.
        home: The user's home, which keeps the session.
        work: The directory that the user is in.
        key: What the proxy wants to be shown.
    """

    executable: str
    home: Path
    work: Path
    hop: Hop
    key: str

    async def ask(
        self,
        prompt: str,
        *arguments: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Run `claude -p` with further variables; its failures are part of a session."""
        piped = stdin is not None
        async with self._running(prompt, arguments, variables or {}, piped=piped) as process:
            await asyncio.wait_for(process.communicate(stdin), _SECONDS_AT_MOST)

    async def go_on(
        self, prompt: str, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> None:
        """Ask in the conversation that was the last."""
        await self.ask(prompt, "--continue", *arguments, variables=variables)

    async def interrupt(
        self, prompt: str, *arguments: str, when: Callable[[], Awaitable[object]]
    ) -> None:
        """Ask, and press Ctrl-C as soon as `when()` returns."""
        async with self._running(prompt, arguments, {}, piped=False) as process:
            await asyncio.wait_for(when(), _SECONDS_AT_MOST)
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.communicate(), _SECONDS_AT_MOST)

    @asynccontextmanager
    async def _running(
        self, prompt: str, arguments: tuple[str, ...], changes: Mapping[str, str], *, piped: bool
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the CLI; at the end of the block it is gone."""
        variables = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "ANTHROPIC_BASE_URL": self.hop.url,
            "ANTHROPIC_AUTH_TOKEN": self.key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        process = await asyncio.create_subprocess_exec(
            self.executable,
            "-p",
            *([prompt] if prompt else []),
            *arguments,
            cwd=self.work,
            env={**variables, **changes},
            stdin=asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # What a shell runs in the background ignores Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
