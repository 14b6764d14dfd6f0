"""What a deployment is waiting for, told while it waits."""

from __future__ import annotations

import contextvars
import threading
import time

import pulumi

import engine
from components.gateway import STACK_LABEL
from diagnosis import report

PATIENCE_SECONDS = 15
POLL_SECONDS = 2


def watch(stack: str) -> None:
    """Tell about each new container of a stack that takes long to get healthy, until the end.

    The provider says nothing before its deadline, and the cause is often there much sooner.
    """
    # The thread logs as the program does.
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(_watch, stack, time.time()), daemon=True).start()


def slow_ones(stack: str, since: float, now: float) -> dict[str, str]:
    """Return by name how the containers are that are late.

    Args:
        stack: whose.
        since: those that were made before it are not meant; seconds of the epoch.
        now: seconds of the epoch.
    """
    late = {}
    for container in engine.containers(label=f"{STACK_LABEL}={stack}"):
        is_new = since <= container["Created"] <= now - PATIENCE_SECONDS
        if is_new and "(healthy)" not in container["Status"]:
            name = str(container["Names"][0]).removeprefix("/")
            late[name] = report(name) or ""
    return late


def _watch(stack: str, began: float) -> None:
    told: set[str] = set()
    while True:
        time.sleep(POLL_SECONDS)
        for name, state in slow_ones(stack, began, time.time()).items():
            if name not in told:
                told.add(name)
                pulumi.log.warn(f"still waiting for {name}, which {state}")
