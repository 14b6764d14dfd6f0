"""What Prometheus reads."""

from __future__ import annotations

import re
import secrets
from typing import Any

from conftest import RunningProxy
from prometheus_client.parser import text_string_to_metric_families
from stand_in import StandIn, chunk, failure, stream, usage_chunk, wire

BODY: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "Hi"}],
}
MESSAGES = {"route": "/v1/messages"}


class Samples:
    """The values of one reading."""

    def __init__(self, text: str) -> None:
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """Return a value, 0 if there is none."""
        return self._values.get((f"claude_code_proxy_{name}", frozenset(labels.items())), 0)


async def read_metrics(proxy: RunningProxy) -> str:
    """Return what the proxy shows to who has a key."""
    headers = {"authorization": f"Bearer {proxy.key}"}
    async with proxy.http.get(proxy.url + "/metrics", headers=headers) as reply:
        assert reply.status == 200
        assert reply.content_type == "text/plain"
        return await reply.text()


async def test_requests_times_and_tokens_are_counted(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """By route, status, kind and upstream model."""
    await proxy.post(BODY)
    upstream.script = stream(wire(chunk(content="Hello"), chunk("stop"), usage_chunk()))
    async with proxy.client.messages.stream(**BODY) as answer:
        await answer.get_final_message()

    value = Samples(await read_metrics(proxy))

    assert value("requests_total", status="200", **MESSAGES) == 2
    assert value("request_duration_seconds_count", stream="true", **MESSAGES) == 1
    assert value("request_duration_seconds_count", stream="false", **MESSAGES) == 1
    assert value("upstream_answer_seconds_count", model="middle") == 2
    assert value("tokens_total", model="middle", kind="input") == 24
    assert value("tokens_total", model="middle", kind="cached") == 16
    assert value("tokens_total", model="middle", kind="output") == 14
    assert value("requests_open") == 1


async def test_errors_are_counted_by_their_type(proxy: RunningProxy, upstream: StandIn) -> None:
    """Also those inside a stream, whose status says 200."""
    upstream.script = failure(429)
    await proxy.post(BODY)
    upstream.script = stream(wire(chunk(content="Hel"), done=False))
    headers = {"x-api-key": proxy.key}
    url, body = proxy.url + "/v1/messages", BODY | {"stream": True}
    async with proxy.http.post(url, json=body, headers=headers) as reply:
        await reply.read()

    value = Samples(await read_metrics(proxy))

    assert value("requests_total", status="429", **MESSAGES) == 1
    assert value("requests_total", status="200", **MESSAGES) == 1
    assert value("errors_total", type="rate_limit_error", **MESSAGES) == 1
    assert value("errors_total", type="api_error", **MESSAGES) == 1


async def test_labels_do_not_grow_with_what_clients_ask_for(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Neither paths nor model names of a client's making, and nothing it said, show up."""
    made_up = secrets.token_hex(8)
    await proxy.post(BODY | {"model": made_up})
    await proxy.post(BODY, f"/{made_up}")
    await proxy.post(BODY, f"/v1/models/{made_up}")
    await proxy.post(BODY | {"messages": [{"role": "user", "content": made_up}]})

    text = await read_metrics(proxy)

    assert made_up not in text
    assert upstream.key not in text
    assert proxy.key not in text
    assert set(re.findall(r'requests_total\{route="([^"]*)"', text)) == {
        "/v1/messages",
        "/v1/models/{model}",
        "other",
    }
