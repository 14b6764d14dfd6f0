"""What an operation did to the stack's containers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.integration.deployment import Deployment, docker


def services(deployment: Deployment) -> dict[str, str]:
    """Return container ids by logical name, without the seeds, which run nothing."""
    return {
        name: container
        for name, container in deployment.resources("Container").items()
        if not name.endswith("-seed")
    }


def touched(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the logical names of what was replaced, made or removed."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def leftovers(deployment: Deployment) -> set[str]:
    """Return ids of the stack's containers on the engine that its state does not know."""
    label = f"label=llm-gateway.stack={deployment.stack}"
    present = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
    return set(present) - set(deployment.resources("Container").values())


def processes_of(container: str) -> list[str]:
    """Return the ids of all of a container's processes; the first one is often but an init."""
    return docker("top", container, "-eo", "pid").split()[1:]


def process_of(container: str) -> str:
    """Return the process id of a container's first process."""
    return docker("inspect", "--format", "{{.State.Pid}}", container).strip()
