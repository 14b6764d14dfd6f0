"""What the benchmark computes from what it measured."""

from __future__ import annotations

import json

import pytest

from bench.bodies import messages_request
from bench.proxy import LONG, SHORT, Cell, Results, Sample, percentile, pieces, ratios, table

ONE = Cell(connections=1, kilotokens=10)
MANY = Cell(connections=16, kilotokens=10)


def sample(milliseconds: int, *, cpu: float = 0.05, load: float = 0.5) -> Sample:
    """Return a visit of 100 requests in one second that took as long each."""
    times = [milliseconds * 1000] * 100
    return Sample(times, times, 1.0, cpu, load)


@pytest.fixture
def results() -> Results:
    """Two rounds, of which the second one is slower for everybody."""
    return Results(
        {
            (cell, name): [sample(first), sample(first + 2)]
            for cell in (ONE, MANY)
            for name, first in (("upstream", 1), ("pass-through", 2), ("proxy", 3))
        }
    )


def test_times_are_what_a_target_adds(results: Results) -> None:
    """Medians over the rounds, less the upstream's own."""
    assert table(results, [ONE], ["proxy"])[2] == (
        "| JSON, 10k tokens, 1 at a time | proxy | 2.00 | 2.00 | 2.00 | 2.00 | 100 | 0.50 |"
    )


def test_the_proxy_is_compared_to_the_pass_through_and_to_the_aims(results: Results) -> None:
    """By added time where nothing waits, by throughput where everything does."""
    assert ratios(results, [ONE, MANY])[2:] == [
        "| JSON, 10k tokens, 1 at a time | 2.00 missed |  | 1.00 |",
        "| JSON, 10k tokens, 16 at a time |  | 1.00 met | 1.00 |",
    ]


def test_a_rate_that_the_load_could_not_exceed_is_marked_and_not_judged(results: Results) -> None:
    """The load's core was full while the target's was not."""
    full = [sample(2, load=0.99)] * 2
    bound = Results({**results.samples, (MANY, "pass-through"): full})

    assert "| 100* |" in table(bound, [MANY], ["pass-through"])[2]
    assert "the load's core is full" in ratios(bound, [MANY])[2]


def test_a_piece_costs_what_longer_streams_cost_more() -> None:
    """The rest of a request is the same for both."""
    short, long = (Cell(16, 1, stream=True, pieces=count) for count in (SHORT, LONG))
    results = Results(
        {(short, "proxy"): [sample(1, cpu=0.1)], (long, "proxy"): [sample(1, cpu=0.164)]}
    )

    assert pieces(results, short, long, ["proxy"]) == "CPU for each paced piece: proxy 10 µs."


@pytest.mark.parametrize(("share", "value"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    """Whatever their order."""
    assert percentile(list(range(100, 0, -1)), share) == value


@pytest.mark.parametrize("kilotokens", [1, 10, 100])
def test_a_body_has_about_the_size_that_was_asked_for(kilotokens: int) -> None:
    """At four characters a token."""
    size = len(json.dumps(messages_request(kilotokens, stream=True))) / 4000

    assert 0.8 * kilotokens <= size <= 1.25 * kilotokens + 0.5
