"""The token estimator."""

from __future__ import annotations

import base64
import struct

import pytest

from claude_code_proxy.images import image_size
from claude_code_proxy.tokens import count_chat, count_text

# Counted with the o200k vocabulary.
PROSE = (
    "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. "
    "How vexingly quick daft zebras jump! Sphinx of black quartz, judge my vow."
)
CODE = '''def add(left: int, right: int) -> int:
    """Return the sum of two numbers."""
    return left + right


for number in range(10):
    print(f"{number} + 1 = {add(number, 1)}")
'''
CHINESE = "你好、世界。今天天气很好、我们去公园散步吧。"


@pytest.mark.parametrize(
    ("text", "tokens"), [(PROSE, 40), (CODE, 53), (CHINESE, 17)], ids=["prose", "code", "chinese"]
)
def test_the_estimate_is_near_the_vocabulary(text: str, tokens: int) -> None:
    """Within a fifth even for a few lines; long texts are closer."""
    assert abs(count_text(text) - tokens) <= tokens / 5


def test_no_text_is_no_token() -> None:
    """And any text at least one."""
    assert (count_text(""), count_text("\x00")) == (0, 1)


def test_a_text_that_no_model_reads_is_counted_by_its_beginning() -> None:
    """So that nobody can keep the proxy busy with it."""
    text = "some words and 12 numbers\n" * 100_000

    assert count_text(text * 8) == pytest.approx(8 * count_text(text), rel=0.01)


def _jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width)


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height)


def _webp(kind: bytes, rest: bytes) -> bytes:
    return b"RIFF\x00\x00\x00\x00WEBP" + kind + b"\x00\x00\x00\x00" + rest.ljust(14, b"\0")


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        (b"GIF89a" + struct.pack("<HH", 75, 100), (75, 100)),
        (_jpeg(640, 480), (640, 480)),
        (_png(1_024, 9), (1_024, 9)),
        (_webp(b"VP8X", bytes(4) + b"\x7f\x02\x00\xdf\x01\x00"), (640, 480)),
        (_webp(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little")), (640, 480)),
        (_webp(b"VP8 ", bytes(6) + struct.pack("<HH", 640, 480)), (640, 480)),
        (_webp(b"VP9 ", b""), None),
        (_png(0, 9), None),
        (b"\xff\xd8\xff", None),
        (b"no image", None),
    ],
)
def test_an_images_size_is_read_from_its_head(raw: bytes, size: tuple[int, int] | None) -> None:
    """In each of the four formats that the API takes."""
    assert image_size("data:image/png;base64," + base64.b64encode(raw).decode()) == size


@pytest.mark.parametrize("url", ["https://example.org/a.png", "data:image/png;base64,a"])
def test_an_image_that_is_not_here_has_no_size(url: str) -> None:
    """Nothing is fetched to count it."""
    assert image_size(url) is None


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((100, 75), 85 + 170),
        ((1_024, 1_024), 765),
        ((2_048, 4_096), 1_105),
        ((4_000, 500), 85 + 4 * 170),
        (None, 765),
    ],
)
def test_images_count_by_their_tiles(size: tuple[int, int] | None, tokens: int) -> None:
    """As OpenAI documents it, with its own examples; 1024 pixels square where nothing is known."""
    raw = _png(*size) if size else b"no image"
    url = "data:image/png;base64," + base64.b64encode(raw).decode()

    def count(*parts: object) -> int:
        return count_chat({"model": "m", "messages": [{"role": "user", "content": list(parts)}]})

    image = {"type": "image_url", "image_url": {"url": url}}
    assert count(image) - count() == tokens
