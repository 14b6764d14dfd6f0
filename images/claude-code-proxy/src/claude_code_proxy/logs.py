"""One JSON object a line; never prompts, keys or tool data."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson

from claude_code_proxy.settings import LOG_LEVELS

_MAX_VALUE = 200


class Log:
    """Writes log lines.

    Args:
        level: The least severe level that is written.
        stream: Where to; standard output unless told otherwise.
    """

    def __init__(self, level: str, stream: BinaryIO | None = None) -> None:
        self._threshold = LOG_LEVELS.index(level)
        self._stream = stream or sys.stdout.buffer

    def write(self, level: str, event: str, **fields: Any) -> None:
        """Write one line; fields that are None are left out, long texts are cut."""
        if LOG_LEVELS.index(level) < self._threshold:
            return
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "event": event,
        }
        for name, value in fields.items():
            if value is not None:
                line[name] = value[:_MAX_VALUE] if isinstance(value, str) else value
        try:
            self._stream.write(orjson.dumps(line, default=str) + b"\n")
            self._stream.flush()
        except (BrokenPipeError, TypeError):
            # A log that nobody reads, or a name that is no valid UTF-8, must not fail a request.
            return


def where(error: BaseException) -> list[str]:
    """Return the code lines that led to an error, without its message: that may quote a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]


class LibraryHandler(logging.Handler):
    """Carries warnings of the libraries into the log, without the messages of their exceptions."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's constant part: its arguments may hold what a client sent."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.write(
            record.levelname if record.levelname in LOG_LEVELS else "WARNING",
            "library",
            logger=record.name,
            message=str(record.msg),
            error=type(error).__name__ if error else None,
            frames=where(error) if error else None,
        )
