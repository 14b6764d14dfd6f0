"""Waiting for containers to get healthy, with a word about what takes long."""

from __future__ import annotations

import asyncio
import time

import pulumi

import engine
from components.caddy import OPENS_TO_LABEL
from diagnosis import diagnosis, report

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 15
# It ended as often since it is waited for; the engine starts it again, after ever longer pauses.
RESTARTS = 3


async def until_healthy(name: str, container: str, seconds: int) -> None:
    """Return when a container is healthy; at once while a preview asks, or if it is in use.

    The provider could wait too, but looks once a second, says nothing before its deadline, and
    would let nothing else start meanwhile. What is in use was healthy once; if it is not now, that
    must not keep anyone from taking a client's token away.

    Args:
        name: logical name, which the operator knows.
        container: name on the engine.
        seconds: how long it may take from now on.

    Raises:
        pulumi.RunError: it is gone, does not stay up, or did not get healthy in time.
    """
    if pulumi.runtime.is_dry_run():
        return
    in_use = await asyncio.to_thread(is_in_use, container)
    began, told, restarts = time.monotonic(), False, None
    while time.monotonic() - began < seconds:
        known = await asyncio.to_thread(engine.container, container)
        if known is not None:
            restarts = known["RestartCount"] if restarts is None else restarts
            if in_use or known["State"].get("Health", {}).get("Status") == "healthy":
                return
            if known["RestartCount"] - restarts >= RESTARTS:
                break
        elif await asyncio.to_thread(engine.is_missing, container):
            raise pulumi.RunError(
                f"{name} is gone ({container}): run pulumi refresh --yes, then pulumi up"
            )
        if not told and time.monotonic() - began >= PATIENCE_SECONDS:
            said = await asyncio.to_thread(report, container)
            if said is not None:
                told = True
                pulumi.log.warn(f"still waiting for {name}, which {said}")
        await asyncio.sleep(POLL_SECONDS)
    said = await asyncio.to_thread(diagnosis, name, container)
    raise pulumi.RunError(said or f"{name} did not get healthy within {seconds} s")


def is_in_use(container: str) -> bool:
    """Tell whether a healthy gate was opened to a container."""
    gates = engine.containers(label=OPENS_TO_LABEL, health="healthy")
    return any(container in gate["Labels"][OPENS_TO_LABEL].split(",") for gate in gates)
