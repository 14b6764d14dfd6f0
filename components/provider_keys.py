"""How to ask a provider, free of charge, whether it takes a key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.litellm import Deployment


@dataclass(frozen=True, kw_only=True, slots=True)
class _Api:
    """Where a provider tells whether a key is right."""

    base: str
    path: str = "/models"
    header: str = "Authorization"
    scheme: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)


_APIS: Mapping[str, _Api] = {
    "groq": _Api(base="https://api.groq.com/openai/v1"),
    "openai": _Api(base="https://api.openai.com/v1"),
    # Its list of models is open to everyone.
    "openrouter": _Api(base="https://openrouter.ai/api/v1", path="/key"),
    "anthropic": _Api(
        base="https://api.anthropic.com",
        path="/v1/models",
        header="x-api-key",
        scheme="",
        headers={"anthropic-version": "2023-06-01"},
    ),
    "azure": _Api(base="", path="/openai/models?api-version=", header="api-key", scheme=""),
}


def key_checks(deployments: Sequence[Deployment]) -> str:
    """Return the questions as JSON for the health probe, one for each key; it holds none."""
    checks = {}
    for deployment in deployments:
        provider = deployment.litellm_model.partition("/")[0]
        api = _APIS.get(provider)
        if api is None or deployment.key_env is None or deployment.key_env in checks:
            continue
        check = asdict(api)
        if deployment.api_base is not None:
            check["base"] = deployment.api_base.rstrip("/")
        if provider == "azure":
            check["path"] += deployment.api_version or ""
        checks[deployment.key_env] = {
            "provider": provider,
            "variable": deployment.key_env,
            **check,
        }
    return json.dumps(list(checks.values()), sort_keys=True)
