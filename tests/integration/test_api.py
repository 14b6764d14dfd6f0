"""What a client of a real deployment sees, through TLS."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from tests.integration.deployment import Deployment, docker

MESSAGE = {"role": "user", "content": "Say hello."}
REQUEST = {"model": "claude-sonnet-5", "max_tokens": 200, "messages": [MESSAGE]}
BASH = {
    "name": "Bash",
    "description": "Runs a command.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    },
}


@pytest.fixture(scope="module")
def client(gateway: Deployment) -> Iterator[httpx2.Client]:
    """Return a client with a valid token."""
    with gateway.client(gateway.secrets["clientTokens.alice"]) as http:
        yield http


@pytest.fixture(scope="module")
def sdk(gateway: Deployment, client: httpx2.Client) -> anthropic.Anthropic:
    """Return the official SDK, pointed at the gateway."""
    return anthropic.Anthropic(
        base_url=str(client.base_url),
        auth_token=gateway.secrets["clientTokens.alice"],
        http_client=client,
        max_retries=0,
    )


def test_a_json_request_is_answered_under_the_name_that_was_asked_for(
    sdk: anthropic.Anthropic,
) -> None:
    """The whole chain answers a Messages request."""
    message = sdk.messages.create(**REQUEST)

    assert message.content[0].type == "text"
    assert message.content[0].text
    assert (message.model, message.stop_reason) == ("claude-sonnet-5", "end_turn")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


def test_a_streamed_request_arrives_in_pieces_and_in_order(sdk: anthropic.Anthropic) -> None:
    """Text comes as several deltas between the events that open and close the message."""
    with sdk.messages.stream(**REQUEST) as stream:
        kinds = [event.type for event in stream if event.type != "ping"]
        message = stream.get_final_message()

    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.count("content_block_delta") > 1
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_makes_the_round_trip(sdk: anthropic.Anthropic, streamed: bool) -> None:
    """The model asks for the tool, and its answer holds what the tool gave."""
    question = {"role": "user", "content": "Run the command `echo round-trip`."}
    request: dict[str, Any] = {**REQUEST, "tools": [BASH], "messages": [question]}
    if streamed:
        with sdk.messages.stream(**request) as stream:
            asked = stream.get_final_message()
    else:
        asked = sdk.messages.create(**request)
    (call,) = [block for block in asked.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "round-trip"}
    answered = sdk.messages.create(
        **{
            **request,
            "messages": [
                question,
                {"role": "assistant", "content": [block.model_dump() for block in asked.content]},
                {"role": "user", "content": [result]},
            ],
        }
    )

    assert asked.stop_reason == "tool_use"
    assert call.input == {"command": "echo round-trip"}
    assert "round-trip" in answered.content[0].text


@pytest.mark.parametrize(
    "model",
    ["groq-gpt-oss-20b", "openai/groq-gpt-oss-20b", "claude-haiku-5", "claude-opus-5"],
)
def test_models_pass_through_by_their_own_name_and_by_claudes(
    sdk: anthropic.Anthropic, model: str
) -> None:
    """A configured name, the same with openai/ before it, and Claude's names are all answered."""
    assert sdk.messages.create(**{**REQUEST, "model": model}).content


def test_tokens_are_counted_and_models_listed(sdk: anthropic.Anthropic) -> None:
    """The two routes that cost nothing answer too."""
    counted = sdk.messages.count_tokens(model="claude-sonnet-5", messages=[MESSAGE])
    listed = {model.id for model in sdk.models.list()}

    assert counted.input_tokens > 0
    assert sdk.models.retrieve("claude-opus-5").id == "claude-opus-5"
    assert {"groq-gpt-oss-20b", "groq-gpt-oss-120b", "groq-llama-3.3-70b"} <= listed


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_wrong_token_is_refused(gateway: Deployment, header: str, path: str) -> None:
    """Whatever header carries it."""
    with gateway.client() as stranger:
        refused = stranger.post(path, json=REQUEST, headers={header: "Bearer wrong"})
        none = stranger.post(path, json=REQUEST)

    for answer in (refused, none):
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "authentication_error"


def test_health_needs_no_token(gateway: Deployment) -> None:
    """Monitoring has none."""
    with gateway.client() as stranger:
        assert stranger.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/ui"),
        ("GET", "/metrics"),
        ("GET", "/test-connection"),
        ("GET", "/health/readiness"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/messages"),
        ("POST", "/v1/models"),
        ("POST", "/key/generate"),
        ("POST", "/config/update"),
        ("GET", "/v1/messages/../../ui"),
        ("GET", "/v1/models/%2e%2e/%2e%2e/ui"),
        ("GET", "/%76%31/../ui"),
    ],
)
def test_everything_else_is_not_there(client: httpx2.Client, method: str, path: str) -> None:
    """A valid token opens the API and nothing behind it."""
    answer = client.request(method, path)

    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "not_found_error"


def test_another_host_name_is_not_served(client: httpx2.Client) -> None:
    """Nor does a host name that is not ours reach anything."""
    assert client.get("/health", headers={"host": "elsewhere.example"}).status_code == 404


def test_the_certificate_is_not_trusted_without_the_stacks_root(gateway: Deployment) -> None:
    """The default trust store does not know the stack's authority."""
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(f"{gateway.url}/health", verify=ssl.create_default_context(), trust_env=False)


def test_an_address_works_where_a_name_does(gateway: Deployment) -> None:
    """Clients that connect to an address send no server name, and get the address's certificate."""
    with gateway.client() as stranger:
        url = gateway.url.replace("localhost", "127.0.0.1")
        assert stranger.get(f"{url}/health").status_code == 200


def test_the_providers_errors_keep_their_status_and_their_delay(client: httpx2.Client) -> None:
    """A rate limit reaches the client as one, with the time to wait."""
    limited = {**REQUEST, "messages": [{"role": "user", "content": "[demo:429]"}]}

    answer = client.post("/v1/messages", json=limited)

    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"


def test_a_stream_survives_a_silence_of_more_than_ninety_seconds(
    sdk: anthropic.Anthropic,
) -> None:
    """A model may think that long before its first token; no hop may give up."""
    slow = {**REQUEST, "messages": [{"role": "user", "content": "[demo:slow=95] Say hello."}]}

    with sdk.messages.stream(**slow) as stream:
        message = stream.get_final_message()

    assert message.stop_reason == "end_turn"
    assert message.content[0].text


def test_the_access_log_names_the_client_and_holds_no_token(
    gateway: Deployment, client: httpx2.Client
) -> None:
    """The audit trail says who asked, by name."""
    client.get("/v1/models")
    log = docker("logs", gateway.resources("Container")["gateway-edge"])
    entries = [json.loads(line) for line in log.splitlines() if '"handled request"' in line]

    assert "alice" in {entry.get("client") for entry in entries}
    assert gateway.secrets["clientTokens.alice"] not in log


@pytest.fixture(scope="module")
def claude(gateway: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that runs the real CLI as a newcomer would: with the stack's own lines."""
    home = tmp_path_factory.mktemp("home")
    variables = home / "vars"
    variables.write_text(gateway.outputs()["clientEnv"])
    executable = shutil.which("claude")
    assert executable, "claude is not on PATH: run the tests by `make test`, which installs it"

    def run(prompt: str, *arguments: str) -> str:
        command = shlex.join([executable, "-p", prompt, *arguments])
        finished = subprocess.run(
            ["bash", "-c", f". {shlex.quote(str(variables))} && exec {command}"],
            cwd=home,
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    return run


def test_claude_code_gets_an_answer(claude: Any) -> None:
    """`claude -p` talks to the model."""
    assert claude("hi").strip()


def test_claude_code_runs_a_tool(claude: Any, tmp_path: Path) -> None:
    """A turn with a Bash call changes the machine and comes back with the result."""
    made = tmp_path / "made-by-claude"

    output = claude(
        f"Run the command `touch {made} && echo done-by-tool`.",
        "--allowedTools",
        "Bash",
        "--add-dir",
        str(tmp_path),
    )

    assert made.exists(), output
    assert "done-by-tool" in output


def test_claude_code_keeps_a_conversation_with_tools(claude: Any, tmp_path: Path) -> None:
    """Four turns of one session: a command, a file written, read back, two calls at once."""
    note, word = tmp_path / "note.txt", "word-of-the-first-turn"
    allowed = ["--allowedTools", "Bash", "Read", "--add-dir", str(tmp_path)]

    first = claude(f"Run the command `echo {word}`.", *allowed)
    claude(f"Run the command `echo {word} > {note}`.", "--continue", *allowed)
    read = claude(f'Use the Read tool on "{note}".', "--continue", *allowed)
    both = claude(f"[demo:parallel] Run the command `cat {note}`.", "--continue", *allowed)

    assert word in first
    assert note.read_text().strip() == word
    assert word in read
    assert word in both
