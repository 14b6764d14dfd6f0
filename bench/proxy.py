"""What the Claude Code Proxy costs, beside a bare pass-through and LiteLLM's own route.

Every round visits every target, in an order of its own, so that what disturbs the machine disturbs
all of them. The target has one core, the upstream and the load have the other one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from claude_code_proxy.request import translate

from bench import machine
from bench.bodies import BURST, PACED, SETTINGS, as_chat, messages_request
from bench.targets import Target, litellm, pass_through, proxy

PIECES = 64
# Two lengths of paced streams, whose difference is what a piece costs. LiteLLM ends a stream with
# more than 100 equal pieces.
SHORT, LONG = 16, 80
MOST_ADDED, LEAST_RATE = 1.4, 0.7
MOST_MEMORY = 80
SATURATED = 0.95


@dataclass(frozen=True)
class Cell:
    """One kind of load."""

    connections: int
    kilotokens: int
    stream: bool = False
    model: str = BURST
    pieces: int = PIECES

    @property
    def title(self) -> str:
        """How the tables name it."""
        kind = "JSON"
        if self.stream:
            kind = f"{'paced' if self.model == PACED else 'streamed'} {self.pieces} pieces"
        return f"{kind}, {self.kilotokens}k tokens, {self.connections} at a time"

    def request(self) -> dict[str, Any]:
        """Return the Messages request."""
        return messages_request(
            self.kilotokens, stream=self.stream, model=self.model, pieces=self.pieces
        )


@dataclass(frozen=True)
class Sample:
    """One visit.

    Attributes:
        first, total: microseconds to the first and the last byte of each answer.
        seconds: how long the visit took.
        cpu: processor seconds of the target.
        load: processor seconds of the load and of the upstream, which share a core.
    """

    first: list[int]
    total: list[int]
    seconds: float
    cpu: float
    load: float

    @property
    def load_bound(self) -> bool:
        """Whether the load's core had no time left while the target's had."""
        return self.load / self.seconds >= SATURATED > self.cpu / self.seconds


FIGURES: dict[str, Callable[[Sample], float]] = {
    "p50": lambda sample: percentile(sample.total, 50) / 1000,
    "p99": lambda sample: percentile(sample.total, 99) / 1000,
    "first": lambda sample: percentile(sample.first, 50) / 1000,
    "first p99": lambda sample: percentile(sample.first, 99) / 1000,
    "rate": lambda sample: len(sample.total) / sample.seconds,
    "cpu": lambda sample: sample.cpu * 1000 / len(sample.total),
    "load_bound": lambda sample: sample.load_bound,
}


@dataclass
class Results:
    """All visits, by cell and target's name."""

    samples: dict[tuple[Cell, str], list[Sample]] = field(default_factory=dict)

    def median(self, cell: Cell, target: str, figure: str) -> float:
        """Return the median over the rounds: milliseconds, requests a second, or a truth value."""
        return statistics.median(FIGURES[figure](sample) for sample in self.samples[cell, target])

    def added(self, cell: Cell, target: str, figure: str) -> float:
        """Return the milliseconds that a target adds to the upstream's own."""
        return self.median(cell, target, figure) - self.median(cell, "upstream", figure)


def percentile(values: list[int], share: float) -> float:
    """Return the value that *share* per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def visit(
    load: Path, target: Target, upstream: int, payload: Path, cell: Cell, seconds: float
) -> Sample:
    """Send one kind of load to one target."""
    measured_pid = target.pid or upstream
    cpu, busy = machine.processor_seconds(measured_pid), _load_seconds(upstream)
    command = [str(load), "-url", target.url, "-body", str(payload)]
    command += ["-connections", str(cell.connections), "-duration", f"{seconds}s"]
    if target.authority is not None:
        command += ["-ca", str(target.authority)]
    finished = subprocess.run(
        command,
        env={**os.environ, "BENCH_KEY": target.key},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: machine.pin(machine.LOAD_CORE),
    )
    cpu, busy = machine.processor_seconds(measured_pid) - cpu, _load_seconds(upstream) - busy
    answers = json.loads(finished.stdout)
    if answers["errors"]:
        raise SystemExit(f"bench: {target.name}, {cell.title}: {answers['example']}")
    return Sample(answers["first"], answers["total"], answers["seconds"], cpu, busy)


def _load_seconds(upstream: int) -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return machine.processor_seconds(upstream) + ended.ru_utime + ended.ru_stime


def table(results: Results, cells: list[Cell], names: list[str]) -> list[str]:
    """Return the results as Markdown; times are what a target adds to the upstream's own."""
    lines = [
        "| load | target | added p50 ms | p99 | added to first byte p50 ms | p99"
        " | requests/s | CPU ms/request |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        for name in names:
            row = [cell.title, name]
            row += [
                f"{results.added(cell, name, figure):.2f}"
                for figure in ("p50", "p99", "first", "first p99")
            ]
            bound = "*" if results.median(cell, name, "load_bound") else ""
            row.append(f"{results.median(cell, name, 'rate'):.0f}{bound}")
            row.append(f"{results.median(cell, name, 'cpu'):.2f}")
            lines.append(f"| {' | '.join(row)} |")
    return [*lines, "", "\\* The load's own core was full: more would have been answered."]


def ratios(results: Results, cells: list[Cell]) -> list[str]:
    """Return how the proxy stands against the pass-through, and against the aims."""
    lines = [
        f"| load | added p50, aim {MOST_ADDED} at most | requests/s, aim {LEAST_RATE} at least"
        " | CPU/request |",
        "|---|---|---|---|",
    ]
    for cell in cells:
        cpu = results.median(cell, "proxy", "cpu") / results.median(cell, "pass-through", "cpu")
        row = [cell.title]
        if cell.connections == 1:
            ratio = results.added(cell, "proxy", "p50") / results.added(cell, "pass-through", "p50")
            row += [_judged(ratio, ratio <= MOST_ADDED), ""]
        elif results.median(cell, "pass-through", "load_bound"):
            row += ["", "the load's core is full"]
        else:
            rates = [results.median(cell, name, "rate") for name in ("proxy", "pass-through")]
            row += ["", _judged(rates[0] / rates[1], rates[0] / rates[1] >= LEAST_RATE)]
        lines.append(f"| {' | '.join([*row, f'{cpu:.2f}'])} |")
    return lines


def _judged(ratio: float, met: bool) -> str:
    return f"{ratio:.2f} {'met' if met else 'missed'}"


def pieces(results: Results, short: Cell, long: Cell, names: list[str]) -> str:
    """Return what each target's processor spends on one piece of a paced stream."""
    costs = []
    for name in names:
        spent = results.median(long, name, "cpu") - results.median(short, name, "cpu")
        costs.append(f"{name} {spent * 1000 / (LONG - SHORT):.0f} µs")
    return f"CPU for each paced piece: {', '.join(costs)}."


def translation() -> str:
    """Return how long a body of 100k tokens takes from bytes to bytes."""
    raw = orjson.dumps(messages_request(100, stream=True))
    times = []
    for _ in range(50):
        began = time.perf_counter()
        orjson.dumps(translate(orjson.loads(raw), BURST, SETTINGS).body)
        times.append((time.perf_counter() - began) * 1000)
    return (
        f"Translation of a 100k-token request ({len(raw)} bytes): "
        f"median {statistics.median(times):.1f} ms."
    )


def memory(before: dict[str, int], targets: list[Target]) -> str:
    """Return what each target held before the load, and at most."""
    held = [
        f"{target.name} {before[target.name] / 1024:.0f} MiB, "
        f"{machine.most_resident(target.pid) / 1024:.0f} at most"
        for target in targets
        if target.pid
    ]
    return f"Memory: {'; '.join(held)}."


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each visit")
    parser.add_argument("--quick", action="store_true", help="3 rounds of the middle cells only")
    parser.add_argument("--without-litellm", action="store_true", help="it takes most of the time")
    arguments = parser.parse_args()
    kilotokens, connections = ([10], [1, 16]) if arguments.quick else ([1, 10, 100], [1, 16, 64])
    rounds = 3 if arguments.quick else arguments.rounds
    cells = [
        Cell(count, size, stream)
        for stream in (False, True)
        for size in kilotokens
        for count in connections
    ]
    paced = [Cell(16, 1, stream=True, model=PACED, pieces=count) for count in (SHORT, LONG)]
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        directory = Path(scratch)
        load = machine.build("load", directory)
        upstream_pid, upstream = stack.enter_context(machine.stand_in(directory))
        targets = [
            Target("upstream", f"{upstream}/v1/chat/completions", "-", None, chat=True),
            stack.enter_context(pass_through(upstream)),
            stack.enter_context(proxy(upstream)),
        ]
        if not arguments.without_litellm:
            targets.append(stack.enter_context(litellm(upstream, directory)))
        before = {target.name: machine.resident(target.pid) for target in targets if target.pid}
        results = Results()
        payload = directory / "body.json"
        for number in range(rounds):
            for cell in (*cells, *paced):
                request = cell.request()
                for target in random.sample(targets, len(targets)):
                    payload.write_text(json.dumps(as_chat(request) if target.chat else request))
                    sample = visit(load, target, upstream_pid, payload, cell, arguments.seconds)
                    results.samples.setdefault((cell, target.name), []).append(sample)
                print(f"round {number + 1} of {rounds}: {cell.title}", file=sys.stderr)
        held = memory(before, targets)
    names = list(before)
    lines = [*table(results, [*cells, *paced], names), "", *ratios(results, cells), ""]
    lines += [pieces(results, *paced, names), f"{held} Aim: {MOST_MEMORY} MiB.", translation()]
    print("\n".join([*lines, f"Load of the machine before: {busy:.1f} processes."]))


if __name__ == "__main__":
    main()
