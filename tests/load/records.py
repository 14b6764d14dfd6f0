"""What the generator recorded, and what follows from it for one event."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

ANSWERED = ("ok", "wrong_content")
# What Anthropic's SDKs and Claude Code try again by themselves.
RETRIED_STATUSES = {408, 409, 429, 500, 502, 503, 504, 529}


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One request that ended; times are seconds since 1970, 0 for what never happened.

    The generator's record.go says what each field means.
    """

    id: str
    kind: str
    protocol: str
    connection: str
    client: str
    model: str
    intended: float
    started: float
    first_byte: float
    ended: float
    longest_pause: float
    outcome: str
    status: int
    error_type: str
    detail: str
    generation: str
    reused: bool
    sent: bool

    @property
    def is_failed(self) -> bool:
        """The client got no answer, or an error instead of one."""
        return self.outcome in ("failed_before_first_byte", "refused", "not_sent")

    @property
    def is_retryable(self) -> bool:
        """The client got an error in Anthropic's shape which it tries again after."""
        return self.status in RETRIED_STATUSES and bool(self.error_type)


FIELDS = {known.name for known in fields(Record)}


def read_records(file: Path) -> list[Record]:
    """Return every whole line of the generator's output."""
    text = file.read_text() if file.exists() else ""
    return [Record(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened under load, on the clock of the records.

    Attributes:
        began: when the operator started it.
        ended: when it was over.
    """

    began: float
    ended: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds from the intended start to the first byte, NaN without an answer."""

    p50: float
    p99: float

    @classmethod
    def of(cls, records: Iterable[Record]) -> Latency:
        """Judge the requests that were answered."""
        times = sorted(
            (record.first_byte - record.intended) * 1000
            for record in records
            if record.outcome == "ok"
        )
        return cls(p50=percentile(times, 50), p99=percentile(times, 99))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that *share* percent of an ordered sequence do not exceed."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What clients saw of one event.

    Attributes:
        requests: how many ended during it.
        long_streams: how many of them were long streams.
        failed: records without an answer, or with an error instead.
        cut: records whose answer began and did not end.
        wrong: records with a whole answer to something else.
        gap: longest time between two answers, in seconds.
        pause: longest time between two pieces of one streamed answer, in seconds.
        before: latency of requests in the seconds before it.
        during: latency of requests while it went on.
        after: latency of requests in the seconds after it.
        new_after: seconds from its begin to the first answer of a configuration not seen before.
        old_until: seconds from then on in which the former configuration still took requests.
        recovered_after: seconds from its begin to the last loss, 0 without one.
        failing: seconds in which requests failed: from the first that did to the last.
    """

    requests: int
    long_streams: int
    failed: list[Record]
    cut: list[Record]
    wrong: list[Record]
    gap: float
    pause: float
    before: Latency
    during: Latency
    after: Latency
    new_after: float | None
    old_until: float | None
    recovered_after: float
    failing: float
    lost: list[Record] = field(default_factory=list)


BEFORE_SECONDS = 10.0


def judge(records: Sequence[Record], event: Event, until: float) -> Outcome:
    """Return what clients saw of an event.

    A request belongs to the event in which it ended, and what ends from *until* on to the next.
    """
    own = [record for record in records if event.began <= record.ended < until]
    answers = sorted(record.first_byte for record in own if record.outcome in ANSWERED)
    later = [time for time in answers if time > event.began]
    marks = [event.began, *later, max([event.ended, *later])]
    failed = [record for record in own if record.is_failed]
    cut = [record for record in own if record.outcome == "cut"]
    wrong = [record for record in own if record.outcome == "wrong_content"]
    lost = sorted([*failed, *cut, *wrong], key=lambda record: record.ended)
    new_after, old_until = _handover(records, event, until)
    return Outcome(
        requests=len(own),
        long_streams=sum(record.kind == "long" for record in own),
        failed=failed,
        cut=cut,
        wrong=wrong,
        lost=lost,
        gap=max(later - earlier for earlier, later in itertools.pairwise(marks)),
        pause=max((record.longest_pause for record in own), default=0.0),
        before=_latency(records, event.began - BEFORE_SECONDS, event.began),
        during=_latency(records, event.began, event.ended),
        after=_latency(records, event.ended, until),
        new_after=new_after,
        old_until=old_until,
        recovered_after=lost[-1].ended - event.began if lost else 0.0,
        failing=max(one.ended for one in failed) - min(one.ended for one in failed)
        if failed
        else 0.0,
    )


def _latency(records: Iterable[Record], start: float, end: float) -> Latency:
    return Latency.of(record for record in records if start <= record.intended < end)


def _handover(
    records: Sequence[Record], event: Event, until: float
) -> tuple[float | None, float | None]:
    """Return when a new configuration first answered and how long the others went on."""
    answered = [record for record in records if record.outcome == "ok" and record.generation]
    known = {record.generation for record in answered if record.first_byte < event.began}
    within = [record for record in answered if event.began <= record.first_byte < until]
    new = [record.first_byte for record in within if record.generation not in known]
    if not new:
        return None, None
    first = min(new)
    old = [record.started for record in within if record.generation in known]
    return first - event.began, max(0.0, max(old, default=first) - first)
