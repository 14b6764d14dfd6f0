"""The load generator as a process beside a deployment."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from bench.machine import go_command
from tests.load.records import Record, read_records

SOURCE = Path(__file__).parent / "generator"
# The demo upstream's pace, which a long stream's length is counted in.
CHUNK_MILLISECONDS = 100
MODELS = ("claude-opus-5", "claude-sonnet-5", "claude-haiku-5")


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent.

    Attributes:
        rate: requests a second.
        kinds: shares of json, stream, long and tokens (which LiteLLM has no part in).
        models: asked for in equal shares.
        marker: what each message asks of the demo upstream.
        longest: seconds of the longest long stream.
        shortest: seconds of the shortest one.
    """

    rate: float = 12.0
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {"json": 68.5, "stream": 30.0, "long": 1.5}
    )
    models: Sequence[str] = MODELS
    marker: str = ""
    shortest: int = 30
    longest: int = 120

    def on_the_edge(self) -> Load:
        """Add three times as many requests that cost little behind the edge, to test it harder."""
        light = 3 * sum(self.kinds.values())
        return replace(self, rate=4 * self.rate, kinds={**self.kinds, "tokens": light})


def build(directory: Path) -> Path:
    """Compile the generator and return its path."""
    program = directory / "generator"
    command = [go_command(), "build", "-o", str(program), "."]
    environment = {**os.environ, "GOFLAGS": "-mod=readonly"}
    subprocess.run(command, cwd=SOURCE, env=environment, check=True)
    return program


@dataclass
class Generator:
    """A running generator.

    Attributes:
        process: it ends by itself after *seconds*.
        load: what it sends.
        file: where it writes its records.
        log: where it writes what went wrong with itself.
        began: when it was started, in seconds since 1970.
    """

    process: subprocess.Popen[bytes]
    load: Load
    file: Path
    log: IO[bytes]
    began: float

    @classmethod
    def start(
        cls,
        program: Path,
        directory: Path,
        load: Load,
        *,
        url: str,
        roots: str,
        tokens: Mapping[str, str],
        seconds: int,
    ) -> Generator:
        """Send *load* to *url* as the clients of *tokens*, for at most *seconds*."""
        run = f"load-{secrets.token_hex(4)}"
        authorities = directory / f"{run}.pem"
        authorities.write_text(roots)
        command = [str(program), "-url", url, "-ca", str(authorities), "-run", run]
        command += ["-output", str(directory / f"{run}.jsonl")]
        command += ["-rate", str(load.rate), "-for", f"{seconds}s"]
        command += ["-count", str(int(load.rate * seconds) + 1)]
        command += ["-kinds", _mix(load.kinds), "-models", ",".join(load.models)]
        command += ["-marker", load.marker, "-chunk", f"{CHUNK_MILLISECONDS}ms"]
        command += ["-shortest", f"{load.shortest}s", "-longest", f"{load.longest}s"]
        log = (directory / f"{run}.log").open("wb")
        began = time.time()
        process = subprocess.Popen(
            command,
            env={**os.environ, "LOAD_TOKENS": json.dumps(dict(tokens))},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # The keyboard's interrupt ends the runner, which then ends this one in order.
            start_new_session=True,
        )
        return cls(
            process=process,
            load=load,
            file=directory / f"{run}.jsonl",
            log=log,
            began=began,
        )

    def records(self) -> list[Record]:
        """Return what ended so far."""
        return read_records(self.file)

    def await_ended(self, before: float) -> list[Record]:
        """Wait until every request that was due *before* a time has ended; return all so far.

        Raises:
            AssertionError: the generator itself failed, or a request never ended.
        """
        expected = int((before - self.began - 1) * self.load.rate)
        deadline = time.time() + self.load.longest + 90
        while time.time() < deadline:
            records = self.records()
            ended = {int(record.id.rsplit("-", 1)[1]) for record in records}
            if ended.issuperset(range(expected)):
                return records
            if self.process.poll() is not None:
                break
            time.sleep(0.5)
        raise AssertionError(
            f"requests that were due have no end: {sorted(set(range(expected)) - ended)[:10]} "
            f"{Path(self.log.name).read_text()}"
        )

    def finish(self) -> None:
        """Start no more requests; open ones go on."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def stop(self) -> list[Record]:
        """Start no more requests, let open ones finish, and return all records."""
        self.finish()
        self.process.wait(timeout=self.load.longest + 240)
        self.log.close()
        assert self.process.returncode == 0, Path(self.log.name).read_text()
        return self.records()


def _mix(shares: Mapping[str, float]) -> str:
    return ",".join(f"{name}={weight}" for name, weight in shares.items())
