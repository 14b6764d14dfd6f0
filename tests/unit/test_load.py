"""What the load harness makes of its records, and the generator's own tests."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from bench.machine import go_command
from tests.load.__main__ import choose
from tests.load.broken import BROKEN
from tests.load.changes import CHANGES, Change
from tests.load.course import Row
from tests.load.faults import Fault, faults
from tests.load.generator import SOURCE
from tests.load.records import Event, Record, judge
from tests.load.table import summary, tables

EVENT = Event(began=100.0, ended=110.0)
UNTIL = 120.0


def record(ended: float, outcome: str = "ok", generation: str = "old", **more: Any) -> Record:
    """Return a JSON request that took a tenth of a second."""
    known: dict[str, Any] = {
        "id": f"load-{ended}",
        "kind": "json",
        "protocol": "h1",
        "connection": "new",
        "client": "alice",
        "model": "claude-opus-5",
        "intended": ended - 0.1,
        "started": ended - 0.1,
        "first_byte": ended,
        "ended": ended,
        "longest_pause": 0.0,
        "outcome": outcome,
        "status": 200,
        "error_type": "",
        "detail": "",
        "generation": generation,
        "reused": False,
        "sent": True,
    }
    return Record(**{**known, **more})


def error(ended: float, status: int, kind: str) -> Record:
    """Return a request that was answered by an error; one without a kind has another shape."""
    return record(ended, "refused", status=status, error_type=kind)


def test_each_loss_is_counted_under_its_name() -> None:
    """And what ended before the event or from the next one on is not counted."""
    lost = [
        record(101, "failed_before_first_byte", status=0),
        error(102, 502, "api_error"),
        record(103, "not_sent", status=0),
        record(104, "cut"),
        record(105, "wrong_content"),
    ]
    outcome = judge([record(99, "cut"), *lost, record(UNTIL, "cut")], EVENT, UNTIL)

    assert (len(outcome.failed), len(outcome.cut), len(outcome.wrong)) == (3, 1, 1)
    assert (outcome.requests, outcome.lost) == (5, lost)
    assert outcome.recovered_after == 5
    assert outcome.failing == 2


@pytest.mark.parametrize(
    ("records", "gap"),
    [
        ([record(99), record(103), record(107, "cut"), record(112)], 9),
        ([record(107), record(109)], 7),
        ([record(101), record(103)], 7),
        ([], 10),
    ],
)
def test_the_longest_gap_is_between_answers_or_the_ends_of_the_event(
    records: list[Record], gap: float
) -> None:
    """Failures do not end a gap, answers before the event do not begin one."""
    assert judge(records, EVENT, UNTIL).gap == gap


def test_the_handover_is_read_from_the_generations() -> None:
    """A former generation that answers again later is not taken for a new one."""
    records = [
        record(98, generation="first"),
        record(99),
        record(104),
        record(105, generation="new"),
        record(107),
        record(108, generation="new"),
        record(109, generation="first"),
    ]
    outcome = judge(records, EVENT, UNTIL)

    assert outcome.new_after == 5
    assert outcome.old_until == pytest.approx(3.9)


def test_latency_is_counted_from_the_intended_start() -> None:
    """Before, during and after the event."""
    records = [
        record(95, intended=94.0, started=94.9),
        *(record(101 + part / 100, intended=100.0) for part in range(100)),
        record(115),
    ]
    outcome = judge(records, EVENT, UNTIL)

    assert outcome.before.p50 == pytest.approx(1000)
    assert outcome.during.p50 == pytest.approx(1490)
    assert outcome.during.p99 == pytest.approx(1980)
    assert outcome.after.p99 == pytest.approx(100)


@pytest.mark.parametrize(
    ("lost", "forgiven"),
    [
        (error(101, 502, "api_error"), True),
        (error(101, 529, "overloaded_error"), True),
        (error(101, 502, ""), False),
        (error(101, 401, "authentication_error"), False),
        (record(101, "failed_before_first_byte", status=0), False),
        (record(101, "cut"), True),
        (record(101, "wrong_content"), False),
    ],
)
def test_a_fault_forgives_only_what_the_client_can_try_again(lost: Record, forgiven: bool) -> None:
    """Errors in Anthropic's shape with a status that is retried, and streams that were cut."""
    fault = Fault(name="f", inflict=lambda _: None, seconds=10, loses=True, cuts=True)
    row = Row(source=fault, event=EVENT)
    row.conclude([lost], UNTIL)

    assert (row.problems == []) == forgiven


def test_losses_of_the_same_kind_are_one_problem() -> None:
    """It tells how many there were, and the first one."""
    details = ["stream 1 broke", "stream 7 broke", "silence"]
    row = Row(source=Change(name="c", configure=lambda _: None, replaces=frozenset()), event=EVENT)
    row.conclude([record(101 + n, "cut", detail=d) for n, d in enumerate(details)], UNTIL)

    assert len(row.problems) == 2
    assert row.problems[0].startswith("2 lost: cut 200")
    assert "load-101, 1.0 s after" in row.problems[0]


def test_a_fault_has_the_time_that_is_stated() -> None:
    """Also when each loss by itself would be forgiven."""
    fault = Fault(name="f", inflict=lambda _: None, seconds=10, loses=True)
    row = Row(source=fault, event=EVENT)
    row.conclude([error(111, 502, "api_error")], UNTIL)

    assert row.problems == ["lost requests for 11 s, stated are 10 s"]


def test_a_change_forgives_nothing_unless_it_interrupts() -> None:
    """Not even one error that the client tries again after."""
    problems = {}
    for interrupts in (False, True):
        change = Change(
            name="c", configure=lambda _: None, replaces=frozenset(), interrupts=interrupts
        )
        row = Row(source=change, event=EVENT)
        row.conclude([error(101, 503, "overloaded_error")], UNTIL)
        problems[interrupts] = len(row.problems)

    assert problems == {False: 1, True: 0}


def test_the_summary_leaves_out_what_interrupts() -> None:
    """It tells what the changes lost that must lose nothing."""
    rows = []
    for interrupts in (False, True):
        change = Change(
            name="c", configure=lambda _: None, replaces=frozenset(), interrupts=interrupts
        )
        row = Row(source=change, event=EVENT)
        row.conclude([record(101, kind="long"), record(102, "cut")], UNTIL)
        rows.append(row)

    assert summary(rows).startswith("1 changes that must lose nothing, 2 requests of which 1 long")
    assert "0 failed, 1 cut, 0 wrong" in summary(rows)
    assert tables(rows).count("\n| c | 2 | 1 | 0 | 1 | 0 |") == 2


def test_what_concerns_the_whole_engine_runs_only_when_it_is_named() -> None:
    """Neither by default nor with all the other faults."""
    sources = [*CHANGES, *BROKEN, *faults(kills=1)]

    assert not [one for one in choose(sources, []) if one.name.startswith("engine")]
    assert not [one for one in choose(sources, ["faults"]) if one.name.startswith("engine")]
    assert [one.name for one in choose(sources, ["engine killed"])] == ["engine killed"]
    assert choose(sources, ["changes"]) == CHANGES
    assert len({one.name for one in sources}) == len(sources)


def test_the_generator_names_every_end_of_a_request() -> None:
    """Its own tests, in Go."""
    finished = subprocess.run(
        [go_command(), "test", "./..."],
        cwd=SOURCE,
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
