"""What a build's steps print, read from the trace that BuildKit sends instead."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import engine
from components.image import context_files

# https://github.com/moby/buildkit/blob/v0.20.0/api/services/control/control.proto: StatusResponse,
# Vertex and VertexLog.
TRACE = "moby.buildkit.trace"
_VERTEXES, _LOGS = 1, 3
_VERTEX_DIGEST, _VERTEX_ERROR = 1, 7
_LOG_VERTEX, _LOG_MESSAGE = 1, 4
_LENGTH_DELIMITED = 2


def failed_step(context: Path, build_args: Mapping[str, str]) -> list[str] | None:
    """Build again what failed and return what the failing step prints.

    Steps that succeeded are cached. None where the engine does not answer or nothing fails.
    """
    answer = engine.build(_archive(context), build_args)
    return None if answer is None else failing_lines(answer)


def failing_lines(answer: bytes) -> list[str] | None:
    """Return the lines of the step that failed, None if none did.

    Args:
        answer: the engine's, one JSON object a line.
    """
    failed: str | None = None
    printed: dict[str, bytes] = {}
    for line in answer.splitlines():
        entry = json.loads(line)
        if entry.get("id") != TRACE:
            continue
        for number, content in _fields(base64.b64decode(entry["aux"])):
            # Of fields that are set twice, the last one counts.
            known = dict(_fields(content))
            if number == _VERTEXES and known.get(_VERTEX_ERROR):
                failed = failed or known[_VERTEX_DIGEST].decode()
            elif number == _LOGS:
                step = known[_LOG_VERTEX].decode()
                printed[step] = printed.get(step, b"") + known.get(_LOG_MESSAGE, b"")
    if failed is None:
        return None
    return printed.get(failed, b"").decode(errors="replace").splitlines()


def _archive(context: Path) -> bytes:
    """Return a build context as the engine takes it."""
    buffer = io.BytesIO()
    # BuildKit knows an archive by its first kilobyte, which other formats' headers do not fit into.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path in context_files(context):
            archive.add(path, name)
    return buffer.getvalue()


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of a protocol buffer's texts and messages; numbers are passed over.

    https://protobuf.dev/programming-guides/encoding/
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        value, position = _varint(message, position)
        if key & 7 == _LENGTH_DELIMITED:
            yield key >> 3, message[position : position + value]
            position += value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return a number and the position after it."""
    value = shift = 0
    while message[position] & 0x80:
        value |= (message[position] & 0x7F) << shift
        shift, position = shift + 7, position + 1
    return value | message[position] << shift, position + 1
