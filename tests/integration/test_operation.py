"""What an operator does to a real deployment, and what must not happen meanwhile."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.integration.deployment import Deployment, docker

REQUEST = {
    "model": "claude-haiku-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say hello."}],
}


def answers(gateway: Deployment, client: str = "alice") -> int:
    """Return the status of a request by a client."""
    with gateway.client(gateway.secrets[f"clientTokens.{client}"]) as http:
        return http.post("/v1/messages", json=REQUEST).status_code


def answers_at_all(gateway: Deployment) -> int | None:
    """Return the status of a request, None where nothing speaks TLS."""
    try:
        return answers(gateway)
    except httpx2.TransportError:
        return None


def test_nothing_to_do_is_nothing_done(gateway: Deployment) -> None:
    """A second `up` changes nothing."""
    gateway.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_a_refresh_finds_no_drift(gateway: Deployment) -> None:
    """What the engine reports is what was declared."""
    gateway.pulumi("refresh", "--yes", "--skip-preview")
    gateway.pulumi("preview", "--expect-no-changes")


def test_a_client_token_touches_nothing_but_the_edges_configuration(gateway: Deployment) -> None:
    """A new client is let in, a removed one is refused, and no service is replaced for it."""
    before = gateway.resources("Container")
    gateway.set_secret("clientTokens.bob", secrets.token_urlsafe(32))
    gateway.up()
    added = gateway.resources("Container")
    let_in = answers(gateway, "bob")
    gateway.pulumi("config", "rm", "--path", "clientTokens.bob")
    gateway.up()

    assert {name for name in before if before[name] != added[name]} == {
        "gateway-edge-gate",
        "gateway-edge-gate-seed",
    }
    assert let_in == 200
    assert answers(gateway, "bob") == 401
    assert answers(gateway, "alice") == 200


def test_limits_are_applied_to_running_containers(gateway: Deployment) -> None:
    """More memory for the edge and for LiteLLM replaces nothing."""
    before = gateway.resources("Container")
    gateway.set("resources.edge.memoryMb", "300")
    gateway.set("resources.litellm.memoryMb", "2100")
    gateway.up()
    limit = docker("inspect", "--format", "{{.HostConfig.Memory}}", before["gateway-edge"])
    gateway.pulumi("config", "rm", "resources")
    gateway.up()

    assert int(limit) == 300 * 1024 * 1024
    assert gateway.resources("Container") == before


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


def test_a_new_caddy_replaces_nothing_behind_it(gateway: Deployment) -> None:
    """Its image changed, and what stands behind the edge does not notice."""
    before = gateway.resources("Container")
    dockerfile = gateway.directory / "images" / "caddy" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "LABEL test=changed\n")
    preview = gateway.pulumi("preview").stdout
    gateway.up()
    after = gateway.resources("Container")

    assert {name for name in before if before[name] != after[name]} == {
        "gateway-edge",
        "gateway-edge-gate",
    }
    assert "the image of Caddy changed" in preview
    assert answers(gateway) == 200


def test_a_certificate_that_caddy_refuses_changes_nothing(gateway: Deployment) -> None:
    """`up` fails, the old configuration keeps serving, and the next good `up` is clean."""
    other = unusable_certificate(gateway.directory.parent)
    gateway.set("tls.mode", "files")
    gateway.set("tls.certificate", other)
    gateway.set_secret("tlsKey", gateway.secrets["caKey"])

    failed = gateway.up(check=False)

    assert failed.returncode != 0, failed.stdout
    assert "gateway-edge-gate ends with code 1" in failed.stdout
    assert "private key does not match public key" in failed.stdout, "the last lines of its log"
    assert answers(gateway) == 200
    again = gateway.up(check=False)
    assert again.returncode != 0, "an `up` after a failed one is never green by accident"

    for key in ("tls", "tlsKey"):
        gateway.pulumi("config", "rm", key)
    gateway.up()
    gateway.pulumi("preview", "--expect-no-changes")
    assert answers(gateway) == 200


def unusable_certificate(directory: Path) -> str:
    """Return a self-signed certificate whose key is thrown away."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", "/dev/null", "-subj", "/CN=localhost", "-days", "30"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    return made.stdout


def test_an_image_that_does_not_build_changes_nothing(gateway: Deployment) -> None:
    """The failing build is named and the running proxy stays."""
    dockerfile = gateway.directory / "images" / "claude-code-proxy" / "Dockerfile"
    good = dockerfile.read_text()
    before = gateway.resources("Container")
    dockerfile.write_text(good + "RUN echo this-build-fails && false\n")

    failed = gateway.up(check=False)
    dockerfile.write_text(good)

    assert failed.returncode != 0
    assert "this-build-fails" in failed.stdout or "images-claude-code-proxy" in failed.stdout
    assert answers(gateway) == 200
    gateway.pulumi("preview", "--expect-no-changes")
    assert gateway.resources("Container") == before


@pytest.mark.parametrize(
    "service", ["gateway-edge", "gateway-edge-gate", "gateway-proxy", "gateway-litellm"]
)
def test_a_killed_service_comes_back_with_its_configuration(
    gateway: Deployment, service: str
) -> None:
    """The engine restarts it, and the gateway answers again without an operator."""
    container = gateway.resources("Container")[service]
    # As a crash: what `docker kill` stops, the engine does not restart.
    process = docker("inspect", "--format", "{{.State.Pid}}", container).strip()
    subprocess.run(["kill", "-9", process], check=True)

    with gateway.client(gateway.secrets["clientTokens.alice"]) as http:
        eventually(lambda: status_of(http) == 200)
    eventually(lambda: restarts(container) == 1)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, bounded."""
    for _ in range(120):
        if condition():
            return
        time.sleep(1)
    raise AssertionError("the condition did not come true in two minutes")


def restarts(container: str) -> int:
    """Return how often the engine restarted a container."""
    return int(docker("inspect", "--format", "{{.RestartCount}}", container))


def status_of(http: httpx2.Client) -> int:
    """Return the status of a request, 0 when there was no answer."""
    try:
        return http.post("/v1/messages", json=REQUEST).status_code
    except httpx2.TransportError:
        return 0


def test_a_killed_deployment_is_finished_by_the_next(gateway: Deployment) -> None:
    """The old generation serves meanwhile, and nothing of the killed one is left over."""
    gateway.set_secret("litellmMasterKey", f"sk-{secrets.token_hex(24)}")

    gateway.kill_up("Container gateway-litellm creating")
    meanwhile = answers(gateway)
    said = gateway.recover()
    gateway.up()
    label = f"label=llm-gateway.stack={gateway.stack}"
    present = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()

    assert meanwhile == 200
    assert "releasing the lock" in said
    assert answers(gateway) == 200
    assert set(present) == set(gateway.resources("Container").values())


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
    made = {kind: gateway.resources(kind).values() for kind in kinds}

    gateway.destroy()

    for kind, noun in kinds.items():
        assert made[kind], f"the stack had no {noun}"
        for identifier in made[kind]:
            left = docker(noun, "inspect", identifier, check=False).lower()
            assert "no such" in left or "not found" in left
    assert gateway.resources("Container") == {}
