"""The sections of the configuration: each one's shape, and how it is read and judged."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pulumi

import validation as rules
from validation import Node


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """What LiteLLM needs to know about one sort of provider."""

    prefix: str
    key: bool = True
    api_base: str = ""
    api_version: str = ""
    openai_protocol: bool = False


# `api_base` and `api_version` are examples, given where LiteLLM has no usable default of its own:
# its default for Ollama is this machine's loopback, which inside a container is the container.
PROVIDER_KINDS: Mapping[str, ProviderKind] = {
    "groq": ProviderKind("groq", openai_protocol=True),
    "openai": ProviderKind("openai", openai_protocol=True),
    "openrouter": ProviderKind("openrouter"),
    "anthropic": ProviderKind("anthropic"),
    "azure": ProviderKind(
        "azure", api_base="https://<resource>.openai.azure.com", api_version="2024-10-21"
    ),
    "ollama": ProviderKind("ollama_chat", key=False, api_base="http://<host>:11434"),
}
PROVIDER_EXAMPLE = "groq.apiBase"
CUSTOM_PROVIDER = ProviderKind(
    "openai", key=False, api_base="https://<host>/v1", openai_protocol=True
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A provider that serves at least one model; `key_env` names the variable with its key."""

    name: str
    prefix: str
    api_base: str | None
    api_version: str | None
    key_env: str
    key: pulumi.Output[str] | None = field(default=None, repr=False)


def read_provider_keys(node: Node, names: Collection[str]) -> dict[str, str]:
    """Return the keys that are set, by provider; `names` are the providers that could have one."""
    keys: dict[str, str] = {}
    for name, entry in node.mapping(example="groq").items():
        if name not in names:
            node.unknown(name, names, "provider")
            continue
        key = entry.text()
        if problem := rules.unprintable(key):
            entry.fail(problem)
        elif rules.placeholder(key):
            entry.fail("is a placeholder, must be the provider's key")
        if entry.is_set:
            keys[name] = key
    return keys


def read_providers(node: Node, demo: bool) -> dict[str, Provider]:
    """Return every provider that a model may name: the known ones and those declared here."""
    declared = node.mapping(example=PROVIDER_EXAMPLE)
    providers: dict[str, Provider] = {}
    for name in [*PROVIDER_KINDS, *(name for name in declared if name not in PROVIDER_KINDS)]:
        entry = declared.get(name) or node.child(name)
        at = entry.fields("kind", "apiBase", "apiVersion")
        if name in PROVIDER_KINDS:
            at["kind"].choice((name,))
        elif not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
            entry.fail(
                "must be named by lower-case letters, digits and hyphens",
                cure=rules.config_command("rm", entry.path),
            )
        else:
            known = rules.did_you_mean(name, PROVIDER_KINDS)
            at["kind"].text(
                pattern="openai",
                rule="must be openai: a provider of your own speaks OpenAI's protocol",
                hint="openai",
                required=f"is missing, must be openai for a provider of your own ({known})",
            )
            if not at["apiBase"].is_set:
                at["apiBase"].fail("is missing", CUSTOM_PROVIDER.api_base)
        kind = PROVIDER_KINDS.get(name, CUSTOM_PROVIDER)
        api_base = at["apiBase"].text(hint=kind.api_base or "https://<host>/v1")
        if api_base and (problem := rules.url_problem(api_base)):
            at["apiBase"].fail(problem, kind.api_base or "https://<host>/v1")
        api_version = at["apiVersion"].text(
            pattern=r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}",
            rule="must be letters, digits, dots and hyphens",
            hint=kind.api_version or "<version>",
        )
        providers[name] = Provider(
            name=name,
            # The demo upstream speaks OpenAI's protocol, whoever it stands in for.
            prefix="openai" if demo and not kind.openai_protocol else kind.prefix,
            api_base=api_base or None,
            api_version=api_version or None,
            key_env=f"{name.upper().replace('-', '_')}_API_KEY",
        )
    return providers


def require_of_providers(
    keys: Node, declared: Node, used: Collection[str], given: Collection[str], demo: bool
) -> None:
    """Report what the providers in use lack; with the demo upstream, keys are not missed."""
    entries = declared.mapping(example=PROVIDER_EXAMPLE)
    for name in used:
        kind = PROVIDER_KINDS.get(name)
        if kind is None:
            continue
        if kind.key and name not in given and not demo:
            keys.child(name).fail(f"is missing, and models are served by {name}")
        at = (entries.get(name) or declared.child(name)).fields("apiBase", "apiVersion", "kind")
        for field_name, example in (("apiBase", kind.api_base), ("apiVersion", kind.api_version)):
            if example and not at[field_name].is_set:
                at[field_name].fail(f"is missing, {name} needs it", example)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model that the gateway serves. Limits are tokens, or requests and tokens per minute."""

    name: str
    provider: str
    litellm_model: str
    max_input_tokens: int | None
    max_output_tokens: int | None
    rpm: int | None
    tpm: int | None
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelMap:
    """The models that Claude's opus, sonnet and haiku stand for."""

    big: str
    middle: str
    small: str


_MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
_UPSTREAM_MODEL = r"[a-z][a-z0-9-]*/[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"
_LIMITS = {
    "maxInputTokens": 131072,
    "maxOutputTokens": 32768,
    "rpm": 30,
    "tpm": 6000,
}


def read_models(node: Node, providers: Mapping[str, Provider]) -> tuple[Model, ...]:
    """Return the models in the order given, the first being the default."""
    if not node.is_set or node.value == []:
        node.fail(
            "is empty, must hold at least one model",
            cure="pulumi config set --path 'models[0].name' <name> && "
            "pulumi config set --path 'models[0].model' <provider>/<model>",
        )
    entries = node.sequence("<name>", ".name")
    models: dict[str, Model] = {}
    for entry in entries:
        model = _model(entry, providers)
        if model.name in models:
            name = entry.child("name", model.name)
            name.fail(f"{name.shown()} already names another model", "<name>")
        elif model.name:
            models[model.name] = model
    for entry in entries:
        _check_fallbacks(entry, models)
    return tuple(models.values())


def _model(entry: Node, providers: Mapping[str, Provider]) -> Model:
    at = entry.fields("name", "model", *_LIMITS, "fallbacks")
    name = at["name"].text(
        pattern=_MODEL_NAME,
        rule="must be letters, digits, dots, colons, underscores and hyphens",
        hint="<name>",
        required="is missing",
    )
    upstream = at["model"].text(
        pattern=_UPSTREAM_MODEL,
        rule="must be <provider>/<the provider's name for it>",
        hint="groq/llama-3.3-70b-versatile",
        required="is missing, must be <provider>/<the provider's name for it>",
    )
    provider, _, rest = upstream.partition("/")
    if provider and provider not in providers:
        shown = "NAME" if entry.secret else provider
        base = f"pulumi config set --path providers.{shown}"
        at["model"].fail(
            f"{at['model'].shown()} has no provider, {rules.did_you_mean(provider, providers)}",
            cure=f"{at['model'].setter('<provider>/<model>')} (or declare it: "
            f"{base}.kind openai && {base}.apiBase https://<host>/v1)",
        )
    limits = {key: at[key].integer(1, 10**9, None, hint=str(hint)) for key, hint in _LIMITS.items()}
    return Model(
        name=name,
        provider=provider,
        litellm_model=f"{providers[provider].prefix}/{rest}" if provider in providers else "",
        max_input_tokens=limits["maxInputTokens"],
        max_output_tokens=limits["maxOutputTokens"],
        rpm=limits["rpm"],
        tpm=limits["tpm"],
        fallbacks=tuple(item.text() for item in at["fallbacks"].sequence("<model>")),
    )


def _check_fallbacks(entry: Node, models: Mapping[str, Model]) -> None:
    at = entry.fields("name", "model", *_LIMITS, "fallbacks")
    name = str(at["name"].value)
    seen: set[str] = set()
    for item in at["fallbacks"].sequence("<model>"):
        other = item.text(hint="<model>", required="is empty, must be a model")
        remove = rules.config_command("rm", item.path)
        if other and other not in models:
            item.fail(f"{item.shown()} is no model, {rules.did_you_mean(other, models)}", "<model>")
        elif other == name:
            item.fail("is the model itself, must be another one", cure=remove)
        elif other in seen:
            item.fail(f"{item.shown()} is listed twice", cure=remove)
        # A request that fails everywhere would go round until LiteLLM gives up counting.
        elif name in _reached(other, models):
            item.fail(f"{item.shown()} falls back to {name} in turn", cure=remove)
        seen.add(other)


def _reached(start: str, models: Mapping[str, Model]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        model = models.get(waiting.pop())
        for name in model.fallbacks if model else ():
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


def read_model_map(node: Node, models: Sequence[Model]) -> ModelMap:
    """Return the models behind opus, sonnet and haiku; an unset one is the one before it."""
    names = [model.name for model in models]
    previous = names[0] if names else ""
    chosen: dict[str, str] = {}
    for tier, at in node.fields("big", "middle", "small").items():
        name = at.text(hint="<model>", default=previous)
        if name not in names and at.is_set:
            at.fail(f"{at.shown()} is no model, {rules.did_you_mean(name, names)}", "<model>")
        chosen[tier] = previous = name
    return ModelMap(**chosen)


def read_litellm_key(node: Node) -> str:
    """Return LiteLLM's master or salt key."""
    key = node.text(required="is missing (scripts/bootstrap makes one)")
    if not key:
        return ""
    if not key.startswith("sk-"):
        node.fail("must begin with sk-, as LiteLLM demands")
    elif problem := rules.unprintable(key):
        node.fail(f"{problem}; use sk- and the output of openssl rand -hex 32")
    elif len(key) < len("sk-") + 20:
        node.fail("is too short, must have 20 characters after sk-; use openssl rand -hex 32")
    elif problem := rules.weakness(key.removeprefix("sk-")):
        node.fail(f"{problem}; use sk- and the output of openssl rand -hex 32")
    return key


def read_client_tokens(node: Node, taken: Collection[str]) -> dict[str, str]:
    """Return the token of each client; `taken` are secrets that no client may hold."""
    if not node.is_set or node.value == {}:
        node.child("NAME").fail("no client has a token (scripts/bootstrap makes one)")
    tokens: dict[str, str] = {}
    for name, entry in node.mapping().items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
            node.named(name).fail(
                "a client's name must be lower-case letters, digits, dots, hyphens, underscores",
                cure=f"{rules.config_command('rm', node.path)} && {node.child('NAME').setter()}",
            )
            continue
        token = entry.text(required="is empty")
        if not token:
            continue
        if problem := rules.unprintable(token):
            entry.fail(f"{problem}; use the output of openssl rand -hex 32")
        elif len(token) < 32:
            entry.fail("is too short, must have 32 characters; use openssl rand -hex 32")
        elif problem := rules.weakness(token):
            entry.fail(f"{problem}; use the output of openssl rand -hex 32")
        elif token in taken:
            entry.fail("is also a key of LiteLLM's, must be the client's alone")
        elif token in tokens.values():
            entry.fail("is another client's token too, must be this one's alone")
        tokens[name] = token
    return tokens


def read_hostnames(node: Node) -> tuple[str, ...]:
    """Return the names and addresses that the certificate is for, in lower case."""
    if node.value == []:
        node.child(0).fail("is missing, the certificate needs a name", "localhost")
    names: list[str] = []
    for entry in node.sequence("localhost"):
        name = entry.text(hint="localhost", required="is empty").lower()
        if name and (problem := rules.hostname_problem(name)):
            entry.fail(f"{entry.shown()} {problem}", "gateway.example.com")
        elif name in names:
            entry.fail(
                f"{entry.shown()} is listed twice", cure=rules.config_command("rm", entry.path)
            )
        names.append(name)
    return tuple(names) or ("",)


TLS_KEYS = ("mode", "email", "certificate")
TLS_MODES = ("internal", "acme", "files")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """Where the edge's certificate comes from; only what the mode needs is set.

    `ca_certificate` belongs to `ca_key`; `ca_bundle` is what clients trust, which also holds the
    former authority while it is being replaced. `certificate` is the chain for `key`.
    """

    mode: str
    email: str | None = None
    certificate: str | None = None
    key: pulumi.Output[str] | None = field(default=None, repr=False)
    ca_certificate: str | None = None
    ca_bundle: str | None = None
    ca_key: pulumi.Output[str] | None = field(default=None, repr=False)


def read_tls(at: Mapping[str, Node], hostnames: Sequence[str]) -> tuple[Tls, str, str]:
    """Return the mode's part in the clear, its `tlsKey` and its `caKey`."""
    tls = at["tls"].fields(*TLS_KEYS)
    mode = tls["mode"].choice(TLS_MODES)
    if mode == "acme":
        email = tls["email"].text(
            pattern=r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
            rule="is not an e-mail address",
            hint="<e-mail>",
            required="is missing, the certificate authority writes to it",
        )
        for index, name in enumerate(hostnames):
            entry = at["hostnames"].child(index, name)
            if not rules.is_public_name(name):
                entry.fail(
                    f"{entry.shown()} is not a public DNS name, and tls.mode is acme",
                    "gateway.<your domain>",
                )
        return Tls(mode=mode, email=email), "", ""
    if mode == "files":
        chain = _pem_certificates(tls["certificate"], "is missing, and tls.mode is files")
        key = _pem_key(at["tlsKey"], "is missing, and tls.mode is files")
        return Tls(mode=mode, certificate="".join(chain)), key, ""
    made = "is missing (scripts/bootstrap makes one)"
    authorities = _pem_certificates(at["caCertificate"], made)
    key = _pem_key(at["caKey"], made)
    return (
        Tls(
            mode=mode,
            ca_certificate=authorities[0] if authorities else None,
            ca_bundle="".join(authorities),
        ),
        "",
        key,
    )


def _pem_certificates(node: Node, required: str) -> tuple[str, ...]:
    text = node.text(required=required, hint="< certificate.pem")
    found = rules.certificates(text)
    if text and not found:
        node.fail("is not a PEM certificate, or not PEM certificates only", "< certificate.pem")
    return found


def _pem_key(node: Node, required: str) -> str:
    text = node.text(required=required, hint="< key.pem")
    if text and not rules.is_private_key(text):
        node.fail("is not an unencrypted PEM private key", "< key.pem")
    return f"{text.strip()}\n" if text else ""


# Below 1.84.0 LiteLLM has published authentication bypasses; distributions rebuilt it for further
# advisories up to 1.101.1.
LITELLM_FLOOR = (1, 101, 1, 1)
LITELLM_MALICIOUS = ((1, 82, 7), (1, 82, 8))

IMAGE_USER = 65532
IMAGE_FIELDS = ("ref", "user", "version")
DEV_STACK = "dev"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSource:
    """Where a service's image comes from: built here when `ref` is `None`.

    `command` starts another Claude Code Proxy than ours; empty means ours.
    """

    ref: str | None = None
    user: int = IMAGE_USER
    version: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """The base of the images built here, and each service's image."""

    base: str
    litellm: ImageSource
    proxy: ImageSource
    caddy: ImageSource
    demo_upstream: ImageSource


def read_images(node: Node, stack: str, requirements: str, warnings: list[str]) -> Images:
    """Return the image sources; `requirements` is the lock that LiteLLM's own image has."""
    at = node.fields("base", "litellm", "proxy", "caddy", "demoUpstream")
    base = at["base"].text()
    if not at["base"].is_set:
        by_hand = at["base"].setter("<image>@sha256:<digest>")
        at["base"].fail("is missing", cure=f"scripts/bootstrap (it makes one), or {by_hand}")
    elif base:
        _check_pinned(at["base"], stack, warnings, by_hash=True)
    return Images(
        base=base,
        litellm=_litellm_image(at["litellm"], stack, requirements, warnings),
        proxy=_proxy_image(at["proxy"], stack, warnings),
        caddy=_image(at["caddy"], stack, warnings),
        demo_upstream=_image(at["demoUpstream"], stack, warnings),
    )


def _image(
    node: Node, stack: str, warnings: list[str], fields: Sequence[str] = IMAGE_FIELDS
) -> ImageSource:
    at = node.fields(*fields)
    ref = at["ref"].text(hint="<image>@sha256:<digest>")
    version = at["version"].text(
        pattern=r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", rule="is not a version", hint="<version>"
    )
    user = at["user"].integer(1, 65535, hint=str(IMAGE_USER))
    if ref:
        _check_pinned(at["ref"], stack, warnings)
    elif not at["ref"].is_set:
        for other in (at[name] for name in fields if name != "ref"):
            if other.is_set:
                other.fail(
                    "is only for an image named by ref, and this one is built here",
                    cure=f"{at['ref'].setter('<image>@sha256:<digest>')} "
                    f"(or {rules.config_command('rm', other.path)})",
                )
    return ImageSource(ref=ref or None, user=user or IMAGE_USER, version=version or None)


def _proxy_image(node: Node, stack: str, warnings: list[str]) -> ImageSource:
    fields = (*IMAGE_FIELDS, "command")
    source = _image(node, stack, warnings, fields)
    command = [part.text() for part in node.fields(*fields)["command"].sequence("<program>")]
    return replace(source, command=tuple(command))


def _check_pinned(node: Node, stack: str, warnings: list[str], *, by_hash: bool = False) -> None:
    reference = rules.Reference.parse(str(node.value))
    path = rules.render_path(node.path)
    if reference is None:
        node.fail(f"{node.shown()} is not an image reference", "<image>@sha256:<digest>")
    elif reference.digest or (by_hash and reference.names_content):
        return
    elif stack != DEV_STACK or reference.tag in (None, "latest"):
        node.fail(
            f"{node.shown()} can change under its name, must be pinned by digest",
            "<image>@sha256:<digest>",
        )
    else:
        warnings.append(f"{path} names a tag that can change; only the dev stack may")


def _litellm_image(node: Node, stack: str, requirements: str, warnings: list[str]) -> ImageSource:
    source = _image(node, stack, warnings)
    at = node.fields(*IMAGE_FIELDS)
    if at["ref"].is_set:
        reference = rules.Reference.parse(source.ref or "")
        tag = reference.tag if reference else None
        text = source.version or tag or ""
        if source.version and tag and rules.release(tag) not in (None, rules.release(text)):
            at["version"].fail(f"{at['version'].shown()} contradicts the tag {tag}", "<version>")
        where, cure = at["version"], at["version"].setter("<the image's LiteLLM version>")
        if source.version is None and rules.release(text):
            where, cure = at["ref"], at["ref"].setter("<image>:<tag>@sha256:<digest>")
    else:
        match = re.search(r"(?m)^litellm(?:\[[^\]]*\])?==([^\s;\\]+)", requirements)
        text = match[1] if match else ""
        where = at["version"]
        by_ref = at["ref"].setter("<image>@sha256:<digest>")
        cure = f"make lock after pinning it in images/litellm/requirements.txt, or {by_ref}"
    version = rules.release(text)
    floor = ".".join(str(part) for part in LITELLM_FLOOR[:3])
    if version is None:
        where.fail(f"cannot tell LiteLLM's version, must be {floor} or later", cure=cure)
    elif version[:3] in LITELLM_MALICIOUS:
        where.fail(f"LiteLLM {text} was a malicious release that steals credentials", cure=cure)
    elif version < LITELLM_FLOOR:
        where.fail(
            f"LiteLLM {text} has published security flaws, must be {floor} or later", cure=cure
        )
    return replace(source, version=text or None)


# For each service: the default, and the least it starts with, in MB.
MEMORY_MB: Mapping[str, tuple[int, int]] = {
    "litellm": (2048, 512),
    "proxy": (512, 128),
    "edge": (256, 64),
    "demoUpstream": (256, 64),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceResources:
    """A container's share of the machine; `cpu_shares` of `None` is the engine's default."""

    memory_mb: int
    cpu_shares: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """Each container's share of the machine."""

    litellm: ServiceResources
    proxy: ServiceResources
    edge: ServiceResources
    demo_upstream: ServiceResources


def read_resources(node: Node) -> Resources:
    """Return the resources of each service."""
    services = node.fields(*MEMORY_MB)
    read = {name: _service_resources(services[name], *MEMORY_MB[name]) for name in MEMORY_MB}
    return Resources(
        litellm=read["litellm"],
        proxy=read["proxy"],
        edge=read["edge"],
        demo_upstream=read["demoUpstream"],
    )


def _service_resources(node: Node, default_mb: int, least_mb: int) -> ServiceResources:
    at = node.fields("memoryMb", "cpuShares")
    return ServiceResources(
        memory_mb=at["memoryMb"].integer(least_mb, 1_048_576, default_mb) or default_mb,
        cpu_shares=at["cpuShares"].integer(2, 262_144, None, hint="1024"),
    )
