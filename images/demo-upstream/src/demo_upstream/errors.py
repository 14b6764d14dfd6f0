"""The errors that Groq answers, as exceptions that know their body."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An answer that is not a completion: an HTTP status and Groq's error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",  # noqa: A002 # the wire calls it so
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        error: dict[str, Any] = {"message": message, "type": type}
        if param is not None:
            error["param"] = param
        if code is not None:
            error["code"] = code
        self.body: dict[str, Any] = {"error": {**error, **(extra or {})}}


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the refusal of a request that is not of the API's form."""
    return ApiError(400, message, param=param, code=code)


def invalid_api_key() -> ApiError:
    """Return the refusal of a caller whose key is missing or wrong."""
    return ApiError(401, "Invalid API Key", code="invalid_api_key")


def model_not_found(name: str) -> ApiError:
    """Return the refusal of a model that is not in the catalog."""
    return ApiError(
        404,
        f"The model `{name}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def unknown_url(method: str, path: str) -> ApiError:
    """Return the refusal of a route that the API does not have."""
    return ApiError(
        404,
        f"Unknown request URL: {method} {path}. "
        "Please check the URL for typos, or see the docs for the routes that there are.",
        code="unknown_url",
    )


def context_length_exceeded() -> ApiError:
    """Return the refusal of a prompt that does not fit the model's context window."""
    return bad_request(
        "Please reduce the length of the messages or completion.",
        param="messages",
        code="context_length_exceeded",
    )


def request_too_large(model: str, limit: int, requested: int) -> ApiError:
    """Return the refusal of one request that is larger than a minute's allowance of tokens."""
    return ApiError(
        413,
        f"Request too large for model `{model}` in organization `org_demo` service tier "
        f"`on_demand` on tokens per minute (TPM): Limit {limit}, Requested {requested}, "
        "please reduce your message size and try again.",
        type="tokens",
        code="rate_limit_exceeded",
    )


def rate_limited(
    model: str, limit: int, used: int, requested: int, wait_seconds: float
) -> ApiError:
    """Return the refusal of a request that has to wait for the allowance of tokens."""
    return ApiError(
        429,
        f"Rate limit reached for model `{model}` in organization `org_demo` service tier "
        f"`on_demand` on tokens per minute (TPM): Limit {limit}, Used {used}, "
        f"Requested {requested}. Please try again in {wait_seconds:g}s.",
        type="tokens",
        code="rate_limit_exceeded",
        headers={"retry-after": f"{max(1, round(wait_seconds))}"},
    )


def internal_error(status: int = 500) -> ApiError:
    """Return a failure on the provider's side."""
    message = {502: "Bad Gateway", 503: "Service Unavailable"}.get(status, "Internal Server Error")
    return ApiError(status, message, type="internal_server_error")


def tool_use_failed(generation: str) -> ApiError:
    """Return the refusal that Groq gives when its model wrote a malformed tool call."""
    return ApiError(
        400,
        "Failed to call a function. Please adjust your prompt. "
        "See 'failed_generation' for more details.",
        code="tool_use_failed",
        extra={"failed_generation": generation},
    )
