"""Bad configurations on the real `pulumi preview`: refused with the cure, nothing made."""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.integration.deployment import Deployment

MODEL = {"name": "one", "model": "groq/llama-3.3-70b-versatile"}
PLAIN: list[tuple[str, Any, str]] = [
    ("models", [], "models"),
    ("models", "groq", "models"),
    ("models", [{"name": "one"}], "models[0].model"),
    ("models", [{**MODEL, "model": "nobody/model"}], "models[0].model"),
    ("models", [{**MODEL, "colour": "blue"}], "models[0].colour"),
    ("models", [{**MODEL, "maxOutputTokens": "many"}], "models[0].maxOutputTokens"),
    ("models", [{**MODEL, "rpm": 0}], "models[0].rpm"),
    ("models", [MODEL, MODEL], "models[1].name"),
    ("models", [{**MODEL, "fallbacks": ["two"]}], "models[0].fallbacks[0]"),
    ("modelMap", {"big": "unknown"}, "modelMap.big"),
    ("modelMap", {"large": "groq-gpt-oss-20b"}, "modelMap.large"),
    ("providers", {"mine": {"kind": "openai"}}, "providers.mine.apiBase"),
    ("providers", {"groq": {"apiBase": "ftp://groq"}}, "providers.groq.apiBase"),
    ("hostnames", ["not a name"], "hostnames[0]"),
    ("bindAddress", "everywhere", "bindAddress"),
    ("httpsPort", 70000, "httpsPort"),
    ("httpsPort", "https", "httpsPort"),
    ("route", "direct", "route"),
    ("drainSeconds", 0, "drainSeconds"),
    ("logLevel", "loud", "logLevel"),
    ("demoUpstream", "maybe", "demoUpstream"),
    ("demoUpstream", False, "providerKeys.groq"),
    ("tls", {"mode": "acme"}, "tls.email"),
    ("tls", {"mode": "files"}, "tls.certificate"),
    ("images", {}, "images.base"),
    ("images", {"base": "b", "litellm": {"ref": "x/litellm:latest"}}, "images.litellm"),
    (
        "images",
        {"base": "b", "litellm": {"ref": f"x/litellm:v1.82.7@sha256:{'0' * 64}"}},
        "images.litellm",
    ),
    ("resources", {"litellm": {"memoryMb": 64}}, "resources.litellm.memoryMb"),
    ("modle", [MODEL], "modle"),
    ("caCertificate", "not a certificate", "caCertificate"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Make a stack that is valid and never deployed."""
    deployment = Deployment.create(tmp_path_factory.mktemp("stack"), {})
    deployment.pulumi("preview")
    yield deployment
    assert deployment.resources("Container") == {}, "a refused configuration created something"


def refused(stack: Deployment, key: str) -> None:
    """Preview, and expect the refusal of *key* with a command that cures it."""
    preview = stack.pulumi("preview", check=False)
    lines = [line for line in preview.stdout.splitlines() if f"llm-gateway:{key}" in line]

    assert preview.returncode != 0, preview.stdout
    assert lines, preview.stdout
    assert "run: " in lines[0], preview.stdout
    assert "Traceback" not in preview.stdout


@pytest.mark.parametrize(("name", "value", "key"), PLAIN)
def test_a_bad_value_is_refused_with_its_cure(
    stack: Deployment, name: str, value: Any, key: str
) -> None:
    """One line names the key and the command, and the exit status is not zero."""
    file = stack.directory / f"Pulumi.{stack.stack}.yaml"
    good = file.read_text()
    configuration = copy.deepcopy(yaml.safe_load(good))
    configuration["config"][f"llm-gateway:{name}"] = value
    file.write_text(yaml.safe_dump(configuration))
    try:
        refused(stack, key)
    finally:
        file.write_text(good)


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("litellmMasterKey", "sk-1234", "litellmMasterKey"),
        ("litellmMasterKey", "x" * 30, "litellmMasterKey"),
        ("clientTokens.alice", "short", "clientTokens.alice"),
        ("providerKeys.grok", "a-key-for-a-provider-nobody-knows", "providerKeys.grok"),
    ],
)
def test_a_bad_secret_is_refused_without_being_shown(
    stack: Deployment, path: str, value: str, key: str
) -> None:
    """The refusal names the key and not the value."""
    file = stack.directory / f"Pulumi.{stack.stack}.yaml"
    good = file.read_text()
    stack.pulumi("config", "set", "--secret", "--path", path, stdin=value)
    try:
        refused(stack, key)
    finally:
        file.write_text(good)
    assert value not in stack.transcript[-1]


def test_a_port_that_somebody_else_has_is_refused(stack: Deployment) -> None:
    """A port in use is found before anything is created."""
    file = stack.directory / f"Pulumi.{stack.stack}.yaml"
    good = file.read_text()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stack.set("httpsPort", str(other.getsockname()[1]))
        try:
            refused(stack, "httpsPort")
        finally:
            file.write_text(good)
