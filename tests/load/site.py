"""One deployed gateway under load, and what its operator has at hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.integration.deployment import Deployment, authority
from tests.load.generator import CHUNK_MILLISECONDS, Generator, Load, build
from tests.load.provider import Provider
from tests.load.records import Record

MODEL = "groq-llama-3.3-70b"


@dataclass
class Site:
    """A stack of its own with clients that never stop asking.

    Attributes:
        deployment: the stack.
        directory: scratch space, also for records.
        provider: one of its own, running beside the demo upstream.
        next_authority: certificate and key that may replace the stack's.
        program: the compiled generator.
        seconds: how long the load may last at most.
        generators: all that were started; the last one is at work.
    """

    deployment: Deployment
    directory: Path
    provider: Provider
    next_authority: tuple[str, str]
    program: Path
    seconds: int
    generators: list[Generator] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def deployed(cls, directory: Path, *, drain_seconds: int, seconds: int) -> Iterator[Site]:
        """Deploy the dev stack's configuration under another name; destroy it afterwards."""
        provider = Provider.named()
        configuration: dict[str, Any] = {
            "drainSeconds": drain_seconds,
            "demoChunkMilliseconds": CHUNK_MILLISECONDS,
            "providers": {"groq": {"apiBase": provider.api_base}},
        }
        other = directory / "next-authority"
        other.mkdir()
        site = cls(
            deployment=Deployment.create(directory, configuration),
            directory=directory,
            provider=provider,
            next_authority=authority(other),
            program=build(directory),
            seconds=seconds,
        )
        try:
            site.deployment.up()
            provider.start(site.deployment, directory)
            yield site
        finally:
            site.stop()
            provider.remove()
            # A deployment may have been interrupted.
            site.deployment.recover()
            site.deployment.destroy()

    def send(self, load: Load) -> None:
        """Put the gateway under *load*, instead of another one before."""
        if self.generators and self.generators[-1].load == load:
            return
        started = Generator.start(
            self.program,
            self.directory,
            load,
            url=self.deployment.url,
            # Clients know the next authority before it comes.
            roots=self.deployment.authority + self.next_authority[0],
            tokens={"alice": self.deployment.secrets["clientTokens.alice"]},
            seconds=self.seconds,
        )
        if self.generators:
            self.generators[-1].finish()
        self.generators.append(started)
        # Time for the first answers, so that the generation before a change is known.
        time.sleep(5)

    def records(self, before: float) -> list[Record]:
        """Return all records once every request that was due *before* a time has ended."""
        ended = [record for generator in self.generators[:-1] for record in generator.records()]
        return [*ended, *self.generators[-1].await_ended(before)]

    def stop(self) -> list[Record]:
        """End the load in order and return all records."""
        return [record for generator in self.generators for record in generator.stop()]

    def ask(
        self, client: str = "alice", model: str = MODEL, seconds: float = 60
    ) -> tuple[int, str]:
        """Return status and body of one request, 0 where nothing answers within the time."""
        body = {
            "model": model,
            "max_tokens": 200,
            "messages": [{"role": "user", "content": "Say hello."}],
        }
        with self.deployment.client(self.deployment.secrets[f"clientTokens.{client}"]) as http:
            try:
                answer = http.post("/v1/messages", json=body, timeout=seconds)
            except httpx2.TransportError as error:
                return 0, str(error)
        return answer.status_code, answer.text

    def await_answers(self, seconds: int, model: str = MODEL) -> None:
        """Wait until requests are answered again, five in a row.

        Raises:
            AssertionError: they were not, within the time.
        """
        deadline = time.time() + seconds
        answered = 0
        while answered < 5:
            status, body = self.ask(model=model, seconds=5)
            answered = answered + 1 if status == 200 else 0
            assert time.time() < deadline, f"not answering after {seconds} s: {status} {body}"
            time.sleep(0.2)
