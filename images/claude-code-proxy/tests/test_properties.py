"""What holds for every valid request and every valid answer, not only for those thought of."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from stand_in import chunk, tool_chunk, usage_chunk, wire
from validity import check_chat, check_event, check_message, rebuild

from claude_code_proxy.request import ChatRequest, translate
from claude_code_proxy.response import Usage
from claude_code_proxy.response import translate as translate_answer
from claude_code_proxy.settings import Settings
from claude_code_proxy.sse import SseParser, encode
from claude_code_proxy.stream import StreamTranslator

Json = dict[str, Any]

SETTINGS = Settings(upstream_url="http://127.0.0.1/v1", upstream_key="-")


class Conversation:
    """Builds a valid request; every text in it is a word of its own.

    Attributes:
        kept: The words that must arrive, in the order of the OpenAI API, by message of the client.
        dropped: The words that must not.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._words = 0
        self.kept: list[list[str]] = []
        self.dropped: list[str] = []
        self.tools: list[Json] = []

    def word(self) -> str:
        self._words += 1
        return f"word{self._words:04d}w"

    def kept_word(self) -> str:
        self.kept[-1].append(self.word())
        return self.kept[-1][-1]

    def dropped_word(self) -> str:
        self.dropped.append(self.word())
        return self.dropped[-1]

    def body(self) -> Json:
        body: Json = {"model": "m", "max_tokens": self._draw(st.integers(1, 10**6))}
        self.kept.append([])
        match self._draw(st.sampled_from(["none", "text", "blocks"])):
            case "text":
                body["system"] = self.kept_word()
            case "blocks":
                body["system"] = [
                    {"type": "text", "text": "x-anthropic-billing-header: " + self.dropped_word()},
                    *(self.text() for _ in range(self._draw(st.integers(1, 3)))),
                ]
        messages: list[Json] = []
        for turn in range(self._draw(st.integers(1, 4))):
            messages.extend(self.turn(turn))
        body["messages"] = messages
        for index in range(self._draw(st.integers(0, 3))):
            self.kept.append([])
            schema = {"type": "object", "description": self.word()}
            self.tools.append({"name": f"tool-{index}" + "x" * 70, "input_schema": schema})
        if self.tools:
            body["tools"] = self.tools
        return body

    def turn(self, turn: int) -> list[Json]:
        calls = [f"call-{turn}-{number}" for number in range(self._draw(st.integers(0, 3)))]
        self.kept.append([])
        asked: Any
        if self._draw(st.booleans()):
            asked = self.kept_word()
        else:
            asked = [self.user_block() for _ in range(self._draw(st.integers(1, 4)))]
        messages = [{"role": "user", "content": asked}]
        self.kept.append([])
        answer: list[Json] = []
        if self._draw(st.booleans()):
            answer.append(self.thinking())
        said = self._draw(st.integers(0 if calls else 1, 2))
        answer.extend(self.text() for _ in range(said))
        for call in calls:
            value = {"path": self.kept_word()}
            answer.append({"type": "tool_use", "id": call, "name": "tool-0", "input": value})
        messages.append({"role": "assistant", "content": answer})
        if calls:
            messages.append({"role": "user", "content": self.results(calls)})
        if self._draw(st.booleans()):
            self.kept.append([])
            messages.append({"role": "system", "content": [self.text()]})
        return messages

    def results(self, calls: list[str]) -> list[Json]:
        """Results in any order, text beside them anywhere; what is beside comes behind."""
        self.kept.append([])
        results = [self.result(call) for call in self._draw(st.permutations(calls))]
        self.kept.append([])
        beside = [self.text() for _ in range(self._draw(st.integers(0, 2)))]
        where = self._draw(st.integers(0, len(results)))
        return [*results[:where], *beside, *results[where:]]

    def result(self, call: str) -> Json:
        content: Any = None
        match self._draw(st.sampled_from(["none", "text", "blocks", "empty"])):
            case "text":
                content = self.kept_word()
            case "blocks":
                content = [self.text() for _ in range(self._draw(st.integers(1, 3)))]
            case "empty":
                content = []
        result: Json = {"type": "tool_result", "tool_use_id": call}
        if content is not None:
            result["content"] = content
        if self._draw(st.booleans()):
            result["is_error"] = self._draw(st.booleans())
        return result

    def user_block(self) -> Json:
        match self._draw(st.sampled_from(["text", "image", "url", "document", "pdf"])):
            case "image":
                source = {"type": "base64", "media_type": "image/png", "data": self.kept_word()}
                return {"type": "image", "source": source}
            case "url":
                source = {"type": "url", "url": f"https://example.org/{self.kept_word()}"}
                return {"type": "image", "source": source}
            case "document":
                title = self.kept_word()
                source = {"type": "text", "media_type": "text/plain", "data": self.kept_word()}
                return {"type": "document", "title": title, "source": source}
            case "pdf":
                data = self.kept_word()
                source = {"type": "base64", "media_type": "application/pdf", "data": data}
                return {"type": "document", "source": source}
        return self.text()

    def text(self) -> Json:
        block: Json = {"type": "text", "text": self.kept_word()}
        if self._draw(st.booleans()):
            block["cache_control"] = {"type": "ephemeral"}
        return block

    def thinking(self) -> Json:
        if self._draw(st.booleans()):
            return {"type": "redacted_thinking", "data": self.dropped_word()}
        return {"type": "thinking", "thinking": self.dropped_word(), "signature": "s"}


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Json, Conversation]:
    """Return a valid request and what is known of its words."""
    conversation = Conversation(draw)
    return conversation.body(), conversation


@given(conversations())
def test_a_valid_request_loses_nothing_and_stays_in_order(
    made: tuple[Json, Conversation],
) -> None:
    """Each word arrives exactly once and in its place, and what is sent is a valid request."""
    body, conversation = made

    chat = translate(body, "upstream-model", SETTINGS).body

    text = json.dumps(chat)
    check_chat(chat)
    expected = [word for words in conversation.kept for word in words]
    assert [text.count(word) for word in expected] == [1] * len(expected)
    places = [text.index(word) for word in expected]
    assert places == sorted(places)
    assert not [word for word in conversation.dropped if word in text]
    assert all(len(tool["function"]["name"]) <= 64 for tool in chat.get("tools", ()))


# --- answers ---

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_WORDS = st.text("abc é🙂\n", min_size=1, max_size=40).filter(str.strip)
_ARGUMENTS = st.dictionaries(_TEXT, st.one_of(_TEXT, st.integers(), st.none(), st.lists(_TEXT)))


@st.composite
def answers(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """Return a completion's message, and the same as chunks with any cuts and any interleaving."""
    reasoning = draw(st.none() | _WORDS)
    text = draw(st.none() | _WORDS)
    calls = [
        {"id": f"call-{index}", "function": {"name": "Read", "arguments": json.dumps(arguments)}}
        for index, arguments in enumerate(draw(st.lists(_ARGUMENTS, max_size=3)))
    ]
    message: Json = {"role": "assistant", "content": text}
    if reasoning is not None:
        message["reasoning"] = reasoning
    if calls:
        message["tool_calls"] = calls
    chunks = [chunk(reasoning=piece) for piece in pieces(draw, reasoning or "")]
    chunks += [chunk(content=piece) for piece in pieces(draw, text or "")]
    queues = [
        [
            tool_chunk(index, "", id=call["id"], name="Read"),
            *(tool_chunk(index, piece) for piece in pieces(draw, call["function"]["arguments"])),
        ]
        for index, call in enumerate(calls)
    ]
    # Calls begin in their order; their pieces may come mixed.
    chunks += [queue.pop(0) for queue in queues]
    while any(queues):
        chunks.append(draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    return message, [*chunks, chunk("tool_calls" if calls else "stop"), usage_chunk()]


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text anywhere."""
    places = draw(st.lists(st.integers(0, len(text)), max_size=4))
    edges = sorted({0, len(text), *places})
    return [text[start:end] for start, end in pairwise(edges)]


def request(*, stream: bool) -> ChatRequest:
    """Return a request that shows reasoning."""
    return ChatRequest(body={}, model="asked", stream=stream, wants_thinking=True)


def estimate(written: int) -> Usage:
    """Never needed: every answer here reports its usage."""
    raise AssertionError(written)


@given(answers(), st.lists(st.integers(0, 10_000), max_size=30))
def test_whole_and_streamed_answers_are_valid_and_say_the_same(
    answer: tuple[Json, list[Json]], cuts: list[int]
) -> None:
    """However the upstream's bytes are cut."""
    message, chunks = answer
    finish = chunks[-2]["choices"][0]["finish_reason"]
    completion = {
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage_chunk()["usage"],
    }
    raw = wire(*chunks)
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})

    whole = translate_answer(
        json.dumps(completion).encode(), request(stream=False), "msg_1", estimate, ()
    )
    parser, translator = SseParser(), StreamTranslator(request(stream=True), "msg_1", estimate)
    events = [translator.start()]
    for start, end in pairwise(edges):
        for data in parser.feed(raw[start:end]):
            if data != b"[DONE]":
                events.extend(translator.feed(data))
    events.extend(translator.end())

    check_message(whole)
    for event in events:
        check_event(event)
        assert json.loads(encode(event).split(b"data: ", 1)[1]) == event
    blocks = rebuild(events)
    assert blocks == whole["content"]
    assert events[-2]["delta"]["stop_reason"] == whole["stop_reason"]
    assert events[-2]["usage"] == whole["usage"]
    assert [block for block in blocks if block.get("text") == ""] == []
    said = [block for block in blocks if block["type"] == "tool_use"]
    assert [block["input"] for block in said] == [
        json.loads(call["function"]["arguments"]) for call in message.get("tool_calls", ())
    ]
