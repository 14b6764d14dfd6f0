"""The gateway: edge, proxy, LiteLLM and their networks as one component."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pulumi
import pulumi_docker as docker

from components.caddy import AcmeTls, Edge, EdgeArgs, FileTls, InternalTls
from components.claude_code_proxy import DEFAULT_COMMAND, ClaudeCodeProxy, ClaudeCodeProxyArgs
from components.demo_upstream import DemoUpstream, DemoUpstreamArgs
from components.keys import (
    DEPLOYMENT_CONTENT,
    DEPLOYMENT_LABEL,
    GENERATION_PURPOSE,
    derived_key,
    generation_id,
)
from components.litellm import REQUEST_TIMEOUT_SECONDS, Deployment, LiteLLM, LiteLLMArgs
from components.rendering import render
from components.service import DEFAULT_UID, Limits, Runtime, UntilHealthy, engine_labels

DEMO_ADDRESS_ENV = "DEMO_UPSTREAM_URL"
DEMO_KEY_ENV = "DEMO_UPSTREAM_KEY"
STACK_LABEL = "llm-gateway.stack"
SERVICE_LABEL = "llm-gateway.service"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceImage:
    """An image and the user that its process runs as."""

    image_id: pulumi.Input[str]
    uid: int = DEFAULT_UID


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelMap:
    """Models for Claude's sizes: big for opus, middle for sonnet, small for haiku."""

    big: str
    middle: str
    small: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """The demo upstream, which answers for every provider.

    Attributes:
        image: its image.
        limits: memory and processor.
        chunk_milliseconds: pace of a streamed answer.
    """

    image: ServiceImage
    limits: Limits
    chunk_milliseconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayArgs:
    """What a gateway is made of.

    Attributes:
        seed_image: image of the configuration seeds.
        litellm_image: LiteLLM's image.
        proxy_image: the Claude Code Proxy's image.
        proxy_command: what starts another proxy than ours; empty for ours.
        caddy_image: Caddy's image.
        deployments: models in the order in which they are listed.
        provider_keys: secret by name of variable.
        model_map: models for Claude's sizes.
        master_key: secret, LiteLLM's master key.
        salt_key: secret that LiteLLM encrypts with; generations are named with a key derived
            from it, because it outlives every rotation.
        client_tokens: secret token by client name.
        hostnames: names and addresses that clients use.
        bind_address: address of the host that the port is published on.
        https_port: port of the host.
        tls: where certificates come from.
        route: whether the proxy or LiteLLM's own Messages API answers.
        drain_seconds: how long a replaced container may finish its requests.
        log_level: error, warning, info, debug or detailed_debug.
        litellm_limits: memory and processor.
        proxy_limits: memory and processor.
        edge_limits: memory and processor.
        demo: set while the demo upstream stands in for the providers.
        stack: shown in labels.
        until_healthy: waits for a container; None where only the provider can.
    """

    seed_image: pulumi.Input[str]
    litellm_image: ServiceImage
    proxy_image: ServiceImage
    caddy_image: ServiceImage
    deployments: Sequence[Deployment]
    provider_keys: Mapping[str, pulumi.Input[str]]
    model_map: ModelMap
    master_key: pulumi.Input[str]
    salt_key: pulumi.Input[str]
    client_tokens: Mapping[str, pulumi.Input[str]]
    hostnames: Sequence[str]
    bind_address: str
    https_port: int
    tls: InternalTls | FileTls | AcmeTls
    route: Literal["proxy", "litellm"]
    drain_seconds: int
    log_level: str
    litellm_limits: Limits
    proxy_limits: Limits
    edge_limits: Limits
    proxy_command: Sequence[str] = ()
    demo: Demo | None = None
    stack: str = ""
    until_healthy: UntilHealthy | None = None


class Gateway(pulumi.ComponentResource):
    """An endpoint for Claude Code.

    Attributes:
        url: address for clients.
        ca_certificate: PEM of the root that clients must trust; empty with a public authority.
        client_env: secret shell lines for the first client.
    """

    url: pulumi.Output[str]
    ca_certificate: pulumi.Output[str]
    client_env: pulumi.Output[str]

    def __init__(
        self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:Gateway", name, None, opts)
        self._name = name
        self._args = args
        self._generation_key = derived_key(args.salt_key, GENERATION_PURPOSE)
        self._networks(name)
        self._demo_env: dict[str, pulumi.Input[str]] = {}
        self._behind: list[pulumi.Output[str]] = []
        if args.demo is not None:
            args = self._with_demo(args, args.demo)
        litellm = self._litellm(args)
        self._behind.append(litellm.healthy_name)
        upstream_url: pulumi.Input[str] = litellm.url
        upstream_key: pulumi.Input[str] = args.master_key
        if args.route == "proxy":
            upstream_key = derived_key(args.master_key, "proxy client")
            proxy = self._proxy(args, litellm.url, upstream_key)
            self._behind.append(proxy.healthy_name)
            upstream_url = proxy.url
        edge = self._edge(args, upstream_url, upstream_key)
        self.url = edge.url
        self.ca_certificate = pulumi.Output.from_input(
            args.tls.trusted if isinstance(args.tls, InternalTls) else ""
        )
        self.client_env = self._client_env(args)
        self.register_outputs(
            {
                "url": self.url,
                "ca_certificate": self.ca_certificate,
                "client_env": self.client_env,
            }
        )

    def _networks(self, name: str) -> None:
        child_opts = pulumi.ResourceOptions(parent=self)
        labels = engine_labels(docker.NetworkLabelArgs, self._labels())
        self._backplane = docker.Network(
            f"{name}-backplane", internal=True, labels=labels, opts=child_opts
        )
        self._egress = docker.Network(f"{name}-egress", labels=labels, opts=child_opts)
        options = {}
        if not isinstance(self._args.tls, AcmeTls):
            # Published ports still work, and Caddy has no way out.
            options["com.docker.network.bridge.enable_ip_masquerade"] = "false"
        self._edge_network = docker.Network(
            f"{name}-edge-network", labels=labels, options=options, opts=child_opts
        )

    def _with_demo(self, args: GatewayArgs, demo: Demo) -> GatewayArgs:
        """Send every deployment to the demo upstream, by the provider's own route."""
        # Like a provider's, it outlives LiteLLM's master key.
        key = derived_key(args.salt_key, "demo upstream")
        upstream = DemoUpstream(
            f"{self._name}-demo-upstream",
            DemoUpstreamArgs(
                runtime=self._runtime("demo-upstream", demo.image, demo.limits, [self._backplane]),
                api_key=key,
                extra_models=_provider_models(args.deployments),
                chunk_milliseconds=demo.chunk_milliseconds,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self._demo_env[DEMO_ADDRESS_ENV] = upstream.url
        self._behind.append(upstream.healthy_name)
        return replace(
            args,
            provider_keys={DEMO_KEY_ENV: key},
            deployments=[
                replace(
                    deployment,
                    api_base=f"os.environ/{DEMO_ADDRESS_ENV}",
                    key_env=DEMO_KEY_ENV,
                )
                for deployment in args.deployments
            ],
        )

    def _litellm(self, args: GatewayArgs) -> LiteLLM:
        return LiteLLM(
            f"{self._name}-litellm",
            LiteLLMArgs(
                runtime=self._runtime(
                    "litellm",
                    args.litellm_image,
                    args.litellm_limits,
                    [self._backplane, self._egress],
                ),
                master_key=args.master_key,
                salt_key=args.salt_key,
                deployments=args.deployments,
                provider_keys=args.provider_keys,
                env=self._demo_env,
                log_level=args.log_level,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _proxy(
        self, args: GatewayArgs, litellm_url: pulumi.Input[str], client_key: pulumi.Input[str]
    ) -> ClaudeCodeProxy:
        return ClaudeCodeProxy(
            f"{self._name}-proxy",
            ClaudeCodeProxyArgs(
                runtime=self._runtime(
                    "claude-code-proxy", args.proxy_image, args.proxy_limits, [self._backplane]
                ),
                command=args.proxy_command or DEFAULT_COMMAND,
                litellm_url=litellm_url,
                litellm_key=args.master_key,
                client_key=client_key,
                big_model=args.model_map.big,
                middle_model=args.model_map.middle,
                small_model=args.model_map.small,
                max_output_tokens={
                    deployment.name: deployment.max_output_tokens
                    for deployment in args.deployments
                    if deployment.max_output_tokens is not None
                },
                request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
                log_level=args.log_level,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _edge(
        self,
        args: GatewayArgs,
        upstream_url: pulumi.Input[str],
        upstream_key: pulumi.Input[str],
    ) -> Edge:
        return Edge(
            f"{self._name}-edge",
            EdgeArgs(
                runtime=self._runtime(
                    "edge",
                    args.caddy_image,
                    args.edge_limits,
                    [self._edge_network, self._backplane],
                ),
                client_tokens=args.client_tokens,
                hostnames=args.hostnames,
                bind_address=args.bind_address,
                https_port=args.https_port,
                tls=args.tls,
                route=args.route,
                upstream_url=upstream_url,
                upstream_key=upstream_key,
                behind=self._behind,
                log_level=args.log_level,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _client_env(self, args: GatewayArgs) -> pulumi.Output[str]:
        client = min(args.client_tokens)
        token = pulumi.Output.secret(args.client_tokens[client])
        values = pulumi.Output.all(
            url=self.url, token=token, ca_certificate=self.ca_certificate, client=client
        )
        plain = {
            "gateway": self._name,
            "models": args.model_map,
            "context_tokens": _smallest(args, lambda deployment: deployment.max_input_tokens),
            "output_tokens": _smallest(args, lambda deployment: deployment.max_output_tokens),
        }
        return values.apply(lambda known: render("client_env.j2", {**known, **plain}))

    def _runtime(
        self,
        service: str,
        image: ServiceImage,
        limits: Limits,
        networks: Sequence[docker.Network],
    ) -> Runtime:
        return Runtime(
            image=image.image_id,
            uid=image.uid,
            seed_image=self._args.seed_image,
            generation_key=self._generation_key,
            networks=[network.name for network in networks],
            limits=limits,
            drain_seconds=self._args.drain_seconds,
            labels=self._labels(service),
            until_healthy=self._args.until_healthy,
        )

    def _labels(self, service: str | None = None) -> dict[str, pulumi.Input[str]]:
        labels: dict[str, pulumi.Input[str]] = {
            "llm-gateway.gateway": self._name,
            STACK_LABEL: self._args.stack,
            DEPLOYMENT_LABEL: generation_id(self._generation_key, DEPLOYMENT_CONTENT),
        }
        if service is not None:
            labels[SERVICE_LABEL] = service
        return labels


def _smallest(args: GatewayArgs, limit: Callable[[Deployment], int | None]) -> int | None:
    """Return a limit that holds for every model that Claude's names stand for, None if unknown."""
    mapped = {args.model_map.big, args.model_map.middle, args.model_map.small}
    limits = [limit(deployment) for deployment in args.deployments if deployment.name in mapped]
    known = [one for one in limits if one is not None]
    return min(known) if known and len(known) == len(limits) else None


def _provider_models(deployments: Sequence[Deployment]) -> list[str]:
    """Names by which the provider itself knows the models."""
    return sorted({deployment.litellm_model.split("/", 1)[1] for deployment in deployments})
