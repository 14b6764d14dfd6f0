"""Whether the gateway can listen on a port of this machine, asked before anything is created."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
from urllib.parse import quote

from components.keys import DEPLOYMENT_LABEL

ENGINE_TIMEOUT_SECONDS = 2.0
DEFAULT_ENGINE = "unix:///var/run/docker.sock"


def engine_is_local() -> bool:
    """Tell whether a port of this machine says anything about the engine's."""
    return _engine().startswith("unix://")


def port_problem(bind_address: str, port: int, deployment: str) -> str | None:
    """Say why the gateway could not listen there, or `None`.

    A port that a container of the same *deployment* (the value of its label) publishes is no
    problem: it is this gateway's edge. Port 0 asks about the address alone.
    """
    family = socket.AF_INET6 if ":" in bind_address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind_address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return f"{bind_address} is not an address of this machine"
            # Lacking the right to bind a low port says nothing about the engine, which has it.
            if error.errno != errno.EADDRINUSE:
                return None
        else:
            return None
    holders = _publishers(port)
    if any(holder["Labels"].get(DEPLOYMENT_LABEL) == deployment for holder in holders):
        return None
    names = [name.lstrip("/") for holder in holders for name in holder["Names"]]
    holder = f"container {names[0]}" if names else "something other than this gateway"
    return f"{port} is in use on {bind_address} by {holder}"


def _engine() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_ENGINE


def _publishers(port: int) -> list[dict[str, dict[str, str]]]:
    """Return the running containers that publish a port; none when the engine does not answer."""
    filters = quote(json.dumps({"publish": [f"{port}/tcp"]}))
    connection = http.client.HTTPConnection("localhost", timeout=ENGINE_TIMEOUT_SECONDS)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection.sock:
            connection.sock.settimeout(ENGINE_TIMEOUT_SECONDS)
            connection.sock.connect(_engine().removeprefix("unix://"))
            connection.request("GET", f"/containers/json?filters={filters}")
            response = connection.getresponse()
            found = json.loads(response.read()) if response.status == http.client.OK else []
    except (OSError, http.client.HTTPException, ValueError):
        return []
    return list(found)
