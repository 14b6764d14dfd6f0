"""Estimates token counts without a tokenizer and without downloads.

The rule is that of gpt-oss: the o200k vocabulary, OpenAI's harmony format for messages and tool
declarations, and for images the tiles of OpenAI's vision models.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import orjson

from claude_code_proxy import declarations
from claude_code_proxy.images import image_size

_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = _UPPER.lower()
_DIGITS = b"0123456789"
_SYMBOLS = bytes(b for b in range(33, 127) if b not in _UPPER + _LOWER + _DIGITS)

# Two views of a text's UTF-8 bytes, of which `split` makes words and what stands between them.
# Both are few different strings, many times each, so that only the different ones are looked at.
_WORDS = bytes(b if b in _UPPER + _LOWER or b >= 0x80 else 32 for b in range(256))
# Digits and white space get codes, since `split` takes blanks for the ends of strings.
_DIGIT, _SPACE, _TAB, _NEWLINE, _RETURN = 1, 2, 3, 4, 5
_BLANKS = bytes((_SPACE, _TAB, _NEWLINE, _RETURN))
_CODES = dict.fromkeys(_DIGITS, _DIGIT) | dict(zip(b" \t\n\r", _BLANKS, strict=True))
_JOINTS = bytes(_CODES.get(b, b if b in _SYMBOLS else 32) for b in range(256))

# How the vocabulary's own pattern cuts them.
_WORD_PARTS = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[\x80-\xff]+")
_JOINT_PARTS = re.compile(
    rb"\x01{1,3}|\x02?[!-/:-@\[-`{-~]+[\x04\x05]*|[\x02-\x05]*[\x04\x05]|[\x02\x03]+"
)

# Tokens for each kind of part, fitted by least squares to the o200k vocabulary on 1,200 samples of
# code in ten languages, prose, JSON, listings, numbered files, and text in 27 languages.
_LETTER, _TWO_LETTERS, _WORD, _CAPITALS = 0.976, 1.294, 0.9, 1.444
_LONG_WORD, _LONG_WORD_LETTER, _LONG_FROM = 0.745, 0.64, 9
_ACCENTED, _ACCENTED_LETTER, _CYRILLIC, _CYRILLIC_LETTER, _LETTERS_FROM = 1.0, 0.661, 1.1, 0.361, 4
_CJK, _CJK_LETTER, _HANGUL, _OTHER_LETTER = 1.2, 0.72, 0.791, 0.39
_SIGN, _FURTHER_SIGN, _EMOJI = 0.548, 1.9, 3.723
_NUMBER, _NUMBER_GAP = 1.15, 0.746
_SYMBOL, _SYMBOL_BEFORE_WORD, _SPACED_SYMBOL = 0.844, 0.303, 1.491
_FEW_SYMBOLS, _MANY_SYMBOLS, _FURTHER_SYMBOL, _RULE = 1.18, 2.78, 0.157, 1.476
_LINE_END, _INDENT, _ONE_TAB, _TABS = 1.3, 1.118, 0.734, 1.221

# More characters than any model reads: the beginning stands for the rest of a longer text.
_LONGEST = 2 * 1024 * 1024

# What harmony puts around things: role, channel and marks of a message, a call and a result; the
# system message that it begins with; the answer that it opens.
_PER_MESSAGE, _PER_ANSWER, _PER_CALL, _PER_RESULT = 4, 6, 13, 11
_GPT_OSS, _GPT_OSS_SYSTEM = "gpt-oss", 61
_PER_REPLY = 2
# OpenAI's high detail: at most 2048 pixels wide and high, then 768 on the shorter side.
_IMAGE, _TILE, _TILE_PIXELS, _MOST_PIXELS, _SHORT_PIXELS = 85, 170, 512, 2_048, 768
_UNKNOWN_SIZE = (1_024, 1_024)
_BYTES_PER_PDF_TOKEN = 40


def count_text(text: str) -> int:
    """Return the estimated number of tokens in a text."""
    if len(text) > _LONGEST:
        return count_text(text[:_LONGEST]) * len(text) // _LONGEST
    raw = text.encode("utf-8", "replace")
    total = 0.0
    for word, times in Counter(raw.translate(_WORDS).split()).items():
        total += _word_cost(word) * times
    for joint, times in Counter(raw.translate(_JOINTS).split()).items():
        # A lone space belongs to the word behind it.
        if joint != b"\x02":
            total += _joint_cost(joint) * times
    return max(round(total), 1) if text else 0


def count_chat(chat: dict[str, Any]) -> int:
    """Return the estimated number of input tokens of a Chat Completions request."""
    total = _PER_REPLY + (_GPT_OSS_SYSTEM if _GPT_OSS in chat["model"].lower() else 0)
    for message in chat["messages"]:
        content = message.get("content")
        match message["role"]:
            case "assistant":
                # Calls are messages of their own.
                total += _PER_ANSWER if content else 0
            case "tool":
                total += _PER_RESULT
            case _:
                total += _PER_MESSAGE
        total += _count_content(content)
        for call in message.get("tool_calls", ()):
            function = call["function"]
            total += _PER_CALL + count_text(function["name"]) + count_text(function["arguments"])
    if chat.get("tools"):
        total += count_text(declarations.render([tool["function"] for tool in chat["tools"]]))
    if chat.get("response_format"):
        total += count_text(orjson.dumps(chat["response_format"]).decode())
    return total


def _word_cost(word: bytes) -> float:
    if word.isascii():
        if word.islower():
            return _part_cost(word)
    else:
        # The script of its first letter beyond ASCII.
        lead = next(byte for byte in word if byte >= 0x80)
        if 0xC3 <= lead <= 0xC9:
            return _ACCENTED + _ACCENTED_LETTER * max(_letters(word) - _LETTERS_FROM, 0)
        if 0xCE <= lead <= 0xD3:
            return _CYRILLIC + _CYRILLIC_LETTER * max(_letters(word) - _LETTERS_FROM, 0)
    return sum(map(_part_cost, _WORD_PARTS.findall(word)))


def _part_cost(part: bytes) -> float:
    first, length = part[0], len(part)
    if first >= 0x80:
        return _foreign_cost(part, first)
    if length == 1:
        return _LETTER
    if part.isupper():
        return _CAPITALS
    if length == 2:
        return _TWO_LETTERS
    if length <= _LONG_FROM:
        return _WORD
    return _LONG_WORD + _LONG_WORD_LETTER * (length - _LONG_FROM)


def _foreign_cost(part: bytes, lead: int) -> float:
    letters = _letters(part)
    if lead in (0xC2, 0xE2):
        return _SIGN + _FURTHER_SIGN * (letters - 1)
    if 0xE3 <= lead <= 0xE9 or 0xEE <= lead <= 0xEF:
        return _CJK + _CJK_LETTER * letters
    if 0xEA <= lead <= 0xED:
        return _HANGUL * letters
    return (_EMOJI if lead >= 0xF0 else _OTHER_LETTER) * letters


def _letters(word: bytes) -> int:
    return len(word.decode("utf-8", "replace"))


def _joint_cost(joint: bytes) -> float:
    parts = _JOINT_PARTS.findall(joint)
    total = 0.0
    for part, following in zip(parts, [*parts[1:], b""], strict=True):
        first, last = part[0], part[-1]
        if first == _DIGIT:
            total += _NUMBER
        elif first > _RETURN or (len(part) > 1 and part[1] > _RETURN):
            total += _symbols_cost(
                part.strip(_BLANKS), first, ends=not following and last > _RETURN
            )
        elif last in (_NEWLINE, _RETURN):
            total += _LINE_END
        elif following[:1] == _DIGIT.to_bytes():
            # Numbers take no space along.
            total += _NUMBER_GAP + (_INDENT if len(part) > 1 else 0.0)
        elif _TAB in part:
            total += _ONE_TAB if len(part) == 1 else _TABS
        elif len(part) > 1:
            total += _INDENT
    return total


def _symbols_cost(symbols: bytes, first: int, *, ends: bool) -> float:
    """Return the cost of symbols; those that stand at the end can join the word behind them."""
    count = len(symbols)
    if count == 1:
        if not ends:
            return _SYMBOL
        return _SPACED_SYMBOL if first == _SPACE else _SYMBOL_BEFORE_WORD
    if count <= 3:
        return _FEW_SYMBOLS
    if symbols.count(symbols[:1]) == count:
        return _RULE
    return _MANY_SYMBOLS + _FURTHER_SYMBOL * (count - 3)


def _count_content(content: Any) -> int:
    if not isinstance(content, list):
        return count_text(content or "")
    total = 0
    for part in content:
        match part["type"]:
            case "text":
                total += count_text(part["text"])
            case "image_url":
                total += _count_image(part["image_url"]["url"])
            case _:
                total += len(part["file"]["file_data"]) // _BYTES_PER_PDF_TOKEN
    return total


def _count_image(url: str) -> int:
    size = image_size(url) or _UNKNOWN_SIZE
    scale = min(_MOST_PIXELS / max(size), 1.0)
    scale = min(_SHORT_PIXELS / min(size), scale)
    across, down = (-(-int(side * scale) // _TILE_PIXELS) for side in size)
    return _IMAGE + _TILE * max(across, 1) * max(down, 1)
