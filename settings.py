"""The only reader of the stack's configuration: typed, validated, all problems reported at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pulumi
from pulumi.runtime import config as runtime_config

import engine
import validation as rules
from components.keys import deployment_id
from ports import port_problem
from sections import (
    CUSTOM_PROVIDER,
    PROVIDER_EXAMPLE,
    PROVIDER_KINDS,
    Images,
    ImageSource,
    Model,
    ModelMap,
    Provider,
    Resources,
    ServiceResources,
    Tls,
    read_client_tokens,
    read_hostnames,
    read_images,
    read_litellm_key,
    read_model_map,
    read_models,
    read_provider_keys,
    read_providers,
    read_resources,
    read_tls,
    require_of_providers,
)
from validation import Node

__all__ = [
    "ImageSource",
    "Images",
    "Model",
    "ModelMap",
    "Provider",
    "Resources",
    "ServiceResources",
    "Settings",
    "SettingsError",
    "Tls",
]

ValueType = Literal["string", "integer", "boolean", "array", "object"]
PortCheck = Callable[[str, int, str], str | None]


@dataclass(frozen=True, slots=True)
class Key:
    """A top-level configuration key: its type, its default, whether it must be encrypted."""

    type: ValueType
    default: object
    secret: bool = False


# `Pulumi.yaml` documents the same keys; a test holds the two together.
KEYS: Mapping[str, Key] = {
    "models": Key("array", []),
    "modelMap": Key("object", {}),
    "providers": Key("object", {}),
    "providerKeys": Key("object", {}, secret=True),
    "litellmMasterKey": Key("string", "", secret=True),
    "litellmSaltKey": Key("string", "", secret=True),
    "clientTokens": Key("object", {}, secret=True),
    "hostnames": Key("array", ["localhost", "127.0.0.1"]),
    "bindAddress": Key("string", "127.0.0.1"),
    "httpsPort": Key("integer", 8443),
    "tls": Key("object", {}),
    "tlsKey": Key("string", "", secret=True),
    "caCertificate": Key("string", ""),
    "caKey": Key("string", "", secret=True),
    "route": Key("string", "proxy"),
    "drainSeconds": Key("integer", 600),
    "logLevel": Key("string", "error"),
    "demoUpstream": Key("boolean", False),
    "demoChunkMilliseconds": Key("integer", 20),
    "images": Key("object", {}),
    "resources": Key("object", {}),
}

ROUTES = ("proxy", "litellm")
LOG_LEVELS = ("error", "warning", "info", "debug", "detailed_debug")
LITELLM_REQUIREMENTS = Path(__file__).parent / "images" / "litellm" / "requirements.txt"


class SettingsError(pulumi.RunError):
    """The configuration cannot be deployed; the text has a line for each problem, with its cure."""

    def __init__(self, stack: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count} in the configuration of stack {stack}:", *problems]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """A stack's configuration, valid as a whole. Secrets are secret Outputs, never plain text.

    Attributes:
        providers: By name, those that serve a model.
        client_tokens: By client name.
        demo_active: The demo upstream stands in for every provider.
        notices: What to tell whoever deploys.
        warnings: What to warn them of.

    """

    models: tuple[Model, ...]
    model_map: ModelMap
    providers: Mapping[str, Provider]
    litellm_master_key: pulumi.Output[str] = field(repr=False)
    litellm_salt_key: pulumi.Output[str] = field(repr=False)
    client_tokens: Mapping[str, pulumi.Output[str]] = field(repr=False)
    hostnames: tuple[str, ...]
    bind_address: str
    https_port: int
    tls: Tls
    route: str
    drain_seconds: int
    log_level: str
    demo_active: bool
    demo_chunk_milliseconds: int
    images: Images
    resources: Resources
    notices: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def from_pulumi(cls, config: pulumi.Config, stack: str) -> Settings:
        """Read the running program's configuration, or raise one `SettingsError`."""
        try:
            requirements = LITELLM_REQUIREMENTS.read_text(encoding="utf-8")
        except FileNotFoundError:
            requirements = ""
        # The SDK has no public way to list keys, and unknown ones must not pass unseen.
        stored = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        space = f"{config.name}:"
        names = {key.removeprefix(space) for key in stored if key.startswith(space)}
        return cls.parse(
            {name: config.get(name) for name in sorted(names | KEYS.keys())},
            stack,
            encrypted={k for k in KEYS if runtime_config.is_config_secret(config.full_key(k))},
            litellm_requirements=requirements,
            port_check=port_problem if engine.is_local() else None,
        )

    @classmethod
    def parse(
        cls,
        raw: Mapping[str, str | None],
        stack: str,
        *,
        litellm_requirements: str,
        encrypted: Collection[str] | None = None,
        port_check: PortCheck | None = None,
    ) -> Settings:
        """Validate raw values and build the settings, or raise one `SettingsError`.

        Args:
            raw: What `pulumi.Config.get` returns for each key; lists and objects as JSON.
            stack: The stack's name; `dev` is held to softer rules for images.
            litellm_requirements: The text of the lock that LiteLLM's image is built from.
            encrypted: The keys that are stored encrypted; `None` when that is not known.
            port_check: Judges the port, as `ports.port_problem` does; `None` to leave it.

        """
        problems: list[str] = []
        warnings: list[str] = []
        at: dict[str, Node] = {}
        for name, key in KEYS.items():
            value = rules.decode(raw.get(name), key.type)
            value = key.default if value is None else value
            secret = key.secret or name in (encrypted or ())
            at[name] = Node((name,), value, secret, problems)
        _check_keys(raw, at, encrypted)

        demo_wanted = at["demoUpstream"].flag()
        names = {*PROVIDER_KINDS, *at["providers"].mapping(PROVIDER_EXAMPLE)}
        keys = read_provider_keys(at["providerKeys"], names)
        demo = demo_wanted and not keys
        providers = read_providers(at["providers"], demo)
        models = read_models(at["models"], providers)
        used = {m.provider: providers[m.provider] for m in models if m.provider in providers}
        require_of_providers(at["providerKeys"], at["providers"], used, keys, demo)
        model_map = read_model_map(at["modelMap"], models)

        master = read_litellm_key(at["litellmMasterKey"])
        salt = read_litellm_key(at["litellmSaltKey"])
        if master and master == salt:
            at["litellmSaltKey"].fail("is the same as litellmMasterKey, must be another one")
        tokens = read_client_tokens(at["clientTokens"], {master, salt})

        hostnames = read_hostnames(at["hostnames"])
        bind_address = _bind_address(at["bindAddress"])
        https_port = _number(at["httpsPort"], 1, 65535)
        tls, tls_key, ca_key = read_tls(at, hostnames)
        if port_check and bind_address and https_port:
            _check_port(at, port_check, bind_address, https_port, deployment_id(salt))

        log_level = at["logLevel"].choice(LOG_LEVELS)
        if log_level == "detailed_debug":
            warnings.append(
                "logLevel is detailed_debug: prompts, answers and keys may reach LiteLLM's log, "
                "and it serves a fraction of the load; "
                "run pulumi config set logLevel error to end it"
            )
        if tls.mode == "acme" and https_port != 443:
            warnings.append(
                "tls.mode is acme: the certificate authority asks on port 443, "
                f"so port 443 of {hostnames[0]} must lead to httpsPort {https_port}"
            )
        images = read_images(at["images"], stack, litellm_requirements, warnings)
        resources = read_resources(at["resources"])
        route = at["route"].choice(ROUTES)
        drain_seconds = _number(at["drainSeconds"], 1, 3600)
        demo_chunk = _number(at["demoChunkMilliseconds"], 0, 10_000)

        if problems:
            raise SettingsError(stack, problems)
        return cls(
            models=models,
            model_map=model_map,
            providers={
                name: replace(provider, key=_sealed(keys.get(name, "")))
                for name, provider in used.items()
            },
            litellm_master_key=pulumi.Output.secret(master),
            litellm_salt_key=pulumi.Output.secret(salt),
            client_tokens={name: pulumi.Output.secret(token) for name, token in tokens.items()},
            hostnames=hostnames,
            bind_address=bind_address,
            https_port=https_port,
            tls=replace(tls, key=_sealed(tls_key), ca_key=_sealed(ca_key)),
            route=route,
            drain_seconds=drain_seconds,
            log_level=log_level,
            demo_active=demo,
            demo_chunk_milliseconds=demo_chunk,
            images=images,
            resources=resources,
            notices=(_notice(demo_wanted, demo, used),),
            warnings=tuple(warnings),
        )


def _sealed(secret: str) -> pulumi.Output[str] | None:
    return pulumi.Output.secret(secret) if secret else None


def _check_keys(
    raw: Mapping[str, str | None], at: Mapping[str, Node], encrypted: Collection[str] | None
) -> None:
    root = Node((), None, False, at["models"].problems)
    for name in sorted(raw.keys() - KEYS.keys()):
        root.unknown(name, KEYS, secrets=[key for key in KEYS if KEYS[key].secret])
    for name, node in at.items():
        stored = KEYS[name].secret and node.is_set and node.value != {}
        if not stored or encrypted is None or name in encrypted:
            continue
        again = node.setter()
        if KEYS[name].type == "object":
            again = f"{rules.config_command('rm', node.path)} && {node.child('NAME').setter()}"
        node.fail("is stored in clear text, must be encrypted (and replaced)", cure=again)


def _number(node: Node, low: int, high: int) -> int:
    return node.integer(low, high, hint=str(KEYS[str(node.path[0])].default)) or 0


def _bind_address(node: Node) -> str:
    address = node.text(hint="127.0.0.1")
    if address and not rules.is_address(address):
        node.fail(f"{node.shown()} is not an IPv4 or IPv6 address", "127.0.0.1")
        return ""
    return address


def _check_port(
    at: Mapping[str, Node],
    check: PortCheck,
    bind_address: str,
    https_port: int,
    deployment: str,
) -> None:
    if problem := check(bind_address, 0, deployment):
        at["bindAddress"].fail(problem, "127.0.0.1")
    elif problem := check(bind_address, https_port, deployment):
        at["httpsPort"].fail(problem, str(https_port % 65535 + 1))


def _notice(demo_wanted: bool, demo: bool, used: Mapping[str, Provider]) -> str:
    if not demo:
        gone = "; the demo upstream is removed" if demo_wanted else ""
        return f"real providers: {', '.join(sorted(used))}{gone}"
    keyed = [name for name in sorted(used) if PROVIDER_KINDS.get(name, CUSTOM_PROVIDER).key]
    command = (
        f"pulumi config set --secret --path providerKeys.{keyed[0]}"
        if keyed
        else "pulumi config set demoUpstream false"
    )
    return f"demo upstream answers: no provider key is set; run {command} to use the real provider"
