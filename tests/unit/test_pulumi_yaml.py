"""The project file, the dev stack and the settings agree."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings as settings_module
from settings import KEYS, SettingsError

ROOT = Path(settings_module.__file__).parent
NAMES = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """The keys of this project that Pulumi.yaml declares."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return {key: value for key, value in config.items() if ":" not in key}


def test_the_project_declares_the_keys_that_settings_reads(declared: dict[str, Any]) -> None:
    """No key is documented and ignored, or read and undocumented."""
    assert list(KEYS) == list(declared)


@pytest.mark.parametrize("key", KEYS)
def test_type_default_and_secrecy_agree(declared: dict[str, Any], key: str) -> None:
    """What Pulumi.yaml says of a key is what settings does with it."""
    entry = declared[key]

    assert KEYS[key].default == entry["default"]
    assert KEYS[key].type == NAMES[type(entry["default"])]
    assert re.match(rf"{KEYS[key].type}( of \w+)*[:,]", entry["description"])
    assert KEYS[key].secret == entry.get("secret", False)


@pytest.mark.parametrize("key", KEYS)
def test_the_engine_leaves_judging_to_settings(declared: dict[str, Any], key: str) -> None:
    """With `type`, or without `default`, the engine stops first, at one fault and with no cure."""
    assert "type" not in declared[key]
    assert "default" in declared[key]


def test_no_resource_can_use_a_default_docker_provider() -> None:
    """The engine that is deployed to is named by the program."""
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]

    assert config["pulumi:disable-default-providers"]["value"] == ["docker"]


def test_the_dev_stack_lacks_only_what_bootstrap_generates() -> None:
    """Without a key or an account, only generated values are missing from the committed file."""
    stored = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    raw = {
        # The CLI writes scalars back as strings.
        key.removeprefix("llm-gateway:"): value if isinstance(value, str) else json.dumps(value)
        for key, value in stored.items()
        if key.removeprefix("llm-gateway:") in COMMITTED
    }

    with pytest.raises(SettingsError) as caught:
        settings_module.Settings.parse(raw, "dev", litellm_requirements="litellm==1.106.2\n")

    assert [
        line.removeprefix("llm-gateway:").partition(": ")[0] for line in caught.value.problems
    ] == [
        "litellmMasterKey",
        "litellmSaltKey",
        "clientTokens.NAME",
        "caCertificate",
        "caKey",
        "images.base",
    ]


# A developer's copy of the file also holds what bootstrap and they themselves added.
COMMITTED = {"demoUpstream", "models", "modelMap"}


def test_the_example_environment_holds_placeholders_only() -> None:
    """The onboarding file names the client's variables and no secret."""
    text = (ROOT / ".env.example").read_text()
    values = dict(re.findall(r"(?m)^export (\w+)=(.*)$", text))

    assert values == {
        "ANTHROPIC_BASE_URL": "https://localhost:8443",
        "ANTHROPIC_AUTH_TOKEN": "put-the-token-of-this-client-here",
        "ANTHROPIC_MODEL": "groq-gpt-oss-20b",
        "NODE_EXTRA_CA_CERTS": "./gateway-ca.pem",
    }
    assert not re.search(r"sk-\w|gsk_\w", text)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy has nothing committed")
def test_the_dev_stack_is_committed_without_what_was_generated_for_it() -> None:
    """Whoever clones the project has no passphrase for somebody else's secrets.

    `make up` writes its own into the file, so the committed one is looked at.
    """
    committed = subprocess.run(
        ["git", "show", "HEAD:Pulumi.dev.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "llm-gateway:models" in committed
    assert "secure:" not in committed
    assert "encryptionsalt" not in committed
