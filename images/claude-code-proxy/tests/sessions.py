"""Requests as coding sessions make them, of this package's own files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
SYSTEM = """You are a coding assistant that works in a terminal, inside a developer's checkout.

# Manner
- Be brief: one or two sentences between tool calls, no preamble, no summary of what is visible.
- Refer to code as `path:line`, so that it can be opened with a click.
- Never invent URLs. Say so when something is not known, and how it could be found out.

# Doing tasks
Read a file before you change it. Prefer small edits to rewriting whole files, follow the style of
the surroundings, and add no comment that repeats the code. Run the tests that concern a change
(`make test`), then the linters (`ruff check`, `mypy`), and report honestly what failed.
If a command needs more than two minutes, run it in the background and look at its output later.

# Safety
Never commit unless you were asked to. Never print a secret: no keys, no tokens, no contents of
`.env`. Ask before anything that cannot be undone, such as `git push --force` or `rm -rf`.

<env>
Working directory: /home/dev/projects/gateway
Is a git repository: true
Platform: linux, kernel 6.1.0-25-amd64
Today's date: 2026-11-25
</env>"""

PROSE = {
    "english": """The harbour was quiet when the ferry came in, later than the timetable promised.
Two children counted the gulls on the breakwater; their grandmother counted her change, found that
the ticket had become dearer again, and decided that the walk home was short enough anyway.""",
    "german": """Der Bus hielt zwischen zwei Feldern, und außer mir stieg niemand aus. Ich hatte
die Wegbeschreibung zu Hause vergessen, erinnerte mich aber an die Kapelle, hinter der man links
abbiegen muss. Nach einer Viertelstunde hörte ich die Bienen, bevor ich das Haus sehen konnte.""",
    "french": """La boulangerie ferme le lundi, ce que je n'arrive jamais à retenir. Devant la
porte, un voisin cherchait ses clés en maudissant la pluie; nous avons fini par prendre un café
ensemble, et il m'a raconté comment le quartier s'était transformé depuis son enfance.""",
    "spanish": """Cuando llegamos al mirador ya había anochecido y las luces de la ciudad
temblaban abajo. Mi hermana sacó una linterna, buscó el sendero entre las piedras y dijo que la
próxima vez saldríamos más temprano, aunque todos sabíamos que no era verdad.""",
    "russian": """Поезд опаздывал, и на платформе почти никого не осталось. Старик в серой кепке
читал газету недельной давности и время от времени поглядывал на часы. Когда наконец показались
огни, он аккуратно сложил газету и пошёл навстречу, как будто кого-то ждал.""",
    "chinese": """下了一整天的雨,傍晚才停。院子里的石榴树上还挂着水珠,风一吹就落下来。奶奶坐在门口
剥豆子,一边听收音机里的天气预报,一边说明天一定会是晴天,可以把被子拿出来晒一晒。""",
    "japanese": """駅前の喫茶店は、朝七時になると静かに明かりがつきます。店主はまず豆を挽き、
それから窓を少しだけ開けて、通りの音を聞きます。常連の客はみな違う席に座りますが、頼むものはいつも同じです。""",
}


def sources() -> dict[str, str]:
    """Return files of this package by kind of text and name."""
    paths = [*PACKAGE.glob("src/*/*.py"), PACKAGE / "README.md", PACKAGE / "pyproject.toml"]
    paths += [PACKAGE / "Dockerfile", PACKAGE / "tests" / "test_stream.py"]
    return {path.name: path.read_text() for path in sorted(paths) if path.stat().st_size > 1_000}


def tools() -> list[dict[str, Any]]:
    """Return tools with schemas of every kind that coding assistants use."""
    text, number, flag = {"type": "string"}, {"type": "number"}, {"type": "boolean"}

    def tool(name: str, about: str, required: list[str], /, **fields: Any) -> dict[str, Any]:
        schema = {"type": "object", "properties": fields, "required": required}
        return {
            "name": name,
            "description": about,
            "input_schema": schema | {"additionalProperties": False},
        }

    def of(kind: dict[str, Any], about: str, **more: Any) -> dict[str, Any]:
        return kind | {"description": about} | more

    item = {
        "type": "object",
        "properties": {
            "content": of(text, "What is to be done, in the imperative", minLength=1),
            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
        },
        "required": ["content", "status"],
    }
    return [
        tool(
            "Read",
            "Reads a file from the local file system.\n\nUsage:\n- The path must be absolute.\n"
            "- At most 2000 lines are returned, each with its number; longer lines are cut.\n"
            "- Images are shown, and a missing file is an error.",
            ["file_path"],
            file_path=of(text, "The absolute path of the file to read"),
            offset=of(number, "The line to start at; only for files that are too large"),
            limit=of(number, "The number of lines to read"),
        ),
        tool(
            "Bash",
            "Runs a command in a shell that keeps its working directory between calls.\n"
            "Quote paths with spaces. Do not use it to read, search or edit files: the other tools "
            "do that better. Independent commands can run in parallel, in one message.",
            ["command"],
            command=of(text, "The command to run"),
            timeout=of(number, "Milliseconds after which it is stopped", default=120000),
            description=of(text, "What the command does, in five to ten words"),
            run_in_background=of(flag, "Whether to return at once"),
        ),
        tool(
            "Edit",
            "Replaces exact text in a file. It fails unless `old_string` occurs exactly once, or "
            "`replace_all` is true. Keep the indentation of the file as it is.",
            ["file_path", "old_string", "new_string"],
            file_path=of(text, "The absolute path of the file to change"),
            old_string=of(text, "The text to replace"),
            new_string=of(text, "What to put in its place"),
            replace_all=of(flag, "Replace every occurrence", default=False),
        ),
        tool(
            "Grep",
            "Searches file contents by a regular expression, with ripgrep's syntax.",
            ["pattern"],
            pattern=of(text, "The regular expression"),
            path=of(text, "The file or folder to search in"),
            glob=of(text, "Which files, such as `*.py` or `**/*.{ts,tsx}`"),
            output_mode={"type": "string", "enum": ["content", "files_with_matches", "count"]},
            context=of({"type": "integer"}, "Lines to show around each match"),
        ),
        tool(
            "TodoWrite",
            "Keeps the list of tasks of this session, so that the user can see how far it is.",
            ["todos"],
            todos=of({"type": "array"}, "The whole list", items=item, maxItems=50),
        ),
        tool(
            "mcp__tracker__search_issues",
            "Finds issues in the team's tracker by text, state and labels.",
            ["query"],
            query=of(text, "Words to look for"),
            state={"anyOf": [{"type": "string", "enum": ["open", "closed"]}, {"type": "null"}]},
            labels={"type": "array", "items": {"type": "string"}},
            limit={"type": ["integer", "null"]},
        ),
        tool("ListResources", "Lists what the connected servers offer.", []),
    ]


def listing() -> str:
    """Return what `ls -l` prints of this package."""
    lines = [
        f"-rw-r--r-- 1 dev  dev  {path.stat().st_size:>6} Nov {day % 28 + 1:>2} 09:{day % 60:02} "
        f"{path.relative_to(PACKAGE)}"
        for day, path in enumerate(sorted(PACKAGE.glob("*/**/*.py")))
    ]
    return "\n".join([f"total {len(lines) * 4}", *lines])


def requests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield named requests: a question, each language, and ever longer sessions."""

    def request(messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {"model": "claude-opus-4-8", "max_tokens": 99, "messages": messages, **more}

    yield "question", request([{"role": "user", "content": PROSE["english"]}])
    for language, text in PROSE.items():
        yield language, request([{"role": "user", "content": text}], system=SYSTEM)
    files = list(sources().items())
    for length in (1, 4, 12, len(files)):
        yield (
            f"session of {length} files",
            request(_session(files[:length]), system=SYSTEM, tools=tools()),
        )


def _session(files: list[tuple[str, str]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Why do streams sometimes end without usage? Find it, fix it."}
    ]

    def call(name: str, result: str, said: str, **arguments: Any) -> None:
        call_id = f"call_{len(messages)}"
        use = {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        blocks = [{"type": "text", "text": said}] if said else []
        messages.append({"role": "assistant", "content": [*blocks, use]})
        answer = {"type": "tool_result", "tool_use_id": call_id, "content": result}
        messages.append({"role": "user", "content": [answer]})

    call("Bash", listing(), "Let me see what is there.", command="ls -lR", timeout=5000)
    for name, text in files:
        lines = text.splitlines()
        numbered = "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(lines, 1))
        call("Read", numbered, "", file_path=f"/home/dev/projects/gateway/{name}")
        old = "\n".join(lines[20:32])
        call(
            "Edit",
            f"The file {name} has been updated.",
            f"`{name}` handles the last chunk; the usage comes after it.",
            file_path=f"/home/dev/projects/gateway/{name}",
            old_string=old,
            new_string=old.replace("return", "yield"),
        )
    found = json.dumps([{"id": 4000 + n, "title": name} for n, (name, _) in enumerate(files)])
    call("mcp__tracker__search_issues", found, "", query="usage missing", state="open", labels=[])
    messages.append({"role": "user", "content": "Good. Now run the tests."})
    return messages
