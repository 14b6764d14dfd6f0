"""What the program itself asks the Docker Engine, which the provider has no word for."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

TIMEOUT_SECONDS = 2.0
BUILD_SECONDS = 600.0
DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_FRAME_HEADER = 8


def is_local() -> bool:
    """Tell whether a port of this machine says anything about the engine's."""
    return _address().startswith("unix://")


def answers() -> bool:
    """Tell whether the program can ask it at all."""
    return _get("/_ping") is not None


def containers(**filters: str) -> list[dict[str, Any]]:
    """Return the running containers that pass the engine's *filters*, none if it is silent.

    Each is an entry of the engine's ``GET /containers/json``.
    """
    query = urlencode({"filters": json.dumps({name: [value] for name, value in filters.items()})})
    body = _get(f"/containers/json?{query}")
    return list(json.loads(body)) if body is not None else []


def container(name: str) -> dict[str, Any] | None:
    """Return a container as the engine inspects it, None if there is no such."""
    body = _get(f"/containers/{quote(name)}/json")
    return dict(json.loads(body)) if body is not None else None


def is_missing(name: str) -> bool:
    """Tell whether the engine says that there is no such container."""
    answer = _ask("GET", f"/containers/{quote(name)}/json", None, TIMEOUT_SECONDS)
    return answer is not None and answer[0] == http.client.NOT_FOUND


def image_names(identifier: str) -> list[str]:
    """Return the names, with tag or digest, that the engine knows an image by."""
    body = _get(f"/images/{quote(identifier)}/json")
    image = json.loads(body) if body is not None else {}
    return [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]


def last_lines(name: str, count: int) -> list[str]:
    """Return the last lines of a container's log, none if there is no such container."""
    body = _get(f"/containers/{quote(name)}/logs?stdout=1&stderr=1&tail={count}")
    return _without_frames(body or b"").decode(errors="replace").splitlines()[-count:]


def build(context: bytes, build_args: Mapping[str, str]) -> bytes | None:
    """Build a context, a tar archive, by BuildKit without a name; return what it says about it."""
    query = urlencode({"version": "2", "buildargs": json.dumps(dict(build_args))})
    return _ok(_ask("POST", f"/build?{query}", context, BUILD_SECONDS))


def _without_frames(raw: bytes) -> bytes:
    """Join the frames of an attach stream: a stream's number, its length in the last 4 bytes."""
    parts = []
    while len(raw) >= _FRAME_HEADER:
        end = _FRAME_HEADER + int.from_bytes(raw[4:_FRAME_HEADER], "big")
        parts.append(raw[_FRAME_HEADER:end])
        raw = raw[end:]
    return b"".join(parts)


def _address() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS


def _get(path: str) -> bytes | None:
    return _ok(_ask("GET", path, None, TIMEOUT_SECONDS))


def _ok(answer: tuple[int, bytes] | None) -> bytes | None:
    return answer[1] if answer is not None and answer[0] == http.client.OK else None


def _ask(method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes] | None:
    """Return status and body of an answer, None where there is none.

    An engine elsewhere is not asked.
    """
    if not is_local():
        return None
    connection = http.client.HTTPConnection("localhost", timeout=seconds)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection.sock:
            connection.sock.settimeout(seconds)
            connection.sock.connect(_address().removeprefix("unix://"))
            connection.request(
                method, path, body, {"Content-Type": "application/x-tar"} if body else {}
            )
            response = connection.getresponse()
            return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
