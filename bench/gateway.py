"""A whole gateway in front of the stand-in upstream, and the LiteLLM inside of it."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.bodies import BURST
from bench.machine import stand_in
from bench.targets import PRICED, Target
from components.litellm import PORT
from tests.integration.deployment import Deployment, docker

GATEWAY = "edge, proxy and LiteLLM"
CHAT = "its LiteLLM alone, Chat Completions"
MESSAGES = "its LiteLLM alone, Messages"


@contextlib.contextmanager
def gateway(directory: Path) -> Iterator[tuple[int, list[Target]]]:
    """Deploy one; yield the stand-in's process id and what a load can be sent to."""
    with stand_in(directory, bridge_address()) as (upstream_pid, upstream):
        deployment = Deployment.create(
            directory,
            {
                "models": [{"name": BURST, "model": f"groq/{PRICED[BURST]}"}],
                "modelMap": {"big": BURST},
                "providers": {"groq": {"apiBase": f"{upstream}/v1"}},
            },
        )
        try:
            deployment.set_secret("providerKeys.groq", f"gsk_{secrets.token_hex(24)}")
            deployment.up()
            yield upstream_pid, targets(deployment, directory)
        finally:
            deployment.destroy()


def targets(deployment: Deployment, directory: Path) -> list[Target]:
    """Return the gateway by its port and its LiteLLM by the container's address."""
    authority = directory / "authority.pem"
    authority.write_text(deployment.authority)
    token, key = (deployment.secrets[name] for name in ("clientTokens.alice", "litellmMasterKey"))
    networks: dict[str, Any] = json.loads(
        docker(
            "inspect",
            "--format",
            "{{json .NetworkSettings.Networks}}",
            deployment.resources("Container")["gateway-litellm"],
        )
    )
    litellm = f"http://{next(iter(networks.values()))['IPAddress']}:{PORT}/v1"
    return [
        Target(
            GATEWAY,
            f"{deployment.url}/v1/messages",
            token,
            None,
            chat=False,
            authority=authority,
        ),
        Target(CHAT, f"{litellm}/chat/completions", key, None, chat=True),
        Target(MESSAGES, f"{litellm}/messages", key, None, chat=False),
    ]


def bridge_address() -> str:
    """Return the address of this machine that containers can reach and others cannot."""
    command = ["docker", "network", "inspect", "bridge", "--format"]
    gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    return subprocess.check_output([*command, gateway], text=True).strip()
