"""Change and break a gateway under load and print what its clients saw, one row for each event.

Deploys a stack of its own on this machine's engine and removes it at the end. Exit status 1 when
anything was lost that must not be.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.load import course
from tests.load.broken import BROKEN, Broken
from tests.load.changes import CHANGES, EDGE, Change
from tests.load.faults import Fault, faults
from tests.load.generator import MODELS, Load
from tests.load.site import Site
from tests.load.table import tables

SETTLE_SECONDS = 12
# Longer than the longest stream, or the operator's own choice would cut it.
DRAIN_SECONDS = 180

Source = Change | Broken | Fault


def main() -> int:
    """Run the command line."""
    arguments = parse(sys.argv[1:])
    # Also in the background, where shells have the interrupt ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    chosen = choose([*CHANGES, *BROKEN, *faults(arguments.kills)], arguments.only)
    if arguments.list or not chosen:
        print("\n".join(source.name for source in chosen) or "nothing has that name")
        return 0 if chosen else 2
    rows: list[course.Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.records or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            drive(rows, chosen, directory, arguments)
        finally:
            # Also where the stack cannot be removed.
            report(rows, directory / "table.md")
    return (
        1 if any(row.problems for row in rows) or len(rows) < len(chosen) * arguments.repeat else 0
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make load", description=(__doc__ or "").strip())
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="events whose name begins so; also `changes`, `broken`, `faults`; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="rounds (default: 1)")
    parser.add_argument("--rate", type=float, default=12.0, help="requests a second (default: 12)")
    parser.add_argument(
        "--kills", type=int, default=30, metavar="N", help="deployments to kill (default: 30)"
    )
    parser.add_argument(
        "--minutes", type=int, default=180, help="end of the load at the latest (default: 180)"
    )
    parser.add_argument(
        "--records", type=Path, metavar="DIR", help="keep all records and the table"
    )
    return parser.parse_args(words)


def choose(sources: Sequence[Source], only: Sequence[str]) -> list[Source]:
    """Return the events that are asked for; what concerns the whole engine must be named."""
    kinds = {"changes": Change, "broken": Broken, "faults": Fault}

    def is_chosen(source: Source) -> bool:
        if any(source.name.startswith(name) for name in only):
            return True
        if isinstance(source, Fault) and source.shared:
            return False
        return not only or any(isinstance(source, kinds[name]) for name in only if name in kinds)

    return [source for source in sources if is_chosen(source)]


def report(rows: Sequence[course.Row], file: Path) -> None:
    """Print the table of what was judged, and write it."""
    text = tables([row for row in rows if row.outcome])
    print(text)
    file.write_text(f"{text}\n")


def drive(
    rows: list[course.Row],
    sources: Sequence[Source],
    directory: Path,
    arguments: argparse.Namespace,
) -> None:
    """Let each event happen, note it in *rows*, and judge them all at the end."""
    with Site.deployed(
        directory, drain_seconds=DRAIN_SECONDS, seconds=arguments.minutes * 60
    ) as site:
        try:
            for source in [*sources] * arguments.repeat:
                rows.append(happen(site, source, arguments.rate))
                print(progress(rows[-1]), file=sys.stderr, flush=True)
                if rows[-1].said:
                    said = directory / f"{source.name.replace(' ', '-')}.txt"
                    said.write_text(rows[-1].said)
        except (KeyboardInterrupt, AssertionError) as end:
            print(f"stopping: {end!r}", file=sys.stderr)
        records = site.stop()
        nexts = [row.event.began for row in rows[1:]]
        for row, until in zip(rows, [*nexts, math.inf], strict=True):
            row.conclude(records, until)


def happen(site: Site, source: Source, rate: float) -> course.Row:
    """Let one event happen under its load."""
    match source:
        case Change():
            load = Load(rate=rate, models=source.models or MODELS)
            site.send(load.on_the_edge() if source.replaces == EDGE else load)
            return course.change(site, source, SETTLE_SECONDS)
        case Broken():
            site.send(Load(rate=rate))
            return course.break_and_mend(site, source, SETTLE_SECONDS)
        case Fault():
            site.send(source.load or Load(rate=rate))
            return course.inflict(site, source, SETTLE_SECONDS)


def progress(row: course.Row) -> str:
    """Return one line about what has just happened; losses are judged at the end."""
    seconds = row.event.ended - row.event.began
    state = "; ".join(row.problems) or "done"
    return f"{time.strftime('%H:%M:%S')} {row.source.name} ({seconds:.0f} s): {state}"


if __name__ == "__main__":
    sys.exit(main())
