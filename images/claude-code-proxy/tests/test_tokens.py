"""The token estimator."""

from __future__ import annotations

import base64
import struct

import pytest

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


def _jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width)


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        (b"GIF89a" + struct.pack("<HH", 75, 100), 10),
        (_jpeg(75, 100), 10),
        (_jpeg(9_000, 9_000), 1_600),
        (b"RIFF no size", 1_600),
    ],
)
def test_images_count_by_their_size(raw: bytes, tokens: int) -> None:
    """Up to a limit, which also stands for sizes that cannot be read."""
    url = "data:image/gif;base64," + base64.b64encode(raw).decode()

    def count(*parts: object) -> int:
        return count_chat({"messages": [{"role": "user", "content": list(parts)}]})

    image = {"type": "image_url", "image_url": {"url": url}}
    assert count(image) - count() == tokens
