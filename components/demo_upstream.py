"""Demo upstream: stands in for the provider until there is a key for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.service import HealthCheck, Runtime, Service, ServiceArgs, http_probe

PORT = 8000


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoUpstreamArgs:
    """What the demo upstream needs.

    Attributes:
        runtime: how it runs; on the backplane.
        api_key: secret that callers show.
        extra_models: ids that it serves beside its own.
        chunk_milliseconds: pace of a streamed answer.
    """

    runtime: Runtime
    api_key: pulumi.Input[str]
    extra_models: Sequence[str]
    chunk_milliseconds: int


class DemoUpstream(pulumi.ComponentResource):
    """One demo upstream container.

    Attributes:
        url: base of its OpenAI-compatible API on the backplane.
        healthy_name: its container's, known when that is healthy.
    """

    url: pulumi.Output[str]
    healthy_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: DemoUpstreamArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:DemoUpstream", name, None, opts)
        service = Service(
            name,
            ServiceArgs(
                runtime=args.runtime,
                command=["demo-upstream"],
                secret_env={"DEMO_API_KEY": args.api_key},
                env={
                    "PORT": str(PORT),
                    "DEMO_CHUNK_MILLISECONDS": str(args.chunk_milliseconds),
                    "DEMO_EXTRA_MODELS": ",".join(args.extra_models),
                    "GRACEFUL_SHUTDOWN_TIMEOUT": str(args.runtime.drain_seconds),
                },
                health=HealthCheck(test=http_probe(PORT, "/health")),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.url = pulumi.Output.concat("http://", service.container_name, f":{PORT}/openai/v1")
        self.healthy_name = service.healthy_name
        self.register_outputs({"url": self.url})
