"""Tools as the declarations that OpenAI's models are shown, which is what they cost.

Source: the page on OpenAI's harmony format. Schemas lose there whatever TypeScript cannot say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

Json = Mapping[str, Any]

_INDENT = "    "
# Deeper schemas than any tool's are cut off instead of followed.
_MAX_DEPTH = 32


def render(functions: list[dict[str, Any]]) -> str:
    """Return the declarations of functions with `name`, `description` and `parameters`."""
    lines = ["# Tools", "", "## functions", "", "namespace functions {", ""]
    for function in functions:
        lines.extend(_comment(function.get("description")))
        parameters = function.get("parameters")
        takes = f"_: {_type(parameters, '', 0)}" if parameters else ""
        lines += [f"type {function['name']} = ({takes}) => any;", ""]
    return "\n".join([*lines, "} // namespace functions"])


def _comment(text: Any, indent: str = "") -> Iterator[str]:
    if isinstance(text, str) and text:
        for line in text.splitlines():
            yield f"{indent}// {line}"


def _type(schema: Any, indent: str, depth: int) -> str:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return "any"
    values = schema.get("enum")
    if isinstance(values, list):
        return " | ".join(orjson.dumps(value).decode() for value in values)
    for name in ("oneOf", "anyOf"):
        if isinstance(schema.get(name), list):
            return " | ".join(_type(choice, indent, depth + 1) for choice in schema[name])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(map(str, kind))
    match kind:
        case "object":
            return _object(schema, indent, depth)
        case "array":
            items = schema.get("items")
            return f"{_type(items, indent, depth + 1)}[]" if items else "Array<any>"
        case "integer":
            return "number"
        case str():
            return kind
    return "any"


def _object(schema: Json, indent: str, depth: int) -> str:
    properties = schema.get("properties")
    required = schema.get("required")
    lines = ["{"]
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        details = inner if isinstance(inner, dict) else {}
        lines.extend(_comment(details.get("description"), indent))
        mark = "" if isinstance(required, list) and name in required else "?"
        default = details.get("default")
        note = "" if default is None else f" // default: {orjson.dumps(default).decode()}"
        kind = _type(inner, indent + _INDENT, depth + 1)
        lines.append(f"{indent}{name}{mark}: {kind},{note}")
    return "\n".join([*lines, f"{indent}}}"])
