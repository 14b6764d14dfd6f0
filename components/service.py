"""One hardened, health-gated container whose configuration and secrets are files."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pulumi
import pulumi_docker as docker

from components.keys import generation_id

CONFIG_DIRECTORY = "/conf"
SECRETS_FILE = "secrets.env"
# Secrets become environment inside the container alone, where `docker inspect` does not look.
ENTRYPOINT = f'set -a; . {CONFIG_DIRECTORY}/{SECRETS_FILE}; set +a; exec "$@"'
DEFAULT_UID = 65532
# The engine probes a starting container as often as a healthy one (its interval for the start needs
# version 25), so it gets the short interval, and the probe of one that was healthy waits first.
STARTING_INTERVAL = "250ms"
# The engine does not restart what hangs, so a probe ends a program that was healthy once and has
# answered none for two minutes: all its processes but the init, which then ends by itself.
PROBE = (
    "[ ! -e /tmp/.healthy ] || sleep {pause}; "
    "[ -e /tmp/.asked ] || : >/tmp/.asked; "
    "[ ! -e /tmp/.healthy ] || [ $(($(date +%s) - $(stat -c %Y /tmp/.asked))) -le 120 ]"
    " || kill -9 -1; "
    '"$@" && rm -f /tmp/.asked && : >/tmp/.healthy'
)
Label = TypeVar("Label")
# Waits for a container by logical name and name on the engine, for that many seconds at most.
UntilHealthy = Callable[[str, str, int], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthCheck:
    """When a container counts as healthy.

    Attributes:
        test: CMD, program and arguments; exit 0 is healthy.
        interval_seconds: pause between probes once it was healthy; four times a second before.
        timeout_seconds: how long a probe may take.
        start_seconds: failures do not count that long.
    """

    test: Sequence[str]
    interval_seconds: int = 5
    timeout_seconds: int = 5
    retries: int = 3
    start_seconds: int = 60

    @property
    def deadline_seconds(self) -> int:
        """How long a container may take to get healthy: the start period and the retries then."""
        return self.start_seconds + (self.retries + 1) * (
            self.interval_seconds + self.timeout_seconds
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A published port; the address has no default, so that none is published everywhere."""

    address: str
    external: int
    internal: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a container may use of the machine.

    Attributes:
        memory_mb: mebibytes, without swap beyond them.
        cpu_shares: weight against the others when the processors are busy (1024 is Docker's own).
    """

    memory_mb: int
    cpu_shares: int = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """How a container runs, whatever it does.

    Attributes:
        image: image id.
        uid: user and group of the process.
        seed_image: image of the never-started container that holds the files.
        generation_key: secret that the generation's public name is keyed with.
        networks: names of the networks to join; with none it has no network at all.
        limits: memory and processor.
        drain_seconds: how long a stopping container may finish its requests before SIGKILL.
        labels: of all that the engine holds for it; public.
        until_healthy: waits for it; None where only the provider can.
    """

    image: pulumi.Input[str]
    uid: int = DEFAULT_UID
    seed_image: pulumi.Input[str]
    generation_key: pulumi.Input[str]
    networks: Sequence[pulumi.Input[str]]
    limits: Limits
    drain_seconds: int
    labels: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    until_healthy: UntilHealthy | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceArgs:
    """What makes one container.

    Attributes:
        runtime: how it runs.
        command: program and arguments.
        health: when it counts as healthy.
        files: name below ``/conf`` to content; content may be secret.
        secret_env: environment that exists only inside the container.
        env: environment that anyone with the engine may read.
        volumes: mount path to name of a writable volume.
        ports: published ports, which force the old container to go before the new one comes.
        labels: of the container alone; public.
        init: put a minimal init before the program: process 1 never gets a signal that it does not
            handle, so that one that still starts would outlive its end by `drain_seconds`.
        stop_signal: what tells the process to end.
    """

    runtime: Runtime
    command: Sequence[str]
    health: HealthCheck
    files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secret_env: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    env: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    volumes: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    ports: Sequence[Port] = ()
    labels: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    init: bool = True
    stop_signal: str = "SIGTERM"


def engine_labels(
    kind: Callable[..., Label], labels: Mapping[str, pulumi.Input[str]]
) -> list[Label]:
    """Return labels as the provider's *kind* of them, in an order that does not change."""
    return [kind(label=key, value=value) for key, value in sorted(labels.items())]


def secrets_file(values: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """Return the text of a shell file that sets *values*; always secret, never empty.

    The provider refuses an empty upload, hence the first line.
    """
    resolved: pulumi.Output[Any] = pulumi.Output.from_input(dict(values))
    sealed: pulumi.Output[Any] = pulumi.Output.secret(resolved)
    return sealed.apply(
        lambda known: (
            "# set by the service's entrypoint\n"
            + "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(known.items()))
        )
    )


def standard_level(log_level: str) -> str:
    """Return a log level by its common name; detailed_debug is LiteLLM's own way of debug."""
    return "DEBUG" if log_level == "detailed_debug" else log_level.upper()


def http_probe(port: int, path: str) -> list[str]:
    """Return a health check that works in every image that has python3, with curl or without.

    A bare socket because importing an HTTP client would cost a probe its processor time fivefold.
    It knocks for a while before it fails, so that a program counts as healthy when it is, and not
    when the next probe comes.
    """
    program = f"""
import socket, sys, time
for _ in range(60):
    try:
        with socket.create_connection(("127.0.0.1", {port}), 3) as server:
            server.sendall(b"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n")
            if b" 200 " in server.recv(64):
                sys.exit()
    except OSError:
        pass
    time.sleep(0.05)
sys.exit(1)
"""
    return ["CMD", "python3", "-I", "-S", "-c", program]


class Service(pulumi.ComponentResource):
    """A container in generations: the last one is stopped when the next one is in use.

    A generation is a seed and the container that runs. The seed never starts: it holds the files in
    a volume that lives as long as it does, because the provider cannot put files into a container
    with a read-only root. Its label holds the generation's name: new content makes a new seed, and
    with it a new container; the old two are deleted after everything that depends on them moved.

    Attributes:
        container_name: DNS name of this generation on its networks.
        container_id: id of this generation's container.
        generation: public name of the content.
        healthy_name: the container's name, known when it is healthy.
    """

    container_name: pulumi.Output[str]
    container_id: pulumi.Output[str]
    generation: pulumi.Output[str]
    healthy_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:Service", name, None, opts)
        files = {**args.files, SECRETS_FILE: secrets_file(args.secret_env)}
        self.generation = generation_id(args.runtime.generation_key, files)
        seed = self._seed(name, args.runtime, files)
        container = self._container(name, args, seed)
        self.container_name = container.name
        self.container_id = container.id
        self.healthy_name = _healthy_name(name, args, container)
        self.register_outputs(
            {
                "container_name": self.container_name,
                "container_id": self.container_id,
                "generation": self.generation,
            }
        )

    def _seed(
        self,
        name: str,
        runtime: Runtime,
        files: Mapping[str, pulumi.Input[str]],
    ) -> docker.Container:
        generation = {**runtime.labels, "llm-gateway.generation": self.generation}
        return docker.Container(
            f"{name}-seed",
            image=runtime.seed_image,
            command=["never-started"],
            start=False,
            must_run=False,
            network_mode="none",
            labels=engine_labels(docker.ContainerLabelArgs, generation),
            volumes=[docker.ContainerVolumeArgs(container_path=CONFIG_DIRECTORY)],
            uploads=[
                docker.ContainerUploadArgs(
                    file=f"{CONFIG_DIRECTORY}/{file}",
                    content=content,
                    permissions="0400",
                    owner=str(runtime.uid),
                    group=str(runtime.uid),
                )
                for file, content in sorted(files.items())
            ],
            opts=_generation_options(self),
        )

    def _container(self, name: str, args: ServiceArgs, seed: docker.Container) -> docker.Container:
        runtime, health = args.runtime, args.health
        memory = runtime.limits.memory_mb
        return docker.Container(
            name,
            image=runtime.image,
            entrypoints=["/bin/sh", "-c", ENTRYPOINT, "sh"],
            command=list(args.command),
            envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(args.env.items())],
            user=f"{runtime.uid}:{runtime.uid}",
            read_only=True,
            tmpfs={"/tmp": "rw,noexec,nosuid,nodev,size=64m,mode=1777"},  # noqa: S108
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            init=args.init,
            stop_signal=args.stop_signal,
            memory=memory,
            # Without it the engine reports twice the memory and every refresh finds a change.
            memory_swap=memory,
            cpu_shares=runtime.limits.cpu_shares,
            # An engine that was killed stops what still runs when it starts again, and then counts
            # it as stopped by hand, which "unless-stopped" leaves alone.
            restart="always",
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            labels=engine_labels(docker.ContainerLabelArgs, {**runtime.labels, **args.labels}),
            mounts=[
                docker.ContainerMountArgs(type="volume", target=path, source=source)
                for path, source in sorted(args.volumes.items())
            ],
            # The engine's own spelling of "read-only" here, which the provider passes on as it is.
            volumes=[
                docker.ContainerVolumeArgs(from_container=pulumi.Output.concat(seed.id, ":ro"))
            ],
            network_mode=None if runtime.networks else "none",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=network) for network in runtime.networks
            ],
            ports=[
                docker.ContainerPortArgs(
                    ip=port.address, external=port.external, internal=port.internal
                )
                for port in args.ports
            ],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=_paced(health),
                interval=STARTING_INTERVAL,
                timeout=_duration(health.interval_seconds + health.timeout_seconds),
                retries=health.retries,
                start_period=_duration(health.start_seconds),
            ),
            wait=runtime.until_healthy is None,
            wait_timeout=health.deadline_seconds,
            # Unset, the provider kills at once; it reads the old state, so set it from the start.
            destroy_grace_seconds=runtime.drain_seconds,
            opts=_generation_options(self, delete_first=bool(args.ports)),
        )


def _healthy_name(name: str, args: ServiceArgs, container: docker.Container) -> pulumi.Output[str]:
    until_healthy = args.runtime.until_healthy

    async def wait(container_name: str) -> str:
        if until_healthy is not None:
            await until_healthy(name, container_name, args.health.deadline_seconds)
        return container_name

    return container.name.apply(wait)


def _paced(health: HealthCheck) -> list[str]:
    """Return the health check that probes often until it succeeds once, and then in its pace."""
    command, *program = health.test
    return [command, "/bin/sh", "-c", PROBE.format(pause=health.interval_seconds), "sh", *program]


def _duration(seconds: int) -> str:
    """Spell a time as the engine reads it back, or every refresh finds a change."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


# Everything but what the provider applies to a running container: limits, grace, restart policy.
# Some of the others it would take without applying them (mounts, health check, tmpfs, init).
_REPLACED_FOR = [
    # The engine's name for a container that never got healthy, which the next `up` must not accept.
    "#initerror",
    "capabilities",
    "command",
    "entrypoints",
    "envs",
    "healthcheck",
    "image",
    "init",
    "labels",
    "logDriver",
    "logOpts",
    "mounts",
    "mustRun",
    "networkMode",
    "networksAdvanced",
    "ports",
    "readOnly",
    "securityOpts",
    "start",
    "stopSignal",
    "tmpfs",
    "uploads",
    "user",
    "volumes",
]


def _generation_options(
    parent: pulumi.Resource, *, delete_first: bool = False
) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        parent=parent,
        # The provider's own default is to delete first, which is an outage.
        delete_before_replace=delete_first,
        replace_on_changes=_REPLACED_FOR,
        additional_secret_outputs=["containerLogs"],
        # The provider reads the networks back in random order.
        ignore_changes=["networkDatas"],
    )
