"""How an event is carried out under load; each makes one row of the table."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.load.broken import Broken
from tests.load.changes import Change
from tests.load.faults import Fault
from tests.load.observation import leftovers, services, touched
from tests.load.records import Event, Outcome, Record, judge
from tests.load.site import Site

# Without --diff, for that is how an operator reads what went wrong.
UP = ("up", "--yes", "--skip-preview")


@dataclass(kw_only=True)
class Row:
    """One event and what became of it.

    Attributes:
        source: what was done.
        event: when.
        replaced: logical names of the containers that were replaced, made or removed.
        problems: what did not hold although it must.
        said: what `pulumi up` printed where it had to fail.
        outcome: what clients saw, known once their requests have ended.
    """

    source: Change | Broken | Fault
    event: Event
    replaced: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    said: str = ""
    outcome: Outcome | None = None

    def conclude(self, records: list[Record], until: float) -> None:
        """Judge what clients saw before the next event began."""
        self.outcome = judge(records, self.event, until)
        lost = self.outcome.lost
        match self.source:
            case Change(interrupts=True):
                return
            case Fault():
                lost = self.source.unforgivable(lost)
                if self.outcome.recovered_after > self.source.seconds:
                    self.problems.append(
                        f"lost requests for {self.outcome.recovered_after:.0f} s, "
                        f"stated are {self.source.seconds} s"
                    )
        self.problems += _alike(lost, self.event.began)


def change(site: Site, source: Change, settle: float) -> Row:
    """Make a change as its operator does, and watch for *settle* seconds after it."""
    problems: list[str] = []
    source.configure(site)
    before = services(site.deployment)
    began = time.time()
    finished = site.deployment.up(check=False)
    ended = time.time()
    replaced = touched(before, services(site.deployment))
    if finished.returncode != 0:
        problems.append(f"`pulumi up` failed: {finished.stdout[-1500:]}")
    else:
        _note(problems, lambda: source.check(site))
    if more := replaced - source.replaces:
        problems.append(f"replaced without need: {', '.join(sorted(more))}")
    if source.replaces and not replaced:
        problems.append("nothing was replaced")
    event = _settled(began, ended, settle)
    return Row(source=source, event=event, replaced=replaced, problems=problems)


def break_and_mend(site: Site, source: Broken, settle: float) -> Row:
    """Deploy something broken twice, then the mended configuration."""
    problems: list[str] = []
    source.spoil(site)
    before = services(site.deployment)
    began = time.time()
    failed = site.deployment.pulumi(*UP, check=False)
    again = site.deployment.pulumi(*UP, check=False) if source.twice else failed
    still = services(site.deployment)
    source.mend(site)
    mended = site.deployment.up(check=False)
    ended = time.time()
    if failed.returncode == 0:
        problems.append("`pulumi up` was green")
    if again.returncode == 0:
        problems.append("the second `pulumi up` was green by accident")
    problems += [f"`pulumi up` did not say {word!r}" for word in source.says(failed.stdout)]
    if gone := {name for name in before if before[name] != still.get(name)} - source.loses:
        problems.append(f"the broken change replaced {', '.join(sorted(gone))}")
    if mended.returncode != 0:
        problems.append(f"the mended `pulumi up` failed: {mended.stdout[-1500:]}")
    elif found := leftovers(site.deployment):
        problems.append(f"left over: {', '.join(sorted(found))}")
    else:
        preview = site.deployment.pulumi("preview", "--expect-no-changes", check=False)
        if preview.returncode != 0:
            problems.append("the mended `pulumi up` left something to do")
    event = _settled(began, ended, settle)
    replaced = touched(before, services(site.deployment))
    return Row(source=source, event=event, replaced=replaced, problems=problems, said=failed.stdout)


def inflict(site: Site, source: Fault, settle: float) -> Row:
    """Break something underneath and wait until the gateway has come back."""
    problems: list[str] = []
    before = services(site.deployment)
    began = time.time()
    _note(problems, lambda: source.inflict(site))
    _note(problems, lambda: site.await_answers(source.seconds))
    ended = time.time()
    replaced = touched(before, services(site.deployment))
    event = _settled(began, ended, settle)
    return Row(source=source, event=event, replaced=replaced, problems=problems)


def _alike(lost: list[Record], began: float) -> list[str]:
    """Return one line for all losses of the same kind, with the first of them."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in lost:
        detail = re.sub(r"\d+", "N", record.detail)
        kind = (record.outcome, str(record.status), record.error_type, detail)
        groups.setdefault(kind, []).append(record)
    return [
        f"{len(alike)} lost: {alike[0].outcome} {alike[0].status} {alike[0].error_type} "
        f"{alike[0].detail[:200]}; the first: {alike[0].kind} {alike[0].protocol} "
        f"{alike[0].connection} ({alike[0].id}, {alike[0].ended - began:.1f} s after its begin)"
        for alike in groups.values()
    ]


def _settled(began: float, ended: float, settle: float) -> Event:
    time.sleep(max(0.0, ended + settle - time.time()))
    return Event(began=began, ended=ended)


def _note(problems: list[str], check: Callable[[], None]) -> None:
    try:
        check()
    except AssertionError as error:
        problems.append(str(error))
