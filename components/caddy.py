"""The edge: Caddy terminates TLS, knows the clients and lets only the API through."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pulumi
import pulumi_docker as docker

from components.rendering import render
from components.service import (
    HealthCheck,
    Port,
    Runtime,
    Service,
    ServiceArgs,
    engine_labels,
    standard_level,
)

HTTPS_PORT = 8443
LIVE_PORT = 2019
STATE_DIRECTORY = "/state"
STOP_SECONDS = 1
# Without a sign of life from the generation that Caddy runs, another one steps in.
TAKEOVER_SECONDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class InternalTls:
    """Certificates issued by the stack's own authority.

    Attributes:
        ca_certificate: PEM of the root.
        ca_key: secret PEM of the root's key.
        trusted: PEM of all roots that clients shall trust, also a former one for a while.
    """

    ca_certificate: str
    ca_key: pulumi.Input[str]
    trusted: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileTls:
    """A certificate that the operator brings.

    Attributes:
        certificate: PEM chain, leaf first.
        key: secret PEM of the leaf's key.
    """

    certificate: str
    key: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class AcmeTls:
    """A certificate from a public authority, renewed by Caddy.

    Attributes:
        email: contact that the authority asks for.
    """

    email: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeArgs:
    """What the edge needs.

    Attributes:
        runtime: how it runs; on the published network and the backplane.
        client_tokens: secret token by client name.
        hostnames: names and addresses that clients use; the first is the URL's.
        bind_address: address of the host that the port is published on.
        https_port: port of the host.
        tls: where certificates come from.
        route: what stands behind; decides the path of its health check.
        upstream_url: address of what stands behind, without a path.
        upstream_key: secret that the edge shows to it.
        log_level: error, warning, info or debug; the access log is always written.
    """

    runtime: Runtime
    client_tokens: Mapping[str, pulumi.Input[str]]
    hostnames: Sequence[str]
    bind_address: str
    https_port: int
    tls: InternalTls | FileTls | AcmeTls
    route: Literal["proxy", "litellm"]
    upstream_url: pulumi.Input[str]
    upstream_key: pulumi.Input[str]
    log_level: str


class Edge(pulumi.ComponentResource):
    """Caddy, which stays, and the edge-config container that reloads it, which comes and goes.

    Caddy holds the host's port, which two containers cannot share, so its configuration is not
    its own: the edge-config container of each generation reloads it over a socket in a shared
    volume and is healthy only once Caddy took the configuration. It also hands it to a Caddy that
    has lost it. Where Caddy itself must be replaced (its image, the port, the address), what it was
    doing is cut and the port is closed until the next one runs, which resumes the configuration:
    waiting for open streams would keep everyone else out for as long.

    Attributes:
        url: address for clients.
    """

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:Edge", name, None, opts)
        state = docker.Volume(
            f"{name}-state",
            driver_opts=_state_options(args),
            labels=engine_labels(docker.VolumeLabelArgs, args.runtime.labels),
            opts=pulumi.ResourceOptions(parent=self),
        )
        caddy = self._caddy(name, args, state)
        self._configuration(name, args, state, caddy)
        self.url = pulumi.Output.from_input(f"https://{args.hostnames[0]}{_port_suffix(args)}")
        self.register_outputs({"url": self.url})

    def _caddy(self, name: str, args: EdgeArgs, state: docker.Volume) -> Service:
        return Service(
            name,
            ServiceArgs(
                runtime=replace(args.runtime, drain_seconds=STOP_SECONDS),
                # After a crash or a reboot Caddy resumes what it was last reloaded with.
                command=["caddy", "run", "--resume", "--config", "/conf/Caddyfile"],
                files={"Caddyfile": render("Caddyfile.boot.j2", {"live_port": LIVE_PORT})},
                env=_STATE_ENVIRONMENT,
                ports=[
                    Port(address=args.bind_address, external=args.https_port, internal=HTTPS_PORT)
                ],
                stop_signal="SIGQUIT",
                volumes={STATE_DIRECTORY: state.name},
                health=HealthCheck(
                    test=["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{LIVE_PORT}/"],
                    start_seconds=30,
                ),
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _configuration(
        self, name: str, args: EdgeArgs, state: docker.Volume, caddy: Service
    ) -> Service:
        clients = sorted(args.client_tokens)
        return Service(
            f"{name}-config",
            ServiceArgs(
                # It talks to Caddy over the shared volume alone, and has nothing to finish.
                runtime=replace(args.runtime, networks=(), drain_seconds=STOP_SECONDS),
                command=["/bin/sh", "/conf/apply.sh"],
                files={
                    "Caddyfile": render_caddyfile(args),
                    "apply.sh": render("edge_apply.sh.j2", {"takeover_seconds": TAKEOVER_SECONDS}),
                    **_tls_files(args.tls),
                },
                secret_env={
                    "UPSTREAM_KEY": args.upstream_key,
                    **{
                        f"CLIENT_TOKEN_{index}": args.client_tokens[client]
                        for index, client in enumerate(clients)
                    },
                },
                env={**_STATE_ENVIRONMENT, "UPSTREAM": args.upstream_url},
                volumes={STATE_DIRECTORY: state.name},
                health=HealthCheck(
                    test=["CMD", "test", "-f", "/tmp/applied"],  # noqa: S108
                    interval_seconds=1,
                    start_seconds=15,
                ),
                init=True,
            ),
            # Not by a property: it must outlive the Caddy that it configures, see the class.
            pulumi.ResourceOptions(parent=self, depends_on=[caddy]),
        )


_STATE_ENVIRONMENT: dict[str, pulumi.Input[str]] = {
    "HOME": STATE_DIRECTORY,
    "XDG_DATA_HOME": f"{STATE_DIRECTORY}/data",
    "XDG_CONFIG_HOME": f"{STATE_DIRECTORY}/config",
}


def render_caddyfile(args: EdgeArgs) -> str:
    """Return the Caddyfile, which names the edge-config container's variables for secrets."""
    return render(
        "Caddyfile.j2",
        {
            "acme_email": args.tls.email if isinstance(args.tls, AcmeTls) else None,
            "ca_id": _authority_id(args.tls),
            "clients": sorted(args.client_tokens),
            "default_name": _default_name(args.hostnames),
            "drain_seconds": args.runtime.drain_seconds,
            "has_certificate": isinstance(args.tls, FileTls),
            "hostnames": args.hostnames,
            "https_port": HTTPS_PORT,
            "live_port": LIVE_PORT,
            # Caddy knows warnings by this name only and refuses the other.
            "log_level": standard_level(args.log_level).replace("WARNING", "WARN"),
            "health_path": "/health" if args.route == "proxy" else "/health/liveliness",
        },
    )


def _default_name(hostnames: Sequence[str]) -> str:
    """Choose who answers a client that sends no name, as all do that connect to an address."""
    addresses = [hostname for hostname in hostnames if _is_address(hostname)]
    return (addresses or list(hostnames))[0]


def _is_address(hostname: str) -> bool:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True


def _state_options(args: EdgeArgs) -> dict[str, str] | None:
    """Keep tokens and keys in memory, owned by Caddy's user whatever image it comes from.

    All of it can be made again from the stack, except certificates of a public authority, which
    limits how often one may ask.
    """
    if isinstance(args.tls, AcmeTls):
        return None
    return {
        "type": "tmpfs",
        "device": "tmpfs",
        "o": f"uid={args.runtime.uid},gid={args.runtime.uid},mode=0700,size=16m",
    }


def _authority_id(tls: InternalTls | FileTls | AcmeTls) -> str | None:
    """Name the authority after its root, so that Caddy does not chain new leaves to an old one."""
    if not isinstance(tls, InternalTls):
        return None
    return f"root-{hashlib.sha256(tls.ca_certificate.encode()).hexdigest()[:12]}"


def _tls_files(tls: InternalTls | FileTls | AcmeTls) -> dict[str, pulumi.Input[str]]:
    match tls:
        case InternalTls():
            return {"tls.crt": tls.ca_certificate, "tls.key": pulumi.Output.secret(tls.ca_key)}
        case FileTls():
            return {"tls.crt": tls.certificate, "tls.key": pulumi.Output.secret(tls.key)}
        case AcmeTls():
            return {}


def _port_suffix(args: EdgeArgs) -> str:
    return "" if args.https_port == 443 else f":{args.https_port}"
