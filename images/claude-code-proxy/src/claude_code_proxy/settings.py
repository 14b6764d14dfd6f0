"""The only reader of the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import orjson

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_CUSTOM_HEADER = "CUSTOM_HEADER_"
# Framing belongs to the HTTP client: a header set by hand would break every request.
_RESERVED_HEADERS = {"HOST", "CONTENT-LENGTH", "TRANSFER-ENCODING", "CONNECTION", "CONTENT-TYPE"}
_PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
_HEADER_NAME = re.compile(r"[A-Z0-9][A-Z0-9-]*")
_NO_CONTROL = re.compile(r"[^\x00-\x1f\x7f]*")
_Number = TypeVar("_Number", int, float)


class SettingsError(Exception):
    """The environment cannot be used.

    Attributes:
        problems: One line for each wrong variable: its name, what is wrong, the cure.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that the proxy is told from outside.

    Attributes:
        upstream_url: Base URL of the OpenAI-compatible API, without a trailing slash.
        upstream_key: The key shown to the upstream.
        client_keys: Keys of which a client must show one; empty only in the open mode.
        workers: Processes that serve.
        big_model: Serves opus and every name that matches nothing else.
        middle_model: Serves sonnet.
        small_model: Serves haiku.
        min_tokens: Floor for `max_tokens`.
        max_tokens: Ceiling for `max_tokens`, or None.
        model_max_tokens: Ceilings by upstream model name.
        request_timeout: Longest silence of the upstream, in seconds.
        max_retries: Further tries when a connection fails before an answer has begun.
        shutdown_timeout: How long open requests may go on after SIGTERM, in seconds.
        max_body_bytes: Largest request body.
        models_ttl: How long the upstream's model list counts as fresh, in seconds.
        ping_interval: Silence after which a stream gets a `ping`, in seconds.
        reasoning_models: Patterns of the models that accept `reasoning_effort`.
        show_reasoning: `auto`, `always` or `never`.
        azure_api_version: Set for an Azure OpenAI upstream.
        custom_headers: Extra headers for each upstream request.
        uses_http_proxy: Whether the usual variables name a proxy on the way to the upstream.
        warnings: What the operator should be told at start.
    """

    upstream_url: str
    upstream_key: str = field(repr=False)
    client_keys: tuple[str, ...] = field(default=(), repr=False)
    host: str = "0.0.0.0"  # noqa: S104  (a container publishes what it wants published)
    port: int = 8082
    workers: int = 1
    log_level: str = "INFO"
    big_model: str = "gpt-4o"
    middle_model: str = "gpt-4o"
    small_model: str = "gpt-4o-mini"
    min_tokens: int = 1
    max_tokens: int | None = None
    model_max_tokens: Mapping[str, int] = field(default_factory=dict)
    request_timeout: float = 600.0
    max_retries: int = 2
    shutdown_timeout: float = 600.0
    max_body_bytes: int = 32 * 1024 * 1024
    models_ttl: float = 60.0
    ping_interval: float = 10.0
    reasoning_models: tuple[str, ...] = ("*gpt-oss*", "*gpt-5*", "o[134]*", "*/o[134]*")
    show_reasoning: str = "auto"
    azure_api_version: str | None = None
    custom_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    uses_http_proxy: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check every variable.

        Raises:
            SettingsError: At least one variable is wrong; all of them are named.
        """
        return _Reader(environ).settings()

    def accepts_reasoning_effort(self, model: str) -> bool:
        """Tell whether `reasoning_effort` may be sent for an upstream model."""
        name = model.lower()
        return any(fnmatchcase(name, pattern) for pattern in self.reasoning_models)

    def clamp_tokens(self, model: str, asked: int) -> int:
        """Bound a request's `max_tokens` for an upstream model."""
        allowed = max(asked, self.min_tokens)
        for ceiling in (self.max_tokens, self.model_max_tokens.get(model)):
            if ceiling is not None:
                allowed = min(allowed, ceiling)
        return allowed


_DEFAULT = Settings(upstream_url="https://api.openai.com/v1", upstream_key="")


class _Reader:
    """Collects the problems of all variables instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []
        self._warnings: list[str] = []

    def settings(self) -> Settings:
        big = self._text("BIG_MODEL", _DEFAULT.big_model)
        floor = self._number("MIN_TOKENS_LIMIT", int, _DEFAULT.min_tokens, 1)
        ceiling = self._optional_int("MAX_TOKENS_LIMIT", 1)
        if ceiling is not None and ceiling < floor:
            self._wrong("MAX_TOKENS_LIMIT", f"is below MIN_TOKENS_LIMIT ({floor})", "raise it")
        settings = Settings(
            upstream_url=self._base_url(),
            upstream_key=self._upstream_key(),
            client_keys=self._client_keys(),
            host=self._text("HOST", _DEFAULT.host),
            port=self._number("PORT", int, _DEFAULT.port, 0, 65535),
            workers=self._number("WORKERS", int, _DEFAULT.workers, 1, 64),
            log_level=self._log_level(),
            big_model=big,
            middle_model=self._text("MIDDLE_MODEL", big),
            small_model=self._text("SMALL_MODEL", _DEFAULT.small_model),
            min_tokens=floor,
            max_tokens=ceiling,
            model_max_tokens=self._model_limits(),
            request_timeout=self._number("REQUEST_TIMEOUT", float, _DEFAULT.request_timeout, 0.1),
            max_retries=self._number("MAX_RETRIES", int, _DEFAULT.max_retries, 0, 10),
            shutdown_timeout=self._number(
                "GRACEFUL_SHUTDOWN_TIMEOUT", float, _DEFAULT.shutdown_timeout, 0.0
            ),
            max_body_bytes=self._number("MAX_REQUEST_BYTES", int, _DEFAULT.max_body_bytes, 1024),
            models_ttl=self._number("MODELS_CACHE_SECONDS", float, _DEFAULT.models_ttl, 0.0),
            ping_interval=self._number("PING_SECONDS", float, _DEFAULT.ping_interval, 0.05),
            reasoning_models=self._patterns(),
            show_reasoning=self._choice("SHOW_REASONING", ("auto", "always", "never")),
            azure_api_version=self._get("AZURE_API_VERSION") or None,
            custom_headers=self._headers(),
            uses_http_proxy=any(map(self._get, _PROXY_VARIABLES)),
            warnings=tuple(self._warnings),
        )
        if self._problems:
            raise SettingsError(self._problems)
        return settings

    def _wrong(self, name: str, problem: str, cure: str) -> None:
        self._problems.append(f"{name} {problem}: {cure}")

    def _get(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def _secret(self, name: str) -> str:
        """Return a secret from `NAME` or from the file that `NAME_FILE` names."""
        path = self._get(f"{name}_FILE")
        if not path:
            return self._get(name)
        if self._get(name):
            self._wrong(f"{name}_FILE", f"and {name} are both set", "unset one of them")
            return ""
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self._wrong(f"{name}_FILE", f"cannot be read ({reason})", "name a readable file")
            return ""

    def _upstream_key(self) -> str:
        before = len(self._problems)
        key = self._secret("OPENAI_API_KEY")
        if not key and len(self._problems) == before:
            self._wrong("OPENAI_API_KEY", "is not set", "set it to the upstream's key")
        if not _NO_CONTROL.fullmatch(key):
            self._wrong("OPENAI_API_KEY", "holds a control character", "set one line of text")
        return key

    def _client_keys(self) -> tuple[str, ...]:
        before = len(self._problems)
        value = self._secret("ANTHROPIC_API_KEY")
        is_open = self._boolean("ALLOW_UNAUTHENTICATED")
        if len(self._problems) > before:
            return ()
        if not value:
            if is_open:
                self._warnings.append("ALLOW_UNAUTHENTICATED is on: every caller is served")
            else:
                self._wrong(
                    "ANTHROPIC_API_KEY",
                    "is not set",
                    "set the key that clients must show (several: separate them by commas),"
                    " or ALLOW_UNAUTHENTICATED=true to serve everyone",
                )
            return ()
        keys = tuple(key.strip() for key in value.split(","))
        if not all(keys):
            self._wrong("ANTHROPIC_API_KEY", "has an empty entry", "remove the stray comma")
        return keys

    def _base_url(self) -> str:
        name = "OPENAI_BASE_URL"
        value, alias = self._get(name), self._get("OPENAI_API_BASE")
        if value and alias and value.rstrip("/") != alias.rstrip("/"):
            self._warnings.append("OPENAI_BASE_URL and OPENAI_API_BASE differ: the first is used")
        if alias and not value:
            name, value = "OPENAI_API_BASE", alias
        value = value or _DEFAULT.upstream_url
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            valid = False
        if not valid or re.search(r"\s", value):
            self._wrong(name, "is not a URL", "set it like https://host/v1")
        elif parts.username or parts.password or parts.query or parts.fragment:
            self._wrong(
                name, "holds more than a host and a path", "put the key in OPENAI_API_KEY instead"
            )
        return value.rstrip("/")

    def _text(self, name: str, default: str) -> str:
        return self._get(name) or default

    def _boolean(self, name: str) -> bool:
        value = self._get(name).lower()
        if value not in ("", "true", "false", "1", "0", "yes", "no"):
            self._wrong(name, "is not a truth value", "set true or false")
        return value in ("true", "1", "yes")

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self._get(name).lower() or choices[0]
        if value not in choices:
            self._wrong(name, "is unknown", f"set one of {', '.join(choices)}")
        return value

    def _log_level(self) -> str:
        value = self._get("LOG_LEVEL").upper() or _DEFAULT.log_level
        value = {"WARN": "WARNING"}.get(value, value)
        if value not in LOG_LEVELS:
            self._wrong("LOG_LEVEL", "is unknown", f"set one of {', '.join(LOG_LEVELS)}")
        return value

    def _number(
        self,
        name: str,
        kind: Callable[[str], _Number],
        default: _Number,
        least: _Number,
        most: _Number | None = None,
    ) -> _Number:
        value = self._get(name)
        if not value:
            return default
        bounds = f"{least:g} or more" if most is None else f"{least:g} to {most:g}"
        try:
            number = kind(value)
        except ValueError:
            noun = "a whole number" if isinstance(default, int) else "a number"
            self._wrong(name, f"is not {noun}", f"set {bounds}")
            return default
        if not least <= number <= (most if most is not None else float(2**53)):
            self._wrong(name, "is out of range", f"set {bounds}")
            return default
        return number

    def _optional_int(self, name: str, least: int) -> int | None:
        return self._number(name, int, least, least) if self._get(name) else None

    def _model_limits(self) -> dict[str, int]:
        value = self._get("MODEL_MAX_OUTPUT_TOKENS")
        if not value:
            return {}
        try:
            limits = orjson.loads(value)
        except orjson.JSONDecodeError:
            limits = None
        if not isinstance(limits, dict) or not all(
            type(limit) is int and limit > 0 for limit in limits.values()
        ):
            self._wrong(
                "MODEL_MAX_OUTPUT_TOKENS",
                "is not a JSON object of whole numbers above 0",
                'set it like {"model": 8192}',
            )
            return {}
        return limits

    def _patterns(self) -> tuple[str, ...]:
        value = self._environ.get("REASONING_EFFORT_MODELS")
        if value is None:
            return _DEFAULT.reasoning_models
        return tuple(part.strip().lower() for part in value.split(",") if part.strip())

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for variable in sorted(self._environ):
            if not variable.startswith(_CUSTOM_HEADER):
                continue
            value = self._get(variable)
            name = variable.removeprefix(_CUSTOM_HEADER).replace("_", "-").upper()
            if not _HEADER_NAME.fullmatch(name) or name in _RESERVED_HEADERS:
                self._wrong(variable, "does not name a header of its own", "rename or unset it")
            elif not _NO_CONTROL.fullmatch(value):
                self._wrong(variable, "holds a control character", "set one line of text")
            elif value:
                headers[name] = value
        return headers
