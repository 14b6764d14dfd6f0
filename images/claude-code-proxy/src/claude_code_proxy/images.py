"""Reads the size of an image from its first bytes."""

from __future__ import annotations

import base64
import binascii
import struct

# A JPEG's size can stand behind a large preview picture.
_HEAD = 64 * 1024


def image_size(url: str) -> tuple[int, int] | None:
    """Return width and height in pixels of a base64 PNG, GIF, WebP or JPEG data URL, or None."""
    header, _, data = url.partition(";base64,")
    if not header.startswith("data:"):
        return None
    head = data[:_HEAD]
    try:
        raw = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    size = _size(raw)
    return size if size and all(size) else None


def _size(raw: bytes) -> tuple[int, int] | None:
    if raw.startswith(b"\x89PNG") and len(raw) >= 24:
        width, height = struct.unpack(">II", raw[16:24])
        return width, height
    if raw.startswith(b"GIF8") and len(raw) >= 10:
        width, height = struct.unpack("<HH", raw[6:10])
        return width, height
    if raw[8:12] == b"WEBP" and len(raw) >= 30:
        return _webp_size(raw)
    return _jpeg_size(raw) if raw.startswith(b"\xff\xd8") else None


def _webp_size(raw: bytes) -> tuple[int, int] | None:
    """Return the size of a WebP: each of its three forms writes it in a way of its own."""
    match raw[12:16]:
        case b"VP8X":
            return (
                int.from_bytes(raw[24:27], "little") + 1,
                int.from_bytes(raw[27:30], "little") + 1,
            )
        case b"VP8L":
            bits = int.from_bytes(raw[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack("<HH", raw[26:30])
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(raw: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(raw) and raw[position] == 0xFF:
        marker = raw[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", raw[position + 5 : position + 9])
            return width, height
        position += 2 + int(struct.unpack(">H", raw[position + 2 : position + 4])[0])
    return None
