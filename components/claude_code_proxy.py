"""Claude Code Proxy: Anthropic's Messages API in, OpenAI's Chat Completions out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.service import (
    HealthCheck,
    Runtime,
    Service,
    ServiceArgs,
    http_probe,
    standard_level,
)

PORT = 8082
DEFAULT_COMMAND = ("claude-code-proxy",)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaudeCodeProxyArgs:
    """What the proxy needs.

    Attributes:
        runtime: how it runs; on the backplane.
        litellm_url: where LiteLLM answers, without a path.
        litellm_key: secret, LiteLLM's master key.
        client_key: secret that the edge shows.
        big_model: model for opus.
        middle_model: model for sonnet.
        small_model: model for haiku.
        max_output_tokens: limit by model; a request for more is cut down to it.
        request_timeout_seconds: longest silence of LiteLLM.
        log_level: error, warning, info or debug.
        command: program and arguments.
    """

    runtime: Runtime
    litellm_url: pulumi.Input[str]
    litellm_key: pulumi.Input[str]
    client_key: pulumi.Input[str]
    big_model: str
    middle_model: str
    small_model: str
    max_output_tokens: Mapping[str, int]
    request_timeout_seconds: int
    log_level: str
    command: Sequence[str] = DEFAULT_COMMAND


class ClaudeCodeProxy(pulumi.ComponentResource):
    """One Claude Code Proxy container.

    Attributes:
        url: address on the backplane, without a path.
        healthy_name: its container's, known when that is healthy.
    """

    url: pulumi.Output[str]
    healthy_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ClaudeCodeProxyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:ClaudeCodeProxy", name, None, opts)
        service = Service(
            name,
            ServiceArgs(
                runtime=args.runtime,
                command=args.command,
                secret_env={
                    "OPENAI_API_KEY": args.litellm_key,
                    "ANTHROPIC_API_KEY": args.client_key,
                },
                env=_environment(args),
                health=HealthCheck(test=http_probe(PORT, "/health")),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.url = pulumi.Output.concat("http://", service.container_name, f":{PORT}")
        self.healthy_name = service.healthy_name
        self.register_outputs({"url": self.url})


def _environment(args: ClaudeCodeProxyArgs) -> dict[str, pulumi.Input[str]]:
    return {
        "HOST": "0.0.0.0",  # noqa: S104 - inside the container; nothing is published
        "PORT": str(PORT),
        "OPENAI_BASE_URL": pulumi.Output.concat(args.litellm_url, "/v1"),
        "BIG_MODEL": args.big_model,
        "MIDDLE_MODEL": args.middle_model,
        "SMALL_MODEL": args.small_model,
        "MODEL_MAX_OUTPUT_TOKENS": json.dumps(dict(args.max_output_tokens), sort_keys=True),
        # The well-known proxy cuts every answer at 4096 tokens unless told otherwise.
        "MAX_TOKENS_LIMIT": str(max(args.max_output_tokens.values(), default=65536)),
        "REQUEST_TIMEOUT": str(args.request_timeout_seconds),
        "GRACEFUL_SHUTDOWN_TIMEOUT": str(args.runtime.drain_seconds),
        "LOG_LEVEL": standard_level(args.log_level),
    }
