"""One gateway under a light load that every test of this directory shares."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.load import course
from tests.load.broken import Broken
from tests.load.changes import Change
from tests.load.faults import Fault
from tests.load.generator import Load
from tests.load.site import Site

LIGHT = Load(rate=6.0, kinds={"json": 66, "stream": 30, "long": 4}, shortest=4, longest=8)
DRAIN_SECONDS = 60
LOAD_SECONDS = 1800
SETTLE_SECONDS = 2


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Deploy a stack of its own and put it under load."""
    directory = tmp_path_factory.mktemp("load")
    with Site.deployed(directory, drain_seconds=DRAIN_SECONDS, seconds=LOAD_SECONDS) as deployed:
        deployed.send(LIGHT)
        yield deployed


@pytest.fixture
def happen(site: Site) -> Callable[[Change | Broken | Fault], course.Row]:
    """Let an event happen and judge it once every request that it met has ended."""

    def happen_and_judge(source: Change | Broken | Fault) -> course.Row:
        match source:
            case Change():
                row = course.change(site, source, SETTLE_SECONDS)
            case Broken():
                row = course.break_and_mend(site, source, SETTLE_SECONDS)
            case Fault():
                row = course.inflict(site, source, SETTLE_SECONDS)
        records = site.records(row.event.ended)
        row.conclude(records, time.time())
        return row

    return happen_and_judge
