"""The edge: Caddy terminates TLS, knows the clients and lets only the API through."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

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
CERTIFICATES_PORT = 8444
LIVE_PORT = 2019
STATE_DIRECTORY = "/state"
# On the gate: the names of the containers that it was opened to, with commas between them.
OPENS_TO_LABEL = "llm-gateway.opens-to"
STOP_SECONDS = 1
# Without a sign of life from the gate that the edge asks, that of another generation steps in.
# Shorter than the edge goes on asking.
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
        behind: names of all containers behind, known when they are healthy.
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
    behind: Sequence[pulumi.Input[str]]
    log_level: str


class Edge(pulumi.ComponentResource):
    """Caddy at the port, which stays, and the gate behind it, which comes and goes.

    Caddy holds the host's port, which two containers cannot share, and each reload of it can lose
    a request on a connection that was opened in that moment. So nothing of its configuration
    changes while the gateway does: it asks the gate about each request (who is it, where to) and
    takes its certificates from it, through a volume that both mount. The gate is a second Caddy,
    in generations like every service; the last one that was healthy is the one that is asked.
    Where the edge itself must be replaced (its image, the port, the address, and whatever concerns
    certificates of a public authority), what it was doing is cut and the port is closed until the
    next one runs: waiting for open streams would keep everyone else out for as long.

    Attributes:
        url: address for clients, known when both are healthy.
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
            # Beside the networks: what is as deep is removed at the same time, and the provider
            # waits two seconds for each.
            opts=pulumi.ResourceOptions(parent=opts.parent if opts else None),
        )
        edge = self._edge(name, args, state)
        gate = self._gate(f"{name}-gate", args, state)
        url = f"https://{args.hostnames[0]}{_port_suffix(args)}"
        self.url = pulumi.Output.all(edge.healthy_name, gate.healthy_name).apply(lambda _: url)
        self.register_outputs({"url": self.url})

    def _edge(self, name: str, args: EdgeArgs, state: docker.Volume) -> Service:
        return Service(
            name,
            ServiceArgs(
                runtime=replace(args.runtime, drain_seconds=STOP_SECONDS),
                command=["caddy", "run", "--config", "/conf/Caddyfile"],
                files={"Caddyfile": render_edge(args)},
                env=_home(STATE_DIRECTORY),
                ports=[
                    Port(address=args.bind_address, external=args.https_port, internal=HTTPS_PORT)
                ],
                stop_signal="SIGQUIT",
                volumes={STATE_DIRECTORY: state.name},
                health=HealthCheck(
                    test=["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{LIVE_PORT}/"]
                ),
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _gate(self, name: str, args: EdgeArgs, state: docker.Volume) -> Service:
        clients = sorted(args.client_tokens)
        return Service(
            name,
            ServiceArgs(
                # The edge reaches it over the shared volume, and it has nothing to finish.
                runtime=replace(args.runtime, networks=(), drain_seconds=STOP_SECONDS),
                command=["/bin/sh", "/conf/gate.sh"],
                files={
                    "Caddyfile": render_gate(args),
                    "gate.sh": render("gate.sh.j2", _gate_values(args)),
                    **_tls_files(args.tls),
                },
                secret_env={
                    "UPSTREAM_KEY": args.upstream_key,
                    **{
                        f"CLIENT_TOKEN_{index}": args.client_tokens[client]
                        for index, client in enumerate(clients)
                    },
                },
                env={**_home("/tmp"), "UPSTREAM": _authority(args.upstream_url)},  # noqa: S108
                volumes={STATE_DIRECTORY: state.name},
                # What stands behind starts side by side, and this one when all of it is healthy.
                labels={OPENS_TO_LABEL: pulumi.Output.all(*args.behind).apply(",".join)},
                health=HealthCheck(
                    test=["CMD", "test", "-f", "/tmp/ready"],  # noqa: S108
                    start_seconds=30,
                ),
            ),
            pulumi.ResourceOptions(parent=self),
        )


def _home(directory: str) -> dict[str, pulumi.Input[str]]:
    """Return where Caddy keeps what it makes."""
    return {
        "HOME": directory,
        "XDG_DATA_HOME": f"{directory}/data",
        "XDG_CONFIG_HOME": f"{directory}/config",
    }


def render_edge(args: EdgeArgs) -> str:
    """Return the edge's Caddyfile; the same whatever the gateway serves, to whom, and by whom."""
    acme = args.tls if isinstance(args.tls, AcmeTls) else None
    return render(
        "edge.Caddyfile.j2",
        {
            "acme_email": acme.email if acme else None,
            "hostnames": args.hostnames if acme else (),
            "https_port": HTTPS_PORT,
            "live_port": LIVE_PORT,
            "state": STATE_DIRECTORY,
        },
    )


def render_gate(args: EdgeArgs) -> str:
    """Return the gate's Caddyfile, which names variables for secrets."""
    return render("gate.Caddyfile.j2", _gate_values(args))


def _gate_values(args: EdgeArgs) -> dict[str, Any]:
    return {
        "ca_id": _authority_id(args.tls),
        "certificates": not isinstance(args.tls, AcmeTls),
        "certificates_port": CERTIFICATES_PORT,
        "clients": sorted(args.client_tokens),
        # Caddy stores it under a name without colons.
        "default_name": _default_name(args.hostnames).replace(":", "-"),
        "health_path": "/health" if args.route == "proxy" else "/health/liveliness",
        "hostnames": args.hostnames,
        "live_port": LIVE_PORT,
        # Caddy knows warnings by this name only and refuses the other.
        "log_level": standard_level(args.log_level).replace("WARNING", "WARN"),
        "state": STATE_DIRECTORY,
        "takeover_seconds": TAKEOVER_SECONDS,
    }


def _authority(url: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return host and port of an address: all that the edge can be told at request time."""
    return pulumi.Output.from_input(url).apply(lambda known: known.removeprefix("http://"))


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
