"""The sessions: what a user does with Claude Code, as far as it changes the shape of requests.

The demo upstream answers; its README tells how a prompt makes it call a tool.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from recorder.filler import fill, form
from recorder.stage import Stage
from recorder.vocabulary import VISION_MODEL

Session = Callable[[Stage], Awaitable[None]]

BASH = ("--allowedTools", "Bash")
READ = ("--allowedTools", "Read")
_IMAGE = fill(form("i", 7, 1200))
_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


async def single_tool(stage: Stage) -> None:
    """Run a command that succeeds and one that fails; read a file that is not there."""
    await stage.ask("Run the command `echo hello`.", *BASH)
    await stage.go_on("Run the command `echo out; echo err >&2; exit 3`.", *BASH)
    await stage.go_on('Use the Read tool on "missing.txt".', *READ)
    await stage.go_on("Thanks.")


async def denied_tool(stage: Stage) -> None:
    """Ask for a tool that is not allowed, and go on."""
    await stage.ask("Run the command `touch made`.")
    await stage.go_on("Then leave it.")


async def parallel_tools(stage: Stage) -> None:
    """Call two tools in one answer, of which one fails; then two more."""
    (stage.work / "there.txt").write_text("there\n" * 20)
    await stage.ask("[demo:parallel] Run the command `cat there.txt` and `cat missing.txt`.", *BASH)
    await stage.go_on("[demo:parallel] Run the command `echo one` and `echo two`.", *BASH)


async def image_read(stage: Stage) -> None:
    """Have an image read, and go on."""
    _write_image(stage.work / "seen.png")
    vision = {"ANTHROPIC_MODEL": VISION_MODEL}
    await stage.ask(f'Use the Read tool on "{stage.work}/seen.png".', *READ, variables=vision)
    await stage.go_on("And now?", variables=vision)


async def image_pasted(stage: Stage) -> None:
    """Paste an image between texts, and go on."""
    source = {"type": "base64", "media_type": "image/png", "data": _IMAGE}
    content = [
        {"type": "text", "text": "Here it is:"},
        {"type": "image", "source": source},
        {"type": "text", "text": "What does it show?"},
    ]
    message = {"type": "user", "message": {"role": "user", "content": content}}
    formats = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")
    vision = {"ANTHROPIC_MODEL": VISION_MODEL}
    await stage.ask("", *formats, stdin=json.dumps(message).encode() + b"\n", variables=vision)
    await stage.go_on("And now?", variables=vision)


async def image_refused(stage: Stage) -> None:
    """Have an image read for a model that takes none."""
    _write_image(stage.work / "unseen.png")
    await stage.ask(f'Use the Read tool on "{stage.work}/unseen.png".', *READ)
    await stage.go_on("Then without.")


async def pdf_read(stage: Stage) -> None:
    """Have a PDF read, which comes beside the tool's result."""
    (stage.work / "seen.pdf").write_bytes(_PDF)
    vision = {"ANTHROPIC_MODEL": VISION_MODEL}
    await stage.ask(f'Use the Read tool on "{stage.work}/seen.pdf".', *READ, variables=vision)


async def sub_agent(stage: Stage) -> None:
    """Send an agent that runs a command and reports."""
    prompt = 'Use the Agent tool on "look", "run: echo from-the-agent", "general-purpose".'
    await stage.ask(prompt, "--allowedTools", "Agent", "Bash")
    await stage.go_on("Thanks.")


async def many_turns(stage: Stage) -> None:
    """Continue a conversation, resume it by its id, and fork it."""
    session = str(uuid.uuid4())
    await stage.ask("First.", "--session-id", session)
    for turn in range(3):
        await stage.go_on(f"Run the command `echo {turn}`.", *BASH)
    await stage.ask("Resumed.", "--resume", session)
    await stage.ask("Forked.", "--resume", session, "--fork-session")


async def interrupted_answer(stage: Stage) -> None:
    """Press Ctrl-C in the middle of an answer."""
    await stage.ask("First.")
    stage.hop.streaming.clear()
    prompt = "[demo:words=80][demo:pause=60] Tell me more."
    await stage.interrupt(prompt, "--continue", when=stage.hop.streaming.wait)
    if not stage.hop.left:
        raise RuntimeError("the answer was over before it was interrupted")
    await stage.go_on("Where were we?")


async def interrupted_tool(stage: Stage) -> None:
    """Press Ctrl-C while a command runs: its call gets no result of its own."""
    started = stage.work / "started"

    async def running() -> None:
        while not started.exists():  # noqa: ASYNC110  (a file tells nobody)
            await asyncio.sleep(0.05)

    await stage.interrupt("Run the command `touch started; sleep 60`.", *BASH, when=running)
    await stage.go_on("Where were we?")


async def thinking(stage: Stage) -> None:
    """Think with a budget: thinking blocks come back in the history."""
    haiku = ("--model", "haiku", *BASH)
    await stage.ask("[demo:reason] Run the command `echo thought`.", *haiku)
    await stage.go_on("[demo:reason] Go on.", *haiku, variables={"MAX_THINKING_TOKENS": "8000"})
    await stage.go_on("Without.", *haiku, variables={"MAX_THINKING_TOKENS": "0"})


async def long_context(stage: Stage) -> None:
    """Read large files until the model's window is full; the CLI compacts and goes on."""
    for number in range(8):
        _write_large(stage.work / f"{number}.txt", number)
        prompt = f'Use the Read tool on "{stage.work}/{number}.txt".'
        arguments = ("--model", "sonnet", *READ)
        await (stage.go_on if number else stage.ask)(prompt, *arguments)


async def compacted(stage: Stage) -> None:
    """Compact by command, and go on."""
    await stage.ask("Run the command `echo first`.", *BASH)
    await stage.go_on("Run the command `echo second`.", *BASH)
    await stage.go_on("/compact keep the commands")
    await stage.go_on("What now?")


async def compacted_early(stage: Stage) -> None:
    """Let a client that knows of a small window compact by itself."""
    window = {
        "ANTHROPIC_MODEL": VISION_MODEL,
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "60000",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "60000",
    }
    for number in range(3):
        _write_large(stage.work / f"{number}.txt", number)
        prompt = f'Use the Read tool on "{stage.work}/{number}.txt".'
        await (stage.go_on if number else stage.ask)(prompt, *READ, variables=window)


async def plain_betas(stage: Stage) -> None:
    """Use the client as the gateway's variables set it: no betas, a model's own name."""
    plain = {
        "ANTHROPIC_MODEL": "groq-gpt-oss-120b",
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "16384",
    }
    await stage.ask("Run the command `echo hello`.", *BASH, variables=plain)
    await stage.go_on("And now?", variables=plain)


async def context_shown(stage: Stage) -> None:
    """Ask what fills the window: tokens are counted part by part."""
    await stage.ask("Run the command `echo hello`.", *BASH)
    await stage.go_on("/context")


async def web_search(stage: Stage) -> None:
    """Use a tool of Anthropic's servers, which no other upstream has."""
    prompt = 'Use the WebSearch tool on "weather today".'
    await stage.ask(prompt, "--allowedTools", "WebSearch")


async def structured_output(stage: Stage) -> None:
    """Ask for an answer that fits a schema."""
    schema = {
        "type": "object",
        "properties": {"verdict": {"type": "string"}, "score": {"type": "integer"}},
        "required": ["verdict", "score"],
    }
    await stage.ask("Judge.", "--json-schema", json.dumps(schema))


async def other_scripts(stage: Stage) -> None:
    """Write beyond ASCII, in what the user says and in what a tool gives."""
    await stage.ask("Run the command `echo 'Grüße, 世界 🚀'`.", *BASH)
    await stage.go_on("Schöne Grüße nach 東京 🙂")


SESSIONS: dict[str, Session] = {
    session.__name__.replace("_", "-"): session
    for session in (
        single_tool,
        denied_tool,
        parallel_tools,
        image_read,
        image_pasted,
        image_refused,
        pdf_read,
        sub_agent,
        many_turns,
        interrupted_answer,
        interrupted_tool,
        thinking,
        long_context,
        compacted,
        compacted_early,
        plain_betas,
        context_shown,
        web_search,
        structured_output,
        other_scripts,
    )
}


def _write_image(path: Path) -> None:
    path.write_bytes(base64.b64decode(_IMAGE))


def _write_large(path: Path, number: int) -> None:
    """Write about as much as the Read tool takes at once."""
    lines = (f"{number} {line} " + "lorem ipsum dolor sit amet " * 3 for line in range(700))
    path.write_text("\n".join(lines))
