"""From a configuration to the arguments of the components."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.caddy import InternalTls
from components.images import Images
from composition import gateway_args, images_args
from settings import Settings
from tests.conftest import RecordingEngine
from tests.integration.deployment import authority

Run = Callable[[Callable[[], Any]], RecordingEngine]


@pytest.fixture
def settings(secret: Callable[[str], str], tmp_path: Any) -> Callable[..., Settings]:
    """Return a function that makes valid settings, with changes over them."""
    certificate, key = authority(tmp_path)

    def make(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "models": [
                {"name": "fast", "model": "groq/openai/gpt-oss-20b", "maxOutputTokens": 65536},
                {"name": "own", "model": "vllm/qwen", "fallbacks": ["fast"]},
            ],
            "providers": {"vllm": {"kind": "openai", "apiBase": "https://vllm.test/v1"}},
            "providerKeys": {"groq": secret("groq")},
            "litellmMasterKey": secret("master"),
            "litellmSaltKey": secret("salt"),
            "clientTokens": {"alice": secret("alice")},
            "caCertificate": certificate,
            "caKey": key,
            "images": {"base": "llm-gateway/rootfs:0123456789ab"},
            **changes,
        }
        raw = {name: v if isinstance(v, str) else json.dumps(v) for name, v in values.items()}
        return Settings.parse(raw, "test", litellm_requirements="litellm==1.106.2\n")

    return make


def compose(run_program: Run, settings: Settings) -> Any:
    """Return the gateway's arguments as the program makes them."""
    made: list[Any] = []

    def program() -> None:
        images = Images("images", images_args(settings))
        made.append(gateway_args(settings, images, "test", None))

    run_program(program)
    return made[0]


def test_models_become_deployments_with_their_providers_address_and_key(
    run_program: Run, settings: Callable[..., Settings]
) -> None:
    """A provider without a key names no variable; a custom one speaks OpenAI's protocol."""
    args = compose(run_program, settings())
    fast, own = args.deployments

    assert (fast.litellm_model, fast.key_env, fast.api_base) == (
        "groq/openai/gpt-oss-20b",
        "GROQ_API_KEY",
        None,
    )
    assert (own.litellm_model, own.key_env, own.api_base) == (
        "openai/qwen",
        None,
        "https://vllm.test/v1",
    )
    assert own.fallbacks == ("fast",)
    assert set(args.provider_keys) == {"GROQ_API_KEY"}
    assert isinstance(args.tls, InternalTls)
    assert args.demo is None


def test_the_demo_is_part_of_the_gateway_only_while_no_key_is_set(
    run_program: Run, settings: Callable[..., Settings]
) -> None:
    """Without a key it answers; with one it is not even declared."""
    without_key = compose(run_program, settings(demoUpstream=True, providerKeys={}))
    with_key = compose(run_program, settings(demoUpstream=True))

    assert without_key.demo is not None
    assert with_key.demo is None
