"""The rows as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.load.broken import Broken
from tests.load.changes import Change
from tests.load.course import Row
from tests.load.faults import Fault
from tests.load.records import Latency, Outcome

NONE = "–"  # noqa: RUF001 - a dash, as prose has it
COMMON = ("requests", "long", "failed", "cut", "wrong", "gap s", "p50 ms", "p99 ms")
CHANGE = ("change", *COMMON, "failing s", "up s", "new after s", "old until s", "replaced")
BROKEN = ("broken change", *COMMON, "held")
FAULT = ("fault", *COMMON, "no answer", "cut in silence", "back after s", "stated s")


def tables(rows: Sequence[Row]) -> str:
    """Return a table for each kind of event, and a line for each problem."""
    lines: list[str] = []
    for kind, head in ((Change, CHANGE), (Broken, BROKEN), (Fault, FAULT)):
        own = [row for row in rows if isinstance(row.source, kind)]
        if own:
            lines += [_line(head), _line(["---"] * len(head)), *map(_row, own), ""]
    lines += [summary(rows), ""]
    lines += [f"- {row.source.name}: {problem.strip()}" for row in rows for problem in row.problems]
    return "\n".join(lines).rstrip()


def summary(rows: Sequence[Row]) -> str:
    """Return what was lost over all changes that must lose nothing."""
    outcomes = [
        row.outcome
        for row in rows
        if row.outcome and isinstance(row.source, Change) and not row.source.interrupts
    ]
    requests = sum(outcome.requests for outcome in outcomes)
    long = sum(outcome.long_streams for outcome in outcomes)
    failed = sum(len(outcome.failed) for outcome in outcomes)
    cut = sum(len(outcome.cut) for outcome in outcomes)
    wrong = sum(len(outcome.wrong) for outcome in outcomes)
    return (
        f"{len(outcomes)} changes that must lose nothing, {requests} requests of which {long} "
        f"long streams: {failed} failed, {cut} cut, {wrong} wrong."
    )


def _row(row: Row) -> str:
    outcome = row.outcome
    assert outcome is not None, "the row was not judged"
    cells = [row.source.name, *_common(outcome)]
    match row.source:
        case Change():
            cells += [
                f"{outcome.failing:.1f}",
                f"{row.event.ended - row.event.began:.0f}",
                _seconds(outcome.new_after),
                _seconds(outcome.old_until),
                ", ".join(sorted(name.removeprefix("gateway-") for name in row.replaced)) or NONE,
            ]
        case Broken():
            cells.append("no" if row.problems else "yes")
        case Fault():
            cells += [
                str(sum(record.status == 0 for record in outcome.failed)),
                str(sum(not record.error_type for record in outcome.cut)),
                f"{outcome.recovered_after:.1f}",
                str(row.source.seconds),
            ]
    return _line(cells)


def _common(outcome: Outcome) -> list[str]:
    latencies = (outcome.before, outcome.during, outcome.after)
    return [
        str(outcome.requests),
        str(outcome.long_streams),
        str(len(outcome.failed)),
        str(len(outcome.cut)),
        str(len(outcome.wrong)),
        f"{outcome.gap:.1f}",
        _course(latencies, "p50"),
        _course(latencies, "p99"),
    ]


def _course(latencies: Sequence[Latency], figure: str) -> str:
    """Return before / during / after."""
    values = [getattr(latency, figure) for latency in latencies]
    return " / ".join(NONE if math.isnan(value) else f"{value:.0f}" for value in values)


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
