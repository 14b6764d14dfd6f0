"""Whether a deployment interrupts clients, told before it begins."""

from __future__ import annotations

from typing import Any

import engine
from components.gateway import SERVICE_LABEL, STACK_LABEL


def interruption(stack: str, bind_address: str, port: int, image: str) -> str | None:
    """Say what clients will notice, `None` where they notice nothing or nothing runs yet.

    Only what holds the port cannot be there twice, so only its replacement can be noticed.

    Args:
        stack: whose edge.
        bind_address: the one that is wanted.
        port: the one that is wanted.
        image: name of the wanted Caddy image.
    """
    for container in engine.containers(label=f"{STACK_LABEL}={stack}"):
        if container["Labels"].get(SERVICE_LABEL) == "edge" and container["Ports"]:
            changes = _changes(container, bind_address, port, image)
            if changes:
                return (
                    f"{' and '.join(changes)} changed, so the container that holds the port is "
                    "replaced: open requests are cut, and nothing answers for 1 to 2 s; "
                    "Claude Code and the SDKs try again by themselves"
                )
    return None


def _changes(container: dict[str, Any], bind_address: str, port: int, image: str) -> list[str]:
    published = {(entry.get("IP"), entry.get("PublicPort")) for entry in container["Ports"]}
    changes = []
    if (bind_address, port) not in published:
        changes.append("bindAddress or httpsPort")
    if image not in engine.image_names(container["ImageID"]):
        changes.append("the image of Caddy")
    return changes
