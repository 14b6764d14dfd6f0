"""Shared fixtures: secrets made at run time and an engine that records."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))


@dataclass
class Registration:
    """One resource as the program declared it, secrets still wrapped."""

    type_token: str
    name: str
    inputs: dict[str, Any]


@dataclass
class RecordingEngine(pulumi.runtime.Mocks):
    """Answers every registration and keeps what was asked for."""

    registrations: list[Registration] = field(default_factory=list)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict]:
        """Record a resource and give it the outputs that the engine would."""
        self.registrations.append(Registration(args.typ, args.name, dict(args.inputs)))
        outputs = dict(args.inputs)
        outputs.setdefault("name", f"{args.name}-0a1b2c3")
        if args.typ == "docker:index/remoteImage:RemoteImage":
            outputs["imageId"] = f"sha256:{args.name}"
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict:
        """Refuse: components call no provider function."""
        raise AssertionError(f"unexpected invoke of {args.token}")

    def of_type(self, kind: str) -> list[Registration]:
        """Return the docker resources of a kind such as ``Container``."""
        token = f"docker:index/{kind[0].lower()}{kind[1:]}:{kind}"
        return [known for known in self.registrations if known.type_token == token]

    def named(self, name: str) -> Registration:
        """Return the one docker resource of that logical name."""
        (found,) = [
            known
            for known in self.registrations
            if known.name == name and known.type_token.startswith("docker:")
        ]
        return found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> RecordingEngine:
    """Run the program under test against a recording engine, from the project's directory."""
    recorder = RecordingEngine()
    # Pulumi wants a current event loop, and `asyncio.run` of an earlier test leaves none.
    asyncio.set_event_loop(asyncio.new_event_loop())
    monkeypatch.chdir(PROJECT)
    pulumi.runtime.set_mocks(recorder, project="llm-gateway", stack="test", preview=False)
    return recorder


@pytest.fixture
def run_program(engine: RecordingEngine) -> Callable[[Callable[[], Any]], RecordingEngine]:
    """Run a function to the end of all its registrations, so that absence can be asserted."""

    def run(program: Callable[[], Any]) -> RecordingEngine:
        pulumi.runtime.test(program)()
        return engine

    return run


@pytest.fixture
def secret() -> Callable[[str], str]:
    """Return a maker of secrets that exist in no file."""
    made: dict[str, str] = {}

    def make(name: str) -> str:
        return made.setdefault(name, f"sk-{name}-{secrets.token_hex(24)}")

    return make
