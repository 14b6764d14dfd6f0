"""Generated text in place of somebody's: `~w3:20` stands for the third word of 20 characters.

The form is `~` + kind + number + `:` + length in characters, and `:` + width where a character
takes more than one byte of UTF-8 (2 to 4). Kinds are `w` (no blanks), `t` (blanks) and `i` (a
base64 PNG). Equal forms give equal text, different ones different text.
"""

from __future__ import annotations

import base64
import itertools
import re
import string
import struct
import zlib
from functools import lru_cache
from typing import Any

FORM = re.compile(r"~([wti])(\d+):(\d+)(?::([2-4]))?")
SMALLEST_IMAGE = 120
# Words are in small letters, so that a number ends where they begin.
_DIGITS = string.digits + string.ascii_uppercase
_SYLLABLES = [a + b for a, b in itertools.product("bdfgklmnprstvz", "aeiou")]
# Quotes, backslashes and line ends, so that what must be escaped in JSON occurs.
_BLANKS = (" ", " ", " ", ", ", " ", "\n", " ", ' "', '" ', " ", ". ", "\\ ")
# The first of a block of characters of each width, none of them a blank.
_WIDE = {2: 0x100, 3: 0x4E00, 4: 0x1F300}
_WIDE_CHARACTERS = 256
ALPHABET = frozenset(
    _DIGITS
    + string.ascii_lowercase
    + "".join(_BLANKS)
    + "".join(chr(start + step) for start in _WIDE.values() for step in range(_WIDE_CHARACTERS))
)


def form(kind: str, number: int, length: int, width: int = 1) -> str:
    """Return the form of a text.

    Raises:
        ValueError: No text of this length could be told from those with smaller numbers.
    """
    room = length - (width > 1)
    if len(_code(number)) > room and (room or number >= _WIDE_CHARACTERS):
        raise ValueError(f"more different texts of {length} characters than there are of filler")
    return f"~{kind}{number}:{length}" + (f":{width}" if width > 1 else "")


def fill(value: Any) -> Any:
    """Return a JSON value with every form in its texts replaced by what it stands for."""
    if isinstance(value, str):
        return FORM.sub(lambda found: _filler(*found.groups(default="1")), value)
    if isinstance(value, list):
        return [fill(item) for item in value]
    if isinstance(value, dict):
        return {fill(name): fill(item) for name, item in value.items()}
    return value


@lru_cache(maxsize=4096)
def _filler(kind: str, number: str, length: str, width: str) -> str:
    if kind == "i":
        return _image(int(number), int(length))
    return _text(int(number), int(length), int(width), blanks=kind == "t")


def _text(number: int, length: int, width: int, *, blanks: bool) -> str:
    code = _code(number)
    pool = _WITH_BLANKS if blanks else _WITHOUT
    start = number * 37 % len(pool)
    rest = max(0, length - len(code))
    text = code + (pool * (1 + (start + rest) // len(pool)))[start : start + rest]
    if width == 1:
        # A blank at the end would be lost wherever texts are trimmed.
        return text if text[-1].isalnum() else text[:-1] + "x"
    return text[: length - 1] + chr(_WIDE[width] + number % _WIDE_CHARACTERS)


def _code(number: int) -> str:
    """Return a number in as few letters and digits as it takes."""
    code = _DIGITS[number % len(_DIGITS)]
    while number := number // len(_DIGITS):
        code = _DIGITS[number % len(_DIGITS)] + code
    return code


def _pool(blanks: tuple[str, ...]) -> str:
    pieces: list[str] = []
    for index in range(1500):
        pieces.append(_SYLLABLES[index * index % len(_SYLLABLES)])
        pieces.append(_SYLLABLES[index * 29 % len(_SYLLABLES)])
        pieces.append(blanks[index % len(blanks)])
    return "".join(pieces)


_WITH_BLANKS, _WITHOUT = _pool(_BLANKS), _pool(("",))


def _image(number: int, length: int) -> str:
    """Return a PNG of one pixel; a chunk that decoders skip gives it its length."""
    pixel = zlib.compress(bytes([0, *number.to_bytes(3, "big")]), 0)
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    bare = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixel)
    end = _chunk(b"IEND", b"")
    padding = length // 4 * 3 - len(bare) - len(end) - 12
    return base64.b64encode(bare + _chunk(b"fiLl", bytes(padding)) + end).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
