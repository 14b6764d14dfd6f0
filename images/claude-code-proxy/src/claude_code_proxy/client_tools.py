"""JSON schemas of the tools that Anthropic defines and the client runs.

Claude knows them by heart, so requests name only their type. Other models must be told.
Source: the pages on the bash, text editor, memory and computer use tools in Anthropic's API
documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

_STRING: Json = {"type": "string"}
_INTEGER: Json = {"type": "integer"}
_POINT: Json = {"type": "array", "items": _INTEGER, "minItems": 2, "maxItems": 2}
_EDITS = ["view", "create", "str_replace", "insert"]
_ACTIONS = [
    "screenshot",
    "cursor_position",
    "mouse_move",
    "left_click",
    "right_click",
    "middle_click",
    "double_click",
    "left_click_drag",
    "key",
    "type",
]
_ACTIONS_2025 = [
    "triple_click",
    "left_mouse_down",
    "left_mouse_up",
    "scroll",
    "hold_key",
    "wait",
]
# From these versions on, the parameter of `insert` is `insert_text`, and nothing is undone.
_RENAMED_INSERT = "20250728"
_NO_UNDO = "20250429"


def as_function(tool: Json) -> tuple[str, Json] | None:
    """Return description and schema of a versioned client tool, such as `bash_20250124`.

    Returns None for what only Anthropic's servers can run, and for what is not known here.
    """
    kind, _, version = str(tool.get("type")).rpartition("_")
    describe = _TOOLS.get(kind)
    return describe(tool, version) if describe and version.isdecimal() else None


def _bash(tool: Json, version: str) -> tuple[str, Json]:
    del tool, version
    restart = {"type": "boolean", "description": "true starts the shell anew; no command then"}
    return (
        "Runs a command in a bash session that keeps its state between calls.",
        _schema(command=_described(_STRING, "the command to run"), restart=restart),
    )


def _text_editor(tool: Json, version: str) -> tuple[str, Json]:
    del tool
    renamed = version >= _RENAMED_INSERT
    inserted = {"insert_text": _described(_STRING, "insert: the text")} if renamed else {}
    properties: dict[str, Json] = {
        "command": _one_of(_EDITS if version >= _NO_UNDO else [*_EDITS, "undo_edit"]),
        "path": _described(_STRING, "absolute path of the file or directory"),
        "file_text": _described(_STRING, "create: the file's content"),
        "old_str": _described(_STRING, "str_replace: text that occurs exactly once"),
        "new_str": _described(
            _STRING, "str_replace: its replacement" + ("" if renamed else "; insert: the text")
        ),
        "insert_line": _described(_INTEGER, "insert: the line to insert behind, 0 for the start"),
        **inserted,
        "view_range": _described(_POINT, "view: first and last line, from 1; -1 is the end"),
    }
    return (
        "Views, creates and edits text files.",
        _schema(required=("command", "path"), **properties),
    )


def _memory(tool: Json, version: str) -> tuple[str, Json]:
    del tool, version
    properties: dict[str, Json] = {
        "command": _one_of([*_EDITS, "delete", "rename"]),
        "path": _described(_STRING, "every command but rename: a path below /memories"),
        "file_text": _described(_STRING, "create: the file's content"),
        "old_str": _described(_STRING, "str_replace: text that occurs exactly once"),
        "new_str": _described(_STRING, "str_replace: its replacement"),
        "insert_line": _described(_INTEGER, "insert: the line to insert behind, 0 for the start"),
        "insert_text": _described(_STRING, "insert: the text"),
        "view_range": _described(_POINT, "view: first and last line, from 1; -1 is the end"),
        "old_path": _described(_STRING, "rename: the present path"),
        "new_path": _described(_STRING, "rename: the new path"),
    }
    return (
        "Reads and writes files below /memories that last from one conversation to the next.",
        _schema(required=("command",), **properties),
    )


def _computer(tool: Json, version: str) -> tuple[str, Json]:
    width, height = tool.get("display_width_px"), tool.get("display_height_px")
    zooms = version >= "20251124" and tool.get("enable_zoom") is True
    actions = [*_ACTIONS, *(_ACTIONS_2025 if version >= "2025" else ()), *(["zoom"] * zooms)]
    properties: dict[str, Json] = {
        "action": _one_of(actions),
        "coordinate": _described(_POINT, "x and y in pixels from the top left"),
        "text": _described(_STRING, "what to type, or the keys in xdotool's syntax"),
    }
    if version >= "2025":
        properties |= {
            "start_coordinate": _described(_POINT, "left_click_drag: where it begins"),
            "scroll_direction": _one_of(["up", "down", "left", "right"]),
            "scroll_amount": _described(_INTEGER, "scroll: clicks of the wheel"),
            "duration": _described({"type": "number"}, "hold_key, wait: seconds"),
        }
    if zooms:
        corners = {"type": "array", "items": _INTEGER, "minItems": 4, "maxItems": 4}
        properties["region"] = _described(corners, "zoom: x and y of two opposite corners")
    return (
        f"Operates a screen of {width} x {height} pixels by mouse and keyboard.",
        _schema(required=("action",), **properties),
    )


_TOOLS: dict[str, Callable[[Json, str], tuple[str, Json]]] = {
    "bash": _bash,
    "computer": _computer,
    "memory": _memory,
    "text_editor": _text_editor,
}


def _schema(*, required: tuple[str, ...] = (), **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def _described(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


def _one_of(values: list[str]) -> Json:
    return {"type": "string", "enum": values}
