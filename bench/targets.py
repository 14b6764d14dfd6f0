"""What is measured, started on its core: the pass-through, the proxy and LiteLLM."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.bodies import BURST, MODELS
from bench.machine import ROOT, TARGET_CORE, await_answer, free_port, latest, process
from components.litellm import Deployment, render_config

# A model with a price, as real ones have: LiteLLM looks into the matter of every other one.
PRICED = {BURST: "openai/gpt-oss-20b"}
# LiteLLM's own start, without what the image does for it.
PLAIN_ENVIRONMENT = ["env", "-u", "LITELLM_LOG", "-u", "LITELLM_MODE"]
PLAIN = ["python3", "-c", "from litellm import run_server; run_server()"]


@dataclass(frozen=True)
class Target:
    """What a load is sent to.

    Attributes:
        pid: the process that is measured; None for the upstream, which is not.
        chat: whether it takes Chat Completions instead of Messages.
        authority: file with the root that its certificate comes from; None without TLS.
    """

    name: str
    url: str
    key: str
    pid: int | None
    chat: bool
    authority: Path | None = None


@contextlib.contextmanager
def pass_through(upstream: str) -> Iterator[Target]:
    """Run the floor."""
    port = free_port()
    command = [sys.executable, str(ROOT / "bench" / "passthrough.py"), str(port), upstream]
    with process(command, TARGET_CORE) as started:
        await_answer(f"http://127.0.0.1:{port}/")
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        yield Target("pass-through", url, "-", started.pid, chat=True)


@contextlib.contextmanager
def proxy(upstream: str) -> Iterator[Target]:
    """Run the Claude Code Proxy from its source."""
    port, key = free_port(), secrets.token_hex(16)
    with process(
        [sys.executable, "-m", "claude_code_proxy"],
        TARGET_CORE,
        PYTHONPATH=str(ROOT / "images" / "claude-code-proxy" / "src"),
        OPENAI_API_KEY=secrets.token_hex(16),
        OPENAI_BASE_URL=f"{upstream}/v1",
        ANTHROPIC_API_KEY=key,
        BIG_MODEL=BURST,
        HOST="127.0.0.1",
        PORT=str(port),
        # A pipe that nobody reads would stop it.
        LOG_LEVEL="ERROR",
    ) as started:
        await_answer(f"http://127.0.0.1:{port}/health")
        yield Target("proxy", f"http://127.0.0.1:{port}/v1/messages", key, started.pid, chat=False)


@dataclass(frozen=True)
class LiteLLMSetup:
    """How LiteLLM runs.

    Attributes:
        name: how the tables call it.
        cores: the processors it may use, as the engine spells them.
        deployed: with the image's start and the deployment's configuration, or without both.
        arguments: further arguments of its command.
        image: another one than `make up` built.
    """

    name: str = "LiteLLM"
    cores: str = str(TARGET_CORE)
    deployed: bool = True
    arguments: tuple[str, ...] = ()
    image: str | None = None


@contextlib.contextmanager
def litellm(
    upstream: str, directory: Path, setup: LiteLLMSetup = LiteLLMSetup(), *, chat: bool = False
) -> Iterator[Target]:
    """Run LiteLLM, from the image that `make up` built unless the setup names another."""
    name, port, key = f"bench-{secrets.token_hex(4)}", free_port(), f"sk-{secrets.token_hex(16)}"
    config, variables = directory / f"{name}.yaml", directory / f"{name}.env"
    deployments = [
        Deployment(
            name=model,
            litellm_model=f"groq/{PRICED.get(model, model)}",
            key_env="BENCH_UPSTREAM_KEY",
            api_base=f"{upstream}/v1",
        )
        for model in MODELS
    ]
    rendered = yaml.safe_load(render_config(deployments))
    if not setup.deployed:
        own = ("model_name", "litellm_params")
        models = [{key: entry[key] for key in own} for entry in rendered["model_list"]]
        rendered = {"model_list": models}
    config.write_text(yaml.safe_dump(rendered))
    variables.touch(mode=0o600)
    variables.write_text(
        f"LITELLM_MASTER_KEY={key}\nLITELLM_LOCAL_MODEL_COST_MAP=True\n"
        f"BENCH_UPSTREAM_KEY={secrets.token_hex(8)}\nHOME=/tmp\n"
    )
    command = ["docker", "run", "--detach", "--rm", "--name", name, "--network", "host"]
    command += ["--cpuset-cpus", setup.cores, "--env-file", str(variables)]
    command += ["--volume", f"{config}:/conf/litellm_config.yaml:ro"]
    command.append(setup.image or latest("litellm"))
    # The image's variables are part of how it is deployed.
    command += ["litellm"] if setup.deployed else [*PLAIN_ENVIRONMENT, *PLAIN]
    command += ["--config", "/conf/litellm_config.yaml", "--host", "127.0.0.1"]
    command += ["--port", str(port), *setup.arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    try:
        await_answer(f"http://127.0.0.1:{port}/health/liveliness")
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", name]
        pid = int(subprocess.check_output(inspect, text=True))
        url = f"http://127.0.0.1:{port}/v1/{'chat/completions' if chat else 'messages'}"
        yield Target(setup.name, url, key, pid, chat=chat)
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)
