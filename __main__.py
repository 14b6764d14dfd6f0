"""The program: settings, images, one gateway, outputs."""

from __future__ import annotations

import sys

import pulumi
import pulumi_docker as docker

import engine
from components.gateway import Gateway
from components.images import Images
from composition import gateway_args, images_args
from diagnosis import show_failures
from interruption import interruption
from settings import Settings, SettingsError
from waiting import until_healthy

stack = pulumi.get_stack()
try:
    settings = Settings.from_pulumi(pulumi.Config(), stack)
except SettingsError as problems:
    pulumi.log.error(str(problems))
    # The status with which the language host knows that the program has said what is wrong.
    sys.exit(32)
for warning in settings.warnings:
    pulumi.log.warn(warning)
for notice in settings.notices:
    pulumi.log.info(notice)

pulumi.runtime.register_stack_transformation(show_failures)
# The engine that DOCKER_HOST names; explicit, because default providers are disabled.
provider = docker.Provider("engine")
child_opts = pulumi.ResourceOptions(provider=provider)
images = Images("images", images_args(settings), child_opts)
interrupted = interruption(stack, settings.bind_address, settings.https_port, images.caddy.ref)
if interrupted is not None:
    pulumi.log.warn(interrupted)
waits = until_healthy if engine.answers() else None
gateway = Gateway("gateway", gateway_args(settings, images, stack, waits), child_opts)

pulumi.export("url", gateway.url)
pulumi.export("health", pulumi.Output.concat(gateway.url, "/health"))
pulumi.export("caCertificate", gateway.ca_certificate)
pulumi.export("clientEnv", gateway.client_env)
pulumi.export("versions", images.versions)
