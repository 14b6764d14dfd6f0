"""A provider of the tests' own, beside the stack: the demo upstream's image under another name."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from tests.integration.deployment import Deployment, docker
from tests.load.generator import CHUNK_MILLISECONDS

PORT = 8000


@dataclass
class Provider:
    """What LiteLLM reaches over its way out.

    Attributes:
        name: container and DNS name.
        keys: the two that it knows, while one replaces the other.
    """

    name: str
    keys: tuple[str, str]

    @classmethod
    def named(cls) -> Provider:
        """Choose a name and keys; nothing runs yet."""
        keys = f"gsk_{secrets.token_hex(24)}", f"gsk_{secrets.token_hex(24)}"
        return cls(name=f"provider-{secrets.token_hex(4)}", keys=keys)

    @property
    def api_base(self) -> str:
        """Address for `providers.groq.apiBase`."""
        return f"http://{self.name}:{PORT}/openai/v1"

    def start(self, deployment: Deployment, directory: Path) -> None:
        """Run it on the network that is LiteLLM's way out."""
        demo = deployment.resources("Container")["gateway-demo-upstream"]
        image = docker("inspect", "--format", "{{.Image}}", demo).strip()
        variables = directory / "provider.env"
        variables.touch(mode=0o600)
        variables.write_text(
            f"DEMO_API_KEY={','.join(self.keys)}\nPORT={PORT}\n"
            f"DEMO_CHUNK_MILLISECONDS={CHUNK_MILLISECONDS}\n"
        )
        network = deployment.resources("Network")["gateway-egress"]
        command = ["run", "--detach", "--name", self.name, "--network", network]
        docker(*command, "--env-file", str(variables), image)

    def remove(self) -> None:
        """Remove it, if it is there."""
        docker("rm", "--force", self.name, check=False)
