"""What a caller gets who does something wrong, or asks for a fault."""

import asyncio
import time
from typing import Any

import aiohttp
import groq
import httpx
import pytest
from conftest import BASH, LLAMA

USER = {"role": "user", "content": "hi"}


async def read_into(texts: list[str], stream: Any) -> None:
    """Keep what comes before a stream breaks."""
    async for chunk in stream:
        texts.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 # it may break


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic {key}", "Bearer"])
async def test_a_wrong_key_is_refused_on_every_route_but_health(upstream, header):
    """The body is Groq's, word for word."""
    headers = {"authorization": header.format(key=upstream.key)} if header else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{upstream.url}/openai/v1/models") as answer:
            status, body = answer.status, await answer.json()
        async with session.get(f"{upstream.url}/health") as health:
            assert health.status == 200

    assert status == 401
    assert body == {
        "error": {
            "message": "Invalid API Key",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        }
    }


async def test_two_keys_are_known_while_one_replaces_the_other(start):
    """Each of them opens the door, and both together do not."""
    running = await start(DEMO_API_KEY="gsk_former, gsk_next")
    statuses = {}
    async with aiohttp.ClientSession() as session:
        for key in ("gsk_former", "gsk_next", "gsk_former, gsk_next"):
            headers = {"authorization": f"Bearer {key}"}
            async with session.get(f"{running.url}/openai/v1/models", headers=headers) as answer:
                statuses[key] = answer.status

    assert statuses == {"gsk_former": 200, "gsk_next": 200, "gsk_former, gsk_next": 401}


async def test_an_unknown_model_is_not_found(upstream):
    """The SDK raises the error that it raises for Groq."""
    with pytest.raises(groq.NotFoundError) as error:
        await upstream.ask("hi", model="gpt-4")

    assert error.value.body["error"]["code"] == "model_not_found"


async def test_an_unknown_route_is_not_found(upstream):
    """The answer is JSON, like every error."""
    async with upstream.http.get(f"{upstream.url}/openai/v1/nothing") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "unknown_url"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"messages": None}, "'messages' is missing"),
        ({"messages": []}, "minimum number of items"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "'role'"),
        ({"messages": [{"role": "user"}]}, "'content' is missing"),
        ({"messages": [{**USER, "cache_control": {}}]}, "'cache_control' is unsupported"),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "'tool_call_id' is missing"),
        (
            {"messages": [USER, {"role": "tool", "tool_call_id": "a", "content": "x"}]},
            "preceding message with 'tool_calls'",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "must be a string"),
        ({"model": None}, "'model' is missing"),
        ({"max_completion_tokens": 32_769}, "less than or equal to `32768`"),
        ({"max_tokens": 0}, "at least 1"),
        ({"tools": [BASH], "tool_choice": "sometimes"}, "'tool_choice'"),
        (
            {"tools": [BASH], "tool_choice": {"type": "function", "function": {"name": "Nope"}}},
            "not among the tools",
        ),
        ({"tool_choice": "required"}, "no tools"),
        ({"tools": [{"type": "web_search"}]}, "'function'"),
        ({"n": 2}, "at most 1"),
        ({"top_k": 5}, "'top_k' is unsupported"),
        ({"reasoning_effort": "low"}, "not supported with this model"),
        ({"stream_options": {"include_usage": True}}, "'stream'"),
        ({"response_format": {"type": "xml"}}, "'response_format'"),
    ],
)
async def test_a_malformed_request_is_refused_with_the_reason(upstream, change, word):
    """As an invalid request, before anything is answered."""
    status, body = await upstream.post({"model": LLAMA, "messages": [USER], **change})

    assert status == 400
    assert word in body["error"]["message"]
    assert body["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_not_json_is_refused(upstream):
    """With a reason, not with a crash."""
    async with upstream.http.post(
        f"{upstream.url}/openai/v1/chat/completions", data=b"{nope"
    ) as answer:
        assert answer.status == 400
        assert "not valid JSON" in (await answer.json())["error"]["message"]


async def test_a_prompt_beyond_the_context_window_is_refused(upstream):
    """With the code by which clients know that compaction helps."""
    status, body = await upstream.post(
        {"model": LLAMA, "messages": [{"role": "user", "content": "word " * 120_000}]}
    )

    assert status == 400
    assert body["error"]["code"] == "context_length_exceeded"


async def test_a_rate_limit_says_when_to_come_back(upstream):
    """In the header that clients obey."""
    with pytest.raises(groq.RateLimitError) as error:
        await upstream.ask("[demo:429]")

    assert error.value.body["error"]["code"] == "rate_limit_exceeded"
    assert error.value.response.headers["retry-after"] == "2"
    assert error.value.response.headers["x-ratelimit-limit-tokens"]


async def test_the_allowance_of_tokens_runs_out_and_big_requests_never_fit(start):
    """One model's use leaves the other's alone."""
    upstream = await start(DEMO_TOKENS_PER_MINUTE="60")
    big = {"model": LLAMA, "messages": [{"role": "user", "content": "word " * 100}]}

    assert (await upstream.post(big))[0] == 413
    await upstream.ask("hello")
    await upstream.ask("hello")
    with pytest.raises(groq.RateLimitError):
        await upstream.ask("hello")
    await upstream.ask("hello", model="llama-3.1-8b-instant")


@pytest.mark.parametrize("status", [401, 404, 413, 500, 502, 503])
async def test_any_status_comes_on_demand(upstream, status):
    """Instead of an answer."""
    answered, body = await upstream.post(
        {"model": LLAMA, "messages": [{"role": "user", "content": f"[demo:{status}] hi"}]}
    )

    assert answered == status
    assert body["error"]["message"]


async def test_a_fault_can_end_after_some_requests(upstream):
    """So that retries can be seen to help."""
    body = {"model": LLAMA, "messages": [{"role": "user", "content": "[demo:500=2] hi"}]}

    assert [(await upstream.post(body))[0] for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize(
    ("marker", "code"),
    [("context", "context_length_exceeded"), ("tool_use_failed", "tool_use_failed")],
)
async def test_groqs_own_errors_come_on_demand(upstream, marker, code):
    """With their codes."""
    with pytest.raises(groq.BadRequestError) as error:
        await upstream.ask(f"[demo:{marker}]")

    assert error.value.body["error"]["code"] == code


async def test_a_stream_can_be_cut_in_the_middle(upstream):
    """Some text has come by then, and no end."""
    texts: list[str] = []
    with pytest.raises(groq.APIConnectionError):
        await upstream.ask("[demo:cut]")
    stream = await upstream.ask("[demo:cut]", stream=True)
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        await read_into(texts, stream)

    assert "You said" in "".join(texts)


async def test_an_error_can_come_in_the_middle_of_a_stream(upstream):
    """As an event that the SDK raises."""
    stream = await upstream.ask("[demo:error]", stream=True)
    texts: list[str] = []
    with pytest.raises(groq.APIError, match="Internal Server Error"):
        await read_into(texts, stream)

    assert "You said" in "".join(texts)


async def test_silence_comes_before_the_first_token_and_in_the_middle(upstream):
    """Each at least as long as it was asked for."""
    started = time.monotonic()
    stream = await upstream.ask("[demo:slow=0.2] [demo:pause=0.2]", stream=True)
    arrivals = [time.monotonic() - started async for _ in stream]

    assert arrivals[0] >= 0.2
    assert arrivals[-1] >= 0.4


async def test_chunks_keep_their_pace(start):
    """Ten words take at least ten times the time of one."""
    upstream = await start(DEMO_CHUNK_MILLISECONDS="20")
    started = time.monotonic()
    stream = await upstream.ask("[demo:words=10]", stream=True)
    count = len([chunk async for chunk in stream])

    assert count == 12
    assert time.monotonic() - started >= 0.2


async def test_a_client_that_goes_away_harms_nobody(upstream):
    """The next request is answered."""
    stream = await upstream.ask("[demo:words=100000]", stream=True)
    async for _ in stream:
        break
    await stream.close()
    await asyncio.sleep(0)

    assert (await upstream.ask("still there?")).choices[0].finish_reason == "stop"
