"""The models that this upstream serves, with the limits that Groq gives them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model: its limits in tokens, and what it can do."""

    name: str
    owned_by: str
    context_window: int
    max_completion_tokens: int
    reasons: bool = False
    sees_images: bool = False
    strict: bool = True

    def listing(self) -> dict[str, Any]:
        """Return the entry of this model in the list of models."""
        return {
            "id": self.name,
            "object": "model",
            "created": 1_733_447_754,
            "owned_by": self.owned_by,
            "active": True,
            "context_window": self.context_window,
            "public_apps": None,
            "max_completion_tokens": self.max_completion_tokens,
        }


GROQ_MODELS = (
    Model(
        name="llama-3.3-70b-versatile",
        owned_by="Meta",
        context_window=131_072,
        max_completion_tokens=32_768,
    ),
    Model(
        name="llama-3.1-8b-instant",
        owned_by="Meta",
        context_window=131_072,
        max_completion_tokens=131_072,
    ),
    Model(
        name="openai/gpt-oss-20b",
        owned_by="OpenAI",
        context_window=131_072,
        max_completion_tokens=65_536,
        reasons=True,
    ),
    Model(
        name="openai/gpt-oss-120b",
        owned_by="OpenAI",
        context_window=131_072,
        max_completion_tokens=65_536,
        reasons=True,
    ),
)


def catalog(extra: Iterable[str] = ()) -> Mapping[str, Model]:
    """Return the models by name: Groq's, and lenient ones under the names in `extra`.

    An extra model stands in for any other provider's, so it takes what Groq would refuse.
    """
    extras = (
        Model(
            name=name,
            owned_by="demo",
            context_window=1_000_000,
            max_completion_tokens=131_072,
            sees_images=True,
            strict=False,
        )
        for name in extra
    )
    return {model.name: model for model in (*extras, *GROQ_MODELS)}
