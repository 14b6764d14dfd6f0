"""`scripts/bootstrap --env` gives a shell what it needs and replaces nothing of the user's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[2] / "scripts" / "bootstrap"
PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an empty home whose path needs quoting."""
    made = tmp_path / "a home with 'quotes' and $signs"
    made.mkdir()
    return made


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BOOTSTRAP, *arguments],
        env={"HOME": str(home), "PATH": PATH, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def shell(home: Path, script: str, **variables: str) -> dict[str, str]:
    """Return the environment after a shell evaluated what `--env` printed, then the script."""
    finished = subprocess.run(
        ["bash", "-euc", f'eval "$("$0" --env)"; {script}; env -0', BOOTSTRAP],
        env={"HOME": str(home), "PATH": PATH, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.split("=", 1) for line in finished.stdout.split("\0") if "=" in line)
    return dict(pairs)


def test_the_environment_survives_quotes_in_the_home(home: Path) -> None:
    """The lines can be evaluated, whatever the paths hold."""
    environment = shell(home, "true")

    assert environment["PULUMI_BACKEND_URL"] == f"file://{home}/.local/state/llm-gateway"
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"].startswith(f"{home}/.config/")
    assert environment["PATH"].startswith(f"{BOOTSTRAP.parents[1]}/.venv/bin:")


def test_printing_the_environment_leaves_no_trace(home: Path) -> None:
    """`--env` only prints: lines of exports on standard output, nothing in the home."""
    printed = run(home, "--env")

    assert printed.returncode == 0
    assert all(line.startswith("export ") for line in printed.stdout.splitlines())
    assert not list(home.iterdir())


def test_evaluating_the_environment_twice_changes_nothing(home: Path) -> None:
    """A second `eval` in the same shell neither grows PATH nor moves the state elsewhere."""
    once = shell(home, "true")
    twice = shell(home, 'eval "$("$0" --env)"')

    assert {k: v for k, v in twice.items() if k != "_"} == {
        k: v for k, v in once.items() if k != "_"
    }


def test_a_backend_and_a_passphrase_of_the_user_stay(home: Path) -> None:
    """What the environment says already is what counts."""
    chosen = {
        "PULUMI_BACKEND_URL": "s3://somebody-elses-bucket",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "mine"),
    }

    environment = shell(home, "true", **chosen)

    assert {name: environment[name] for name in chosen} == chosen


def test_an_empty_passphrase_is_a_choice_too(home: Path) -> None:
    """Pulumi takes an empty passphrase for one; ours must not come before it."""
    environment = shell(home, "true", PULUMI_CONFIG_PASSPHRASE="")

    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment


def test_a_login_of_the_user_is_used_and_left_alone(home: Path) -> None:
    """Plugins come from a home of our own, the login from the user's."""
    credentials = home / ".pulumi" / "credentials.json"
    credentials.parent.mkdir()
    credentials.write_text(json.dumps({"current": "s3://somebody-elses-bucket"}))

    environment = shell(home, "true")

    assert "PULUMI_BACKEND_URL" not in environment
    assert environment["PULUMI_CREDENTIALS_PATH"] == str(credentials.parent)
    assert environment["PULUMI_HOME"] != str(credentials.parent)


def test_a_pulumi_that_is_too_old_is_passed_over(home: Path) -> None:
    """An old CLI on PATH does not count; one of a supported version does."""
    tools = home / "tools"
    tools.mkdir()
    for name in ("pulumi", "pulumi-language-python"):
        (tools / name).write_text("#!/bin/sh\necho v$FAKE_VERSION\n")
        (tools / name).chmod(0o755)
    path = f"{tools}:{PATH}"

    def missing(version: str) -> bool:
        report = run(home, "--check", PATH=path, FAKE_VERSION=version).stderr
        return "missing: Pulumi 3" in report

    assert missing("3.99.0")
    assert missing("2.300.0")
    assert not missing("3.238.0")
    assert not missing("3.300.1-alpha.1")
    assert not missing("4.0.0")


def test_checking_tells_what_is_missing_and_changes_nothing(home: Path) -> None:
    """`--check` fails on a bare home, one line for each thing."""
    checked = run(home, "--check", XDG_CONFIG_HOME=str(home / "config"))

    assert checked.returncode == 1
    assert "missing: Pulumi's Docker provider" in checked.stderr
    assert not checked.stdout
    assert not list(home.iterdir())


def test_an_unknown_option_is_refused_with_the_usage(home: Path) -> None:
    """A typing mistake must not deploy or install anything."""
    refused = run(home, "--chekc")

    assert refused.returncode == 2
    assert refused.stderr.startswith("usage: ")
    assert not list(home.iterdir())


def test_the_help_names_every_place(home: Path) -> None:
    """Who wants to back up or to clean up finds the directories in the help."""
    printed = run(home, "--help").stdout

    for place in (
        ".config/llm-gateway/passphrase",
        ".local/state/llm-gateway",
        ".cache/llm-gateway",
    ):
        assert f"{home}/{place}" in printed
