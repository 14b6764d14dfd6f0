"""What breaks underneath while clients ask: a few of the faults of `make load`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load.course import Row
from tests.load.faults import Fault, faults

pytestmark = pytest.mark.integration
QUICK = (
    "litellm killed",
    "proxy killed",
    "edge-gate killed",
    "edge killed",
    "network of the proxy down",
    "storm of 429",
    "proxy removed by hand",
    "`pulumi up` killed",
)


@pytest.mark.parametrize(
    "fault",
    [fault for fault in faults(kills=2) if fault.name.startswith(QUICK)],
    ids=lambda fault: fault.name,
)
def test_the_gateway_comes_back_from_a_fault(happen: Callable[[Fault], Row], fault: Fault) -> None:
    """Within the stated time, and until then clients get errors that they try again after."""
    assert happen(fault).problems == []
