"""Whether the gateway can listen on a port of this machine, asked before anything is created."""

from __future__ import annotations

import errno
import socket

import engine
from components.keys import DEPLOYMENT_LABEL


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
    holders = engine.containers(publish=f"{port}/tcp")
    if any(holder["Labels"].get(DEPLOYMENT_LABEL) == deployment for holder in holders):
        return None
    names = [name.lstrip("/") for holder in holders for name in holder["Names"]]
    holder = f"container {names[0]}" if names else "something other than this gateway"
    return f"{port} is in use on {bind_address} by {holder}"
