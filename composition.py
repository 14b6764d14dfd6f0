"""Settings to component arguments: the one place that knows both."""

from __future__ import annotations

from typing import Literal, cast

from components.caddy import AcmeTls, FileTls, InternalTls
from components.gateway import Demo, GatewayArgs, ModelMap, ServiceImage
from components.images import Images, ImagesArgs
from components.litellm import Deployment
from components.service import Limits, UntilHealthy
from settings import Model, ServiceResources, Settings, Tls


def images_args(settings: Settings) -> ImagesArgs:
    """Return where each image comes from."""
    images = settings.images
    return ImagesArgs(
        rootfs=images.base,
        litellm=images.litellm.ref,
        proxy=images.proxy.ref,
        caddy=images.caddy.ref,
        demo_upstream=images.demo_upstream.ref,
        with_demo=settings.demo_active,
    )


def gateway_args(
    settings: Settings, images: Images, stack: str, until_healthy: UntilHealthy | None
) -> GatewayArgs:
    """Return what the gateway is made of."""
    sources = settings.images
    resources = settings.resources
    return GatewayArgs(
        stack=stack,
        seed_image=images.seed.image_id,
        litellm_image=ServiceImage(image_id=images.litellm.image_id, uid=sources.litellm.user),
        proxy_image=ServiceImage(image_id=images.proxy.image_id, uid=sources.proxy.user),
        proxy_command=sources.proxy.command,
        caddy_image=ServiceImage(image_id=images.caddy.image_id, uid=sources.caddy.user),
        deployments=[_deployment(settings, model) for model in settings.models],
        provider_keys={
            provider.key_env: provider.key
            for provider in settings.providers.values()
            if provider.key is not None
        },
        model_map=ModelMap(
            big=settings.model_map.big,
            middle=settings.model_map.middle,
            small=settings.model_map.small,
        ),
        master_key=settings.litellm_master_key,
        salt_key=settings.litellm_salt_key,
        client_tokens=settings.client_tokens,
        hostnames=settings.hostnames,
        bind_address=settings.bind_address,
        https_port=settings.https_port,
        tls=_tls(settings.tls),
        route=cast(Literal["proxy", "litellm"], settings.route),
        drain_seconds=settings.drain_seconds,
        log_level=settings.log_level,
        litellm_limits=_limits(resources.litellm),
        proxy_limits=_limits(resources.proxy),
        edge_limits=_limits(resources.edge),
        demo=_demo(settings, images),
        until_healthy=until_healthy,
    )


def _deployment(settings: Settings, model: Model) -> Deployment:
    provider = settings.providers[model.provider]
    return Deployment(
        name=model.name,
        litellm_model=model.litellm_model,
        key_env=provider.key_env if provider.key is not None else None,
        api_base=provider.api_base,
        api_version=provider.api_version,
        max_input_tokens=model.max_input_tokens,
        max_output_tokens=model.max_output_tokens,
        rpm=model.rpm,
        tpm=model.tpm,
        fallbacks=model.fallbacks,
    )


def _demo(settings: Settings, images: Images) -> Demo | None:
    if images.demo_upstream is None:
        return None
    return Demo(
        image=ServiceImage(
            image_id=images.demo_upstream.image_id, uid=settings.images.demo_upstream.user
        ),
        limits=_limits(settings.resources.demo_upstream),
        chunk_milliseconds=settings.demo_chunk_milliseconds,
    )


def _tls(tls: Tls) -> InternalTls | FileTls | AcmeTls:
    """Return the mode's own arguments; settings made sure that they are there."""
    if tls.mode == "acme" and tls.email is not None:
        return AcmeTls(email=tls.email)
    if tls.mode == "files" and tls.certificate is not None and tls.key is not None:
        return FileTls(certificate=tls.certificate, key=tls.key)
    if tls.ca_certificate is not None and tls.ca_key is not None:
        return InternalTls(
            ca_certificate=tls.ca_certificate,
            ca_key=tls.ca_key,
            trusted=tls.ca_bundle or tls.ca_certificate,
        )
    raise AssertionError(f"settings let an incomplete tls mode through: {tls.mode}")


def _limits(resources: ServiceResources) -> Limits:
    return Limits(memory_mb=resources.memory_mb, cpu_shares=resources.cpu_shares or 1024)
