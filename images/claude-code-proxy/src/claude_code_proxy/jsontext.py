"""JSON as JavaScript writes it."""

from __future__ import annotations

import json
from typing import Any

import orjson


def loads(raw: bytes) -> Any:
    """Parse JSON; half a surrogate pair becomes U+FFFD, as in a text that was cut inside an emoji.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        if b"\\ud" not in raw and b"\\uD" not in raw:
            raise
    try:
        text = json.dumps(json.loads(raw), ensure_ascii=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return orjson.loads(text.encode("utf-8", "replace"))
