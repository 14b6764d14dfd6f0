"""What is cleaned up after a deployment that was killed, as far as it needs no engine."""

from __future__ import annotations

import importlib.util
import json
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import PROJECT

STATE = json.dumps({"version": 3})


@pytest.fixture
def recover() -> ModuleType:
    """Return the script as a module."""
    loader = SourceFileLoader("recover", str(PROJECT / "scripts" / "recover"))
    specification = importlib.util.spec_from_loader("recover", loader)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    loader.exec_module(module)
    return module


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where pulumi keeps the states of this project."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    directory = tmp_path / ".pulumi" / "stacks" / "llm-gateway"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("torn", ["", '{"user.content_type":"te'])
def test_attributes_that_were_cut_off_are_removed(
    recover: ModuleType, states: Path, torn: str
) -> None:
    """They are beside a whole state, which pulumi refuses to read with them."""
    contents = {
        "dev.json": STATE,
        "dev.json.attrs": torn,
        "dev.json.bak": STATE,
        "dev.json.bak.attrs": "{}",
        "dev.json.18eb280080c72430.tmp": STATE[:5],
        "development.json.attrs": torn,
        "other.json.1.tmp": STATE[:5],
    }
    for name, text in contents.items():
        (states / name).write_text(text)

    recover.drop_half_written("dev")

    left = {file.name for file in states.iterdir()}
    assert left == contents.keys() - {"dev.json.attrs", "dev.json.18eb280080c72430.tmp"}
    assert (states / "dev.json").read_text() == STATE


def test_a_backend_elsewhere_is_left_alone(
    recover: ModuleType, states: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another service keeps is not this script's to judge."""
    (states / "dev.json.attrs").touch()
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")

    recover.drop_half_written("dev")

    assert (states / "dev.json.attrs").exists()
    assert recover.lock_owners("dev") == []


def test_only_creations_are_forgotten(
    recover: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was being changed or removed is in the state, and pulumi looks after it by itself."""
    imported: list[str] = []

    def run(*command: str, given: str | None = None) -> str:
        assert command == ("pulumi", "stack", "import", "--stack", "dev")
        imported.append(given or "")
        return ""

    monkeypatch.setattr(recover, "run", run)
    updating = {"type": "updating", "resource": {"urn": "one"}}
    creating = {"type": "creating", "resource": {"urn": "two"}}

    def exported(*operations: object) -> dict[str, object]:
        return {"version": 3, "deployment": {"resources": [1], "pending_operations": operations}}

    recover.forget_beginnings("dev", exported(updating, creating))
    recover.forget_beginnings("dev", exported(updating))
    recover.forget_beginnings("dev", {"version": 3, "deployment": None})

    (text,) = imported
    assert json.loads(text) == json.loads(json.dumps(exported(updating)))
    assert "forgetting 1 creation" in capsys.readouterr().err
