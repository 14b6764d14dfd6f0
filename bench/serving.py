"""What LiteLLM serves: as it is deployed, by its own defaults, and with the guide's debug log.

Every round visits every setup, in an order of its own, with the Chat Completions that the proxy
sends. On one core the load and the upstream have the other one; on two they share both.
What the edge and the proxy add is measured on a gateway that is deployed for it, through TLS.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import machine
from bench.bodies import as_chat
from bench.gateway import CHAT, GATEWAY, MESSAGES, gateway
from bench.proxy import Cell, Results, visit
from bench.targets import LiteLLMSetup, Target, litellm

DEFAULTS = LiteLLMSetup(name="its defaults", deployed=False)
DEBUG = LiteLLMSetup(name="--detailed_debug", deployed=False, arguments=("--detailed_debug",))
ONE = LiteLLMSetup(name="as deployed")
TWO = LiteLLMSetup(name="as deployed, two cores", cores="0,1")
SETUPS = (DEFAULTS, DEBUG, ONE, TWO)
LEAST_GAIN, LEAST_SCALING = 1.8, 0.9
MOST_ADDED = 5


def table(
    results: Results, cells: list[Cell], setups: Sequence[LiteLLMSetup] = SETUPS
) -> list[str]:
    """Return the results as Markdown."""
    lines = [
        "| load | LiteLLM | p50 ms | p99 ms | requests/s | : its defaults |",
        "|---|---|---|---|---|---|",
    ]
    for cell in cells:
        base = results.median(cell, DEFAULTS.name, "rate")
        for setup in setups:
            p50, p99, rate = (
                results.median(cell, setup.name, figure) for figure in ("p50", "p99", "rate")
            )
            lines.append(
                f"| {cell.title} | {setup.name} | {p50:.1f} | {p99:.1f} | {rate:.0f}"
                f" | {rate / base:.2f} |"
            )
    return lines


def aims(results: Results, cells: list[Cell]) -> list[str]:
    """Return how the deployment stands against its aims, for each load."""
    lines = [
        f"| load | one core : its defaults, at least {LEAST_GAIN}"
        f" | two cores : twice one, at least {LEAST_SCALING} |",
        "|---|---|---|",
    ]
    for cell in cells:
        defaults, one, two = (
            results.median(cell, setup.name, "rate") for setup in (DEFAULTS, ONE, TWO)
        )
        lines.append(f"| {cell.title} | {one / defaults:.2f} | {two / one / 2:.2f} |")
    return lines


def hops(results: Results, cells: list[Cell]) -> list[str]:
    """Return what the edge and the proxy add to LiteLLM's own time."""
    lines = [
        f"| load | | p50 ms | p99 ms | more than LiteLLM's p50, at most {MOST_ADDED} % |",
        "|---|---|---|---|---|",
    ]
    for cell in cells:
        own = results.median(cell, CHAT, "p50")
        for name in (CHAT, MESSAGES, GATEWAY):
            p50, p99 = (results.median(cell, name, figure) for figure in ("p50", "p99"))
            more = f"{p50 - own:+.2f} ms, {(p50 / own - 1) * 100:+.0f} %"
            lines.append(f"| {cell.title} | {name} | {p50:.2f} | {p99:.2f} | {more} |")
    return lines


def measure(
    load: Path,
    payload: Path,
    arguments: argparse.Namespace,
    cells: list[Cell],
    targets: list[Target],
    upstream: int,
) -> Results:
    """Visit every target with every load, round by round."""
    results = Results()
    # The first requests import what the start left out.
    for number in range(-1, arguments.rounds):
        for cell in cells:
            request = cell.request()
            for target in random.sample(targets, len(targets)):
                payload.write_text(json.dumps(as_chat(request) if target.chat else request))
                sample = visit(load, target, upstream, payload, cell, arguments.seconds)
                if number >= 0:
                    results.samples.setdefault((cell, target.name), []).append(sample)
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    return results


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each visit")
    parser.add_argument("--beside", metavar="IMAGE", help="another image of LiteLLM, as deployed")
    arguments = parser.parse_args()
    setups = list(SETUPS)
    if arguments.beside:
        setups.append(LiteLLMSetup(name=arguments.beside, image=arguments.beside))
    cells = [Cell(count, 1, stream) for stream in (False, True) for count in (1, 16, 64)]
    single = [cell for cell in cells if cell.connections == 1]
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        load = machine.build("load", directory)
        visits = partial(measure, load, directory / "body.json", arguments)
        with contextlib.ExitStack() as stack:
            upstream_pid, upstream = stack.enter_context(machine.stand_in(directory))
            targets = [
                stack.enter_context(litellm(upstream, directory, setup, chat=True))
                for setup in setups
            ]
            alone = visits(cells, targets, upstream_pid)
        with gateway(directory) as (upstream_pid, targets):
            behind = visits(single, targets, upstream_pid)
    print(
        "\n".join(
            [*table(alone, cells, setups), "", *aims(alone, cells), "", *hops(behind, single)]
        )
    )


if __name__ == "__main__":
    main()
