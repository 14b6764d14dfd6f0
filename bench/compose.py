"""The containers of a stack as a docker-compose project: same images, files, checks, hardening."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.caddy import OPENS_TO_LABEL


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What the engine runs for a stack, as `docker inspect` tells it.

    Attributes:
        containers: running ones by name.
        volumes: by name.
        networks: by name.
        depends_on: by container, those that were created before it.
        files: directory of the host with a volume's content, by the name of a volume that a
            container which never runs has filled.
    """

    containers: Mapping[str, Mapping[str, Any]]
    volumes: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Any]]
    depends_on: Mapping[str, Sequence[str]]
    files: Mapping[str, Path]


def observe(
    ids: Mapping[str, str], dependencies: Mapping[str, Sequence[str]], into: Path
) -> Observed:
    """Look at the containers of *ids*, by logical name, and copy their files below *into*.

    Only *into* keeps others from the copies, because the containers' user must be able to read
    them and only root could give them to it; so it must be closed to everyone else.
    """
    inspected = dict(zip(ids, inspect("container", list(ids.values())), strict=True))
    running = {name: one for name, one in inspected.items() if one["State"]["Running"]}
    files = {}
    for name, one in inspected.items():
        if name not in running:
            for mount in one["Mounts"]:
                files[mount["Name"]] = into / name
                copy_files(one["Id"], mount["Destination"], into / name)
    mounts = {mount["Name"] for one in running.values() for mount in one["Mounts"]}
    networks = {name for one in running.values() for name in networks_of(one)}
    return Observed(
        containers=running,
        volumes=by_name("volume", mounts - files.keys()),
        networks=by_name("network", networks),
        depends_on={
            name: [other for other in dependencies[name] if other in running] for name in running
        },
        files=files,
    )


def inspect(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the engine says about objects of a kind."""
    if not names:
        return []
    answer = subprocess.run(
        ["docker", kind, "inspect", *names], check=True, capture_output=True, text=True
    )
    objects: list[dict[str, Any]] = json.loads(answer.stdout)
    return objects


def by_name(kind: str, names: set[str]) -> dict[str, dict[str, Any]]:
    """Return what the engine says about objects of a kind, by their names."""
    return {one["Name"]: one for one in inspect(kind, sorted(names))}


def copy_files(container: str, source: str, target: Path) -> None:
    """Copy a directory out of a container, readable for the user of another one."""
    answer = subprocess.run(
        ["docker", "cp", f"{container}:{source}/.", "-"], check=True, capture_output=True
    )
    target.mkdir()
    target.chmod(0o755)
    with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                (target / Path(member.name).name).write_bytes(content.read())


def project(observed: Observed, drain_seconds: int) -> dict[str, Any]:
    """Return the docker-compose file, in which every `$` stands for itself."""
    plain: dict[str, Any] = {
        "services": {name: service(name, observed, drain_seconds) for name in observed.containers},
        "volumes": {
            name: {"driver": volume["Driver"], "driver_opts": volume["Options"] or {}}
            for name, volume in observed.volumes.items()
        },
        "networks": {
            name: {
                "driver": network["Driver"],
                "internal": network["Internal"],
                "driver_opts": network["Options"] or {},
            }
            for name, network in observed.networks.items()
        },
    }
    literal: dict[str, Any] = json.loads(json.dumps(plain).replace("$", "$$"))
    return literal


def service(name: str, observed: Observed, drain_seconds: int) -> dict[str, Any]:
    """Return one container as a service."""
    container = observed.containers[name]
    config, host = container["Config"], container["HostConfig"]
    health = config["Healthcheck"]
    is_gate = OPENS_TO_LABEL in (config["Labels"] or {})
    condition = "service_healthy" if is_gate else "service_started"
    return {
        "image": container["Image"],
        "entrypoint": config["Entrypoint"],
        "command": config["Cmd"],
        "environment": config["Env"],
        "user": config["User"],
        "stop_signal": config.get("StopSignal", "SIGTERM"),
        "stop_grace_period": f"{drain_seconds}s",
        "init": bool(host["Init"]),
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": [f"{path}:{options}" for path, options in (host["Tmpfs"] or {}).items()],
        "cap_drop": host["CapDrop"] or [],
        "security_opt": host["SecurityOpt"] or [],
        "mem_limit": host["Memory"],
        "memswap_limit": host["MemorySwap"],
        "cpu_shares": host["CpuShares"],
        "restart": host["RestartPolicy"]["Name"],
        "logging": {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"]},
        "healthcheck": {
            "test": health["Test"],
            "interval": milliseconds(health["Interval"]),
            "timeout": milliseconds(health["Timeout"]),
            "retries": health["Retries"],
            "start_period": milliseconds(health["StartPeriod"]),
        },
        "volumes": [volume(mount, observed.files) for mount in container["Mounts"]],
        "ports": [
            f"{binding['HostIp']}:{binding['HostPort']}:{port}"
            for port, bindings in (host["PortBindings"] or {}).items()
            for binding in bindings
        ],
        "depends_on": {other: {"condition": condition} for other in observed.depends_on[name]},
        **network(container, observed),
    }


def network(container: Mapping[str, Any], observed: Observed) -> dict[str, Any]:
    """Return where a container is reachable: under the name that the others know it by."""
    mode = container["HostConfig"]["NetworkMode"]
    kind, _, owner = mode.partition(":")
    if kind == "container":
        names = {one["Id"]: name for name, one in observed.containers.items()}
        return {"network_mode": f"service:{names[owner]}"}
    if kind == "none":
        return {"network_mode": "none"}
    alias = container["Name"].lstrip("/")
    return {"networks": {name: {"aliases": [alias]} for name in networks_of(container)}}


def networks_of(container: Mapping[str, Any]) -> list[str]:
    """Return the names of the networks that a container joined."""
    return sorted(set(container["NetworkSettings"]["Networks"]) - {"none"})


def volume(mount: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return a mount; files come from the host, which docker-compose can fill."""
    source = files.get(mount["Name"])
    return {
        "type": "volume" if source is None else "bind",
        "source": mount["Name"] if source is None else str(source),
        "target": mount["Destination"],
        "read_only": not mount["RW"],
    }


def milliseconds(nanoseconds: int) -> str:
    """Spell one of the engine's times for docker-compose."""
    return f"{nanoseconds // 1_000_000}ms"
