"""What an operator does to a real deployment; tests/load does it while clients ask."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import httpx2

from tests.integration.deployment import Deployment, docker

REQUEST = {
    "model": "claude-haiku-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say hello."}],
}


def answers_at_all(gateway: Deployment) -> int | None:
    """Return the status of a request, None where nothing speaks TLS."""
    with gateway.client(gateway.secrets["clientTokens.alice"]) as http:
        try:
            return http.post("/v1/messages", json=REQUEST).status_code
        except httpx2.TransportError:
            return None


def test_nothing_to_do_is_nothing_done(gateway: Deployment) -> None:
    """A second `up` changes nothing."""
    gateway.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_a_refresh_finds_no_drift(gateway: Deployment) -> None:
    """What the engine reports is what was declared."""
    gateway.pulumi("refresh", "--yes", "--skip-preview")
    gateway.pulumi("preview", "--expect-no-changes")


def test_a_service_cannot_change_its_own_files(gateway: Deployment) -> None:
    """Not even as root, whom the files do not belong to."""
    containers = gateway.resources("Container")
    running = {name: one for name, one in containers.items() if not name.endswith("-seed")}
    assert running

    for name, container in running.items():
        said = docker("exec", "--user", "0", container, "sh", "-c", ": >/conf/x", check=False)
        assert "Read-only file system" in said, name


def test_another_generation_stands_in_for_a_gate_that_is_gone(gateway: Deployment) -> None:
    """A killed `up` can leave a gate that nobody noted; without it the noted one is asked again."""
    gate = gateway.resources("Container")["gateway-edge-gate"]
    image = docker("inspect", "--format", "{{.Image}}", gate).strip()
    newer = docker("run", "--detach", "--volumes-from", gate, image, "sleep", "300").strip()
    try:
        name = newer[:12]
        docker("exec", newer, "sh", "-c", f"mkdir -p /state/gates/{name}")
        docker("exec", newer, "sh", "-c", f"touch /state/gates/{name}/alive")
        docker("exec", newer, "sh", "-c", f"printf {name} >/state/gate")
        eventually(lambda: answers_at_all(gateway) == 200)
    finally:
        docker("rm", "--force", newer)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, bounded."""
    for _ in range(120):
        if condition():
            return
        time.sleep(1)
    raise AssertionError("the condition did not come true in two minutes")


def test_a_provider_key_replaces_the_demo_upstream(gateway: Deployment) -> None:
    """`up` says which provider answers from now on, and the demo is gone."""
    gateway.set_secret("providerKeys.groq", f"gsk_{secrets.token_hex(24)}")

    deployed = gateway.up().stdout

    assert "real providers: groq" in deployed
    assert not [name for name in gateway.resources("Container") if "demo" in name]
    gateway.pulumi("preview", "--expect-no-changes")


def test_no_secret_shows_anywhere(gateway: Deployment) -> None:
    """Neither the engine, nor pulumi's output, nor its state, nor the logs hold one."""
    containers = list(gateway.resources("Container").values())
    images = docker("images", "--quiet", "--filter", "reference=llm-gateway/*").split()
    places = {
        "docker inspect": docker("inspect", *containers)
        + docker("volume", "inspect", *gateway.resources("Volume").values())
        + docker("network", "inspect", *gateway.resources("Network").values()),
        "docker history": "".join(
            docker("history", "--no-trunc", image) for image in sorted(set(images))
        ),
        "container logs": "".join(docker("logs", container) for container in containers),
        "pulumi's output": "".join(gateway.transcript),
    }
    for path in (gateway.directory.parent / "state", gateway.directory):
        for file in path.rglob("*"):
            if file.is_file() and ".venv" not in file.parts:
                places[str(file)] = file.read_text(errors="replace")

    hits = [
        f"{name} in {place}"
        for place, text in places.items()
        for name, value in gateway.secrets.items()
        for line in value.splitlines()
        if "-----" not in line and line in text
    ]

    assert hits == []
    assert len(places) > 10, "the state directory was not read"


def test_destroy_leaves_nothing_behind(gateway: Deployment) -> None:
    """No container, network or volume of the stack stays."""
    kinds = {"Container": "container", "Network": "network", "Volume": "volume"}
    made = {kind: [*gateway.resources(kind).values()] for kind in kinds}
    mounts = "{{range .Mounts}}{{.Name}} {{end}}"
    mounted = {*docker("inspect", "--format", mounts, *made["Container"]).split()}
    assert mounted > {*made["Volume"]}, "the seeds hold their files elsewhere"
    made["Volume"] = [*mounted]

    gateway.destroy()

    for kind, noun in kinds.items():
        assert made[kind], f"the stack had no {noun}"
        for identifier in made[kind]:
            left = docker(noun, "inspect", identifier, check=False).lower()
            assert "no such" in left or "not found" in left
    assert gateway.resources("Container") == {}
