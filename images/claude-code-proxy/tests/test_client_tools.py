"""The tools that Anthropic defines and the client runs."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import RunningProxy
from stand_in import StandIn, completion

from claude_code_proxy.client_tools import as_function


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("bash_20241022", {"command", "restart"}),
        ("bash_20250124", {"command", "restart"}),
        ("text_editor_20250728", {"command", "path", "insert_text", "view_range"}),
        ("memory_20250818", {"command", "path", "old_path", "new_path", "insert_text"}),
        ("computer_20241022", {"action", "coordinate", "text"}),
        ("computer_20250124", {"action", "scroll_amount", "start_coordinate", "duration"}),
    ],
)
def test_each_client_tool_has_a_schema(kind: str, names: set[str]) -> None:
    """With the parameters that the client reads."""
    function = as_function({"type": kind, "name": "x", "display_width_px": 9})

    assert function is not None
    description, schema = function
    assert description
    assert names <= set(schema["properties"])
    assert set(schema["required"]) <= set(schema["properties"])


@pytest.mark.parametrize(
    ("kind", "commands"),
    [
        ("text_editor_20241022", {"view", "create", "str_replace", "insert", "undo_edit"}),
        ("text_editor_20250124", {"view", "create", "str_replace", "insert", "undo_edit"}),
        ("text_editor_20250429", {"view", "create", "str_replace", "insert"}),
        ("text_editor_20250728", {"view", "create", "str_replace", "insert"}),
    ],
)
def test_an_editor_offers_the_commands_of_its_version(kind: str, commands: set[str]) -> None:
    """Newer ones undo nothing, and name the inserted text otherwise."""
    function = as_function({"type": kind, "name": "x"})

    assert function is not None
    properties = function[1]["properties"]
    assert set(properties["command"]["enum"]) == commands
    assert ("insert_text" in properties) == (kind == "text_editor_20250728")


@pytest.mark.parametrize("zoom", [True, False])
def test_a_screen_zooms_only_where_the_client_can(zoom: bool) -> None:
    """And its size is in the description."""
    function = as_function(
        {
            "type": "computer_20251124",
            "name": "computer",
            "display_width_px": 1280,
            "display_height_px": 800,
            "enable_zoom": zoom,
        }
    )

    assert function is not None
    assert "1280 x 800" in function[0]
    assert ("zoom" in function[1]["properties"]["action"]["enum"]) == zoom
    assert ("region" in function[1]["properties"]) == zoom


@pytest.mark.parametrize("kind", ["web_search_20250305", "code_execution_20250522", "bash", "_1"])
def test_what_the_client_does_not_run_has_none(kind: str) -> None:
    """Nothing is made up."""
    assert as_function({"type": kind, "name": "x"}) is None


async def test_the_sdk_uses_the_bash_tool(proxy: RunningProxy, upstream: StandIn) -> None:
    """The upstream is offered a function; its call comes back as the tool's use."""
    function = {"name": "bash", "arguments": '{"command": "ls"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    upstream.script = completion(finish="tool_calls", tool_calls=[call])
    tools: list[Any] = [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    message = await proxy.client.messages.create(
        model="big",
        max_tokens=50,
        tools=tools,
        tool_choice={"type": "tool", "name": "bash"},
        messages=[{"role": "user", "content": "List the files."}],
    )

    (offered,) = upstream.last["tools"]
    assert offered["function"]["name"] == "bash"
    assert offered["function"]["parameters"]["properties"]["command"]["type"] == "string"
    assert upstream.last["tool_choice"] == {"type": "function", "function": {"name": "bash"}}
    (block,) = message.content
    assert block.type == "tool_use"
    assert (block.name, block.input) == ("bash", {"command": "ls"})
