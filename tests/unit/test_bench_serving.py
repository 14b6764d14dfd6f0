"""What the benchmark of LiteLLM computes from what it measured."""

from __future__ import annotations

import pytest

from bench.gateway import CHAT, GATEWAY, MESSAGES
from bench.proxy import Cell, Results, Sample
from bench.serving import DEBUG, DEFAULTS, ONE, TWO, aims, hops, table

CELL = Cell(connections=16, kilotokens=1)


def sample(rate: int) -> Sample:
    """Return a visit of one second in which as many requests took 10 ms each."""
    return Sample([10_000] * rate, [10_000] * rate, 1.0, 0.5, 0.1)


@pytest.fixture
def results() -> Results:
    """One round."""
    rates = {DEFAULTS: 50, DEBUG: 10, ONE: 100, TWO: 180}
    return Results({(CELL, setup.name): [sample(rate)] for setup, rate in rates.items()})


def test_each_setup_is_compared_to_the_defaults(results: Results) -> None:
    """In requests a second."""
    assert table(results, [CELL])[-2] == (
        "| JSON, 1k tokens, 16 at a time | as deployed | 10.0 | 10.0 | 100 | 2.00 |"
    )


def test_the_aims_are_the_gain_on_one_core_and_the_scaling_to_two(results: Results) -> None:
    """One core against the defaults, two against twice one."""
    assert aims(results, [CELL])[-1] == "| JSON, 1k tokens, 16 at a time | 2.00 | 0.90 |"


def test_the_edge_and_the_proxy_are_compared_to_what_the_proxy_asks() -> None:
    """LiteLLM's Chat Completions, not its own Messages."""
    times = {CHAT: 10_000, MESSAGES: 12_000, GATEWAY: 11_000}
    results = Results(
        {(CELL, name): [Sample([time], [time], 1.0, 0.5, 0.1)] for name, time in times.items()}
    )

    assert hops(results, [CELL])[-1] == (
        f"| JSON, 1k tokens, 16 at a time | {GATEWAY} | 11.00 | 11.00 | +1.00 ms, +10 % |"
    )
