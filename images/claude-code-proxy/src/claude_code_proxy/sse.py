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
        events = self._lines(lines)
        if len(self._tail) + self._held > self._limit:
            raise SseOverflowError
        return events

    def close(self) -> list[bytes]:
        """Return what the end completes: some servers leave out the last blank line."""
        lines = [self._tail.removesuffix(b"\r"), b""]
        self._tail = b""
        return self._lines(lines)

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._held = 0
            elif line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._held += len(data[-1])
            elif line == b"data":
                data.append(b"")
        return events


def encode(event: dict[str, Any]) -> bytes:
    """Return an event of Anthropic's stream, named after its `type`."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
