"""What the components declare, seen by an engine that records every registration."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.runtime import rpc

from components.caddy import OPENS_TO_LABEL, AcmeTls, FileTls, InternalTls
from components.gateway import Demo, Gateway, GatewayArgs, ModelMap, ServiceImage
from components.keys import DEPLOYMENT_LABEL, deployment_id
from components.litellm import Deployment, render_config
from components.service import Limits, http_probe, secrets_file
from tests.conftest import RecordingEngine, Registration

Run = Callable[[Callable[[], Any]], RecordingEngine]
Secret = Callable[[str], str]


def gateway_args(secret: Secret, **changes: Any) -> GatewayArgs:
    """Return the arguments of a small but complete gateway."""
    values: dict[str, Any] = {
        "seed_image": "sha256:seed",
        "litellm_image": ServiceImage(image_id="sha256:litellm"),
        "proxy_image": ServiceImage(image_id="sha256:proxy"),
        "caddy_image": ServiceImage(image_id="sha256:caddy"),
        "deployments": [
            Deployment(
                name="fast",
                litellm_model="groq/openai/gpt-oss-20b",
                key_env="GROQ_API_KEY",
                max_output_tokens=65536,
                fallbacks=["large"],
            ),
            Deployment(
                name="large",
                litellm_model="groq/llama-3.3-70b-versatile",
                key_env="GROQ_API_KEY",
            ),
        ],
        "provider_keys": {"GROQ_API_KEY": secret("provider")},
        "model_map": ModelMap(big="large", middle="large", small="fast"),
        "master_key": secret("master"),
        "salt_key": secret("salt"),
        "client_tokens": {"alice": secret("alice"), "bob": secret("bob")},
        "hostnames": ["localhost", "127.0.0.1"],
        "bind_address": "127.0.0.1",
        "https_port": 8443,
        "tls": InternalTls(
            ca_certificate="PUBLIC ROOT", ca_key=secret("ca"), trusted="PUBLIC ROOT\nOLD ROOT"
        ),
        "route": "proxy",
        "drain_seconds": 600,
        "log_level": "info",
        "litellm_limits": Limits(memory_mb=2048),
        "proxy_limits": Limits(memory_mb=512),
        "edge_limits": Limits(memory_mb=256),
        "stack": "test",
    }
    return GatewayArgs(**{**values, **changes})


DEMO = Demo(
    image=ServiceImage(image_id="sha256:demo"), limits=Limits(memory_mb=256), chunk_milliseconds=20
)
SERVICES = {"gw-edge", "gw-edge-gate", "gw-proxy", "gw-litellm"}


@pytest.fixture
def recorded(run_program: Run, secret: Secret) -> RecordingEngine:
    """Return the registrations of one gateway."""
    return run_program(lambda: Gateway("gw", gateway_args(secret)))


def applications(engine: RecordingEngine) -> list[Registration]:
    """Return the containers that run."""
    return [known for known in engine.of_type("Container") if not known.name.endswith("-seed")]


def seeds(engine: RecordingEngine) -> list[Registration]:
    """Return the containers that only carry files."""
    return [known for known in engine.of_type("Container") if known.name.endswith("-seed")]


def environment(container: Registration) -> dict[str, str]:
    """Return a container's plain environment."""
    return dict(entry.split("=", 1) for entry in container.inputs["envs"])


def uploads(engine: RecordingEngine, service: str) -> dict[str, str]:
    """Return the files of a service by name."""
    wrapped = engine.named(f"{service}-seed").inputs["uploads"]
    return {
        entry["file"].removeprefix("/conf/"): entry["content"]
        for entry in rpc.unwrap_rpc_secret(wrapped)
    }


def test_a_gateway_runs_its_services_and_no_others(recorded: RecordingEngine) -> None:
    """Edge, gate, proxy and LiteLLM, each with a seed of its own."""
    assert {known.name for known in applications(recorded)} == SERVICES
    assert {known.name for known in seeds(recorded)} == {f"{name}-seed" for name in SERVICES}
    assert {known.name for known in recorded.of_type("Volume")} == {"gw-edge-state"}


def test_every_container_is_hardened(recorded: RecordingEngine) -> None:
    """No container starts with more than it needs."""
    for container in applications(recorded):
        inputs = container.inputs
        assert inputs["readOnly"] is True, container.name
        assert inputs["capabilities"] == {"drops": ["ALL"]}, container.name
        assert inputs["securityOpts"] == ["no-new-privileges:true"], container.name
        assert inputs["user"] == "65532:65532", container.name
        assert inputs["memory"] == inputs["memorySwap"] > 0, container.name
        assert inputs["restart"] == "always", container.name
        assert inputs["logOpts"] == {"max-file": "3", "max-size": "10m"}, container.name
        assert inputs["destroyGraceSeconds"] > 0, "unset means SIGKILL at once"
        assert "noexec" in inputs["tmpfs"]["/tmp"], container.name


def test_every_container_is_waited_for_longer_than_it_may_take(
    run_program: Run, secret: Secret
) -> None:
    """By the program, or else by the provider."""
    patience: dict[str, int] = {}

    async def note(name: str, _container: str, seconds: int) -> None:
        patience[name] = seconds

    engine = run_program(lambda: Gateway("gw", gateway_args(secret, until_healthy=note)))
    assert {one.inputs["wait"] for one in applications(engine)} == {False}
    assert patience.keys() == SERVICES
    for container in applications(engine):
        minutes, _, seconds = container.inputs["healthcheck"]["startPeriod"].rpartition("m")
        start = int(minutes or 0) * 60 + int(seconds.removesuffix("s"))
        assert patience[container.name] == container.inputs["waitTimeout"] > start, container.name

    engine.registrations.clear()
    run_program(lambda: Gateway("gw", gateway_args(secret)))
    assert {one.inputs["wait"] for one in applications(engine)} == {True}


@pytest.mark.parametrize("late", ["gw-litellm", "gw-proxy", "gw-demo-upstream"])
def test_the_gate_opens_to_what_is_healthy_and_to_nothing_else(
    late: str, run_program: Run, secret: Secret
) -> None:
    """What stands behind it starts side by side."""
    seen: list[set[str]] = []

    async def wait(name: str, _container: str, _seconds: int) -> None:
        if name == late:
            # Whatever does not wait for it has been declared by then.
            await asyncio.sleep(0.5)
            seen.append({one.name for one in applications(recorder)})

    recorder = run_program(lambda: None)
    run_program(lambda: Gateway("gw", gateway_args(secret, demo=DEMO, until_healthy=wait)))

    behind = {"gw-demo-upstream", "gw-litellm", "gw-proxy"}
    assert seen == [behind | {"gw-edge"}]
    labels = {one["label"]: one["value"] for one in recorder.named("gw-edge-gate").inputs["labels"]}
    assert labels[OPENS_TO_LABEL].split(",") == [
        "gw-demo-upstream-0a1b2c3",
        "gw-litellm-0a1b2c3",
        "gw-proxy-0a1b2c3",
    ]


def test_a_program_that_still_starts_can_be_ended(recorded: RecordingEngine) -> None:
    """As process 1 it would not get the signal before it handles it."""
    for container in applications(recorded):
        assert container.inputs["init"] is True, container.name


def test_a_container_is_probed_often_until_it_is_healthy(recorded: RecordingEngine) -> None:
    """What waits for it does not wait for the next probe; later probes cost next to nothing."""
    for container in applications(recorded):
        check = container.inputs["healthcheck"]
        assert check["interval"] == "250ms", container.name
        paced = re.match(r"\[ ! -e /tmp/.healthy ] \|\| sleep (\d+);", check["tests"][3])
        assert paced is not None, container.name
        pause, timeout = int(paced[1]), int(check["timeout"].removesuffix("s"))
        assert 1 <= pause <= timeout - 5, "the probe needs some of its time for the question"


def test_what_hangs_can_be_ended_without_ending_the_init(recorded: RecordingEngine) -> None:
    """The engine restarts a container when its first process ends, and only then."""
    for container in applications(recorded):
        assert container.inputs["init"] is True, container.name
        assert "-le 120 ]" in container.inputs["healthcheck"]["tests"][3], container.name


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_a_probe_waits_for_a_program_that_does_not_listen_yet(status: int, healthy: bool) -> None:
    """And then tells whether it says that it is well."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    # Bound, so that nobody takes the port meanwhile, and not listening.
    server = HTTPServer(("127.0.0.1", 0), Answer, bind_and_activate=False)
    server.server_bind()
    _, *command = http_probe(server.server_port, "/health")
    with server, subprocess.Popen(command) as probe:
        server.server_activate()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert (probe.wait(timeout=30) == 0) is healthy
        finally:
            server.shutdown()


def test_names_are_left_to_the_engine(recorded: RecordingEngine) -> None:
    """A fixed name would collide when the next generation comes before the last one goes."""
    for kind in ("Container", "Volume", "Network"):
        for known in recorded.of_type(kind):
            assert "name" not in known.inputs, known.name


def test_only_the_edge_publishes_a_port_and_says_where(recorded: RecordingEngine) -> None:
    """One port, on the address that was asked for."""
    published = {c.name: c.inputs["ports"] for c in applications(recorded) if c.inputs.get("ports")}

    assert published == {"gw-edge": [{"external": 8443, "internal": 8443, "ip": "127.0.0.1"}]}


def test_only_litellm_has_a_way_out(recorded: RecordingEngine) -> None:
    """The backplane is internal, the edge's network is not masqueraded, egress is LiteLLM's."""
    networks = {
        container.name: {entry["name"] for entry in container.inputs["networksAdvanced"]}
        for container in applications(recorded)
        if container.inputs.get("networksAdvanced")
    }

    assert networks == {
        "gw-edge": {"gw-edge-network-0a1b2c3", "gw-backplane-0a1b2c3"},
        "gw-proxy": {"gw-backplane-0a1b2c3"},
        "gw-litellm": {"gw-backplane-0a1b2c3", "gw-egress-0a1b2c3"},
    }
    assert recorded.named("gw-backplane").inputs["internal"] is True
    assert recorded.named("gw-edge-network").inputs["options"] == {
        "com.docker.network.bridge.enable_ip_masquerade": "false"
    }
    assert recorded.named("gw-edge-gate").inputs["networkMode"] == "none"


def test_secrets_are_files_and_stay_secret(recorded: RecordingEngine, secret: Secret) -> None:
    """Each secret reaches the engine in a secret upload and in nothing else."""
    planted = {secret(n) for n in ("provider", "master", "salt", "alice", "bob", "ca")}
    carried: set[str] = set()
    for known in recorded.registrations:
        for key, value in known.inputs.items():
            if rpc.is_rpc_secret(value):
                text = json.dumps(rpc.unwrap_rpc_secret(value))
                assert key == "uploads", f"{known.name}.{key} carries a secret"
                carried |= {one for one in planted if one in text}
            else:
                text = json.dumps(value, default=str)
                assert not any(one in text for one in planted), f"{known.name}.{key} shows a secret"

    assert carried == planted


def test_files_are_readable_by_the_process_alone(recorded: RecordingEngine) -> None:
    """Owner-only files, owned by the user that the container runs as."""
    for seed in seeds(recorded):
        for entry in rpc.unwrap_rpc_secret(seed.inputs["uploads"]):
            assert (entry["permissions"], entry["owner"]) == ("0400", "65532"), seed.name
        assert seed.inputs["start"] is False, seed.name


def test_the_client_token_of_a_developer_goes_no_further_than_the_edge(
    recorded: RecordingEngine, secret: Secret
) -> None:
    """Behind the edge another key is shown, which is derived and not the master key."""
    edge = uploads(recorded, "gw-edge-gate")["secrets.env"]
    proxy = uploads(recorded, "gw-proxy")["secrets.env"]
    (client_key,) = [
        line.split("=", 1)[1] for line in proxy.splitlines() if line.startswith("ANTHROPIC_API_KEY")
    ]

    assert secret("alice") not in proxy
    assert f"UPSTREAM_KEY={client_key}" in edge
    assert secret("master") not in edge


def test_generations_chain_from_litellm_to_the_edge(recorded: RecordingEngine) -> None:
    """Each hop names the generation of the next one, so that it moves only when that is healthy."""
    proxy = environment(recorded.named("gw-proxy"))
    edge = environment(recorded.named("gw-edge-gate"))

    assert proxy["OPENAI_BASE_URL"] == "http://gw-litellm-0a1b2c3:4000/v1"
    assert edge["UPSTREAM"] == "gw-proxy-0a1b2c3:8082"


@pytest.mark.parametrize(
    "change",
    [
        {"client_tokens": {"carol": "t" * 32}},
        {"hostnames": ["gateway.example.com", "10.0.0.1"]},
        {"tls": FileTls(certificate="CHAIN", key="KEY")},
        {"route": "litellm"},
        {"drain_seconds": 60},
        {"log_level": "debug"},
        {"master_key": "sk-other"},
        {"deployments": [Deployment(name="large", litellm_model="groq/a")]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_container_that_holds_the_port_stays_whatever_changes_behind_it(
    change: dict[str, Any], run_program: Run, secret: Secret
) -> None:
    """Its replacement would close the port, and a reload of it could lose a request."""

    def edge(**changes: Any) -> tuple[dict[str, Any], dict[str, str]]:
        engine = run_program(lambda: Gateway("gw", gateway_args(secret, **changes)))
        seen = engine.named("gw-edge").inputs, uploads(engine, "gw-edge")
        engine.registrations.clear()
        return seen

    assert edge(**change) == edge()


def test_the_edge_holds_no_secret(recorded: RecordingEngine, secret: Secret) -> None:
    """Tokens, keys and what the upstream asks for are the gate's alone."""
    files = "".join(uploads(recorded, "gw-edge").values())

    assert not [n for n in ("alice", "bob", "ca", "master", "provider") if secret(n) in files]


def generation_labels(engine: RecordingEngine) -> dict[str, str]:
    """Return each service's public generation name."""
    return {
        seed.name: label["value"]
        for seed in seeds(engine)
        for label in seed.inputs["labels"]
        if label["label"] == "llm-gateway.generation"
    }


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ("provider_keys", {"gw-litellm-seed"}),
        ("client_tokens", {"gw-edge-gate-seed"}),
        ("deployments", {"gw-litellm-seed"}),
        ("master_key", {"gw-litellm-seed", "gw-proxy-seed", "gw-edge-gate-seed"}),
    ],
)
def test_a_change_makes_new_generations_of_what_it_concerns_only(
    change: str, moved: set[str], run_program: Run, secret: Secret
) -> None:
    """A rotated secret is visible as a new generation name, and nothing else moves by itself."""
    changes: dict[str, Any] = {
        "provider_keys": {"GROQ_API_KEY": secret("another provider key")},
        "client_tokens": {"alice": secret("alice")},
        "deployments": [Deployment(name="large", litellm_model="groq/llama-3.3-70b-versatile")],
        "master_key": secret("another master key"),
    }
    before = generation_labels(run_program(lambda: Gateway("gw", gateway_args(secret))))
    engine = run_program(lambda: Gateway("gw", gateway_args(secret, **{change: changes[change]})))
    after = generation_labels(
        RecordingEngine(registrations=engine.registrations[len(engine.registrations) // 2 :])
    )

    assert {name for name in before if before[name] != after[name]} == moved


def test_everything_on_the_engine_says_which_deployment_it_belongs_to(
    recorded: RecordingEngine, secret: Secret
) -> None:
    """By a label that an operator's tool can compute from the salt key, and nobody else."""
    ours = {"label": DEPLOYMENT_LABEL, "value": deployment_id(secret("salt"))}

    for kind in ("Container", "Volume", "Network"):
        for known in recorded.of_type(kind):
            assert ours in known.inputs["labels"], known.name


def test_two_gateways_fit_in_one_stack(run_program: Run, secret: Secret) -> None:
    """Logical names carry the gateway's name, so none is registered twice."""

    def program() -> None:
        Gateway("one", gateway_args(secret))
        Gateway("two", gateway_args(secret, https_port=8444))

    names = [(known.type_token, known.name) for known in run_program(program).registrations]

    assert len(names) == len(set(names))


def test_the_demo_upstream_answers_for_every_deployment(run_program: Run, secret: Secret) -> None:
    """All models keep their provider's route, with the demo's address and a derived key."""
    engine = run_program(lambda: Gateway("gw", gateway_args(secret, demo=DEMO)))
    config = yaml.safe_load(uploads(engine, "gw-litellm")["litellm_config.yaml"])
    secrets_env = uploads(engine, "gw-litellm")["secrets.env"]
    parameters = [entry["litellm_params"] for entry in config["model_list"]]

    assert {p["api_base"] for p in parameters} == {"os.environ/DEMO_UPSTREAM_URL"}
    assert {p["model"].split("/")[0] for p in parameters} == {"groq"}
    assert "GROQ_API_KEY" not in secrets_env
    assert environment(engine.named("gw-litellm"))["DEMO_UPSTREAM_URL"].endswith(":8000/openai/v1")


def test_litellm_keeps_idle_connections_longer_than_its_callers(recorded: RecordingEngine) -> None:
    """Whoever closes last cannot close in the moment in which the other asks."""
    edge = uploads(recorded, "gw-edge")["Caddyfile"]
    callers = {int(seconds) for seconds in re.findall(r"keepalive (\d+)s", edge)}

    assert callers
    assert int(environment(recorded.named("gw-litellm"))["KEEPALIVE_TIMEOUT"]) > max(callers)


def test_the_litellm_route_leaves_the_proxy_out(run_program: Run, secret: Secret) -> None:
    """The edge talks to LiteLLM's own Messages API with the master key."""
    engine = run_program(lambda: Gateway("gw", gateway_args(secret, route="litellm")))
    edge = environment(engine.named("gw-edge-gate"))

    assert {known.name for known in applications(engine)} == SERVICES - {"gw-proxy"}
    assert edge["UPSTREAM"] == "gw-litellm-0a1b2c3:4000"
    assert f"UPSTREAM_KEY={secret('master')}" in uploads(engine, "gw-edge-gate")["secrets.env"]
    assert "/health/liveliness" in uploads(engine, "gw-edge-gate")["Caddyfile"]


@pytest.mark.parametrize(
    ("level", "common", "caddys"),
    [
        ("error", "ERROR", "ERROR"),
        ("warning", "WARNING", "WARN"),
        ("info", "INFO", "INFO"),
        ("debug", "DEBUG", "DEBUG"),
        ("detailed_debug", "DEBUG", "DEBUG"),
    ],
)
def test_every_service_gets_the_log_level_by_a_name_that_it_knows(
    level: str, common: str, caddys: str, run_program: Run, secret: Secret
) -> None:
    """One setting serves three programs, of which Caddy refuses a name that it does not know."""
    engine = run_program(lambda: Gateway("gw", gateway_args(secret, log_level=level)))
    options = uploads(engine, "gw-edge-gate")["Caddyfile"].partition("log default {")[2]

    assert environment(engine.named("gw-litellm"))["LITELLM_LOG"] == common
    assert environment(engine.named("gw-proxy"))["LOG_LEVEL"] == common
    assert options.split()[:2] == ["level", caddys]


@pytest.mark.parametrize(
    ("tls", "edge_has", "gate_has", "gate_lacks"),
    [
        (
            InternalTls(ca_certificate="ROOT", ca_key="KEY", trusted="ROOT"),
            "get_certificate",
            "issuer internal",
            "tls /conf/tls.crt /conf/tls.key",
        ),
        (
            FileTls(certificate="CHAIN", key="KEY"),
            "get_certificate",
            "tls /conf/tls.crt /conf/tls.key",
            "issuer internal",
        ),
        (AcmeTls(email="ops@example.com"), "email ops@example.com", "auto_https off", "https://"),
    ],
    ids=["internal", "files", "acme"],
)
def test_each_source_of_certificates_has_its_own_configuration(
    tls: AcmeTls | FileTls | InternalTls,
    edge_has: str,
    gate_has: str,
    gate_lacks: str,
    run_program: Run,
    secret: Secret,
) -> None:
    """The gate gives out its own and the operator's; a public authority is the edge's affair."""
    engine = run_program(lambda: Gateway("gw", gateway_args(secret, tls=tls)))
    gate = uploads(engine, "gw-edge-gate")["Caddyfile"]

    assert edge_has in uploads(engine, "gw-edge")["Caddyfile"]
    assert gate_has in gate
    assert gate_lacks not in gate


def client_lines(run_program: Run, args: GatewayArgs) -> str:
    """Return what a client sources."""
    seen: list[str] = []
    run_program(lambda: Gateway("gw", args).client_env.apply(seen.append))
    return seen[0]


def test_the_client_learns_limits_that_hold_for_every_mapped_model(
    run_program: Run, secret: Secret
) -> None:
    """The smallest window and answer among big, middle and small."""
    deployments = [
        Deployment(name="large", litellm_model="groq/l", max_input_tokens=9, max_output_tokens=7),
        Deployment(name="fast", litellm_model="groq/f", max_input_tokens=8, max_output_tokens=6),
        Deployment(name="other", litellm_model="groq/o", max_input_tokens=1, max_output_tokens=1),
    ]
    lines = client_lines(run_program, gateway_args(secret, deployments=deployments))

    assert "export CLAUDE_CODE_MAX_CONTEXT_TOKENS=8\n" in lines
    assert "export CLAUDE_CODE_MAX_OUTPUT_TOKENS=6\n" in lines


def test_a_shell_that_sources_the_client_lines_has_what_claude_code_needs(
    run_program: Run, secret: Secret, tmp_path: Path
) -> None:
    """The lines export the variables and write the roots where the last of them says."""
    (tmp_path / "vars").write_text(client_lines(run_program, gateway_args(secret)))
    script = '. ./vars; env; cat "$NODE_EXTRA_CA_CERTS"'
    shell = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": "other"},
        capture_output=True,
        text=True,
        check=True,
    )
    variables = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)

    assert variables["ANTHROPIC_BASE_URL"] == "https://localhost:8443"
    assert variables["ANTHROPIC_AUTH_TOKEN"] == secret("alice")
    assert variables["ANTHROPIC_MODEL"] == "large"
    assert "ANTHROPIC_API_KEY" not in variables, "both set make Claude Code complain"
    assert shell.stdout.endswith("PUBLIC ROOT\nOLD ROOT\n")


def test_litellm_configuration_lists_models_and_fallbacks_in_order() -> None:
    """The file parses, keeps the order, and names variables instead of holding keys."""
    config = yaml.safe_load(
        render_config(
            [
                Deployment(
                    name='odd "name": {x}',
                    litellm_model="groq/a",
                    key_env="GROQ_API_KEY",
                    rpm=30,
                    tpm=6000,
                    max_input_tokens=131072,
                    fallbacks=["b"],
                ),
                Deployment(name="b", litellm_model="azure/b", api_version="2026-01-01"),
                Deployment(name="c", litellm_model="openai/c", api_base="http://vllm.test/v1"),
            ]
        )
    )

    assert [entry["model_name"] for entry in config["model_list"]] == ['odd "name": {x}', "b", "c"]
    assert config["model_list"][2]["litellm_params"] == {
        "model": "openai/c",
        "api_key": "none",
        "api_base": "http://vllm.test/v1",
    }
    assert config["model_list"][0]["litellm_params"] == {
        "model": "groq/a",
        "api_key": "os.environ/GROQ_API_KEY",
        "rpm": 30,
        "tpm": 6000,
    }
    assert config["model_list"][0]["model_info"] == {
        "id": 'odd "name": {x}',
        "input_cost_per_token": 0,
        "output_cost_per_token": 0,
        "max_input_tokens": 131072,
    }
    assert config["router_settings"]["fallbacks"] == [{'odd "name": {x}': ["b"]}]
    assert config["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert config["litellm_settings"]["drop_params"] is True
    assert config["litellm_settings"]["telemetry"] is False


@pytest.mark.parametrize("hostile", ["it's", 'a"b', "a$(id)b", "a`id`b", "a\\b", "a b", "a;b"])
def test_a_shell_reads_back_what_the_secrets_file_was_given(
    hostile: str, run_program: Run, tmp_path: Any
) -> None:
    """No character of a secret is interpreted."""
    seen: list[str] = []
    run_program(lambda: secrets_file({"KEY": hostile}).apply(seen.append))
    (tmp_path / "secrets.env").write_text(seen[0])
    script = 'set -a; . ./secrets.env; set +a; printf %s "$KEY"'

    assert (
        subprocess.run(
            ["/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        == hostile
    )
