"""What the Claude Code Proxy costs, beside a bare pass-through and LiteLLM's own route.

Every round visits every target, in an order of its own, so that what disturbs the machine disturbs
all of them. The target has one core, the upstream and the load have the other one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from claude_code_proxy.request import translate
from claude_code_proxy.settings import Settings

from components.litellm import Deployment, render_config

ROOT = Path(__file__).resolve().parents[1]
PROXY_SOURCE = ROOT / "images" / "claude-code-proxy" / "src"
TARGET_CORE, LOAD_CORE = 0, 1
MODEL = "bench"
CHUNKS = 64
START_SECONDS = 120
LITELLM_IMAGE = "llm-gateway/litellm"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, order=True)
class Cell:
    """One kind of load."""

    stream: bool
    connections: int
    kilotokens: int

    @property
    def title(self) -> str:
        """How the table names it."""
        kind = "streamed" if self.stream else "JSON"
        return f"{kind}, {self.kilotokens}k tokens, {self.connections} at a time"


@dataclass
class Target:
    """What a load is sent to.

    Attributes:
        pid: the process that is measured; None for the upstream, which is not.
        chat: whether it takes Chat Completions instead of Messages.
    """

    name: str
    url: str
    key: str
    pid: int | None
    chat: bool


@dataclass
class Sample:
    """One visit: microseconds for times, seconds for the processor."""

    first: list[int]
    total: list[int]
    seconds: float
    cpu: float | None


@dataclass
class Results:
    """All visits, by cell and target."""

    samples: dict[tuple[Cell, str], list[Sample]] = field(default_factory=dict)
    resident: dict[str, int] = field(default_factory=dict)

    def median(self, cell: Cell, target: str, figure: str) -> float:
        """Return the median over the rounds of `p50`, `p99`, `first`, `rate` or `cpu`."""
        return statistics.median(
            value
            for sample in self.samples[cell, target]
            if (value := figure_of(sample, figure)) is not None
        )


def figure_of(sample: Sample, figure: str) -> float | None:
    """Return one figure of a visit: milliseconds, requests a second, or CPU ms a request."""
    match figure:
        case "p50":
            return percentile(sample.total, 50) / 1000
        case "p99":
            return percentile(sample.total, 99) / 1000
        case "first":
            return percentile(sample.first, 50) / 1000
        case "rate":
            return len(sample.total) / sample.seconds
    return None if sample.cpu is None else sample.cpu * 1000 / len(sample.total)


def percentile(values: list[int], share: float) -> float:
    """Return the value that *share* per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def body(kilotokens: int, *, stream: bool) -> dict[str, Any]:
    """Return a Messages request of about that size: tools, a system prompt, many tool turns."""
    rest = kilotokens * 1000 * 4
    system = "Follow the rules of this project and answer briefly. " * 20
    read = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    tools = [
        {"name": f"Read{n}", "description": system[:400], "input_schema": read} for n in range(4)
    ]
    rest -= len(system) + len(json.dumps(tools))
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Say hello."}]
    turn = 0
    while rest > 0:
        text = "def handler(request):\n    return respond(request.body)\n"[:55] * (
            min(rest, 4000) // 55 + 1
        )
        call = {
            "type": "tool_use",
            "id": f"call_{turn}",
            "name": "Read0",
            "input": {"path": "a.py"},
        }
        result = {"type": "tool_result", "tool_use_id": f"call_{turn}", "content": text}
        messages += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
        rest -= len(text) + 150
        turn += 1
    return {
        "model": MODEL,
        "max_tokens": 1000,
        "stream": stream,
        "system": system,
        "tools": tools,
        "messages": messages,
    }


def as_chat(messages: dict[str, Any]) -> dict[str, Any]:
    """Return the same request as the upstream gets it."""
    return translate(
        messages, MODEL, Settings(upstream_url="http://127.0.0.1", upstream_key="")
    ).body


@contextlib.contextmanager
def process(command: list[str], core: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command on one core and end it with the block."""
    started = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextlib.contextmanager
def litellm(upstream: str, directory: Path) -> Iterator[Target]:
    """Run LiteLLM from the image that `make up` built, on the target's core."""
    name, port, key = f"bench-{secrets.token_hex(4)}", free_port(), f"sk-{secrets.token_hex(16)}"
    config, variables = directory / "litellm_config.yaml", directory / "litellm.env"
    deployment = Deployment(
        name=MODEL,
        litellm_model=f"groq/{MODEL}",
        key_env="BENCH_UPSTREAM_KEY",
        api_base=f"{upstream}/v1",
    )
    config.write_text(render_config([deployment]))
    variables.touch(mode=0o600)
    variables.write_text(
        f"LITELLM_MASTER_KEY={key}\nLITELLM_LOCAL_MODEL_COST_MAP=True\nLITELLM_LOG=ERROR\n"
        f"LITELLM_MODE=PRODUCTION\nBENCH_UPSTREAM_KEY={secrets.token_hex(8)}\nHOME=/tmp\n"
    )
    command = ["docker", "run", "--detach", "--rm", "--name", name, "--network", "host"]
    command += ["--cpuset-cpus", str(TARGET_CORE), "--env-file", str(variables)]
    command += ["--volume", f"{config}:/conf/litellm_config.yaml:ro", latest(LITELLM_IMAGE)]
    command += ["litellm", "--config", "/conf/litellm_config.yaml", "--host", "127.0.0.1"]
    subprocess.run([*command, "--port", str(port)], check=True, stdout=subprocess.DEVNULL)
    try:
        await_answer(f"http://127.0.0.1:{port}/health/liveliness")
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", name]
        pid = int(subprocess.check_output(inspect, text=True))
        url = f"http://127.0.0.1:{port}/v1/messages"
        yield Target("LiteLLM's /v1/messages", url, key, pid, chat=False)
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)


def latest(image: str) -> str:
    """Return the newest image of a name that the engine has."""
    command = ["docker", "images", "--format", "{{.ID}}", image]
    found = subprocess.check_output(command, text=True).split()
    if not found:
        raise SystemExit(f"bench: the engine has no image {image}: run `make up` first")
    return found[0]


def go_command() -> str:
    """Return the Go on PATH, else the one that the toolchain is built with, installed once."""
    found = shutil.which("go")
    if found is not None:
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "llm-gateway" / "bench-go"
    go = directory / "go" / "bin" / "go"
    if not go.exists():
        print("installing Go (a few seconds)", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
        lock = ROOT / "toolchain" / "go-requirements.txt"
        subprocess.run([*command, "--target", str(directory), "-r", str(lock)], check=True)
        go.chmod(0o755)
    return str(go)


def announced_port(started: subprocess.Popen[str]) -> int:
    """Return the port that a process prints first."""
    return int(started.stdout.readline()) if started.stdout else 0


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_answer(url: str) -> None:
    """Wait until something answers, with whatever status."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"bench: {url} never answered")


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> int:
    """Return the largest memory that a process has held, in kibibytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def visit(load: Path, target: Target, payload: Path, cell: Cell, seconds: float) -> Sample:
    """Send one kind of load to one target."""
    before = processor_seconds(target.pid) if target.pid else 0.0
    command = [str(load), "-url", target.url, "-body", str(payload)]
    command += ["-connections", str(cell.connections), "-duration", f"{seconds}s"]
    finished = subprocess.run(
        command,
        env={**os.environ, "BENCH_KEY": target.key},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
    )
    cpu = processor_seconds(target.pid) - before if target.pid else None
    measured = json.loads(finished.stdout)
    if measured["errors"]:
        raise SystemExit(f"bench: {target.name}, {cell.title}: {measured['example']}")
    return Sample(measured["first"], measured["total"], measured["seconds"], cpu)


def table(results: Results, cells: list[Cell], names: list[str]) -> list[str]:
    """Return the results as Markdown; times are what a target adds to the upstream's own."""
    lines = [
        "| load | target | added p50 ms | added first byte ms | added p99 ms"
        " | requests/s | CPU ms/request |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        for name in names:
            row = [cell.title, name]
            for figure in ("p50", "first", "p99"):
                added = results.median(cell, name, figure) - results.median(
                    cell, "upstream", figure
                )
                row.append(f"{added:.2f}")
            row.append(f"{results.median(cell, name, 'rate'):.0f}")
            row.append(f"{results.median(cell, name, 'cpu'):.2f}")
            lines.append(f"| {' | '.join(row)} |")
    return lines


def ratios(results: Results, cells: list[Cell]) -> list[str]:
    """Return how the proxy stands against the pass-through."""
    lines = [
        "| load | added p50, proxy : pass-through | requests/s, proxy : pass-through |",
        "|---|---|---|",
    ]
    for cell in cells:
        base = results.median(cell, "upstream", "p50")
        added = results.median(cell, "proxy", "p50") - base
        floor = results.median(cell, "pass-through", "p50") - base
        rate = results.median(cell, "proxy", "rate") / results.median(cell, "pass-through", "rate")
        lines.append(f"| {cell.title} | {added / floor:.2f} | {rate:.2f} |")
    return lines


def translation() -> list[str]:
    """Return how long a body of 100k tokens takes from bytes to bytes, in milliseconds."""
    raw = orjson.dumps(body(100, stream=True))
    settings = Settings(upstream_url="http://127.0.0.1", upstream_key="")
    times = []
    for _ in range(50):
        began = time.perf_counter()
        orjson.dumps(translate(orjson.loads(raw), MODEL, settings).body)
        times.append((time.perf_counter() - began) * 1000)
    return [
        f"Translation of a 100k-token request ({len(raw)} bytes): "
        f"median {statistics.median(times):.1f} ms."
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each visit")
    parser.add_argument("--quick", action="store_true", help="3 rounds of the middle cells only")
    arguments = parser.parse_args()
    go = go_command()
    kilotokens, connections = ([10], [1, 16]) if arguments.quick else ([1, 10, 100], [1, 16, 64])
    rounds = 3 if arguments.quick else arguments.rounds
    cells = [
        Cell(stream, count, size)
        for stream in (False, True)
        for size in kilotokens
        for count in connections
    ]
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        directory = Path(scratch)
        for name in ("standin", "load"):
            subprocess.run(
                [go, "build", "-o", str(directory / name), f"./{name}"],
                cwd=ROOT / "bench",
                check=True,
            )
        standin = stack.enter_context(
            process([str(directory / "standin"), "-chunks", str(CHUNKS)], LOAD_CORE)
        )
        upstream = f"http://127.0.0.1:{announced_port(standin)}"
        targets = [Target("upstream", f"{upstream}/v1/chat/completions", "-", None, chat=True)]
        port = free_port()
        floor = stack.enter_context(
            process(
                [sys.executable, str(ROOT / "bench/passthrough.py"), str(port), upstream],
                TARGET_CORE,
            )
        )
        await_answer(f"http://127.0.0.1:{port}/")
        address = f"http://127.0.0.1:{port}/v1/chat/completions"
        targets.append(Target("pass-through", address, "-", floor.pid, chat=True))
        port, key = free_port(), secrets.token_hex(16)
        proxy = stack.enter_context(
            process(
                [sys.executable, "-m", "claude_code_proxy"],
                TARGET_CORE,
                PYTHONPATH=str(PROXY_SOURCE),
                OPENAI_API_KEY=secrets.token_hex(16),
                OPENAI_BASE_URL=f"{upstream}/v1",
                ANTHROPIC_API_KEY=key,
                BIG_MODEL=MODEL,
                HOST="127.0.0.1",
                PORT=str(port),
                # A pipe that nobody reads would stop it.
                LOG_LEVEL="ERROR",
            )
        )
        await_answer(f"http://127.0.0.1:{port}/health")
        targets.append(
            Target("proxy", f"http://127.0.0.1:{port}/v1/messages", key, proxy.pid, chat=False)
        )
        targets.append(stack.enter_context(litellm(upstream, directory)))
        results = Results()
        for number in range(rounds):
            for cell in cells:
                messages = body(cell.kilotokens, stream=cell.stream)
                for target in random.sample(targets, len(targets)):
                    payload = directory / "body.json"
                    payload.write_text(json.dumps(as_chat(messages) if target.chat else messages))
                    sample = visit(directory / "load", target, payload, cell, arguments.seconds)
                    results.samples.setdefault((cell, target.name), []).append(sample)
                print(f"round {number + 1} of {rounds}: {cell.title}", file=sys.stderr)
        for target in targets:
            if target.pid:
                results.resident[target.name] = resident(target.pid)
    names = [target.name for target in targets if target.pid]
    memory = ", ".join(f"{name} {results.resident[name] / 1024:.0f} MiB" for name in names)
    lines = [*table(results, cells, names), "", *ratios(results, cells), ""]
    print("\n".join([*lines, f"Memory at most: {memory}.", *translation()]))


if __name__ == "__main__":
    main()
