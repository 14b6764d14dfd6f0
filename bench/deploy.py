"""How long a change takes: beside an empty Pulumi program, docker-compose and LiteLLM's own start.

Deploys stacks of its own. Every round does the same to each side, in an order of its own, so that
what disturbs the machine disturbs all of them. Times are those of the whole command.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.compose import observe, project
from tests.integration.deployment import PROJECT, Deployment

GROUPS = ("noop", "rotation", "cold")
HEALTHY_SECONDS = 300
DRAIN_SECONDS = 600
LITELLM = "litellm"
PROVIDER_KEY = "providerKeys.groq"
ROTATIONS = {
    "LiteLLM's master key": "litellmMasterKey",
    "a client's token": "clientTokens.alice",
    "a provider's key": PROVIDER_KEY,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table: what took the gateway how long, and what it is held against.

    Attributes:
        beside: what it is compared to.
        factor: how many times that it may take, if that is the aim.
        extra_seconds: how many seconds more than that it may take, if that is the aim.
    """

    title: str
    beside: str
    factor: float | None = None
    extra_seconds: float | None = None

    @property
    def aim(self) -> str:
        """How the table states the aim."""
        if self.factor is not None:
            return f"at most {self.factor:g} times"
        return "-" if self.extra_seconds is None else f"at most {self.extra_seconds:g} s more"

    def compared(self, gateway: float, other: float) -> str:
        """Return how two times stand to each other, in the aim's terms."""
        if self.factor is not None:
            return f"{gateway / other:.2f} times"
        return f"{gateway - other:+.1f} s"

    def is_met(self, gateway: float, other: float) -> bool | None:
        """Tell whether the aim is met; None without one."""
        if self.factor is not None:
            return gateway <= self.factor * other
        return None if self.extra_seconds is None else gateway - other <= self.extra_seconds


COLD_UP = Figure(title="cold `up`, images present", beside="docker-compose", factor=1.3)
DESTROY = Figure(title="`destroy`", beside="docker-compose", factor=1.3)
NOOP: Mapping[Figure, Sequence[str]] = {
    Figure(title="`preview`, nothing to do", beside="empty program", factor=1.5): ("preview",),
    Figure(title="`up --yes`, nothing to do", beside="empty program", factor=1.5): ("up", "--yes"),
    Figure(title="`up --yes --skip-preview`, nothing to do", beside="empty program", factor=1.5): (
        "up",
        "--yes",
        "--skip-preview",
    ),
}


@dataclass
class Results:
    """Seconds of each round, by figure: the gateway's and those of what is beside it."""

    gateway: dict[Figure, list[float]] = field(default_factory=dict)
    beside: dict[Figure, list[float]] = field(default_factory=dict)

    def add(self, figure: Figure, *, gateway: float, beside: float) -> None:
        """Note one round."""
        self.gateway.setdefault(figure, []).append(gateway)
        self.beside.setdefault(figure, []).append(beside)


def table(results: Results) -> list[str]:
    """Return the medians as Markdown, the range of each in brackets."""
    lines = [
        "| change | n | gateway | beside it | compared | aim | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure, seconds in results.gateway.items():
        others = results.beside[figure]
        medians = statistics.median(seconds), statistics.median(others)
        row = [figure.title, str(len(seconds)), spread(seconds)]
        if any(others):
            row += [f"{figure.beside}: {spread(others)}", figure.compared(*medians)]
        else:
            row += [figure.beside, ""]
        row.append(figure.aim)
        row.append({True: "yes", False: "no", None: "-"}[figure.is_met(*medians)])
        lines.append(f"| {' | '.join(row)} |")
    return lines


def spread(seconds: Sequence[float]) -> str:
    """Return a median with its range."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def compose_command() -> list[str]:
    """Return what runs docker-compose here."""
    plugin = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise SystemExit(
            "bench: docker-compose is missing, which `--only cold` compares with: type\n"
            "  sudo apt-get install docker-compose\n"
            "and repeat, or leave it out: --only noop --only rotation"
        )
    return ["docker-compose"]


@dataclass(frozen=True, slots=True)
class Compose:
    """A docker-compose project that runs what a stack runs."""

    command: list[str]
    name: str

    @classmethod
    def like(cls, deployment: Deployment, directory: Path) -> Compose:
        """Write the project of a running stack; *directory* is closed to everyone else."""
        file = directory / "docker-compose.json"
        containers = deployment.resources("Container")
        observed = observe(containers, dependencies(deployment), directory)
        file.write_text(json.dumps(project(observed, DRAIN_SECONDS)))
        name = f"bench-{secrets.token_hex(4)}"
        return cls([*compose_command(), "--project-name", name, "--file", str(file)], name)

    def run(self, *arguments: str) -> None:
        """Run docker-compose; a failure shows what it printed."""
        finished = subprocess.run(
            [*self.command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise SystemExit(f"bench: docker-compose {arguments[0]} failed:\n{finished.stdout}")

    def up(self) -> None:
        """Start everything and wait until it is healthy."""
        self.run("up", "--detach")
        label = f"label=com.docker.compose.project={self.name}"
        command = ["docker", "ps", "--all", "--quiet", "--filter", label]
        containers = subprocess.check_output(command, text=True).split()
        inspect = ["docker", "inspect", "--format", "{{.State.Health.Status}}", *containers]
        deadline = time.monotonic() + HEALTHY_SECONDS
        while set(subprocess.check_output(inspect, text=True).split()) != {"healthy"}:
            if time.monotonic() > deadline:
                raise SystemExit("bench: what docker-compose started does not get healthy")
            time.sleep(0.1)

    def down(self) -> None:
        """Remove everything."""
        self.run("down", "--volumes")


def dependencies(deployment: Deployment) -> dict[str, list[str]]:
    """Return by name of a container those that the stack created before it."""
    exported = json.loads(deployment.pulumi("stack", "export").stdout)
    containers = {
        resource["urn"]: resource
        for resource in exported["deployment"]["resources"]
        if resource["type"] == "docker:index/container:Container"
    }
    return {
        name_of(urn): [name_of(other) for other in resource["dependencies"] if other in containers]
        for urn, resource in containers.items()
    }


def name_of(urn: str) -> str:
    """Return a resource's logical name."""
    return urn.rsplit("::", 1)[1]


def empty_program(directory: Path, like: Deployment) -> Deployment:
    """Make a stack of a program without resources, in the environment of another one."""
    directory.mkdir()
    runtime = {"name": "python", "options": {"virtualenv": ".venv"}}
    (directory / "Pulumi.yaml").write_text(json.dumps({"name": "empty", "runtime": runtime}))
    (directory / "__main__.py").write_text('"""Nothing."""\n')
    (directory / ".venv").symlink_to(PROJECT / ".venv")
    empty = Deployment(directory, "empty", like.environment, authority="")
    empty.pulumi("stack", "init", empty.stack)
    empty.up()
    return empty


@contextlib.contextmanager
def litellm_starts(deployment: str) -> Iterator[list[float]]:
    """Fill a list with how many seconds each LiteLLM took from its start to healthy meanwhile.

    Listens to the engine, because an old container's first probes are not kept.
    """
    command = ["docker", "events", "--format", "{{json .}}", "--filter", "event=start"]
    command += ["--filter", "event=health_status"]
    command += ["--filter", f"label=llm-gateway.stack={deployment}"]
    command += ["--filter", f"label=llm-gateway.service={LITELLM}"]
    seconds: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        try:
            yield seconds
        finally:
            listener.terminate()
            printed = listener.stdout.read() if listener.stdout else ""
            seconds += starts([json.loads(line) for line in printed.splitlines()])


def starts(events: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return how many seconds each container took from its start to healthy."""
    started = {event["id"]: event["timeNano"] for event in events if event["status"] == "start"}
    return [
        (event["timeNano"] - started[event["id"]]) / 1e9
        for event in events
        if event["status"] == "health_status: healthy" and event["id"] in started
    ]


def measure_noop(results: Results, gateway: Deployment, empty: Deployment) -> None:
    """Do nothing, in each way, to both programs."""
    for figure, command in NOOP.items():
        seconds = {}
        for stack in random.sample([gateway, empty], 2):
            seconds[stack.stack] = timed(partial(stack.pulumi, *command))
        results.add(figure, gateway=seconds[gateway.stack], beside=seconds[empty.stack])


def measure_rotation(results: Results, gateway: Deployment, title: str, path: str) -> None:
    """Replace one secret and deploy."""
    gateway.set_secret(path, f"sk-{secrets.token_hex(24)}")
    with litellm_starts(gateway.stack) as starting:
        seconds = timed(lambda: gateway.pulumi("up", "--yes", "--skip-preview"))
    figure = Figure(title=f"rotation of {title}", beside="LiteLLM's start", extra_seconds=5)
    if not starting:
        figure = Figure(title=f"rotation of {title}", beside="no LiteLLM starts")
    results.add(figure, gateway=seconds, beside=sum(starting))


def measure_cold(results: Results, gateway: Deployment, compose: Compose) -> None:
    """Deploy from nothing to healthy and remove it again, on both sides."""
    up, down = {}, {}
    for side in random.sample(["gateway", "compose"], 2):
        if side == "gateway":
            up[side] = timed(lambda: gateway.pulumi("up", "--yes", "--skip-preview"))
            down[side] = timed(gateway.destroy)
        else:
            up[side], down[side] = timed(compose.up), timed(compose.down)
    results.add(COLD_UP, gateway=up["gateway"], beside=up["compose"])
    results.add(DESTROY, gateway=down["gateway"], beside=down["compose"])


def measure(results: Results, groups: Sequence[str], rounds: int, directory: Path) -> None:
    """Run the rounds of the groups on one stack."""

    def each_round(group: str, action: Callable[[], None]) -> None:
        for number in range(rounds):
            action()
            print(f"{group}: round {number + 1} of {rounds}", file=sys.stderr)

    with contextlib.ExitStack() as stack:
        gateway = Deployment.create(directory, {"drainSeconds": DRAIN_SECONDS})
        stack.callback(gateway.destroy)
        gateway.up()
        compose = Compose.like(gateway, directory) if "cold" in groups else None
        if "noop" in groups:
            empty = empty_program(directory / "empty", gateway)
            each_round("noop", partial(measure_noop, results, gateway, empty))
        if "rotation" in groups:
            for title, path in ROTATIONS.items():
                if path == PROVIDER_KEY:
                    # The demo upstream goes when the first key comes, which is no rotation.
                    gateway.set_secret(path, f"sk-{secrets.token_hex(24)}")
                    gateway.up()
                each_round(title, partial(measure_rotation, results, gateway, title, path))
            gateway.pulumi("config", "rm", "--path", PROVIDER_KEY)
        if compose is not None:
            gateway.destroy()
            stack.callback(compose.down)
            each_round("cold", partial(measure_cold, results, gateway, compose))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    parser.add_argument(
        "--only",
        action="append",
        choices=GROUPS,
        help="a part of it, may be repeated (docker-compose is needed for cold alone)",
    )
    arguments = parser.parse_args()
    # Shells have background jobs ignore it, and pulumi would wait five seconds for each plugin.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    groups = arguments.only or list(GROUPS)
    if "cold" in groups:
        compose_command()
    results = Results()
    try:
        # Closed to everyone else, which keeps the copies of secrets in it.
        with tempfile.TemporaryDirectory() as scratch:
            rounds = 3 if arguments.quick else arguments.rounds
            measure(results, groups, rounds, Path(scratch))
    finally:
        # What was measured before something failed is not lost.
        print("\n".join(table(results)))


if __name__ == "__main__":
    main()
