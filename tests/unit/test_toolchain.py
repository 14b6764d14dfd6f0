"""The Docker provider that scripts/bootstrap can build serves the SDK that the program uses.

`toolchain/provider-docker/schema.json` is what the built provider says of itself; the bootstrap
refuses a build that says something else. Here it is held against the installed SDK.
"""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import json
import pkgutil
import re
import typing
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker
import pytest
from pulumi import _types as sdk_types

SCHEMA = Path(__file__).resolve().parents[2] / "toolchain" / "provider-docker" / "schema.json"
SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}

# Served by the published provider alone; this project builds images through RemoteImage.
LEFT_OUT = {"docker:index/image:Image"}


def is_object(kind: Any) -> bool:
    return inspect.isclass(kind) and (
        sdk_types.is_input_type(kind) or sdk_types.is_output_type(kind)
    )


def object_within(kind: Any) -> type | None:
    if is_object(kind):
        return typing.cast("type", kind)
    return next(filter(None, map(object_within, typing.get_args(kind))), None)


def name_of(kind: Any) -> str:
    """Return a Python type in the notation of the schema file."""
    if kind in SCALARS:
        return SCALARS[kind]
    if is_object(kind):
        return "object"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is collections.abc.Sequence:
        return f"[{name_of(arguments[0])}]"
    if origin is collections.abc.Mapping:
        return f"{{{name_of(arguments[1])}}}"
    # Input[T] is a union that begins with T.
    return name_of(arguments[0])


def properties(holder: type) -> dict[str, Any]:
    """Return the wire names and types that an SDK class reads and writes."""
    if sdk_types.is_input_type(holder):
        names = sdk_types.input_type_py_to_pulumi_names(holder)
        types = sdk_types.input_type_types(holder)
    else:
        names = sdk_types._py_to_pulumi_names_from_py_properties(holder)
        types = sdk_types.output_type_types(holder)
    described = {}
    for name in names.values():
        if name == "id":
            continue
        described[name] = {"type": name_of(types[name])}
        if inner := object_within(types[name]):
            described[name]["properties"] = properties(inner)
    return described


def sdk() -> dict[str, dict[str, Any]]:
    """Return what the SDK knows of every resource and function, by type token."""
    known = {}
    for info in pkgutil.iter_modules(pulumi_docker.__path__):
        if info.name.startswith("_") or info.name in {"config", "outputs"}:
            continue
        module = importlib.import_module(f"pulumi_docker.{info.name}")
        own = {
            n: c for n, c in vars(module).items() if getattr(c, "__module__", "") == module.__name__
        }
        for name, member in own.items():
            if not inspect.isclass(member):
                continue
            if name == "Provider":
                known["pulumi:providers:docker"] = properties(own["ProviderArgs"])
            elif issubclass(member, pulumi.CustomResource) and member.pulumi_type not in LEFT_OUT:
                state = own.get(f"_{name}State", own[f"{name}Args"])
                known[member.pulumi_type] = properties(state)
            elif re.fullmatch(r"Get\w+Result", name):
                token = re.search(r"invoke\('([^']+)'", inspect.getsource(module))
                assert token, f"{module.__name__} calls no function"
                known[token[1]] = properties(member)
    return known


SDK = sdk()
BUILT = json.loads(SCHEMA.read_text())


def test_the_built_provider_serves_every_token_of_the_sdk() -> None:
    """Nothing that the SDK can register is unknown to the provider, but for what is left out."""
    assert set(BUILT) == set(SDK)


@pytest.mark.parametrize("token", sorted(SDK))
def test_the_built_provider_has_the_properties_of_the_sdk(token: str) -> None:
    """A property of another name or shape would be dropped without a word, or fail at `up`."""
    assert BUILT[token] == SDK[token]
