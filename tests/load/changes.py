"""What an operator changes on purpose, which no client may notice."""

from __future__ import annotations

import hashlib
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.deployment import docker
from tests.load.certificates import leaf
from tests.load.observation import services
from tests.load.site import Site

EDGE = frozenset({"gateway-edge-gate"})
PROXY = EDGE | {"gateway-proxy"}
LITELLM = PROXY | {"gateway-litellm"}
ALL = LITELLM | {"gateway-demo-upstream"}
ROUTED = ("groq-gpt-oss-120b", "groq-llama-3.3-70b", "groq-gpt-oss-20b")
OTHER_LITELLM = "1.106.1"


def is_served(site: Site) -> None:
    """Expect an answer to somebody who asks for a configured name."""
    assert site.ask()[0] == 200


@dataclass(frozen=True, kw_only=True)
class Change:
    """One `pulumi config set …; pulumi up`.

    Attributes:
        name: what the table calls it.
        configure: sets the configuration.
        replaces: logical names of what may be replaced, made or removed, and no more.
        check: what must hold afterwards.
        interrupts: it re-creates the published port, which clients notice.
        models: what clients ask for meanwhile; None for Claude's own names.
    """

    name: str
    configure: Callable[[Site], None]
    replaces: frozenset[str]
    check: Callable[[Site], None] = is_served
    interrupts: bool = False
    models: tuple[str, ...] | None = None


def setting(path: str, value: str) -> Callable[[Site], None]:
    """Set a plain value."""
    return lambda site: site.deployment.set(path, value)


def unset(*paths: str) -> Callable[[Site], None]:
    """Go back to the default."""

    def configure(site: Site) -> None:
        for path in paths:
            site.deployment.pulumi("config", "rm", "--path", path)

    return configure


def fresh(path: str, prefix: str = "") -> Callable[[Site], None]:
    """Set a new secret."""
    return lambda site: site.deployment.set_secret(path, f"{prefix}{secrets.token_hex(24)}")


def edited(file: str, old: str, new: str) -> Callable[[Site], None]:
    """Edit the project's source."""

    def configure(site: Site) -> None:
        path = site.deployment.directory / file
        text = path.read_text()
        assert old in text, f"{file} holds no {old!r}"
        path.write_text(text.replace(old, new))

    return configure


def appended(file: str, line: str) -> Callable[[Site], None]:
    """Append a line to a file of the project's source."""

    def configure(site: Site) -> None:
        with (site.deployment.directory / file).open("a") as source:
            source.write(line)

    return configure


def answers(client: str, status: int) -> Callable[[Site], None]:
    """Expect the status of a request by a client."""

    def check(site: Site) -> None:
        assert site.ask(client)[0] == status

    return check


def serves(model: str, name: str) -> Callable[[Site], None]:
    """Expect that the provider's model *name* answers those who ask for *model*."""

    def check(site: Site) -> None:
        status, body = site.ask(model=model)
        assert status == 200, body
        assert f"answering as {name}:" in body

    return check


def add_model(site: Site) -> None:
    """Serve a fourth model."""
    site.deployment.set("models[3].name", "groq-llama-3.1-8b")
    site.deployment.set("models[3].model", "groq/llama-3.1-8b-instant")


def limit_model(site: Site) -> None:
    """Give a model limits that the load does not reach."""
    site.deployment.set("models[0].rpm", "100000")
    site.deployment.set("models[0].tpm", "100000000")
    site.deployment.set("models[0].maxOutputTokens", "32000")


def add_hostname(site: Site) -> None:
    """Serve under one more name than by default."""
    for index, name in enumerate(("localhost", "127.0.0.1", "gateway.test")):
        site.deployment.set(f"hostnames[{index}]", name)


def raise_limits(site: Site) -> None:
    """Give two services more memory."""
    site.deployment.set("resources.edge.memoryMb", "300")
    site.deployment.set("resources.litellm.memoryMb", "2100")


def are_raised(site: Site) -> None:
    """Expect the new limits on the containers that run already."""
    edge = services(site.deployment)["gateway-edge"]
    limit = docker("inspect", "--format", "{{.HostConfig.Memory}}", edge)
    assert int(limit) == 300 * 1024 * 1024, limit


def bring_certificate(site: Site) -> None:
    """Use a certificate from files, of an authority that clients trust."""
    deployment = site.deployment
    chain, key = leaf(site.directory, deployment.authority, deployment.secrets["caKey"])
    deployment.set("tls.mode", "files")
    deployment.set("tls.certificate", chain)
    deployment.set_secret("tlsKey", key)


def renew_authority(site: Site) -> None:
    """Issue certificates by another root from now on; clients trust both for a while."""
    certificate, key = site.next_authority
    site.deployment.authority = certificate + site.deployment.authority
    site.deployment.set("caCertificate", site.deployment.authority)
    site.deployment.set_secret("caKey", key)


def other_litellm(site: Site) -> None:
    """Lock LiteLLM to another release, as its lock file is written."""
    lock = site.deployment.directory / "images/litellm/requirements.txt"
    text = lock.read_text()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", directory, f"litellm=={OTHER_LITELLM}"]
        subprocess.run(command, check=True)
        (wheel,) = Path(directory).iterdir()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (site.directory / "litellm-lock").write_text(text)
    changed, count = re.subn(
        r"(?m)^litellm==\S+( \\\n)(?:    --hash=\S+(?: \\)?\n)+",
        rf"litellm=={OTHER_LITELLM}\1    --hash=sha256:{digest}\n",
        text,
    )
    assert count == 1, "the lock does not name litellm once"
    lock.write_text(changed)


def former_litellm(site: Site) -> None:
    """Roll the release back."""
    lock = site.deployment.directory / "images/litellm/requirements.txt"
    lock.write_text((site.directory / "litellm-lock").read_text())


def provider_key(index: int) -> Callable[[Site], None]:
    """Use one of the keys that the provider knows."""
    return lambda site: site.deployment.set_secret("providerKeys.groq", site.provider.keys[index])


PROXY_SOURCE = "images/claude-code-proxy/src/claude_code_proxy/__main__.py"
ACCESS_RULES = "templates/gate.Caddyfile.j2"
CADDY = "images/caddy/Dockerfile"
# Single models are refused.
MODELS_PATHS = ("path /v1/models /v1/models/*\n", "path /v1/models\n")

CHANGES = [
    Change(
        name="client token added",
        configure=fresh("clientTokens.bob"),
        replaces=EDGE,
        check=answers("bob", 200),
    ),
    Change(
        name="client token removed",
        configure=unset("clientTokens.bob"),
        replaces=EDGE,
        check=answers("bob", 401),
    ),
    Change(
        name="access rules of the edge",
        configure=edited(ACCESS_RULES, *MODELS_PATHS),
        replaces=EDGE,
    ),
    Change(
        name="access rules back",
        configure=edited(ACCESS_RULES, *reversed(MODELS_PATHS)),
        replaces=EDGE,
    ),
    Change(name="host name added", configure=add_hostname, replaces=EDGE),
    Change(name="host name removed", configure=unset("hostnames"), replaces=EDGE),
    Change(name="certificate from files", configure=bring_certificate, replaces=EDGE),
    Change(name="internal certificate again", configure=unset("tls", "tlsKey"), replaces=EDGE),
    Change(name="certificate authority renewed", configure=renew_authority, replaces=EDGE),
    Change(
        name="resource limits",
        configure=raise_limits,
        replaces=frozenset(),
        check=are_raised,
    ),
    Change(name="resource limits back", configure=unset("resources"), replaces=frozenset()),
    Change(
        name="model remapped",
        configure=setting("modelMap.big", "groq-gpt-oss-20b"),
        replaces=PROXY,
        check=serves("claude-opus-5", "openai/gpt-oss-20b"),
    ),
    Change(
        name="model remapped back",
        configure=setting("modelMap.big", "groq-gpt-oss-120b"),
        replaces=PROXY,
        check=serves("claude-opus-5", "openai/gpt-oss-120b"),
    ),
    Change(
        name="proxy's source",
        configure=appended(PROXY_SOURCE, "# changed\n"),
        replaces=PROXY,
    ),
    Change(
        name="proxy's source back",
        configure=edited(PROXY_SOURCE, "# changed\n", ""),
        replaces=PROXY,
    ),
    Change(
        name="LiteLLM's master key",
        configure=fresh("litellmMasterKey", "sk-"),
        replaces=ALL,
    ),
    Change(
        name="model added",
        configure=add_model,
        replaces=ALL,
        check=serves("groq-llama-3.1-8b", "llama-3.1-8b-instant"),
    ),
    Change(name="limits of a model", configure=limit_model, replaces=LITELLM),
    Change(name="model removed", configure=unset("models[3]"), replaces=ALL),
    Change(name="log level", configure=setting("logLevel", "info"), replaces=LITELLM),
    Change(name="log level back", configure=unset("logLevel"), replaces=LITELLM),
    Change(name="drain time", configure=setting("drainSeconds", "170"), replaces=ALL),
    Change(
        name="demo upstream to provider",
        configure=provider_key(0),
        replaces=ALL,
    ),
    Change(name="provider's key", configure=provider_key(1), replaces=LITELLM),
    Change(
        name="provider to demo upstream",
        configure=unset("providerKeys"),
        replaces=ALL,
    ),
    Change(
        name="route litellm",
        configure=setting("route", "litellm"),
        replaces=PROXY,
        models=ROUTED,
    ),
    Change(
        name="route proxy",
        configure=setting("route", "proxy"),
        replaces=PROXY,
        models=ROUTED,
    ),
    Change(name="LiteLLM's version", configure=other_litellm, replaces=LITELLM),
    Change(name="LiteLLM's version rolled back", configure=former_litellm, replaces=LITELLM),
    Change(
        name="Caddy's image",
        configure=appended(CADDY, "LABEL test=changed\n"),
        replaces=EDGE | {"gateway-edge"},
        interrupts=True,
    ),
    Change(
        name="bind address",
        configure=setting("bindAddress", "0.0.0.0"),
        replaces=EDGE | {"gateway-edge"},
        interrupts=True,
    ),
]
