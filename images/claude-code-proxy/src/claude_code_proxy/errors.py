"""Errors in the shape of Anthropic's API, and how an upstream's failures become them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

# The upstream's own words for "your prompt does not fit"; Claude Code compacts its history only
# when it reads Anthropic's wording of the same thing.
_TOO_LONG = (
    "context_length",
    "context length",
    "context window",
    "maximum context",
    "prompt is too long",
)

# Groq's word for a call that its model wrote wrongly: a further try may do better, and the SDKs try
# again after a 5xx but not after a 400.
_BAD_CALL = "tool_use_failed"
# The upstreams' words for "this model sees no images". In Anthropic's, Claude Code takes the image
# out of the conversation and goes on; in others it sends it again with every further turn. Parts
# instead of a string are sent for images' sake only.
_NO_IMAGES = ("content must be a string", "image_url", "image input", "multimodal model")

_KEPT_HEADERS = ("retry-after", "retry-after-ms")
# How LiteLLM passes on its providers' headers.
_LITELLM_PREFIX = "llm_provider-"
_MAX_MESSAGE = 2_000


class ApiError(Exception):
    """A failure that the client is told about.

    Attributes:
        status: The HTTP status.
        kind: Anthropic's error type, such as `rate_limit_error`.
        message: What went wrong, for the client's eyes.
        headers: Extra response headers, such as `retry-after`.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> dict[str, Any]:
        """Return Anthropic's error object."""
        return {
            "type": "error",
            "error": {"type": self.kind, "message": self.message},
            "request_id": request_id,
        }


def invalid_request(path: str, problem: str) -> ApiError:
    """Return a 400 that names the field at `path`, such as `messages.0.content`."""
    return ApiError(400, "invalid_request_error", f"{path}: {problem}")


def bad_gateway(message: str) -> ApiError:
    """Return a 502 for an upstream that cannot be reached or cannot be understood."""
    return ApiError(502, "api_error", message)


def upstream_timeout(seconds: float) -> ApiError:
    """Return a 504 for an upstream that stayed silent for `seconds`."""
    return ApiError(
        504,
        "timeout_error",
        f"The upstream sent nothing for {seconds:g} s (REQUEST_TIMEOUT).",
    )


def from_upstream(
    status: int, body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...] = ()
) -> ApiError:
    """Translate an upstream's error answer.

    Args:
        status: The upstream's status.
        body: Its raw body, JSON or not.
        headers: Its headers; `retry-after` is kept.
        secrets: Strings that must not appear in the message.
    """
    message, code = _read_body(body)
    for secret in secrets:
        message = message.replace(secret, "***")
    error = _from_status(status, message, code)
    for name in _KEPT_HEADERS:
        value = headers.get(name) or headers.get(f"{_LITELLM_PREFIX}{name}")
        if value:
            error.headers[name] = value
    return error


def from_stream(error: Any, secrets: tuple[str, ...] = ()) -> ApiError:
    """Translate the `error` member of a chunk that came after the stream had begun."""
    return from_upstream(_told_status(error), orjson.dumps({"error": error}), {}, secrets)


def _told_status(error: Any) -> int:
    """Return the status that an error without one of its own stands for."""
    if not isinstance(error, dict):
        return 500
    for name in ("status_code", "status", "code"):
        told = str(error.get(name))
        if told.isdecimal() and 400 <= int(told) < 600:
            return int(told)
    words = f"{error.get('code')} {error.get('type')}"
    if "rate_limit" in words:
        return 429
    return 400 if "invalid_request" in words or "context_length" in words else 500


def _from_status(status: int, message: str, code: str) -> ApiError:
    match status:
        case 401:
            # A 401 would make the client's user replace a key that is right; retrying is no cure.
            return ApiError(
                502,
                "api_error",
                "The upstream refused the proxy's own key: the operator must set a valid"
                " OPENAI_API_KEY. The client's key is fine.",
                {"x-should-retry": "false"},
            )
        case 402:
            return ApiError(402, "billing_error", message)
        case 403:
            return ApiError(403, "permission_error", f"The upstream refused: {message}")
        case 404:
            return ApiError(404, "not_found_error", message)
        case 408 | 504:
            return ApiError(504, "timeout_error", message)
        case 413:
            return ApiError(413, "request_too_large", message)
        case 429:
            return ApiError(429, "rate_limit_error", message)
        case 503 | 529:
            return ApiError(529, "overloaded_error", message)
    if 400 <= status < 500:
        lowered = f"{code} {message}".lower()
        if _BAD_CALL in lowered:
            return bad_gateway(f"The model wrote a tool call that cannot be used: {message}")
        if any(words in lowered for words in _TOO_LONG):
            message = f"prompt is too long: {message}"
        elif any(words in lowered for words in _NO_IMAGES):
            message = f"Could not process image: {message}"
        return ApiError(400, "invalid_request_error", message)
    if status >= 500:
        return ApiError(status, "api_error", message)
    return bad_gateway(f"The upstream answered with the unexpected status {status}.")


def _read_body(body: bytes) -> tuple[str, str]:
    """Return the human message and the code of an OpenAI-shaped (or any other) error body."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "The upstream gave no readable reason.", ""
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(error, str):
        return error[:_MAX_MESSAGE], ""
    if not isinstance(error, dict):
        return "The upstream gave no readable reason.", ""
    message = error.get("message") or error.get("detail")
    if not isinstance(message, str):
        message = "The upstream gave no readable reason."
    return message[:_MAX_MESSAGE], str(error.get("code") or "")
