"""Routes, keys, model names, headers and logs."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import struct
from typing import Any

import anthropic
import pytest
from conftest import RunningProxy, StartProxy
from stand_in import StandIn, failure

HI: list[Any] = [{"role": "user", "content": "Hi"}]
BODY: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": HI}


# --- routes ---


@pytest.mark.parametrize("path", ["/", "/health"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_liveness_needs_no_key_and_tells_nothing(
    proxy: RunningProxy, upstream: StandIn, method: str, path: str
) -> None:
    """And does not ask the upstream."""
    async with proxy.http.request(method, proxy.url + path) as reply:
        body = await reply.read()

    assert reply.status == 200
    assert body == (b'{"status":"ok"}' if method == "GET" else b"")
    assert reply.headers["server"] == "claude-code-proxy"
    assert upstream.models_asked == 0


async def test_readiness_follows_the_upstream(start_proxy: StartProxy, upstream: StandIn) -> None:
    """Without a paid call, and without the upstream's words."""
    upstream.models_status = 500
    proxy = await start_proxy()
    async with proxy.http.get(proxy.url + "/ready") as reply:
        failed = await reply.json()
    upstream.models_status = 200
    async with proxy.http.get(proxy.url + "/ready") as ready:
        assert ready.status == 200

    assert reply.status == 503
    assert failed["error"]["message"] == "The upstream does not answer."
    assert upstream.asked == []


async def test_the_model_list_has_anthropics_shape(proxy: RunningProxy) -> None:
    """The SDK pages through it."""
    names = [model.id async for model in await proxy.client.models.list(limit=3)]
    page = await proxy.client.models.list(limit=2, before_id="groq-gpt-oss-20b")

    assert names == ["big", "middle", "small", "groq-gpt-oss-20b"]
    assert [model.id for model in page.data] == ["middle", "small"]
    assert page.has_more is True
    assert page.data[0].created_at.year == 2023


@pytest.mark.parametrize(
    ("name", "created"),
    [("groq-gpt-oss-20b", 2023), ("openai/middle", 2023), ("claude-opus-9-20270101", 2023)],
)
async def test_a_model_is_told_by_the_name_that_a_request_may_use(
    proxy: RunningProxy, name: str, created: int
) -> None:
    """The upstream's own, the same behind `openai/`, and Claude's."""
    model = await proxy.client.models.retrieve(name)

    assert (model.id, model.type, model.created_at.year) == (name, "model", created)


async def test_an_unknown_model_is_not_found(proxy: RunningProxy) -> None:
    """With Anthropic's error."""
    with pytest.raises(anthropic.NotFoundError, match="model: nobody"):
        await proxy.client.models.retrieve("nobody")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "after_id=nobody"])
async def test_a_wrong_page_is_refused(proxy: RunningProxy, query: str) -> None:
    """With the name of the parameter."""
    headers = {"x-api-key": proxy.key}
    async with proxy.http.get(f"{proxy.url}/v1/models?{query}", headers=headers) as reply:
        error = await reply.json()

    assert reply.status == 400
    assert error["error"]["message"].startswith(query.split("=")[0])


async def test_a_query_does_not_change_the_route(proxy: RunningProxy) -> None:
    """Claude Code appends one."""
    status, _, _ = await proxy.post(BODY, "/v1/messages?beta=true")

    assert status == 200


@pytest.mark.parametrize("path", ["/docs", "/test-connection", "/v1/complete", "/v1/messages/"])
async def test_other_routes_do_not_exist(proxy: RunningProxy, path: str) -> None:
    """Strangers are not even told that."""
    status, _, error = await proxy.post(BODY, path)
    async with proxy.http.get(proxy.url + path) as stranger:
        assert stranger.status == 401

    assert (status, error["error"]["type"]) == (404, "not_found_error")


async def test_a_wrong_method_is_told_the_right_one(proxy: RunningProxy) -> None:
    """As HTTP asks for."""
    headers = {"x-api-key": proxy.key}
    async with proxy.http.get(proxy.url + "/v1/messages", headers=headers) as reply:
        error = await reply.json()

    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert error["error"]["type"] == "invalid_request_error"


# --- keys ---


def _headers(way: str, key: str) -> dict[str, str]:
    return {"x-api-key": key} if way == "x-api-key" else {"authorization": f"{way} {key}"}


@pytest.mark.parametrize("way", ["x-api-key", "Bearer", "bearer"])
async def test_each_way_to_show_a_key_works(start_proxy: StartProxy, way: str) -> None:
    """With each of the keys."""
    keys = tuple("key-" + secrets.token_hex(8) for _ in range(2))
    proxy = await start_proxy(client_keys=keys)

    for key in keys:
        url, headers = proxy.url + "/v1/messages", _headers(way, key)
        async with proxy.http.post(url, json=BODY, headers=headers) as reply:
            assert reply.status == 200


@pytest.mark.parametrize("way", ["x-api-key", "Bearer", "Basic", ""])
@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/metrics"]
)
async def test_a_wrong_key_is_refused(
    proxy: RunningProxy, upstream: StandIn, way: str, path: str
) -> None:
    """Before the body is looked at; nothing reaches the upstream."""
    headers = _headers(way, "wrong-ü") if way else {}
    async with proxy.http.post(proxy.url + path, data=b"{", headers=headers) as reply:
        error = await reply.json()

    assert reply.status == 401
    assert error["error"]["type"] == "authentication_error"
    assert error["request_id"] == reply.headers["request-id"]
    assert upstream.asked == []


async def test_one_valid_key_is_enough(proxy: RunningProxy) -> None:
    """Claude Code may send an old x-api-key beside a valid token."""
    headers = {"x-api-key": "old", "authorization": f"Bearer {proxy.key}"}
    async with proxy.http.post(proxy.url + "/v1/messages", json=BODY, headers=headers) as reply:
        assert reply.status == 200


async def test_the_open_mode_asks_for_nothing(start_proxy: StartProxy) -> None:
    """It must have been asked for by the operator."""
    proxy = await start_proxy(client_keys=())
    async with proxy.http.post(proxy.url + "/v1/messages", json=BODY) as reply:
        assert reply.status == 200


# --- bodies ---


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"{", "not valid JSON"), (b"[]", "JSON object"), (b"{}", "model:"), (b"\xff", "not valid")],
)
async def test_an_unreadable_body_is_refused(proxy: RunningProxy, data: bytes, part: str) -> None:
    """With a reason."""
    headers = {"x-api-key": proxy.key}
    async with proxy.http.post(proxy.url + "/v1/messages", data=data, headers=headers) as reply:
        error = await reply.json()

    assert (reply.status, error["error"]["type"]) == (400, "invalid_request_error")
    assert part in error["error"]["message"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_refused(start_proxy: StartProxy, chunked: bool) -> None:
    """Whether its length is announced or not."""
    proxy = await start_proxy(max_body_bytes=2_000)

    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * 1_000

    data = pieces() if chunked else b"x" * 3_000
    headers = {"x-api-key": proxy.key}
    async with proxy.http.post(proxy.url + "/v1/messages", data=data, headers=headers) as reply:
        error = await reply.json()

    assert (reply.status, error["error"]["type"]) == (413, "request_too_large")


async def test_a_body_of_many_megabytes_arrives_whole(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Images and long histories; also for clients that wait to be told to send."""
    text = "0123456789abcdef" * 500_000
    body = BODY | {"messages": [{"role": "user", "content": text}]}

    status, _, _ = await proxy.post(body, expect100=True)

    assert status == 200
    assert upstream.last["messages"][0]["content"] == text


async def test_half_an_emoji_is_replaced(proxy: RunningProxy, upstream: StandIn) -> None:
    """JavaScript writes it so where a text was cut inside one."""
    data = json.dumps(BODY).replace("Hi", "a\\ud83d b").encode()
    headers = {"x-api-key": proxy.key}
    async with proxy.http.post(proxy.url + "/v1/messages", data=data, headers=headers) as reply:
        assert reply.status == 200

    assert upstream.last["messages"][0]["content"] in ("a\ufffd b", "a? b")


# --- models ---


async def test_a_model_that_came_later_is_found(proxy: RunningProxy, upstream: StandIn) -> None:
    """An unknown name refreshes the list, but not for each request."""
    await proxy.post(BODY | {"model": "big"})
    for number in range(20):
        await proxy.post(BODY | {"model": f"made-up-{number}"})

    assert upstream.models_asked <= 2, "made-up names must not flood the upstream"


async def test_a_failing_list_is_not_the_end(start_proxy: StartProxy, upstream: StandIn) -> None:
    """Names are mapped without it, and a list that was had once stays."""
    proxy = await start_proxy(models_ttl=0.0)
    await proxy.post(BODY | {"model": "groq-gpt-oss-20b"})
    upstream.models_status = 500
    await proxy.post(BODY | {"model": "groq-gpt-oss-20b"})
    stale = upstream.last["model"]
    await proxy.post(BODY | {"model": "claude-opus-4"})

    assert stale == "groq-gpt-oss-20b"
    assert upstream.last["model"] == "big"


async def test_concurrent_requests_share_one_refresh(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """A cold start must not ask once for each request."""
    await asyncio.gather(*[proxy.post(BODY | {"model": "groq-gpt-oss-20b"}) for _ in range(20)])

    assert upstream.models_asked == 1
    assert {body["model"] for body in upstream.asked} == {"groq-gpt-oss-20b"}


# --- headers and Azure ---


async def test_custom_headers_are_sent(start_proxy: StartProxy, upstream: StandIn) -> None:
    """Also in place of the proxy's own."""
    proxy = await start_proxy(custom_headers={"X-FOO": "bar", "AUTHORIZATION": "Custom x"})

    await proxy.post(BODY)

    assert upstream.headers[-1]["x-foo"] == "bar"
    assert upstream.headers[-1].getall("authorization") == ["Custom x"]


async def test_azure_is_asked_by_deployment(start_proxy: StartProxy, upstream: StandIn) -> None:
    """With its own path, version and key header."""
    proxy = await start_proxy(azure_api_version="2024-10-21", middle_model="my model")

    status, _, _ = await proxy.post(BODY)

    path = "/v1/openai/deployments/my%20model/chat/completions?api-version=2024-10-21"
    assert status == 200
    assert upstream.paths == [path]
    assert upstream.headers[-1]["api-key"] == upstream.key
    assert "authorization" not in upstream.headers[-1]


# --- count_tokens ---


def _png(width: int, height: int) -> dict[str, Any]:
    raw = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height)
    data = base64.b64encode(raw).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source}


async def test_tokens_are_counted_without_the_upstream(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """Text, tools, results and images all count."""

    async def count(content: Any, **changes: Any) -> int:
        counted = await proxy.client.messages.count_tokens(
            model="claude-opus-4-8", messages=[{"role": "user", "content": content}], **changes
        )
        return counted.input_tokens

    tool: Any = {"name": "Read", "description": "word " * 100, "input_schema": {"type": "object"}}
    plain = await count("Hi")

    assert 1 < plain < 20
    assert 900 < await count("word " * 1000) < 1300
    assert await count("Hi", tools=[tool]) > plain + 90
    assert await count("Hi", system="word " * 100) > plain + 90
    assert await count([_png(750, 100)]) == plain + 85 + 2 * 170 - 1
    assert (
        await count([{"type": "tool_result", "tool_use_id": "1", "content": "word " * 100}]) > 100
    )
    assert upstream.asked == []


async def test_tokens_are_counted_for_the_model_that_would_answer(proxy: RunningProxy) -> None:
    """What gpt-oss is told before the first message is billed too."""

    async def count(model: str) -> int:
        messages: Any = HI
        counted = await proxy.client.messages.count_tokens(model=model, messages=messages)
        return counted.input_tokens

    assert await count("groq-gpt-oss-20b") > await count("claude-opus-4-8") + 50


async def test_counting_refuses_what_a_request_would(proxy: RunningProxy) -> None:
    """With the same path; only `max_tokens` is not needed."""
    body = {"model": "x", "messages": [{"role": "user", "content": [{"type": "video"}]}]}

    status, _, error = await proxy.post(body, "/v1/messages/count_tokens")

    assert status == 400
    assert error["error"]["message"].startswith("messages.0.content.0.type")


# --- logs ---


async def test_the_log_names_models_but_no_secret_and_no_text(
    proxy: RunningProxy, upstream: StandIn
) -> None:
    """One line for each request, also for those that fail."""
    prompt, tool = "prompt-" + secrets.token_hex(8), "tool-" + secrets.token_hex(8)
    body = BODY | {
        "messages": [{"role": "user", "content": prompt}],
        "tools": [{"name": tool, "input_schema": {"type": "object"}}],
    }
    await proxy.post(body, headers={"x-litellm-customer-id": "alice"})
    upstream.script = failure(400, f"bad {prompt}")
    _, headers, _ = await proxy.post(body)
    await proxy.post({"model": "big", "messages": prompt})

    raw = proxy.log.getvalue().decode()
    lines = [json.loads(line) for line in raw.splitlines()]
    for secret in (prompt, tool, proxy.key, upstream.key):
        assert secret not in raw
    assert [line["status"] for line in lines] == [200, 400, 400]
    assert lines[0]["model"] == "claude-sonnet-4-5"
    assert lines[0]["upstream_model"] == "middle"
    assert lines[0]["client"] == "alice"
    assert lines[1]["request_id"] == headers["request-id"]
    assert lines[1]["error"] == "invalid_request_error"


async def test_a_bug_is_logged_by_its_place_and_told_without_details(
    proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception's message may quote the prompt."""
    prompt = "prompt-" + secrets.token_hex(8)

    def fail(*_: Any) -> None:
        raise LookupError(prompt)

    monkeypatch.setattr("claude_code_proxy.request.translate", fail)

    status, _, error = await proxy.post(BODY)

    raw = proxy.log.getvalue().decode()
    assert (status, error["error"]["type"]) == (500, "api_error")
    assert prompt not in raw + json.dumps(error)
    assert "LookupError" in raw
