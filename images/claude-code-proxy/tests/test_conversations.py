"""What the real Claude Code CLI sent, replayed: recorded shapes with filler for text."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types import MessageTokensCount
from conftest import RunningProxy, StartProxy
from demo import BIG, MAX_TOKENS, MIDDLE, SMALL, Demo, running_demo
from pydantic import TypeAdapter
from recorder.conversation import DIRECTORY, Request, load
from recorder.sessions import SESSIONS as PLAYED
from recorder.vocabulary import BILLING, VISION_MODEL
from stand_in import Script, StandIn, chunk, completion, stream, tool_chunk, usage_chunk, wire
from validity import check_chat, check_event, check_message, rebuild

Json = dict[str, Any]

SESSIONS = {path.stem: load(path) for path in sorted(DIRECTORY.glob("*.json"))}
COUNT: TypeAdapter[MessageTokensCount] = TypeAdapter(MessageTokensCount)
# All that the proxy adds between the client's texts.
GLUE = re.compile(
    r"(?:\0|\n\n|Error: |\(no output\)|\(the result is attached below\)"
    r"|Attached to the result of tool call |:|document\.pdf"
    r"|data:(?:image/png|application/pdf);base64,)*"
)


def asking(session: list[Request]) -> list[Request]:
    """Return a session's requests for a message."""
    return [request for request in session if request.path.startswith("/v1/messages?")]


def counting(session: list[Request]) -> list[Request]:
    """Return a session's requests for a number of tokens."""
    return [request for request in session if "/count_tokens?" in request.path]


def blocks(content: Any) -> list[Json]:
    """Return a message's content as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# --- what must arrive --------------------------------------------------------------------------


def sent(body: Json) -> Iterator[str]:
    """Yield every text of a request that must arrive, in the order of the OpenAI API."""
    yield from system_texts(body.get("system", ""))
    for message in body["messages"]:
        match message["role"]:
            case "user":
                yield from user_texts(blocks(message["content"]))
            case "assistant":
                yield from assistant_texts(blocks(message["content"]))
            case "system":
                yield from system_texts(message["content"])
    for tool in body.get("tools", ()):
        # A server tool has no schema, and no other upstream can run it.
        if "input_schema" in tool:
            yield tool["name"]
            yield tool["description"]
            yield canonical(tool["input_schema"])


def system_texts(content: Any) -> Iterator[str]:
    for block in blocks(content):
        if not block["text"].startswith(BILLING):
            yield block["text"]


def user_texts(content: list[Json]) -> Iterator[str]:
    """Results come first; their images stand in the user message behind them."""
    for block in content:
        if block["type"] == "tool_result":
            yield block["tool_use_id"]
            yield from (
                part["text"] for part in blocks(block.get("content", "")) if part["type"] == "text"
            )
    for block in content:
        match block["type"]:
            case "text":
                yield block["text"]
            case "image" | "document":
                yield block["source"]["data"]
            case "tool_result":
                images = [
                    part for part in blocks(block.get("content", "")) if part["type"] == "image"
                ]
                if images:
                    yield block["tool_use_id"]
                yield from (part["source"]["data"] for part in images)


def assistant_texts(content: list[Json]) -> Iterator[str]:
    """Thinking stays behind; calls follow the text."""
    yield from (block["text"] for block in content if block["type"] == "text")
    for block in content:
        if block["type"] == "tool_use":
            yield block["id"]
            yield block["name"]
            yield canonical(block["input"])


def received(chat: Json) -> Iterator[str]:
    """Yield every text of a Chat Completions request."""
    for message in chat["messages"]:
        yield message.get("tool_call_id", "")
        content = message["content"] or ""
        for part in blocks(content):
            yield from texts_of_part(part)
        for call in message.get("tool_calls", ()):
            yield call["id"]
            yield call["function"]["name"]
            yield canonical(json.loads(call["function"]["arguments"]))
    for tool in chat.get("tools", ()):
        yield tool["function"]["name"]
        yield tool["function"]["description"]
        yield canonical(tool["function"]["parameters"])


def texts_of_part(part: Json) -> Iterator[str]:
    match part["type"]:
        case "text":
            yield part["text"]
        case "image_url":
            yield part["image_url"]["url"]
        case "file":
            yield part["file"]["filename"]
            yield part["file"]["file_data"]


def canonical(value: Json) -> str:
    """Return JSON text that tells nothing but the value and the order of its members."""
    return json.dumps(value)


def check_arrival(body: Json, chat: Json) -> None:
    """Fail unless each text arrived once, in order, with nothing between them but the glue."""
    flat = "\0".join(received(chat))
    at = 0
    for text in filter(None, sent(body)):
        at = GLUE.match(flat, at).end()
        assert flat.startswith(text, at), f"{text[:80]!r} is not where {flat[at : at + 80]!r} is"
        at += len(text)
    assert GLUE.fullmatch(flat, at), f"nobody sent {flat[at : at + 80]!r}"


# --- replaying ---------------------------------------------------------------------------------


@pytest.fixture
def answering(upstream: StandIn) -> StandIn:
    """Return a stand-in that says hello and calls the first tool it is offered."""

    async def script(request: Any) -> Any:
        chat = upstream.last
        names = [tool["function"]["name"] for tool in chat.get("tools", ())][:1]
        return await (streamed if chat.get("stream") else whole)(names)(request)

    upstream.script = script
    return upstream


def whole(names: list[str]) -> Script:
    """Return the answer in one piece."""
    calls = [
        {"id": "call-1", "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}
        for name in names
    ]
    return completion("Hello", **({"tool_calls": calls} if calls else {}))


def streamed(names: list[str]) -> Script:
    """Return the same answer in pieces."""
    chunks = [chunk(content="Hel"), chunk(content="lo")]
    for name in names:
        chunks += [tool_chunk(0, '{"a"', id="call-1", name=name), tool_chunk(0, ": 1}")]
    return stream(wire(*chunks, chunk("stop"), usage_chunk()))


def expected_answer(body: Json) -> list[Json]:
    """Return the blocks that the client gets from it."""
    names = [tool["name"] for tool in body.get("tools", ()) if "input_schema" in tool][:1]
    call = {"type": "tool_use", "id": "call-1", "input": {"a": 1}}
    return [{"type": "text", "text": "Hello"}, *({**call, "name": name} for name in names)]


async def replay(proxy: RunningProxy, request: Request, **changes: Any) -> tuple[int, bytes]:
    """Send a recorded request with a valid key; return the status and the answer."""
    body = request.body and request.body | changes
    headers = {**request.headers, "authorization": f"Bearer {proxy.key}"}
    url, data = proxy.url + request.path, body and json.dumps(body).encode()
    async with proxy.http.request(request.method, url, data=data, headers=headers) as answer:
        return answer.status, await answer.read()


def events_in(raw: bytes) -> list[Json]:
    """Return the events of a streamed answer."""
    lines = [line for line in raw.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


@pytest.mark.parametrize("name", SESSIONS)
async def test_every_text_arrives_once_and_in_order(
    proxy: RunningProxy, answering: StandIn, name: str
) -> None:
    """What reaches the upstream is valid and complete, and so is the client's answer."""
    for request in asking(SESSIONS[name]):
        status, raw = await replay(proxy, request, stream=False)
        message = json.loads(raw)
        assert status == 200, message
        check_chat(answering.last)
        check_arrival(request.body, answering.last)
        check_message(message)
        assert message["content"] == expected_answer(request.body)


@pytest.mark.parametrize("name", SESSIONS)
async def test_streamed_requests_differ_in_nothing_else(
    proxy: RunningProxy, answering: StandIn, name: str
) -> None:
    """The upstream gets the same, the client the same blocks in valid events."""
    for request in asking(SESSIONS[name]):
        await replay(proxy, request, stream=False)
        status, raw = await replay(proxy, request, stream=True)
        assert status == 200, raw
        unstreamed, chat = answering.asked[-2:]
        check_chat(chat)
        assert chat == unstreamed | {"stream": True, "stream_options": {"include_usage": True}}
        events = events_in(raw)
        for event in events:
            check_event(event)
        assert rebuild(events) == expected_answer(request.body)
        assert events[-1]["type"] == "message_stop"


@pytest.mark.parametrize("name", [name for name, session in SESSIONS.items() if counting(session)])
async def test_tokens_are_counted_without_the_upstream(
    proxy: RunningProxy, upstream: StandIn, name: str
) -> None:
    """In every form that the CLI asks in."""
    for request in counting(SESSIONS[name]):
        status, raw = await replay(proxy, request)
        assert status == 200, raw
        assert COUNT.validate_json(raw, strict=True).input_tokens > 0
    assert upstream.asked == []


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    """Run the demo upstream, which refuses what Groq refuses."""
    async with running_demo(vision_model=VISION_MODEL) as running:
        yield running


@pytest.mark.parametrize("name", SESSIONS)
async def test_a_strict_upstream_takes_every_session(
    start_proxy: StartProxy, demo: Demo, name: str
) -> None:
    """Each request gets the status that it got when it was recorded."""
    proxy = await start_proxy(
        upstream_url=demo.url,
        upstream_key=demo.key,
        big_model=BIG,
        middle_model=MIDDLE,
        small_model=SMALL,
        max_tokens=MAX_TOKENS,
    )
    for request in SESSIONS[name]:
        status, raw = await replay(proxy, request)
        assert status == request.status, raw
        if request in asking(SESSIONS[name]) and status == 200:
            events = events_in(raw)
            for event in events:
                check_event(event)
            assert events[-1]["type"] == "message_stop"


def test_only_full_windows_images_and_files_were_refused() -> None:
    """By the demo upstream: its window is Groq's, its models see nothing, and none reads files."""
    refused = {
        name: sorted({request.status for request in session if request.status != 200})
        for name, session in SESSIONS.items()
    }

    assert {name: statuses for name, statuses in refused.items() if statuses} == {
        "image-refused": [400],
        "long-context": [400],
        "pdf-read": [400],
    }


# --- what the recordings are for ---------------------------------------------------------------


def found(session: list[Request], role: str, kind: str) -> Iterator[list[Json]]:
    """Yield the blocks of a kind for each message of a role that has some."""
    for request in asking(session):
        for message in request.body["messages"]:
            some = [block for block in blocks(message["content"]) if block["type"] == kind]
            if some and message["role"] == role:
                yield some


def has_both_results(session: list[Request]) -> bool:
    results = [result for some in found(session, "user", "tool_result") for result in some]
    return {bool(result.get("is_error")) for result in results} == {False, True}


def has_parallel_calls(session: list[Request]) -> bool:
    return any(len(calls) > 1 for calls in found(session, "assistant", "tool_use"))


def has_a_pasted_image(session: list[Request]) -> bool:
    return any(found(session, "user", "image"))


def has_an_image_in_a_result(session: list[Request]) -> bool:
    results = [result for some in found(session, "user", "tool_result") for result in some]
    parts = [part for result in results for part in blocks(result.get("content", ""))]
    return any(part["type"] == "image" for part in parts)


def has_a_document(session: list[Request]) -> bool:
    return any(found(session, "user", "document"))


def has_two_systems(session: list[Request]) -> bool:
    return len({json.dumps(request.body["system"][1:]) for request in asking(session)}) > 1


def has_an_interrupted_call(session: list[Request]) -> bool:
    return any(
        {"tool_result", "text"} == {block["type"] for block in blocks(message["content"])}
        for message in asking(session)[-1].body["messages"]
    )


def has_many_turns(session: list[Request]) -> bool:
    asked = asking(session)[-1].body["messages"]
    return sum(message["role"] == "user" for message in asked) > 5


def thinks(session: list[Request]) -> bool:
    budgets = [request.body["thinking"].get("budget_tokens") for request in asking(session)]
    return any(budgets) and any(found(session, "assistant", "thinking"))


def is_compacted(session: list[Request]) -> bool:
    sizes = [len(json.dumps(request.body["messages"])) for request in asking(session)]
    return any(after < 0.75 * before for before, after in pairwise(sizes))


def is_long(session: list[Request]) -> bool:
    longest = max(len(json.dumps(request.body)) for request in asking(session))
    return longest > 400_000 and is_compacted(session)


def has_a_server_tool(session: list[Request]) -> bool:
    tools = [tool for request in asking(session) for tool in request.body["tools"]]
    return any("input_schema" not in tool for tool in tools)


def has_other_scripts(session: list[Request]) -> bool:
    texts = [block["text"] for some in found(session, "user", "text") for block in some]
    return not all(map(str.isascii, texts))


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("single-tool", has_both_results),
        ("parallel-tools", has_parallel_calls),
        ("image-pasted", has_a_pasted_image),
        ("image-read", has_an_image_in_a_result),
        ("pdf-read", has_a_document),
        ("sub-agent", has_two_systems),
        ("interrupted-tool", has_an_interrupted_call),
        ("many-turns", has_many_turns),
        ("thinking", thinks),
        ("long-context", is_long),
        ("compacted", is_compacted),
        ("compacted-early", is_compacted),
        ("context-shown", counting),
        ("web-search", has_a_server_tool),
        ("other-scripts", has_other_scripts),
    ],
)
def test_a_session_shows_what_it_was_played_for(
    name: str, shows: Callable[[list[Request]], Any]
) -> None:
    """However the CLI changes: a recording without it would test nothing."""
    assert shows(SESSIONS[name])


def test_every_session_is_recorded() -> None:
    """And nothing is replayed that could not be recorded again."""
    assert SESSIONS.keys() == set(PLAYED)


@pytest.mark.parametrize("name", SESSIONS)
def test_ids_and_names_hang_together(name: str) -> None:
    """Filler for a result names its call, filler for a call names its tool and its arguments."""
    for request in asking(SESSIONS[name]):
        schemas = {tool["name"]: tool.get("input_schema") for tool in request.body["tools"]}
        calls = [call for some in found([request], "assistant", "tool_use") for call in some]
        results = [block for some in found([request], "user", "tool_result") for block in some]
        # The CLI reports calls that ran side by side as they finish.
        assert sorted(call["id"] for call in calls) == sorted(
            result["tool_use_id"] for result in results
        )
        for call in calls:
            assert call["input"].keys() <= schemas[call["name"]]["properties"].keys()
            assert call["input"].keys() >= set(schemas[call["name"]].get("required", ()))
