"""Plays sessions of the real Claude Code CLI and keeps the shape of what it sends."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from command import running_command
from demo import BIG, MAX_TOKENS, MIDDLE, SMALL, running_demo

from recorder.conversation import DIRECTORY, save
from recorder.hop import running_hop
from recorder.sanitise import Sanitiser
from recorder.sessions import SESSIONS, Session
from recorder.stage import Stage
from recorder.vocabulary import VISION_MODEL


async def record(session: Session, executable: str) -> list[dict[str, Any]]:
    """Play a session in front of the proxy and the demo upstream; return its requests."""
    models = {"BIG_MODEL": BIG, "MIDDLE_MODEL": MIDDLE, "SMALL_MODEL": SMALL}
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as work:
        async with (
            running_demo(vision_model=VISION_MODEL) as demo,
            running_command(demo, MAX_TOKENS_LIMIT=str(MAX_TOKENS), **models) as proxy,
            running_hop(proxy.url) as hop,
            asyncio.TaskGroup() as tasks,
        ):
            log = tasks.create_task(proxy.read_log())
            await session(
                Stage(
                    executable=executable,
                    home=Path(home),
                    work=Path(work),
                    hop=hop,
                    key=proxy.key,
                )
            )
            log.cancel()
    sanitiser = Sanitiser()
    return [sanitiser.request(request) for request in hop.recorded]


def main() -> None:
    """Record the sessions that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m recorder", description=__doc__)
    parser.add_argument(
        "sessions", nargs="*", metavar="session", help=f"all, or some of: {', '.join(SESSIONS)}"
    )
    parser.add_argument("--claude", default="claude", help="the CLI (default: the one on PATH)")
    parser.add_argument(
        "--output",
        type=Path,
        default=DIRECTORY,
        help="the directory (default: tests/conversations)",
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.sessions) - set(SESSIONS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    executable = shutil.which(arguments.claude)
    if executable is None:
        parser.error(
            f"{arguments.claude} is not there: `npm ci` in tests/claude-code of the "
            "repository installs it, --claude names it"
        )
    # Each session plays in a directory of its own.
    executable = str(Path(executable).absolute())
    version = subprocess.run(
        [executable, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    for name in arguments.sessions or SESSIONS:
        requests = asyncio.run(record(SESSIONS[name], executable))
        path = arguments.output / f"{name}.json"
        save(path, version, requests)
        statuses = [request["status"] for request in requests]
        print(f"{name}: {len(requests)} requests, {path.stat().st_size} bytes,", end=" ")
        print(f"refused: {[status for status in statuses if status >= 400]}")


if __name__ == "__main__":
    main()
