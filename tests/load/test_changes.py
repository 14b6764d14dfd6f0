"""What an operator changes while clients ask: a few of the changes of `make load`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load.changes import CHANGES, Change
from tests.load.course import Row

pytestmark = pytest.mark.integration
QUICK = (
    "client token added",
    "client token removed",
    "resource limits",
    "resource limits back",
    "model remapped",
    "LiteLLM's master key",
)


@pytest.mark.parametrize(
    "change", [change for change in CHANGES if change.name in QUICK], ids=lambda change: change.name
)
def test_no_client_notices_a_change(happen: Callable[[Change], Row], change: Change) -> None:
    """No request fails, no stream is cut, and no more is replaced than must be."""
    row = happen(change)

    assert row.problems == []
    assert row.outcome is not None
    assert row.outcome.requests > 0, "there was no load"


def test_a_new_caddy_closes_the_port_and_replaces_nothing_behind_it(
    happen: Callable[[Change], Row],
) -> None:
    """Clients notice, and are answered again."""
    (change,) = [change for change in CHANGES if change.name == "Caddy's image"]

    assert happen(change).problems == []
