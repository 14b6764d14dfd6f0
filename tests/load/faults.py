"""What breaks underneath, and how the gateway comes back by itself."""

from __future__ import annotations

import random
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.integration.deployment import docker
from tests.load import engine
from tests.load.generator import Generator, Load
from tests.load.observation import leftovers, process_of, processes_of, services
from tests.load.records import Record
from tests.load.site import Site

HUNG_SECONDS = 20
HANG_SECONDS = 180
PAUSE_SECONDS = 5
STORM_SECONDS = 12


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that breaks.

    Attributes:
        name: what the table calls it.
        inflict: breaks it.
        seconds: after how many the gateway must have come back.
        loses: clients may get errors, each in Anthropic's shape and worth a retry.
        cuts: open streams may be cut, because what carried them is gone.
        edge: the edge itself is gone, so that nobody can answer.
        shared: it concerns everything on the engine, so it runs only when named.
        load: what is sent meanwhile; None for the same as ever.
    """

    name: str
    inflict: Callable[[Site], None]
    seconds: int
    loses: bool = False
    cuts: bool = False
    edge: bool = False
    shared: bool = False
    load: Load | None = None

    def unforgivable(self, lost: Iterable[Record]) -> list[Record]:
        """Return what must not have been lost in that way."""
        return [record for record in lost if not self._forgives(record)]

    def _forgives(self, record: Record) -> bool:
        if record.outcome == "cut":
            return self.cuts
        if not record.is_failed:
            return False
        return self.edge or (self.loses and record.is_retryable)


def crash(service: str) -> Callable[[Site], None]:
    """Kill a service's processes; what `docker kill` stops, the engine does not restart."""

    def inflict(site: Site) -> None:
        signal_to(site, service, "-KILL")

    return inflict


def hang(service: str, seconds: float) -> Callable[[Site], None]:
    """Stop a service's processes from doing anything for a while."""

    def inflict(site: Site) -> None:
        stopped = signal_to(site, service, "-STOP")
        try:
            time.sleep(seconds)
        finally:
            subprocess.run(["kill", "-CONT", *stopped], check=False)

    return inflict


def hang_for_good(service: str) -> Callable[[Site], None]:
    """Stop a service's processes, and expect that others take their place."""

    def inflict(site: Site) -> None:
        stopped = signal_to(site, service, "-STOP")
        try:
            site.await_answers(HANG_SECONDS)
        finally:
            subprocess.run(["kill", "-CONT", *stopped], check=False, capture_output=True)

    return inflict


def signal_to(site: Site, service: str, number: str) -> list[str]:
    """Send a signal to all processes of a service but the init, and return their ids."""
    container = services(site.deployment)[service]
    init = process_of(container)
    processes = [process for process in processes_of(container) if process != init]
    # One of them, such as a health check's, may have ended by now.
    subprocess.run(["kill", number, *processes], check=False, capture_output=True)
    return processes


def filtered(service: str, rule: list[str], seconds: float) -> Callable[[Site], None]:
    """Filter a service's network for a while, from inside of it, but not its name server."""

    def inflict(site: Site) -> None:
        process = process_of(services(site.deployment)[service])
        inside = ["nsenter", "--target", process, "--net", "iptables"]
        for action in ("--insert", "--delete"):
            for chain, interface in (("INPUT", "--in-interface"), ("OUTPUT", "--out-interface")):
                others = ["!", interface, "lo"]
                subprocess.run([*inside, action, chain, *others, *rule], check=True)
            if action == "--insert":
                time.sleep(seconds)

    return inflict


def exhaust_memory(service: str) -> Callable[[Site], None]:
    """Ask for more memory inside a service than it may have."""

    def inflict(site: Site) -> None:
        container = services(site.deployment)[service]
        limit = docker("inspect", "--format", "{{.HostConfig.Memory}}", container).strip()
        hog = f"held = bytearray({limit})"
        docker("exec", container, "python3", "-c", hog, check=False)

    return inflict


def storm(site: Site) -> None:
    """Let the upstream answer 429 to as many requests as it answers otherwise."""
    load = Load(rate=12.0, kinds={"json": 1}, marker="[demo:429]")
    generator = Generator.start(
        site.program,
        site.directory,
        load,
        url=site.deployment.url,
        roots=site.deployment.authority + site.next_authority[0],
        tokens={"alice": site.deployment.secrets["clientTokens.alice"]},
        seconds=STORM_SECONDS,
    )
    generator.process.wait(timeout=STORM_SECONDS + 120)
    seen = {(record.status, record.error_type) for record in generator.stop()}
    assert seen == {(429, "rate_limit_error")}, f"the storm's own requests were answered by {seen}"


def remove_by_hand(service: str) -> Callable[[Site], None]:
    """Remove a container behind pulumi's back, and heal it as the README says."""

    def inflict(site: Site) -> None:
        docker("rm", "--force", services(site.deployment)[service])
        site.deployment.pulumi("refresh", "--yes", "--skip-preview")
        site.deployment.up()

    return inflict


def kill_deployments(count: int) -> Callable[[Site], None]:
    """Kill `pulumi up` at a random point and let the next one finish, *count* times."""

    def inflict(site: Site) -> None:
        source = random.Random(count)  # noqa: S311 - chooses moments, not keys
        whole = 20.0
        for _ in range(count):
            site.deployment.set_secret("litellmMasterKey", f"sk-{secrets.token_hex(24)}")
            site.deployment.kill_up_after(source.uniform(1, whole))
            site.deployment.recover()
            began = time.time()
            said = site.deployment.up().stdout
            assert "interrupted while creating" not in said, said
            whole = max(whole, time.time() - began)
            assert not leftovers(site.deployment), "something of the killed deployment is left"
        site.deployment.pulumi("preview", "--expect-no-changes")

    return inflict


RESTART = {"seconds": 60, "loses": True, "cuts": True}
# Its requests are short, so that a deployment is over sooner and can be killed more often.
BRIEF = Load(rate=6.0, kinds={"json": 60, "stream": 38, "long": 2}, shortest=10, longest=20)


def faults(kills: int) -> list[Fault]:
    """Return every fault; *kills* deployments are killed in one of them."""
    services = ("litellm", "proxy", "demo-upstream", "edge-gate")
    return [
        *(
            Fault(name=f"{service} killed", inflict=crash(f"gateway-{service}"), **RESTART)
            for service in services
        ),
        Fault(name="edge killed", inflict=crash("gateway-edge"), edge=True, **RESTART),
        Fault(
            name=f"litellm hung for {HUNG_SECONDS} s",
            inflict=hang("gateway-litellm", HUNG_SECONDS),
            seconds=60,
        ),
        Fault(
            name="litellm hung",
            inflict=hang_for_good("gateway-litellm"),
            **{**RESTART, "seconds": HANG_SECONDS},
        ),
        Fault(
            name=f"upstream hung for {HUNG_SECONDS} s",
            inflict=hang("gateway-demo-upstream", HUNG_SECONDS),
            seconds=60,
        ),
        Fault(
            name="upstream refuses connections",
            inflict=filtered(
                "gateway-demo-upstream",
                ["--protocol", "tcp", "--jump", "REJECT", "--reject-with", "tcp-reset"],
                PAUSE_SECONDS,
            ),
            seconds=30,
            loses=True,
            cuts=True,
        ),
        Fault(
            name=f"network of the proxy down for {PAUSE_SECONDS} s",
            inflict=filtered("gateway-proxy", ["--jump", "DROP"], PAUSE_SECONDS),
            seconds=30,
        ),
        Fault(
            name=f"network of litellm down for {PAUSE_SECONDS} s",
            inflict=filtered("gateway-litellm", ["--jump", "DROP"], PAUSE_SECONDS),
            seconds=30,
        ),
        Fault(name="storm of 429", inflict=storm, seconds=60, loses=True),
        Fault(name="memory of litellm full", inflict=exhaust_memory("gateway-litellm"), **RESTART),
        Fault(name="memory of the proxy full", inflict=exhaust_memory("gateway-proxy"), **RESTART),
        Fault(
            name="proxy removed by hand",
            inflict=remove_by_hand("gateway-proxy"),
            seconds=120,
            loses=True,
            cuts=True,
        ),
        Fault(
            name="edge-gate removed by hand",
            inflict=remove_by_hand("gateway-edge-gate"),
            seconds=60,
        ),
        Fault(
            name=f"`pulumi up` killed {kills} times",
            inflict=kill_deployments(kills),
            seconds=60,
            load=BRIEF,
        ),
        Fault(
            name="engine restarted",
            inflict=engine.restart,
            seconds=180,
            loses=True,
            cuts=True,
            edge=True,
            shared=True,
        ),
        Fault(
            name="engine killed",
            inflict=engine.crash,
            seconds=180,
            loses=True,
            cuts=True,
            edge=True,
            shared=True,
        ),
    ]
