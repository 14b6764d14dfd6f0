"""Reads the environment: every problem is one line that names the variable and the cure."""

from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(ValueError):
    """The environment does not describe a server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the server runs.

    `api_keys` are what callers may show, `chunk_seconds` passes between two chunks of a stream,
    and `drain_seconds` is what open requests get to finish once the server is told to stop.
    """

    api_keys: tuple[str, ...]
    host: str
    port: int
    chunk_seconds: float
    extra_models: tuple[str, ...]
    tokens_per_minute: int
    drain_seconds: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings in `environment`.

        Raises:
            SettingsError: with one line for each problem.
        """
        problems: list[str] = []

        def number(name: str, default: int, most: int) -> int:
            value = environment.get(name, "").strip() or str(default)
            if value.isascii() and value.isdigit() and int(value) <= most:
                return int(value)
            problems.append(f"{name} is {value!r}: set it to a whole number from 0 to {most}")
            return default

        def words(name: str) -> tuple[str, ...]:
            parts = environment.get(name, "").split(",")
            return tuple(part.strip() for part in parts if part.strip())

        keys = words("DEMO_API_KEY")
        if not keys:
            problems.append("DEMO_API_KEY is missing: set it to the key that callers must show")
        settings = cls(
            api_keys=keys,
            host=environment.get("HOST", "").strip() or "0.0.0.0",  # noqa: S104
            port=number("PORT", 8000, 65535),
            chunk_seconds=number("DEMO_CHUNK_MILLISECONDS", 20, 60_000) / 1000,
            extra_models=words("DEMO_EXTRA_MODELS"),
            tokens_per_minute=number("DEMO_TOKENS_PER_MINUTE", 0, 1_000_000_000),
            drain_seconds=number("GRACEFUL_SHUTDOWN_TIMEOUT", 600, 86_400),
        )
        if problems:
            raise SettingsError("\n".join(problems))
        return settings
