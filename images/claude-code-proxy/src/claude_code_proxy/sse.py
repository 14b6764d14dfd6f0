"""Server-sent events: read the upstream's, write ours."""

from __future__ import annotations

from typing import Any

import orjson


class SseOverflowError(Exception):
    """One event is larger than the parser may hold."""


class SseParser:
    """Splits a byte stream into the data of its events, wherever the chunks are cut.

    Lines may end in LF, CRLF or CR. Comments and all fields but `data` are ignored.

    Args:
        limit: The most bytes that one unfinished event may hold.
    """

    __slots__ = ("_at_start", "_data", "_held", "_limit", "_tail")

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._tail = b""
        self._data: list[bytes] = []
        self._held = 0
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that `chunk` completes."""
        buffer = self._tail + chunk if self._tail else chunk
        if self._at_start:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                self._tail = buffer
                return []
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._at_start = False
        carried = b""
        if b"\r" in buffer:
            if buffer.endswith(b"\r"):
                # The LF of a CRLF may be in the next chunk.
                buffer, carried = buffer[:-1], b"\r"
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = buffer.split(b"\n")
        self._tail = lines.pop() + carried
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        if len(self._tail) + self._held > self._limit:
            raise SseOverflowError
        return events

    def close(self) -> list[bytes]:
        """Return what the end completes: some servers leave out the last blank line."""
        events: list[bytes] = []
        self._line(self._tail.removesuffix(b"\r"), events)
        self._line(b"", events)
        self._tail = b""
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data = []
                self._held = 0
        elif line.startswith(b"data:"):
            data = line[6:] if line.startswith(b"data: ") else line[5:]
            self._data.append(data)
            self._held += len(data)
        elif line == b"data":
            self._data.append(b"")


def encode(event: dict[str, Any]) -> bytes:
    """Return an event of Anthropic's stream, named after its `type`."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
