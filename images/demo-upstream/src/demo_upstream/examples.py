"""Plausible values for a JSON schema: the arguments of a call, or a structured answer."""

from collections.abc import Iterator
from typing import Any

_DEPTH_AT_MOST = 12


def example(schema: dict[str, Any], texts: Iterator[str]) -> Any:
    """Return a value that fits `schema`; free strings are taken from `texts`, in their order.

    Only what the schema requires is filled in. `texts` must not end.
    """
    return _example(schema, schema, texts, 0)


def _example(schema: Any, root: dict[str, Any], texts: Iterator[str], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH_AT_MOST:
        return {}
    if "$ref" in schema:
        return _example(_resolve(schema["$ref"], root), root, texts, depth + 1)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _example(schema[key][0], root, texts, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    match kind:
        case "object":
            properties = schema.get("properties") or {}
            return {
                name: _example(properties.get(name, {"type": "string"}), root, texts, depth + 1)
                for name in schema.get("required") or []
            }
        case "array":
            items = schema.get("items", {"type": "string"})
            count = max(1, int(schema.get("minItems", 1)))
            return [_example(items, root, texts, depth + 1) for _ in range(count)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return next(texts)


def _resolve(reference: str, root: dict[str, Any]) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        node = node.get(part, {}) if isinstance(node, dict) and part else node
    return node
