"""Changes that cannot work, while clients ask: a few of those of `make load`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load.broken import BROKEN, Broken
from tests.load.course import Row

pytestmark = pytest.mark.integration
QUICK = (
    "Caddyfile that Caddy refuses",
    "image that does not build",
)


@pytest.mark.parametrize(
    "broken", [broken for broken in BROKEN if broken.name in QUICK], ids=lambda broken: broken.name
)
def test_a_change_that_cannot_work_fails_and_touches_nothing(
    happen: Callable[[Broken], Row], broken: Broken
) -> None:
    """Nobody notices, `up` names the cause each time, and the next good one cleans up."""
    assert happen(broken).problems == []
