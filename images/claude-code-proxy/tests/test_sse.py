"""The reader of server-sent events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_code_proxy.sse import SseOverflowError, SseParser, encode

_TEXTS = st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))


def _parse(pieces: list[bytes]) -> list[bytes]:
    parser = SseParser()
    return [data for piece in pieces for data in parser.feed(piece)] + parser.close()


def _cut(raw: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(raw) + 1) for place in places} | {0, len(raw)})
    return [raw[start:end] for start, end in pairwise(edges)]


@given(_TEXTS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 10_000)))
def test_events_survive_every_split_of_the_stream(
    texts: list[str], newline: str, places: list[int]
) -> None:
    """Cuts inside characters, fields and line ends do not change what is read."""
    noise = f": a comment{newline}event: x{newline}id: 1{newline}"
    raw = "".join(f"{noise}data: {text}{newline}{newline}" for text in texts).encode()

    assert _parse(_cut(raw, places)) == [text.encode() for text in texts]


def test_each_byte_may_come_alone() -> None:
    """A stream in pieces of one byte reads like the whole."""
    raw = 'data: {"a": "é🙂"}\r\n\r\ndata: [DONE]\r\n\r\n'.encode()

    assert _parse([raw[i : i + 1] for i in range(len(raw))]) == _parse([raw])


def test_data_lines_of_one_event_are_joined() -> None:
    """Several data lines make one event; one leading space belongs to the syntax."""
    assert _parse([b"data: a\ndata:b\ndata:  c\ndata\n\n"]) == [b"a\nb\n c\n"]


def test_a_last_event_without_a_blank_line_counts() -> None:
    """Some servers close right after the last line."""
    assert _parse([b"data: [DONE]"]) == [b"[DONE]"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    """A mark at the start is dropped, also when it is cut."""
    assert _parse([b"\xef", b"\xbb\xbfdata: x\n\n"]) == [b"x"]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 64, b"data: xxxxxxxxxxxxxxxx\n" * 4])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    """Neither one long line nor many lines may fill the memory."""
    with pytest.raises(SseOverflowError):
        SseParser(limit=32).feed(piece)


def test_an_event_is_named_after_its_type() -> None:
    """The Messages API sends the type both as the event's name and inside."""
    assert encode({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'
