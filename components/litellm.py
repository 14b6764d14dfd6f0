"""LiteLLM: the router that holds the providers' keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.provider_keys import key_checks
from components.rendering import render, render_yaml
from components.service import (
    CONFIG_DIRECTORY,
    SECRETS_FILE,
    HealthCheck,
    Runtime,
    Service,
    ServiceArgs,
    standard_level,
)

PORT = 4000
CONFIG_FILE = "litellm_config.yaml"
KEYS_FILE = "keys.json"
PROBE_FILE = "probe.py"
PROBE_TEMPLATE = "litellm_probe.py"
# Longer than Claude Code's own time-out, so that the client decides when to give up.
REQUEST_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A model as LiteLLM serves it.

    Attributes:
        name: what callers ask for.
        litellm_model: LiteLLM's route, e.g. ``groq/openai/gpt-oss-20b``.
        key_env: name of the variable with the provider's key; None where it needs none.
        api_base: the provider's address or ``os.environ/NAME``; None for LiteLLM's own.
        api_version: for Azure.
        max_input_tokens: context window.
        max_output_tokens: the provider's limit for one answer.
        rpm: requests a minute.
        tpm: tokens a minute.
        fallbacks: names to try in turn when this one fails.
    """

    name: str
    litellm_model: str
    key_env: str | None = None
    api_base: str | None = None
    api_version: str | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    fallbacks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LiteLLMArgs:
    """What LiteLLM needs.

    Attributes:
        runtime: how it runs; on the backplane and with a way out.
        master_key: secret, ``sk-…``, that LiteLLM's callers show.
        salt_key: secret that LiteLLM encrypts stored credentials with.
        deployments: models in the order in which they are listed.
        provider_keys: secret by name of variable.
        env: further plain environment, such as an address that is known only once deployed.
        log_level: error, warning, info, debug or detailed_debug.
    """

    runtime: Runtime
    master_key: pulumi.Input[str]
    salt_key: pulumi.Input[str]
    deployments: Sequence[Deployment]
    provider_keys: Mapping[str, pulumi.Input[str]]
    env: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    log_level: str


class LiteLLM(pulumi.ComponentResource):
    """One LiteLLM container with its rendered configuration.

    Attributes:
        url: address on the backplane, without a path.
        healthy_name: its container's, known when that is healthy.
    """

    url: pulumi.Output[str]
    healthy_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: LiteLLMArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:LiteLLM", name, None, opts)
        service = Service(
            name,
            ServiceArgs(
                runtime=args.runtime,
                command=_command(args.log_level),
                files={
                    CONFIG_FILE: render_config(args.deployments),
                    KEYS_FILE: key_checks(args.deployments),
                    PROBE_FILE: render(PROBE_TEMPLATE, {}),
                },
                secret_env={
                    "LITELLM_MASTER_KEY": args.master_key,
                    "LITELLM_SALT_KEY": args.salt_key,
                    **args.provider_keys,
                },
                env={**_environment(args), **args.env},
                health=HealthCheck(test=_probe(), timeout_seconds=10, start_seconds=90),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.url = pulumi.Output.concat("http://", service.container_name, f":{PORT}")
        self.healthy_name = service.healthy_name
        self.register_outputs({"url": self.url})


def render_config(deployments: Sequence[Deployment]) -> str:
    """Return LiteLLM's configuration file, which names keys and never holds one."""
    return render_yaml(
        "litellm_config.yaml.j2",
        {"deployments": deployments, "request_timeout_seconds": REQUEST_TIMEOUT_SECONDS},
    )


def _probe() -> list[str]:
    """Return the health check, which needs the keys that it asks the providers about."""
    secrets = f"set -a; . {CONFIG_DIRECTORY}/{SECRETS_FILE}; set +a"
    program = f"exec python3 -I -S {CONFIG_DIRECTORY}/{PROBE_FILE} {PORT}"
    return ["CMD", "/bin/sh", "-c", f"{secrets}; {program}"]


def _command(log_level: str) -> list[str]:
    command = ["litellm", "--config", f"/conf/{CONFIG_FILE}", "--host", "0.0.0.0"]  # noqa: S104
    command += ["--port", str(PORT)]
    if log_level == "detailed_debug":
        command.append("--detailed_debug")
    return command


def _environment(args: LiteLLMArgs) -> dict[str, str]:
    return {
        "GRACEFUL_SHUTDOWN_TIMEOUT": str(args.runtime.drain_seconds),
        "HOME": "/tmp",  # noqa: S108 - the only writable place
        # Longer than its callers keep an idle connection, or they ask on one that it just closed.
        "KEEPALIVE_TIMEOUT": "120",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": standard_level(args.log_level),
        "LITELLM_MODE": "PRODUCTION",
        "NO_DOCS": "True",
        "NO_REDOC": "True",
        "DISABLE_ADMIN_UI": "True",
    }
