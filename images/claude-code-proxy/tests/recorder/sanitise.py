"""Takes every text out of a request and leaves its shape."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from recorder.filler import FORM, SMALLEST_IMAGE, form
from recorder.vocabulary import (
    BILLING,
    FAMILIES,
    LIST_SEPARATORS,
    PATH_SEPARATORS,
    VOCABULARY,
)


class Sanitiser:
    """Replaces texts by forms of filler; equal texts of one session get equal forms."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, str], str] = {}
        self._numbers: Counter[tuple[int, int]] = Counter()

    def request(self, recorded: dict[str, Any]) -> dict[str, Any]:
        """Return a request (method, path, headers, body, status) without its texts."""
        body = recorded["body"]
        if isinstance(body, dict) and isinstance(body.get("model"), str):
            body = {**body, "model": _family(body["model"])}
        return {
            "method": self.text(recorded["method"]),
            "path": self._words(recorded["path"], PATH_SEPARATORS),
            "headers": {
                self.text(name): self._words(value, LIST_SEPARATORS)
                for name, value in recorded["headers"].items()
            },
            "body": self.json(body),
            "status": recorded["status"],
        }

    def json(self, value: Any) -> Any:
        """Return a JSON value without its texts; numbers, booleans and the structure stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._member(value, name) for name in value}
        return value

    def text(self, text: str) -> str:
        """Return the form that stands for a text, or the text where it is nobody's."""
        if text in VOCABULARY or not text or text.isspace():
            return text
        if text.startswith(BILLING):
            return BILLING + self.text(text.removeprefix(BILLING))
        blanks = any(character.isspace() for character in text)
        return self._form("t" if blanks else "w", text)

    def _member(self, value: dict[str, Any], name: str) -> Any:
        member = value[name]
        if not isinstance(member, str):
            return self.json(member)
        if name == "data" and _is_image(value) and _fits_an_image(member):
            return self._form("i", member)
        return self._words(member, PATH_SEPARATORS) if name == "$ref" else self.text(member)

    def _words(self, text: str, separators: re.Pattern[str]) -> str:
        """Return a text of which the separators are kept."""
        return "".join(
            word if separators.fullmatch(word) else self.text(word)
            for word in separators.split(text)
        )

    def _form(self, kind: str, text: str) -> str:
        known = self._forms.get((kind, text))
        if known is None:
            size = (len(text), _width(text) if kind != "i" else 1)
            known = self._forms[kind, text] = form(kind, self._numbers[size], *size)
            self._numbers[size] += 1
        return known


def texts_in(value: Any) -> list[str]:
    """Return every string of a JSON value, the names of its members too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in [name, *texts_in(item)]]
    return []


def is_clean(text: str) -> bool:
    """Return whether a string of a recording is made of vocabulary and filler alone."""
    return any(
        all(_is_clean_word(word) or separators.fullmatch(word) for word in words)
        for separators in (PATH_SEPARATORS, LIST_SEPARATORS)
        for words in [separators.split(text.removeprefix(BILLING))]
    )


def _is_clean_word(word: str) -> bool:
    return not word.strip() or word in VOCABULARY or FORM.fullmatch(word) is not None


def _family(model: str) -> str:
    """Return what decides about the upstream's model in one of Claude's names."""
    return next((f"claude-{name}" for name in FAMILIES if name in model.lower()), model)


def _is_image(source: dict[str, Any]) -> bool:
    return str(source.get("media_type")).startswith("image/")


def _fits_an_image(data: str) -> bool:
    return len(data) >= SMALLEST_IMAGE and len(data) % 4 == 0


def _width(text: str) -> int:
    """Return the bytes that the widest character of a text takes in UTF-8."""
    return max(len(character.encode("utf-8", "surrogatepass")) for character in set(text))
