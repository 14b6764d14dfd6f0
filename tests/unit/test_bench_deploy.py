"""What the benchmark of changes computes, and what it gives docker-compose to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.compose import Observed, project
from bench.deploy import COLD_UP, DESTROY, Figure, Results, starts, table
from components.caddy import OPENS_TO_LABEL

ROTATION = Figure(title="rotation", beside="LiteLLM's start", extra_seconds=5)


def container(name: str, **changes: Any) -> dict[str, Any]:
    """Return what the engine says about a hardened container."""
    health = {"Test": ["CMD", "true"], "Interval": 5 * 10**8, "Timeout": 10**10}
    host = {
        "Init": False,
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "size=64m"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Memory": 1024,
        "MemorySwap": 1024,
        "CpuShares": 1024,
        "RestartPolicy": {"Name": "always"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "NetworkMode": "default",
        "PortBindings": {},
    }
    return {
        "Id": f"{name}-id",
        "Name": f"/{name}-0a1b2c3",
        "Image": "sha256:image",
        "Config": {
            "Entrypoint": ["/bin/sh", "-c", 'exec "$@"', "sh"],
            "Cmd": [name],
            "Env": ["HOME=/tmp"],
            "User": "65532:65532",
            "Labels": {},
            "StopSignal": "SIGQUIT",
            "Healthcheck": {**health, "Retries": 3, "StartPeriod": 3 * 10**10},
        },
        "HostConfig": {**host, **changes},
        "Mounts": [
            {"Name": f"{name}-files-1", "Destination": "/conf", "RW": False},
            {"Name": "state-1", "Destination": "/state", "RW": True},
        ],
        "NetworkSettings": {"Networks": {"backplane-1": {}}},
    }


def opened(gate: dict[str, Any]) -> dict[str, Any]:
    """Return a container that was opened to others when they were healthy."""
    gate["Config"]["Labels"][OPENS_TO_LABEL] = "router-0a1b2c3"
    return gate


@pytest.fixture
def services() -> dict[str, Any]:
    """A router and an edge that publishes a port, as docker-compose gets them."""
    published = {"8443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9443"}]}
    network = {"Driver": "bridge", "Internal": True, "Options": {}}
    observed = Observed(
        containers={
            "router": container("router"),
            "edge": container("edge", PortBindings=published),
            "gate": opened(container("gate")),
        },
        volumes={"state-1": {"Driver": "local", "Options": {"type": "tmpfs"}}},
        networks={"backplane-1": network},
        depends_on={"router": [], "edge": ["router"], "gate": ["router", "edge"]},
        files={"router-files-1": Path("/copies/router"), "edge-files-1": Path("/copies/edge")},
    )
    made = project(observed, 60)
    assert made["volumes"] == {"state-1": {"driver": "local", "driver_opts": {"type": "tmpfs"}}}
    assert made["networks"]["backplane-1"]["internal"] is True
    found: dict[str, Any] = made["services"]
    return found


def test_docker_compose_runs_the_same_hardened_container(services: dict[str, Any]) -> None:
    """Image, program, user, limits, rights and signals are those of the stack's container."""
    router = services["router"]
    assert router["image"] == "sha256:image"
    assert router["entrypoint"] == ["/bin/sh", "-c", 'exec "$$@"', "sh"], "a $ is a variable there"
    assert router["read_only"] is True
    assert router["cap_drop"] == ["ALL"]
    assert router["security_opt"] == ["no-new-privileges:true"]
    assert router["tmpfs"] == ["/tmp:size=64m"]
    assert router["mem_limit"] == router["memswap_limit"] == 1024
    assert (router["stop_signal"], router["stop_grace_period"]) == ("SIGQUIT", "60s")


def test_docker_compose_starts_in_the_same_order(services: dict[str, Any]) -> None:
    """Each container comes after the same others, and after their health where the stack waits."""
    assert services["edge"]["depends_on"] == {"router": {"condition": "service_started"}}
    healthy = {"condition": "service_healthy"}
    assert services["gate"]["depends_on"] == {"router": healthy, "edge": healthy}
    assert services["edge"]["healthcheck"] == {
        "test": ["CMD", "true"],
        "interval": "500ms",
        "timeout": "10000ms",
        "retries": 3,
        "start_period": "30000ms",
    }


def test_containers_find_each_other_and_their_files_under_docker_compose(
    services: dict[str, Any],
) -> None:
    """By the names that their configuration has; only files are the host's."""
    assert services["router"]["networks"] == {"backplane-1": {"aliases": ["router-0a1b2c3"]}}
    assert services["edge"]["ports"] == ["127.0.0.1:9443:8443/tcp"]
    assert services["edge"]["volumes"] == [
        {"type": "bind", "source": "/copies/edge", "target": "/conf", "read_only": True},
        {"type": "volume", "source": "state-1", "target": "/state", "read_only": False},
    ]


@pytest.mark.parametrize(
    ("mode", "expected"), [("none", "none"), ("container:router-id", "service:router")]
)
def test_a_container_without_a_network_of_its_own_gets_none(mode: str, expected: str) -> None:
    """It has none at all, or shares another one's."""
    observed = Observed(
        containers={"router": container("router"), "guest": container("guest", NetworkMode=mode)},
        volumes={},
        networks={},
        depends_on={"router": [], "guest": []},
        files={},
    )
    guest = project(observed, 60)["services"]["guest"]

    assert guest["network_mode"] == expected
    assert "networks" not in guest


def test_aims_are_judged_by_medians() -> None:
    """A ratio for what has a counterpart, a difference for what adds to something."""
    results = Results()
    for gateway, compose, boot in ((12.0, 10.0, 8.0), (13.0, 10.0, 9.0), (99.0, 10.0, 10.0)):
        results.add(COLD_UP, gateway=gateway, beside=compose)
        results.add(DESTROY, gateway=gateway + 1, beside=compose)
        results.add(ROTATION, gateway=gateway + 2, beside=boot)
    cold, destroy, rotation = [row.split(" | ") for row in table(results)[2:]]

    assert cold[1:3] == ["3", "13.00 s (12.00-99.00)"]
    assert cold[4:] == ["1.30 times", "at most 1.3 times", "yes |"]
    assert destroy[4:] == ["1.40 times", "at most 1.3 times", "no |"]
    assert rotation[4:] == ["+6.0 s", "at most 5 s more", "no |"]


def test_what_stands_alone_is_compared_to_nothing() -> None:
    """A change that starts no LiteLLM has nothing beside it."""
    results = Results()
    results.add(Figure(title="token", beside="no LiteLLM starts"), gateway=4.0, beside=0)

    assert table(results)[-1] == (
        "| token | 1 | 4.00 s (4.00-4.00) | no LiteLLM starts |  | - | - |"
    )


def test_a_start_lasts_until_healthy() -> None:
    """Of the containers that started meanwhile, whatever else the engine said of them."""
    events = [
        {"id": "old", "status": "health_status: healthy", "timeNano": 1_000_000_000},
        {"id": "new", "status": "start", "timeNano": 2_000_000_000},
        {"id": "new", "status": "health_status: unhealthy", "timeNano": 3_000_000_000},
        {"id": "new", "status": "health_status: healthy", "timeNano": 5_500_000_000},
    ]

    assert starts(events) == [3.5]
