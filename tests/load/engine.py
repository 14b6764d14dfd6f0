"""The engine's daemon ends and starts again, as after a reboot; everything on it is concerned."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.integration.deployment import PROJECT
from tests.load.site import Site

PID_FILE = Path("/var/run/docker.pid")
STOP_SECONDS = 60
# As Debian's unit for systemd waits (RestartSec); what the killed daemon ran must be gone by then.
RESTART_SECONDS = 2


def restart(site: Site) -> None:
    """Stop it in order, as a machine does that goes down, and start it."""
    _end("-TERM")
    _start()


def crash(site: Site) -> None:
    """Kill it, and start it."""
    _end("-KILL")
    _start()


def _end(number: str) -> None:
    process = PID_FILE.read_text().strip()
    assert (Path("/proc") / process / "comm").read_text().strip() == "dockerd"
    subprocess.run(["kill", number, process], check=True)
    deadline = time.time() + STOP_SECONDS
    while Path(f"/proc/{process}").exists():
        assert time.time() < deadline, "the engine does not end"
        time.sleep(0.2)


def _start() -> None:
    """Start it as the bootstrap does on a machine without an init system."""
    time.sleep(RESTART_SECONDS)
    started = subprocess.run(
        [str(PROJECT / "scripts/bootstrap")], check=False, capture_output=True, text=True
    )
    assert started.returncode == 0, f"the engine does not start: {started.stderr}"
