"""Demo upstream: stands in for the provider until there is a key for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.service import HealthCheck, Limits, Service, ServiceArgs, http_probe

PORT = 8000


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoUpstreamArgs:
    """What the demo upstream needs.

    Attributes:
        image: image id.
        seed_image: image of the configuration seed.
        generation_key: secret that generations are named with.
        api_key: secret that callers show.
        extra_models: ids that it serves beside its own.
        chunk_milliseconds: pace of a streamed answer.
        networks: the backplane.
        limits: memory and processor.
        drain_seconds: how long requests may take to finish when it is replaced.
        uid: user of the process.
        labels: of all that the engine holds for it; public.
    """

    image: pulumi.Input[str]
    seed_image: pulumi.Input[str]
    generation_key: pulumi.Input[str]
    api_key: pulumi.Input[str]
    extra_models: Sequence[str]
    chunk_milliseconds: int
    networks: Sequence[pulumi.Input[str]]
    limits: Limits
    drain_seconds: int
    uid: int
    labels: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


class DemoUpstream(pulumi.ComponentResource):
    """One demo upstream container.

    Attributes:
        url: base of its OpenAI-compatible API on the backplane.
    """

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: DemoUpstreamArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:DemoUpstream", name, None, opts)
        service = Service(
            name,
            ServiceArgs(
                image=args.image,
                seed_image=args.seed_image,
                generation_key=args.generation_key,
                command=["demo-upstream"],
                secret_env={"DEMO_API_KEY": args.api_key},
                env={
                    "PORT": str(PORT),
                    "DEMO_CHUNK_MILLISECONDS": str(args.chunk_milliseconds),
                    "DEMO_EXTRA_MODELS": ",".join(args.extra_models),
                    "GRACEFUL_SHUTDOWN_TIMEOUT": str(args.drain_seconds),
                },
                networks=args.networks,
                drain_seconds=args.drain_seconds,
                health=HealthCheck(test=http_probe(PORT, "/health"), start_seconds=30),
                limits=args.limits,
                uid=args.uid,
                labels=args.labels,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.url = pulumi.Output.concat("http://", service.container_name, f":{PORT}/openai/v1")
        self.register_outputs({"url": self.url})
