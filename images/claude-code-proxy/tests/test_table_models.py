"""Each row of the README's table of models, by the official SDK, JSON and streamed."""

from __future__ import annotations

import pytest
from conftest import RunningProxy
from stand_in import StandIn
from table import MODES, answer, ask

LISTED = "listed by the upstream, also behind `openai/`"
TIERS = "with `haiku`, `sonnet` or `opus` in it, of any generation"
OTHER = "anything else"
CASES = [
    (LISTED, "groq-gpt-oss-20b", "groq-gpt-oss-20b"),
    (LISTED, "openai/groq-gpt-oss-20b", "groq-gpt-oss-20b"),
    (LISTED, "openai/small", "small"),
    (LISTED, "claude-opus-of-the-upstream", "claude-opus-of-the-upstream"),
    (TIERS, "claude-3-5-haiku-latest", "small"),
    (TIERS, "claude-haiku-5-5", "small"),
    (TIERS, "claude-sonnet-4-5-20250929", "middle"),
    (TIERS, "us.anthropic.claude-Sonnet-9-v1:0", "middle"),
    (TIERS, "claude-opus-5-5", "big"),
    (TIERS, "openai/claude-opus-4-8", "big"),
    (TIERS, "haiku", "small"),
    (OTHER, "claude-fable-5-2", "big"),
    (OTHER, "gpt-99", "big"),
    (OTHER, "openai/unknown", "big"),
]


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
@MODES
@pytest.mark.parametrize(
    ("asked", "used"),
    [pytest.param(*case, id=case[0], marks=pytest.mark.row(row)) for row, *case in CASES],
)
async def test_a_row_of_models(
    proxy: RunningProxy, upstream: StandIn, asked: str, used: str, streamed: bool
) -> None:
    """The upstream is asked for its model, and the answer names what the client asked for."""
    upstream.models.append("claude-opus-of-the-upstream")
    upstream.script = answer("Hello")
    # As after the first request: the list is fetched beside it.
    await proxy.client.models.list()

    message = await ask(proxy, streamed, model=asked)

    assert upstream.last["model"] == used
    assert message.model == asked
