"""What a stack's configuration may say, and what is reported when it may not."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest

import settings as settings_module
from components.keys import DEPLOYMENT_LABEL, deployment_id
from ports import port_problem
from settings import Settings, SettingsError

Config = dict[str, Any]
Change = Callable[[Config], object]

PINNED = "litellm[proxy]==1.106.2 \\\n    --hash=sha256:00\n"
DIGEST = "@sha256:" + "0123456789abcdef" * 4


def generated(prefix: str = "") -> str:
    """Make a secret that is strong enough for every rule."""
    return prefix + secrets.token_hex(24)


SECRET_KEYS = ("providerKeys", "litellmMasterKey", "litellmSaltKey", "clientTokens", "caKey")


@dataclass(frozen=True)
class Authority:
    """A throwaway certificate authority with a certificate for localhost."""

    certificate: str
    key: str
    server_chain: Path
    server_key: Path


def openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def make_authority(folder: Path) -> Authority:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl(
        *("req", "-x509", *curve, "-subj", "/CN=test authority"),
        *("-keyout", "ca.key", "-out", "ca.pem"),
        cwd=folder,
    )
    openssl(
        *("req", *curve, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"),
        cwd=folder,
    )
    # As Caddy's certificates do, name the issuer by its key: its name alone is not unique.
    (folder / "server.ext").write_text("authorityKeyIdentifier=keyid\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-days", "2", "-out", "server.pem", "-extfile", "server.ext"),
        cwd=folder,
    )
    return Authority(
        certificate=(folder / "ca.pem").read_text(),
        key=(folder / "ca.key").read_text(),
        server_chain=folder / "server.pem",
        server_key=folder / "server.key",
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("other-authority"))


@pytest.fixture(autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Give Outputs the event loop that the engine gives them."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def config(authority: Authority) -> Config:
    """A configuration with nothing wrong, served by Groq."""
    return {
        "models": [
            {"name": "small", "model": "groq/openai/gpt-oss-20b"},
            {
                "name": "large",
                "model": "groq/llama-3.3-70b-versatile",
                "maxInputTokens": 131072,
                "maxOutputTokens": 32768,
                "rpm": 30,
                "tpm": 6000,
                "fallbacks": ["small"],
            },
        ],
        "providerKeys": {"groq": generated("gsk_")},
        "litellmMasterKey": generated("sk-"),
        "litellmSaltKey": generated("sk-"),
        "clientTokens": {"alice": generated()},
        "caCertificate": authority.certificate,
        "caKey": authority.key,
        "images": {"base": "llm-gateway/rootfs:0123456789abcdef"},
    }


def as_engine(config: Config) -> dict[str, str | None]:
    """Write the values as the engine hands them to the program."""
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }


def parse(config: Config, stack: str = "prod", **options: Any) -> Settings:
    return Settings.parse(as_engine(config), stack, **{"litellm_requirements": PINNED, **options})


def problems(config: Config, stack: str = "prod", **options: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse(config, stack, **options)
    return caught.value.problems


def put(path: str, value: object) -> Change:
    """Set one place: `put("tls/mode", "acme")`."""

    def change(config: Config) -> None:
        at: Any = config
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        for part in parents:
            at = at[part] if isinstance(at, list) else at.setdefault(part, {})
        at[last] = value

    return change


def drop(*path: str | int) -> Change:
    """Unset one place."""

    def change(config: Config) -> None:
        at: Any = config
        for part in path[:-1]:
            at = at[part]
        del at[path[-1]]

    return change


def all_of(*changes: Change) -> Change:
    return lambda config: [change(config) for change in changes]


def same(path: str, other: str) -> Change:
    """Copy the value of one secret to another place."""
    return lambda config: put(path, config[other])(config)


ACME = put("tls", {"mode": "acme", "email": "ops@gateway-test.org"})
FILES = put("tls", {"mode": "files"})
ON_AZURE = put("models/0/model", "azure/gpt-5")
SET = "pulumi config set"
SECRET = "pulumi config set --secret"
PATH = "pulumi config set --path"

# What is done to a good configuration · the key path reported · what is said · the cure.
BAD: list[tuple[Change, str, str, str]] = [
    # models
    (drop("models"), "models", "at least one model", f"{PATH} 'models[0].name'"),
    (put("models", []), "models", "at least one model", f"{PATH} 'models[0].name'"),
    (put("models", "groq/x"), "models", "is a string, must be a list", "rm models && "),
    (put("models", {"a": "b"}), "models", "is an object, must be a list", "rm models && "),
    (put("models/0", "groq/x"), "models[0]", "is a string, must be an object", "models[0].name"),
    (drop("models", 0, "name"), "models[0].name", "is missing", f"{PATH} 'models[0].name'"),
    (put("models/0/name", 7), "models[0].name", "is an integer, must be a string", PATH),
    (put("models/0/name", "a b"), "models[0].name", "must be letters", PATH),
    (put("models/0/name", "a{b}"), "models[0].name", "must be letters", PATH),
    (put("models/0/name", "a\nb"), "models[0].name", "must be letters", PATH),
    (put("models/1/name", "small"), "models[1].name", "already names another model", PATH),
    (drop("models", 0, "model"), "models[0].model", "is missing", f"{PATH} 'models[0].model'"),
    (put("models/0/model", "llama"), "models[0].model", "must be <provider>/", PATH),
    (put("models/0/model", 'groq/a"b'), "models[0].model", "must be <provider>/", PATH),
    (put("models/0/model", "grok/x"), "models[0].model", "did you mean groq?", PATH),
    (
        put("models/0/model", "acme-ai/x"),
        "models[0].model",
        "no provider",
        "providers.acme-ai.kind",
    ),
    (put("models/0/maxInputTokens", 0), "models[0].maxInputTokens", "out of range", "131072"),
    (put("models/0/maxOutputTokens", "9"), "models[0].maxOutputTokens", "is a string", "32768"),
    (put("models/0/rpm", -1), "models[0].rpm", "out of range", f"{PATH} 'models[0].rpm' 30"),
    (put("models/0/tpm", 1.5), "models[0].tpm", "is a number, must be an integer", PATH),
    (put("models/0/rpm", True), "models[0].rpm", "is a boolean, must be an integer", PATH),
    (put("models/0/maxToken", 9), "models[0].maxToken", "unknown key", "rm --path"),
    (put("models/1/fallbacks", "small"), "models[1].fallbacks", "must be a list", "fallbacks[0]"),
    (put("models/1/fallbacks", ["smal"]), "models[1].fallbacks[0]", "did you mean small?", PATH),
    (put("models/1/fallbacks", ["large"]), "models[1].fallbacks[0]", "itself", "config rm"),
    (put("models/1/fallbacks", ["small"] * 2), "models[1].fallbacks[1]", "listed twice", "rm"),
    (put("models/0/fallbacks", ["large"]), "models[0].fallbacks[0]", "in turn", "config rm"),
    # modelMap
    (put("modelMap", {"big": "huge"}), "modelMap.big", "is no model", f"{PATH} modelMap.big"),
    (put("modelMap", {"small": "smal"}), "modelMap.small", "did you mean small?", PATH),
    (put("modelMap", {"midle": "small"}), "modelMap.midle", "did you mean middle?", "modelMap.mid"),
    (put("modelMap", ["small"]), "modelMap", "is a list, must be an object", "modelMap.big"),
    (put("modelMap", {"big": 3}), "modelMap.big", "is an integer, must be a string", PATH),
    # providers
    (put("providers", "groq"), "providers", "is a string, must be an object", PATH),
    (put("providers/vllm", {"kind": "openai"}), "providers.vllm.apiBase", "is missing", "https://"),
    (put("providers/vllm", {"apiBase": "http://v/v1"}), "providers.vllm.kind", "missing", "openai"),
    (put("providers/vllm/kind", "vllm"), "providers.vllm.kind", "must be openai", f"{PATH} "),
    (put("providers/Gro_q/kind", "openai"), "providers.Gro_q", "lower-case", "rm --path"),
    (put("providers/groq/kind", "openai"), "providers.groq.kind", "is unknown", PATH),
    (put("providers/groq/apiKey", "x"), "providers.groq.apiKey", "unknown key", "rm --path"),
    (put("providers/groq/apiBase", "ftp://h/v1"), "providers.groq.apiBase", "http://", PATH),
    (put("providers/groq/apiBase", "groq.com"), "providers.groq.apiBase", "is not an http", PATH),
    (put("providers/groq/apiBase", "https://h/?a=b"), "providers.groq.apiBase", "query", PATH),
    (put("providers/groq/apiBase", 'http://h/"'), "providers.groq.apiBase", "unescaped", PATH),
    (put("providers/groq/apiBase", "http://h/\n"), "providers.groq.apiBase", "unescaped", PATH),
    (put("providers/groq/apiBase", "http://h:x/"), "providers.groq.apiBase", "not a URL", PATH),
    (ON_AZURE, "providers.azure.apiBase", "is missing, azure needs it", "openai.azure.com"),
    (ON_AZURE, "providers.azure.apiVersion", "is missing, azure needs it", f"{PATH} "),
    (put("providers/azure/apiVersion", "a b"), "providers.azure.apiVersion", "letters", PATH),
    (put("models/0/model", "ollama/qwen3:8b"), "providers.ollama.apiBase", "needs it", ":11434"),
    # secrets
    (drop("providerKeys"), "providerKeys.groq", "is missing", f"{SECRET} --path providerKeys.groq"),
    (put("providerKeys", "x"), "providerKeys", "is a string", f"{SECRET} --path providerKeys.groq"),
    (put("providerKeys/groc", "x"), "providerKeys.groc", "did you mean groq?", f"{SECRET} --path"),
    (put("providerKeys/groq", "a b"), "providerKeys.groq", "has a space", SECRET),
    (put("providerKeys/groq", "ab\n"), "providerKeys.groq", "a line break", SECRET),
    (put("providerKeys/groq", "a'b"), "providerKeys.groq", "has a quote", SECRET),
    (put("providerKeys/groq", "gsk_putyourkeyhere"), "providerKeys.groq", "placeholder", SECRET),
    (put("providerKeys/groq", ["a"]), "providerKeys.groq", "is a list", SECRET),
    (drop("litellmMasterKey"), "litellmMasterKey", "missing", f"{SECRET} litellmMasterKey"),
    (put("litellmMasterKey", "sk-1234"), "litellmMasterKey", "too short", SECRET),
    (
        put("litellmMasterKey", "st-" + "a1b2c3d4e5" * 3),
        "litellmMasterKey",
        "begin with sk-",
        SECRET,
    ),
    (
        put("litellmMasterKey", "sk-" + "ab" * 20),
        "litellmMasterKey",
        "different characters",
        SECRET,
    ),
    (put("litellmMasterKey", "sk-" + "a1b2c3d4e5" * 3), "litellmMasterKey", "repeats", SECRET),
    (put("litellmMasterKey", "sk-abcdefghijklmnopqrst"), "litellmMasterKey", "run of", SECRET),
    (
        put("litellmMasterKey", "sk-changeme-0123456789xyz"),
        "litellmMasterKey",
        "placeholder",
        SECRET,
    ),
    (put("litellmMasterKey", "sk-" + "a1b2 c3d4e5f6g7h8i9"), "litellmMasterKey", "a space", SECRET),
    (put("litellmMasterKey", {"a": "b"}), "litellmMasterKey", "is an object", SECRET),
    (drop("litellmSaltKey"), "litellmSaltKey", "missing", f"{SECRET} litellmSaltKey"),
    (put("litellmSaltKey", "sk-putyoursalthere-012345"), "litellmSaltKey", "placeholder", SECRET),
    (same("litellmSaltKey", "litellmMasterKey"), "litellmSaltKey", "same as", SECRET),
    (drop("clientTokens"), "clientTokens.NAME", "no client", f"{SECRET} --path clientTokens.NAME"),
    (put("clientTokens", {}), "clientTokens.NAME", "no client has a token", SECRET),
    (put("clientTokens", ["x"]), "clientTokens", "is a list, must be an object", SECRET),
    (
        put("clientTokens/bob", ""),
        "clientTokens.bob",
        "is empty",
        f"{SECRET} --path clientTokens.bob",
    ),
    (put("clientTokens/bob", "a1b2c3d4"), "clientTokens.bob", "too short", SECRET),
    (put("clientTokens/bob", "ab" * 20), "clientTokens.bob", "different characters", SECRET),
    (put("clientTokens/bob", "a{b}" + "q1w2e3r4" * 5), "clientTokens.bob", "brace", SECRET),
    (put("clientTokens/bob", "a b" + "q1w2e3r4" * 5), "clientTokens.bob", "a space", SECRET),
    (put("clientTokens/b.o", 5), 'clientTokens["b.o"]', "is an integer", "'clientTokens[\"b.o\"]'"),
    (same("clientTokens/bob", "litellmMasterKey"), "clientTokens.bob", "LiteLLM", SECRET),
    # where it listens
    (put("hostnames", []), "hostnames[0]", "is missing", f"{PATH} 'hostnames[0]' localhost"),
    (put("hostnames", "localhost"), "hostnames", "is a string, must be a list", "rm hostnames"),
    (put("hostnames", ["*.a.org"]), "hostnames[0]", "is a wildcard", f"{PATH} 'hostnames[0]'"),
    (put("hostnames", ["a.org:443"]), "hostnames[0]", "without scheme, port", PATH),
    (put("hostnames", ["https://a.org"]), "hostnames[0]", "without scheme, port", PATH),
    (put("hostnames", ["a_b.org"]), "hostnames[0]", "neither a DNS name", PATH),
    (put("hostnames", ["a.org", "300.1.1.1"]), "hostnames[1]", "neither a DNS name", PATH),
    (put("hostnames", ["a {b}"]), "hostnames[0]", "neither a DNS name", PATH),
    (put("hostnames", ["a.org", "A.org"]), "hostnames[1]", "listed twice", "rm --path"),
    (put("hostnames", [""]), "hostnames[0]", "is empty", PATH),
    (
        put("bindAddress", "localhost"),
        "bindAddress",
        "not an IPv4 or IPv6",
        f"{SET} bindAddress 127",
    ),
    (put("bindAddress", "fe80::1%eth0"), "bindAddress", "not an IPv4 or IPv6", SET),
    (put("httpsPort", 0), "httpsPort", "out of range", f"{SET} httpsPort 8443"),
    (put("httpsPort", 65536), "httpsPort", "out of range", f"{SET} httpsPort 8443"),
    (put("httpsPort", "https"), "httpsPort", "is a string, must be an integer", SET),
    (put("httpsPort", [8443]), "httpsPort", "is a list, must be an integer", SET),
    # tls
    (put("tls", "acme"), "tls", "is a string, must be an object", f"{PATH} tls.mode"),
    (put("tls/mode", "letsencrypt"), "tls.mode", "is unknown", f"{PATH} tls.mode internal"),
    (put("tls/mod", "acme"), "tls.mod", "did you mean mode?", f"{PATH} tls.mode"),
    (drop("caCertificate"), "caCertificate", "is missing", f"{SET} caCertificate < "),
    (put("caCertificate", "MIIB"), "caCertificate", "is not a PEM certificate", f"{SET} caCert"),
    (same("caCertificate", "caKey"), "caCertificate", "is not a PEM certificate", f"{SET} caCert"),
    (drop("caKey"), "caKey", "is missing", f"{SECRET} caKey < "),
    (same("caKey", "caCertificate"), "caKey", "PEM private key", f"{SECRET} caKey < "),
    (ACME, "hostnames[0]", "not a public DNS name", PATH),
    (ACME, "hostnames[1]", "not a public DNS name", PATH),
    (put("tls/mode", "acme"), "tls.email", "is missing", f"{PATH} tls.email"),
    (
        put("tls", {"mode": "acme", "email": "a b@c"}),
        "tls.email",
        "not an e-mail",
        f"{PATH} tls.em",
    ),
    (FILES, "tls.certificate", "is missing", f"{PATH} tls.certificate < "),
    (FILES, "tlsKey", "is missing", f"{SECRET} tlsKey < "),
    # the rest
    (put("route", "direct"), "route", "is unknown, known: litellm, proxy", f"{SET} route proxy"),
    (put("drainSeconds", 0), "drainSeconds", "must be 1 to 3600", f"{SET} drainSeconds 600"),
    (put("drainSeconds", 4000), "drainSeconds", "must be 1 to 3600", f"{SET} drainSeconds 600"),
    (put("logLevel", "verbose"), "logLevel", "is unknown", f"{SET} logLevel error"),
    (put("demoUpstream", "yes"), "demoUpstream", "must be a boolean", f"{SET} demoUpstream true"),
    (put("demoChunkMilliseconds", 10001), "demoChunkMilliseconds", "0 to 10000", SET),
    (put("htpsPort", 8443), "htpsPort", "did you mean httpsPort?", f"{SET} httpsPort"),
    (put("litelmMasterKey", "x"), "litelmMasterKey", "unknown key", f"{SECRET} litellmMasterKey"),
    (put("colour", "x"), "colour", "unknown key", "pulumi config rm colour"),
    # images and resources
    (drop("images"), "images.base", "is missing", "scripts/bootstrap"),
    (put("images/base", "debian:12"), "images.base", "pinned by digest", "@sha256:<digest>"),
    (put("images/base", "Debian 12"), "images.base", "not an image reference", PATH),
    (put("images/proxi", {}), "images.proxi", "did you mean proxy?", "rm --path"),
    (put("images/proxy", "x:1"), "images.proxy", "is a string, must be an object", "proxy.ref"),
    (put("images/proxy/ref", "x:1"), "images.proxy.ref", "pinned by digest", "@sha256:<digest>"),
    (put("images/caddy/ref", "x"), "images.caddy.ref", "pinned by digest", "@sha256:<digest>"),
    (put("images/caddy/ref", "x@sha256:12"), "images.caddy.ref", "not an image reference", PATH),
    (put("images/caddy/user", 1000), "images.caddy.user", "only for an image named", "caddy.ref"),
    (
        put("images/caddy", {"ref": "c" + DIGEST, "user": 0}),
        "images.caddy.user",
        "must be 1 to 65535",
        "65532",
    ),
    (
        put("images/demoUpstream/version", "1"),
        "images.demoUpstream.version",
        "only for",
        "Upstream.ref",
    ),
    (put("images/litellm/ref", "l" + DIGEST), "images.litellm.version", "cannot tell", f"{PATH} "),
    (
        put("images/litellm/ref", "l:v1.80.0" + DIGEST),
        "images.litellm.ref",
        "security flaws",
        f"{PATH} ",
    ),
    (
        put("images/litellm/ref", "l:v1.82.7" + DIGEST),
        "images.litellm.ref",
        "malicious",
        f"{PATH} ",
    ),
    (
        put("images/litellm/ref", "l:v1.101.1-rc.1" + DIGEST),
        "images.litellm.ref",
        "security flaws",
        PATH,
    ),
    (
        put("images/litellm", {"ref": "l" + DIGEST, "version": "1.82.8"}),
        *("images.litellm.version", "malicious", f"{PATH} images.litellm.version"),
    ),
    (
        put("images/litellm", {"ref": "l:v1.105.0" + DIGEST, "version": "1.104.0"}),
        *("images.litellm.version", "contradicts the tag", f"{PATH} images.litellm.version"),
    ),
    (put("resources/litellm/memoryMb", 256), "resources.litellm.memoryMb", "512 to", "2048"),
    (put("resources/edge/memoryMb", "1g"), "resources.edge.memoryMb", "must be an integer", "256"),
    (put("resources/proxy/cpuShares", 1), "resources.proxy.cpuShares", "out of range", "1024"),
    (put("resources/caddy/memoryMb", 64), "resources.caddy", "unknown key", "rm --path"),
    (put("resources/edge/memory", 64), "resources.edge.memory", "did you mean memoryMb?", PATH),
]


@pytest.mark.parametrize(
    ("change", "path", "says", "cure"), BAD, ids=[f"{row[1]}: {row[2]}" for row in BAD]
)
def test_a_bad_value_is_reported_with_its_key_and_the_command_that_cures_it(
    config: Config, change: Change, path: str, says: str, cure: str
) -> None:
    """One line names the key path, what is wrong, and what to run."""
    change(config)

    found = [line for line in problems(config) if line.startswith(f"llm-gateway:{path}: ")]

    assert len(found) == 1
    what, _, command = found[0].partition(" — run: ")
    assert says in what
    assert cure in command
    assert "\n" not in found[0]


@pytest.mark.parametrize(
    ("change", "path", "says", "cure"), BAD, ids=[f"{row[1]}: {row[2]}" for row in BAD]
)
def test_no_report_repeats_a_secret(
    config: Config, change: Change, path: str, says: str, cure: str
) -> None:
    """Neither a secret nor the first or last half of one stands in the error, whatever is wrong."""
    change(config)
    hidden = [config.get(key) for key in ("litellmMasterKey", "litellmSaltKey", "caKey")]
    for key in ("providerKeys", "clientTokens"):
        values = config.get(key)
        hidden += list(values.values()) if isinstance(values, dict) else [values]
    parts = [
        part
        for text in hidden
        if isinstance(text, str) and len(text) > 5
        for part in (text[: len(text) // 2], text[len(text) // 2 :])
        if len(part) > 5
    ]

    with pytest.raises(SettingsError) as caught:
        parse(config)

    shown = f"{caught.value}{caught.value!r}{caught.value.__cause__}{caught.value.__context__}"
    assert [part for part in parts if part in shown] == []


def test_the_table_is_as_long_as_the_promise() -> None:
    """At least sixty different keys and faults are covered."""
    assert len({(row[1], row[2]) for row in BAD}) >= 60


def test_all_problems_are_reported_at_once(config: Config) -> None:
    """Faults in unrelated keys come in one error, each on a line of its own."""
    for change in (put("route", "x"), put("httpsPort", 0), put("models/0/rpm", 0), drop("caKey")):
        change(config)

    lines = problems(config)

    assert [line.removeprefix("llm-gateway:").partition(": ")[0] for line in lines] == [
        "models[0].rpm",
        "httpsPort",
        "caKey",
        "route",
    ]


def test_one_fault_is_one_line(config: Config) -> None:
    """A key that several rules read is not reported several times."""
    config["providerKeys"] = "gsk"
    config["demoUpstream"] = True

    assert len(problems(config)) == 1


def test_a_url_with_credentials_is_refused_without_showing_them(config: Config) -> None:
    """The password in an API base does not reach the report."""
    password = generated()
    put("providers/groq/apiBase", f"https://user:{password}@host/v1")(config)

    (line,) = problems(config)

    assert "llm-gateway:providers.groq.apiBase: must not hold credentials" in line
    assert password not in line


def test_a_key_pasted_as_a_name_is_not_shown(config: Config) -> None:
    """Name and value swapped: the report hides what stands where the name belongs."""
    key, token = generated("gsk_"), generated("sk-")
    put(f"providerKeys/{key}", "groq")(config)
    put(f"clientTokens/{token.upper()}", "bob")(config)

    text = "\n".join(problems(config))

    assert "<hidden>" in text
    assert key not in text
    assert token.upper() not in text


def test_a_client_name_that_is_no_header_value_is_refused(config: Config) -> None:
    """Client names go into a header and the access log."""
    put("clientTokens/Bob Smith", generated())(config)

    (line,) = problems(config)

    assert "a client's name must be lower-case letters" in line
    assert "pulumi config set --secret --path clientTokens.NAME" in line


def test_two_clients_cannot_share_a_token(config: Config) -> None:
    """A token names its client, so it belongs to one."""
    put("clientTokens/bob", config["clientTokens"]["alice"])(config)

    (line,) = problems(config)

    assert "llm-gateway:clientTokens.bob: is another client's token too" in line


def test_a_secret_stored_in_clear_is_refused(config: Config) -> None:
    """Each secret key must be among those that the engine says are encrypted."""
    stored = {"litellmMasterKey", "caKey"}

    lines = problems(config, encrypted=stored)

    assert [
        line.removeprefix("llm-gateway:").partition(": is stored in clear text")[0]
        for line in lines
    ] == ["providerKeys", "litellmSaltKey", "clientTokens"]
    assert "run: pulumi config set --secret litellmSaltKey" in lines[1]
    assert "pulumi config rm clientTokens && pulumi config set --secret" in lines[2]


def test_a_value_that_someone_encrypted_is_not_shown(config: Config) -> None:
    """A key that need not be secret is treated as one when it is stored so."""
    stored = {*SECRET_KEYS, "hostnames", "models"}
    hostname, model = f"{generated()}_.org", f"{generated('a')}/x"
    config["hostnames"] = [hostname]
    put("models/0/model", model)(config)

    lines = problems(config, encrypted=stored)

    assert [line.removeprefix("llm-gateway:").partition(": ")[0] for line in lines] == [
        "models[0].model",
        "hostnames[0]",
    ]
    assert hostname not in lines[1]
    assert model.partition("/")[0] not in lines[0]
    assert "pulumi config set --secret --path 'hostnames[0]'" in lines[1]


def everything(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Walk every place of a configuration."""
    if path:
        yield path
    if isinstance(value, dict):
        below = list(value.items())
    else:
        below = list(enumerate(value)) if isinstance(value, list) else []
    for key, child in below:
        yield from everything(child, (*path, key))


JUNK = (
    None,
    5,
    -1,
    1.5,
    True,
    "",
    "x",
    " ",
    "\x00{",
    "é",
    [],
    [None],
    [[]],
    {},
    {"": None},
    {"a": {}},
)


def test_any_value_anywhere_is_accepted_or_reported(config: Config) -> None:
    """Whatever stands in whatever place, there is no other outcome, and no traceback."""
    config.update(
        {
            "modelMap": {"big": "small"},
            "providers": {"own": {"kind": "openai", "apiBase": "http://h/v1", "apiVersion": "1"}},
            "hostnames": ["localhost"],
            "bindAddress": "127.0.0.1",
            "tls": {"mode": "internal", "email": "a@b.org", "certificate": ""},
            "resources": {"edge": {"memoryMb": 128, "cpuShares": 8}},
            "images": {
                "base": "b:0123456789abcdef",
                "litellm": {"ref": "l:v1.105.0" + DIGEST, "user": 7, "version": "1.105.0"},
            },
        }
    )
    for key in settings_module.KEYS:
        config.setdefault(key, "")
    outcomes = set()
    for path in list(everything(config)):
        for junk in JUNK:
            changed = json.loads(json.dumps(config))
            put("/".join(str(part) for part in path), junk)(changed)
            try:
                parse(changed)
            except SettingsError as error:
                outcomes.add("reported")
                assert all(
                    re.fullmatch(r"llm-gateway:[^\n]+: [^\n]+ — run: [^\n]+", line)
                    for line in error.problems
                )
            else:
                outcomes.add("accepted")

    assert outcomes == {"reported", "accepted"}


def test_the_placeholders_of_pulumi_yaml_are_not_taken_for_secrets(config: Config) -> None:
    """An unset secret object arrives as {}, in clear, and nothing has leaked."""
    config.update({"providerKeys": {}, "demoUpstream": True, "tlsKey": ""})
    stored = {"litellmMasterKey", "litellmSaltKey", "clientTokens", "caKey"}

    assert parse(config, encrypted=stored).demo_active


def test_settings_carry_what_was_configured(config: Config) -> None:
    """Every part of a good configuration arrives under its Python name."""
    config.update(
        {
            "modelMap": {"big": "large", "small": "small"},
            "hostnames": ["Gateway.Test.org", "10.0.0.7", "::1"],
            "bindAddress": "0.0.0.0",
            "httpsPort": 443,
            "route": "litellm",
            "drainSeconds": 30,
            "logLevel": "info",
            "demoChunkMilliseconds": 0,
            "resources": {"litellm": {"memoryMb": 4096, "cpuShares": 512}},
        }
    )

    settings = parse(config)

    small, large = settings.models
    assert (
        small.name,
        small.provider,
        small.litellm_model,
    ) == ("small", "groq", "groq/openai/gpt-oss-20b")
    assert (
        large.max_input_tokens,
        large.max_output_tokens,
        large.rpm,
        large.tpm,
        large.fallbacks,
    ) == (131072, 32768, 30, 6000, ("small",))
    assert (
        settings.model_map.big,
        settings.model_map.middle,
        settings.model_map.small,
    ) == ("large", "large", "small")
    assert settings.hostnames == ("gateway.test.org", "10.0.0.7", "::1")
    assert (
        settings.bind_address,
        settings.https_port,
        settings.route,
        settings.drain_seconds,
        settings.log_level,
        settings.demo_chunk_milliseconds,
    ) == ("0.0.0.0", 443, "litellm", 30, "info", 0)
    assert (
        settings.resources.litellm.memory_mb,
        settings.resources.litellm.cpu_shares,
    ) == (4096, 512)
    assert settings.warnings == ()


def test_what_is_unset_has_a_default(config: Config) -> None:
    """A minimal configuration serves localhost only, through the proxy."""
    settings = parse(config)

    assert (
        settings.bind_address,
        settings.https_port,
        settings.hostnames,
    ) == ("127.0.0.1", 8443, ("localhost", "127.0.0.1"))
    assert (
        settings.route,
        settings.drain_seconds,
        settings.log_level,
        settings.tls.mode,
        settings.demo_chunk_milliseconds,
    ) == ("proxy", 600, "error", "internal", 20)
    assert (
        settings.resources.litellm.memory_mb,
        settings.resources.proxy.memory_mb,
        settings.resources.edge.memory_mb,
        settings.resources.demo_upstream.memory_mb,
    ) == (2048, 512, 256, 256)
    assert (
        settings.model_map.big,
        settings.model_map.middle,
        settings.model_map.small,
    ) == ("small", "small", "small")
    assert (
        settings.images.litellm.ref,
        settings.images.litellm.user,
        settings.images.litellm.version,
    ) == (None, 65532, "1.106.2")


@pytest.mark.parametrize(
    ("model", "provider", "litellm_model", "key_env"),
    [
        ("groq/llama-3.3-70b-versatile", {}, "groq/llama-3.3-70b-versatile", "GROQ_API_KEY"),
        ("openai/gpt-5", {}, "openai/gpt-5", "OPENAI_API_KEY"),
        ("openrouter/a/b:free", {}, "openrouter/a/b:free", "OPENROUTER_API_KEY"),
        ("anthropic/claude-x", {}, "anthropic/claude-x", "ANTHROPIC_API_KEY"),
        (
            "azure/my-deployment",
            {"apiBase": "https://r.openai.azure.com", "apiVersion": "2024-10-21"},
            *("azure/my-deployment", "AZURE_API_KEY"),
        ),
        (
            "ollama/qwen3:8b",
            {"apiBase": "http://gpu:11434"},
            "ollama_chat/qwen3:8b",
            "OLLAMA_API_KEY",
        ),
        (
            "my-vllm/qwen",
            {"kind": "openai", "apiBase": "http://10.0.0.9:8000/v1"},
            *("openai/qwen", "MY_VLLM_API_KEY"),
        ),
    ],
)
def test_a_model_is_named_as_litellm_names_it(
    config: Config, model: str, provider: dict[str, str], litellm_model: str, key_env: str
) -> None:
    """Each provider has LiteLLM's prefix, its own key variable, and its API base."""
    name = model.partition("/")[0]
    config["models"] = [{"name": "m", "model": model}]
    config["providers"] = {name: provider}
    config["providerKeys"] = {name: generated()}

    settings = parse(config)

    assert litellm_model == settings.models[0].litellm_model
    assert [name] == list(settings.providers)
    assert key_env == settings.providers[name].key_env
    assert provider.get("apiBase") == settings.providers[name].api_base
    assert provider.get("apiVersion") == settings.providers[name].api_version
    assert settings.providers[name].key is not None


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("ollama/llama3", {"apiBase": "http://gpu:11434"}),
        ("own/llama3", {"kind": "openai", "apiBase": "http://gpu/v1"}),
    ],
)
def test_a_provider_of_your_own_needs_no_key(
    config: Config, model: str, provider: dict[str, str]
) -> None:
    """Ollama and a private OpenAI-compatible server may be open."""
    name = model.partition("/")[0]
    config["models"] = [{"name": "m", "model": model}]
    config["providers"] = {name: provider}
    del config["providerKeys"]

    assert parse(config).providers[name].key is None


def test_only_providers_in_use_reach_the_deployment(config: Config) -> None:
    """A key for a provider that serves no model goes to no container."""
    config["providerKeys"]["openai"] = generated("sk-")

    assert list(parse(config).providers) == ["groq"]


def test_the_demo_upstream_answers_until_a_key_is_set(config: Config) -> None:
    """Without a key the demo is active and says how to leave it; with one it says that it left."""
    config["demoUpstream"] = True

    real = parse(config)
    del config["providerKeys"]
    demo = parse(config)

    assert not real.demo_active
    assert real.notices == ("real providers: groq; the demo upstream is removed",)
    assert demo.demo_active
    assert "demo upstream answers: no provider key is set" in demo.notices[0]
    assert "pulumi config set --secret --path providerKeys.groq" in demo.notices[0]


def test_the_demo_upstream_is_addressed_by_a_protocol_that_it_speaks(config: Config) -> None:
    """Whatever the provider, the demo upstream is spoken to as OpenAI or Groq is."""
    config["demoUpstream"] = True
    config["models"] = [
        {"name": "a", "model": "anthropic/claude-x"},
        {"name": "b", "model": "groq/llama"},
    ]
    del config["providerKeys"]

    assert [m.litellm_model for m in parse(config).models] == ["openai/claude-x", "groq/llama"]


def test_secrets_leave_as_secret_outputs_and_never_as_text(
    config: Config, loop: asyncio.AbstractEventLoop
) -> None:
    """Every secret is marked for encryption, holds its value, and stays out of repr."""
    settings = parse(config)
    provider_key, ca_key = settings.providers["groq"].key, settings.tls.ca_key
    assert provider_key is not None
    assert ca_key is not None
    outputs = {
        config["litellmMasterKey"]: settings.litellm_master_key,
        config["litellmSaltKey"]: settings.litellm_salt_key,
        config["clientTokens"]["alice"]: settings.client_tokens["alice"],
        config["providerKeys"]["groq"]: provider_key,
        config["caKey"]: ca_key,
    }

    for value, output in outputs.items():
        assert loop.run_until_complete(output.is_secret())
        assert value == loop.run_until_complete(output.future())
        assert value not in repr(settings)


def test_files_mode_takes_the_chain_and_its_key(
    config: Config, authority: Authority, loop: asyncio.AbstractEventLoop
) -> None:
    """The certificate stays readable, its key is secret, and the internal authority is left out."""
    chain = authority.server_chain.read_text()
    config["tls"] = {"mode": "files", "certificate": chain}
    config["tlsKey"] = authority.server_key.read_text()

    tls = parse(config).tls

    assert (chain, None, None) == (tls.certificate, tls.ca_certificate, tls.ca_key)
    assert tls.key is not None
    assert loop.run_until_complete(tls.key.is_secret())


def test_acme_mode_warns_when_the_authority_cannot_reach_the_port(config: Config) -> None:
    """Public certificates are issued over port 443."""
    config["hostnames"] = ["gateway.team.org"]
    config["tls"] = {"mode": "acme", "email": "ops@team.org"}

    settings = parse(config)

    assert settings.tls.email == "ops@team.org"
    assert ["443" in warning for warning in settings.warnings] == [True]


def test_a_former_authority_stays_trusted_beside_the_new_one(
    config: Config, authority: Authority, other_authority: Authority
) -> None:
    """Clients trust the bundle; the first certificate is the one that signs."""
    config["caCertificate"] = authority.certificate + other_authority.certificate

    tls = parse(config).tls

    assert authority.certificate == tls.ca_certificate
    assert authority.certificate + other_authority.certificate == tls.ca_bundle


def test_detailed_debug_warns_that_prompts_and_keys_may_be_logged(config: Config) -> None:
    """The guide's --detailed_debug is possible, and never silent."""
    config["logLevel"] = "detailed_debug"

    (warning,) = parse(config).warnings

    assert "prompts, answers and keys may reach LiteLLM's log" in warning


def test_the_dev_stack_may_use_a_tag_that_can_change_but_hears_of_it(config: Config) -> None:
    """A tag is a warning in dev, `latest` and no tag are refused even there."""
    put("images/proxy/ref", "registry.test:5000/team/proxy:2")(config)
    put("images/proxy/user", 1000)(config)

    settings = parse(config, "dev")
    put("images/proxy/ref", "proxy:latest")(config)
    latest = problems(config, "dev")
    put("images/proxy/ref", "proxy")(config)
    untagged = problems(config, "dev")

    assert (
        settings.images.proxy.ref,
        settings.images.proxy.user,
    ) == ("registry.test:5000/team/proxy:2", 1000)
    assert "images.proxy.ref" in settings.warnings[0]
    assert "pinned by digest" in latest[0]
    assert "pinned by digest" in untagged[0]


@pytest.mark.parametrize(
    ("tag", "given"),
    [
        ("v1.101.1", ""),
        ("1.106.2", ""),
        ("main-v1.105.0-stable", ""),
        ("main-v1.105.0-stable.patch.2", ""),
        ("main-stable", "1.105.0"),
    ],
)
def test_litellms_version_is_read_from_the_tag_or_the_setting(
    config: Config, tag: str, given: str
) -> None:
    """Every way that LiteLLM's images are tagged is understood."""
    put("images/litellm/ref", f"registry.test/litellm:{tag}{DIGEST}")(config)
    if given:
        put("images/litellm/version", given)(config)

    assert (given or tag) == parse(config).images.litellm.version


@pytest.mark.parametrize(
    ("requirements", "says"),
    [
        ("litellm[proxy]==1.82.8 \\\n", "malicious"),
        ("litellm==1.101.0\n", "published security flaws"),
        ("litellm>=1.101.1\n", "cannot tell"),
        ("", "cannot tell"),
    ],
)
def test_the_pinned_litellm_is_held_to_the_same_floor(
    config: Config, requirements: str, says: str
) -> None:
    """The lock that our own image is built from is judged like a named image."""
    (line,) = problems(config, litellm_requirements=requirements)

    assert line.startswith("llm-gateway:images.litellm.version: ")
    assert says in line
    assert "images/litellm/requirements.txt" in line


def test_the_running_program_reads_the_engines_configuration(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys come from the project's namespace alone, unknown ones included."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(PINNED)
    monkeypatch.setattr(settings_module, "LITELLM_REQUIREMENTS", lock)
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.test:2376")
    stored = {f"llm-gateway:{key}": value for key, value in as_engine(config).items()}
    try:
        pulumi.runtime.set_all_config(
            {**stored, "docker:host": "x"}, [f"llm-gateway:{key}" for key in SECRET_KEYS]
        )
        good = Settings.from_pulumi(pulumi.Config("llm-gateway"), "prod")
        pulumi.runtime.set_all_config({**stored, "llm-gateway:rout": "proxy"}, [])
        with pytest.raises(SettingsError) as caught:
            Settings.from_pulumi(pulumi.Config("llm-gateway"), "prod")
    finally:
        pulumi.runtime.set_all_config({}, [])

    assert [model.name for model in good.models] == ["small", "large"]
    assert "llm-gateway:rout: unknown key, did you mean route?" in str(caught.value)
    assert "llm-gateway:caKey: is stored in clear text" in str(caught.value)
    assert isinstance(caught.value, pulumi.RunError)


@contextmanager
def listening() -> Iterator[int]:
    """Hold a free port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


class Engine(socketserver.ThreadingUnixStreamServer):
    """A stand-in for the engine's socket: it lists one container, whatever it is asked for."""

    def __init__(self, path: Path, labels: dict[str, str]) -> None:
        self.containers = json.dumps([{"Names": ["/their-edge"], "Labels": labels}]).encode()
        super().__init__(str(path), EngineHandler)


class EngineHandler(socketserver.StreamRequestHandler):
    """Answers one request."""

    def handle(self) -> None:
        """Send the list."""
        while self.rfile.readline().strip():
            pass
        body = self.server.containers  # type: ignore[attr-defined]
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture
def engine_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that puts an engine with one labelled container in place."""
    with ExitStack() as stack:

        def start(labels: dict[str, str]) -> None:
            engine = stack.enter_context(Engine(tmp_path / "engine.sock", labels))
            stack.callback(engine.shutdown)
            threading.Thread(target=engine.serve_forever, daemon=True).start()
            monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")

        yield start


def test_a_free_port_is_no_problem() -> None:
    """Nothing listens, so the gateway can."""
    with listening() as port:
        pass

    assert port_problem("127.0.0.1", port, "deployment") is None


def test_a_port_held_by_a_program_is_reported(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No container publishes it, so it is somebody else's, and the report offers another port."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    with listening() as port:
        config["httpsPort"] = port
        (line,) = problems(config, port_check=port_problem)

    assert f"llm-gateway:httpsPort: {port} is in use on 127.0.0.1 by something other" in line
    assert re.search(r"run: pulumi config set httpsPort \d+$", line)


def test_a_port_held_by_this_gateway_is_no_problem(
    config: Config, engine_with: Callable[..., None]
) -> None:
    """An update finds its own edge on the port, configured or not, by the deployment's label."""
    engine_with({DEPLOYMENT_LABEL: deployment_id(config["litellmSaltKey"])})
    with listening() as port:
        config["httpsPort"] = port

        assert port == parse(config, port_check=port_problem).https_port


def test_a_port_held_by_another_gateway_is_reported_with_its_container(
    config: Config, engine_with: Callable[..., None]
) -> None:
    """A deployment with another salt key is another gateway, whatever its stack is called."""
    engine_with({DEPLOYMENT_LABEL: deployment_id("another salt key")})
    with listening() as port:
        config["httpsPort"] = port

        assert "by container their-edge" in problems(config, port_check=port_problem)[0]


def test_an_address_of_another_machine_is_reported(config: Config) -> None:
    """An address that no interface has cannot be listened on."""
    config["bindAddress"] = "192.0.2.1"

    (line,) = problems(config, port_check=port_problem)

    assert "llm-gateway:bindAddress: 192.0.2.1 is not an address of this machine" in line
