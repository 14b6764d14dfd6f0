"""What the benchmark computes from what it measured."""

from __future__ import annotations

import json

import pytest

from bench.proxy import Cell, Results, Sample, body, percentile, ratios, table

CELL = Cell(stream=False, connections=1, kilotokens=10)


def sample(milliseconds: int, *, cpu: float | None = 0.5) -> Sample:
    """Return a visit of 100 requests in one second that took as long each."""
    return Sample([milliseconds * 1000] * 100, [milliseconds * 1000] * 100, 1.0, cpu)


@pytest.fixture
def results() -> Results:
    """Two rounds, of which the second one is slower for everybody."""
    return Results(
        {
            (CELL, "upstream"): [sample(1, cpu=None), sample(3, cpu=None)],
            (CELL, "pass-through"): [sample(2), sample(4)],
            (CELL, "proxy"): [sample(3), sample(5)],
        }
    )


def test_times_are_what_a_target_adds(results: Results) -> None:
    """Medians over the rounds, less the upstream's own."""
    assert table(results, [CELL], ["proxy"])[-1] == (
        "| JSON, 10k tokens, 1 at a time | proxy | 2.00 | 2.00 | 2.00 | 100 | 5.00 |"
    )


def test_the_proxy_is_compared_to_the_pass_through(results: Results) -> None:
    """In added time and in throughput."""
    assert ratios(results, [CELL])[-1] == "| JSON, 10k tokens, 1 at a time | 2.00 | 1.00 |"


@pytest.mark.parametrize(("share", "value"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    """Whatever their order."""
    assert percentile(list(range(100, 0, -1)), share) == value


@pytest.mark.parametrize("kilotokens", [1, 10, 100])
def test_a_body_has_about_the_size_that_was_asked_for(kilotokens: int) -> None:
    """At four characters a token."""
    size = len(json.dumps(body(kilotokens, stream=True))) / 4000

    assert 0.8 * kilotokens <= size <= 1.25 * kilotokens + 0.5
