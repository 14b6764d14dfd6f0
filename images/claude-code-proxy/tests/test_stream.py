"""The state machine between chunks and events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stand_in import USAGE, chunk, tool_chunk, usage_chunk

from claude_code_proxy.errors import ApiError
from claude_code_proxy.request import ChatRequest
from claude_code_proxy.response import Usage
from claude_code_proxy.stream import StreamTranslator


def _translator(**changes: Any) -> StreamTranslator:
    values = {"body": {}, "model": "asked", "stream": True, "wants_thinking": True} | changes
    return StreamTranslator(
        ChatRequest(**values), "msg_1", lambda written: Usage(input=99, output=written)
    )


def _run(*chunks: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    translator = _translator(**changes)
    events = [translator.start()]
    for item in chunks:
        events.extend(translator.feed(json.dumps(item).encode()))
    return events + translator.end()


def _blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rebuild the content, and check that one block is open at a time and numbers are in order."""
    blocks: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert current is None, "a block began inside another one"
                assert event["index"] == len(blocks)
                current = {**event["content_block"], "json": ""}
            case "content_block_delta":
                assert current is not None
                assert event["index"] == len(blocks)
                delta = event["delta"]
                match delta["type"]:
                    case "text_delta":
                        current["text"] += delta["text"]
                    case "thinking_delta":
                        current["thinking"] += delta["thinking"]
                    case "input_json_delta":
                        current["json"] += delta["partial_json"]
            case "content_block_stop":
                assert current is not None
                assert event["index"] == len(blocks)
                raw = current.pop("json")
                if current["type"] == "tool_use":
                    current["input"] = json.loads(raw)
                blocks.append(current)
                current = None
    assert current is None, "a block was never closed"
    return blocks


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_text_makes_the_events_of_the_messages_api_in_their_order() -> None:
    """The order is the one that the API documents."""
    events = _run(
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo"),
        chunk("stop"),
        usage_chunk(),
    )

    assert _types(events) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["model"] == "asked"
    assert events[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 8,
            "output_tokens": 7,
        },
    }


def test_reasoning_comes_before_the_text_in_a_block_of_its_own() -> None:
    """Both names that upstreams use for reasoning are read."""
    for name in ("reasoning", "reasoning_content"):
        events = _run(
            chunk(**{name: "Hm"}), chunk(**{name: "m."}), chunk(content="Yes"), chunk("stop")
        )

        assert _blocks(events) == [
            {"type": "thinking", "thinking": "Hmm.", "signature": ""},
            {"type": "text", "text": "Yes"},
        ]


def test_reasoning_is_left_out_where_the_client_did_not_ask() -> None:
    """A client without thinking expects the text in the first block."""
    events = _run(chunk(reasoning="Hm"), chunk(content="Yes"), chunk("stop"), wants_thinking=False)

    assert _blocks(events) == [{"type": "text", "text": "Yes"}]


def test_arguments_are_passed_on_piece_by_piece() -> None:
    """Each piece becomes a delta at once."""
    translator = _translator()
    translator.start()
    pieces = ['{"pa', 'th": "/t', 'mp"}']
    first = translator.feed(json.dumps(tool_chunk(0, "", id="c1", name="Read")).encode())
    deltas = [translator.feed(json.dumps(tool_chunk(0, piece)).encode()) for piece in pieces]
    translator.feed(json.dumps(chunk("tool_calls")).encode())
    end = translator.end()

    assert _types(first) == ["content_block_start"]
    assert [[event["delta"]["partial_json"] for event in events] for events in deltas] == [
        [piece] for piece in pieces
    ]
    assert _types(end) == ["content_block_stop", "message_delta", "message_stop"]
    assert end[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_second_call_streams_as_soon_as_the_first_is_complete() -> None:
    """Calls one after the other, as most upstreams send them, are not held back."""
    translator = _translator()
    for item in (
        tool_chunk(0, '{"a": 1}', id="c1", name="A"),
        tool_chunk(1, "", id="c2", name="B"),
    ):
        events = translator.feed(json.dumps(item).encode())

    assert _types(events) == ["content_block_stop", "content_block_start"]
    assert events[1]["content_block"]["name"] == "B"


def test_interleaved_calls_are_put_in_order() -> None:
    """Pieces of several calls in turn make one block after the other, with nothing lost."""
    events = _run(
        chunk(content="Look:"),
        tool_chunk(0, '{"a"', id="c1", name="A"),
        tool_chunk(1, '{"b"', id="c2", name="B"),
        tool_chunk(0, ": [1, "),
        tool_chunk(1, ": 2"),
        tool_chunk(2, "", id="c3", name="C"),
        tool_chunk(1, "}"),
        tool_chunk(0, "2]}"),
        chunk("tool_calls"),
    )

    assert _blocks(events) == [
        {"type": "text", "text": "Look:"},
        {"type": "tool_use", "id": "c1", "name": "A", "input": {"a": [1, 2]}},
        {"type": "tool_use", "id": "c2", "name": "B", "input": {"b": 2}},
        {"type": "tool_use", "id": "c3", "name": "C", "input": {}},
    ]


def test_text_inside_an_unfinished_call_waits_for_its_end() -> None:
    """Only one block can be open, so the text follows the call."""
    events = _run(
        tool_chunk(0, '{"a"', id="c1", name="A"),
        chunk(content="mean"),
        tool_chunk(0, ": 1}"),
        chunk(content="while"),
        chunk("tool_calls"),
    )

    assert [block["type"] for block in _blocks(events)] == ["tool_use", "text"]
    assert _blocks(events)[1]["text"] == "meanwhile"


def test_calls_that_share_a_number_are_told_apart_by_their_id() -> None:
    """Some upstreams number every call 0."""
    events = _run(
        tool_chunk(0, '{"x": 1}', id="c1", name="A"),
        tool_chunk(0, '{"x": 2}', id="c2", name="A"),
        chunk("stop"),
    )

    assert [(block["id"], block["input"]["x"]) for block in _blocks(events)] == [
        ("c1", 1),
        ("c2", 2),
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("arguments", ["", "  ", "null", None])
def test_a_call_without_arguments_gets_an_empty_object(arguments: str | None) -> None:
    """Clients parse the joined pieces, and nothing is no JSON."""
    events = _run(tool_chunk(0, arguments, id="c1", name="A"), chunk("tool_calls"))

    assert _blocks(events)[0]["input"] == {}


def test_a_call_without_an_id_gets_one() -> None:
    """The result must be able to name the call."""
    events = _run(tool_chunk(0, "{}", name="A"), chunk("tool_calls"))

    assert _blocks(events)[0]["id"].startswith("toolu_")


def test_blank_text_makes_no_block() -> None:
    """Models often write line breaks before a call; a blank block would be refused as history."""
    events = _run(
        chunk(content="\n\n"), tool_chunk(0, "{}", id="c1", name="A"), chunk("tool_calls")
    )

    assert [block["type"] for block in _blocks(events)] == ["tool_use"]


def test_blank_text_before_words_is_kept() -> None:
    """Only blocks that stay blank are left out."""
    events = _run(chunk(content="\n"), chunk(content="x"), chunk("stop"))

    assert _blocks(events) == [{"type": "text", "text": "\nx"}]


def test_an_answer_without_content_has_no_block() -> None:
    """The stream is still complete."""
    events = _run(chunk(content=""), chunk("stop"))

    assert _types(events) == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "end_turn"),
        ("something_new", "end_turn"),
    ],
)
def test_each_finish_reason_has_a_stop_reason(finish: str, reason: str) -> None:
    """Without a call even `tool_calls` is the end of a turn."""
    assert _run(chunk(content="x"), chunk(finish))[-2]["delta"]["stop_reason"] == reason


def test_a_matched_stop_sequence_is_reported() -> None:
    """Some upstreams say which one it was."""
    last = {"choices": [{"delta": {}, "finish_reason": "stop", "stop_reason": "END"}]}

    delta = _run(chunk(content="x"), last, stop_sequences=("END",))[-2]["delta"]

    assert delta == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_a_refusal_is_shown_as_text() -> None:
    """OpenAI sends it beside the content."""
    events = _run(chunk(refusal="I can't."), chunk("stop"))

    assert _blocks(events) == [{"type": "text", "text": "I can't."}]
    assert events[-2]["delta"]["stop_reason"] == "refusal"


def test_usage_is_found_where_groq_puts_it() -> None:
    """Groq reports it in a member of its own in the last chunk."""
    events = _run(chunk(content="x"), chunk("stop") | {"x_groq": {"usage": USAGE}})

    assert events[-2]["usage"]["output_tokens"] == 7


def test_missing_usage_is_estimated() -> None:
    """Claude Code decides by the usage when to compact; zeros would never let it."""
    usage = _run(chunk(content="four"), chunk("stop"))[-2]["usage"]

    assert (usage["input_tokens"], usage["output_tokens"]) == (99, 4)


def test_a_shortened_tool_name_is_restored() -> None:
    """The client must see the name that it gave."""
    events = _run(
        tool_chunk(0, "{}", id="c", name="short"), chunk("stop"), tool_names={"short": "long"}
    )

    assert _blocks(events)[0]["name"] == "long"


def test_a_stream_without_an_end_is_an_error() -> None:
    """A broken connection must not look like a short answer."""
    with pytest.raises(ApiError, match="broke off"):
        _run(chunk(content="Hel"))


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"7", b'{"choices": [7]}', b'{"choices": [{"delta": "x"}]}']
)
def test_a_malformed_chunk_is_an_error(data: bytes) -> None:
    """Nothing is guessed from what cannot be read."""
    with pytest.raises(ApiError, match="malformed"):
        _translator().feed(data)


@pytest.mark.parametrize("arguments", ["[1]", '{"a": ', '"text"'])
def test_arguments_that_are_no_object_are_an_error(arguments: str) -> None:
    """A tool must not run on half of its input."""
    with pytest.raises(ApiError, match="not a JSON object"):
        _run(tool_chunk(0, arguments, id="c", name="A"), chunk("tool_calls"))


def test_arguments_cut_by_the_output_limit_end_with_max_tokens() -> None:
    """The client knows by the stop reason that the call is not whole."""
    events = _run(tool_chunk(0, '{"a": "b', id="c", name="A"), chunk("length"))

    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert _types(events).count("content_block_stop") == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": 429}, "rate_limit_error"),
        ({"message": "slow down", "type": "rate_limit_error"}, "rate_limit_error"),
        ({"message": "busy", "code": "503"}, "overloaded_error"),
        ({"message": "busy", "code": "over_capacity", "status_code": 503}, "overloaded_error"),
        ({"message": "full", "code": "context_length_exceeded"}, "invalid_request_error"),
        ({"message": "bad", "type": "invalid_request_error"}, "invalid_request_error"),
        ({"message": "odd", "code": 7}, "api_error"),
        ({"message": "x"}, "api_error"),
        ("x", "api_error"),
    ],
)
def test_an_error_inside_the_stream_keeps_its_kind(error: Any, kind: str) -> None:
    """The upstream's code decides."""
    with pytest.raises(ApiError) as caught:
        _translator().feed(json.dumps({"error": error}).encode())

    assert caught.value.kind == kind
