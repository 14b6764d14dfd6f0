"""A stack of its own on the real engine: its project copy, backend, secrets and port."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml

PROJECT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "Pulumi.*.yaml")
UP_SECONDS = 1800


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def authority(directory: Path) -> tuple[str, str]:
    """Return a new root certificate and its key, as PEM."""
    key, certificate = directory / "root.key", directory / "root.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "30"]
    command += ["-subj", "/CN=llm-gateway test root"]
    command += ["-addext", "basicConstraints=critical,CA:TRUE,pathlen:1"]
    command += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    subprocess.run(command, check=True, capture_output=True)
    texts = certificate.read_text(), key.read_text()
    key.unlink()
    return texts


@dataclass
class Deployment:
    """One stack, driven by the `pulumi` command as its users drive it.

    Attributes:
        directory: copy of the project, so that the checkout's own stacks are not touched.
        stack: unique name.
        authority: PEM of the root that the stack began with.
        secrets: plain values by configuration path, to look for where they must not be.
        transcript: everything that pulumi printed.
    """

    directory: Path
    stack: str
    environment: dict[str, str]
    authority: str
    secrets: dict[str, str] = field(default_factory=dict)
    transcript: list[str] = field(default_factory=list)

    @classmethod
    def create(cls, parent: Path, configuration: Mapping[str, Any]) -> Deployment:
        """Make a stack with generated secrets; *configuration* goes over the dev stack's."""
        stack = f"it-{secrets.token_hex(4)}"
        directory = parent / stack / "project"
        shutil.copytree(PROJECT, directory, ignore=NOT_COPIED)
        if (PROJECT / ".venv").exists():
            (directory / ".venv").symlink_to(PROJECT / ".venv")
        state = parent / stack / "state"
        state.mkdir()
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        }
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        environment.pop("PULUMI_STACK", None)
        certificate, key = authority(directory.parent)
        deployment = cls(
            directory=directory, stack=stack, environment=environment, authority=certificate
        )
        deployment._configure(configuration, key)
        return deployment

    def _configure(self, configuration: Mapping[str, Any], authority_key: str) -> None:
        dev = yaml.safe_load((PROJECT / "Pulumi.dev.yaml").read_text())["config"]
        plain = {name: value for name, value in dev.items() if "secure" not in json.dumps(value)}
        plain["llm-gateway:httpsPort"] = free_port()
        plain["llm-gateway:caCertificate"] = self.authority
        plain["llm-gateway:images"] = {"base": rootfs()}
        plain["llm-gateway:drainSeconds"] = 60
        plain |= {f"llm-gateway:{name}": value for name, value in configuration.items()}
        (self.directory / f"Pulumi.{self.stack}.yaml").write_text(yaml.safe_dump({"config": plain}))
        self.pulumi("stack", "init", self.stack)
        self.set_secret("litellmMasterKey", f"sk-{secrets.token_hex(24)}")
        self.set_secret("litellmSaltKey", f"sk-{secrets.token_hex(24)}")
        self.set_secret("clientTokens.alice", secrets.token_urlsafe(32))
        self.set_secret("caKey", authority_key)

    def pulumi(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run pulumi in the stack; with *check*, a failure shows what it printed."""
        finished = subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=UP_SECONDS,
        )
        if "--show-secrets" not in arguments:
            self.transcript.append(finished.stdout)
        if check and finished.returncode != 0:
            raise AssertionError(f"pulumi {' '.join(arguments)} failed:\n{finished.stdout}")
        return finished

    def set_secret(self, path: str, value: str) -> None:
        """Set an encrypted value, by standard input so that no argument list holds it."""
        self.secrets[path] = value
        self.pulumi("config", "set", "--secret", "--path", path, stdin=value)

    def set(self, path: str, value: str) -> None:
        """Set a plain value."""
        self.pulumi("config", "set", "--path", path, "--", value)

    def up(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Deploy, showing the difference as a careful operator would."""
        return self.pulumi("up", "--yes", "--skip-preview", "--diff", *arguments, check=check)

    def kill_up_after(self, seconds: float) -> None:
        """Start a deployment and kill it with its provider after a time, if it still runs."""
        with subprocess.Popen(
            ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def recover(self) -> str:
        """Clean up after a killed deployment, as `make up` does, and return what it said."""
        finished = subprocess.run(
            [sys.executable, "scripts/recover", "--stack", self.stack],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secrets in clear."""
        text = self.pulumi("stack", "output", "--json", "--show-secrets").stdout
        outputs: dict[str, Any] = json.loads(text)
        return outputs

    def resources(self, kind: str) -> dict[str, str]:
        """Return physical ids by logical name of the stack's docker resources of a kind."""
        exported = json.loads(self.pulumi("stack", "export").stdout)
        return {
            resource["urn"].rsplit("::", 1)[1]: resource["id"]
            for resource in exported["deployment"].get("resources", [])
            if resource["type"].endswith(f":{kind}") and resource["type"].startswith("docker:")
        }

    @property
    def url(self) -> str:
        """Address of the gateway."""
        return str(self.outputs()["url"])

    def client(self, token: str | None = None) -> httpx2.Client:
        """Return an HTTP client that trusts the stack's authority and shows a token."""
        headers = {"anthropic-version": "2023-06-01"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return httpx2.Client(
            base_url=self.url,
            headers=headers,
            verify=ssl.create_default_context(cadata=self.authority),
            timeout=180,
            trust_env=False,
        )

    def destroy(self) -> None:
        """Remove everything that the stack made."""
        self.pulumi("destroy", "--yes", "--skip-preview")


def rootfs() -> str:
    """Return the root file system image that the bootstrap made."""
    finished = subprocess.run(
        [str(PROJECT / "scripts" / "rootfs")], capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()


def docker(*arguments: str, check: bool = True) -> str:
    """Run the engine's client and return what it printed, errors included."""
    finished = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if check and finished.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)} failed:\n{finished.stdout}")
    return finished.stdout
