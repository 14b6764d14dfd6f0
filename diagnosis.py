"""What a container that did not get healthy has to say, shown where its deployment fails."""

from __future__ import annotations

from typing import Any

import pulumi

import engine

CONTAINER = "docker:index/container:Container"
LINES = 15


def show_failures(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """Add the diagnosis to every container; for `pulumi.runtime.register_stack_transformation`.

    Not for `register_resource_transform`: options that pass through the engine lose
    `delete_before_replace=False`, and the old container goes before the new one comes.
    """
    if args.type_ != CONTAINER:
        return None
    hooks = pulumi.ResourceHookBinding(on_error=[_HOOK])
    opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
    return pulumi.ResourceTransformationResult(props=args.props, opts=opts)


def diagnosis(name: str, container: str) -> str | None:
    """Return how a container is and the last lines of its log, None if the engine knows none.

    Args:
        name: logical name, which the operator knows.
        container: name on the engine.
    """
    known = engine.container(container)
    if known is None:
        return None
    lines = [*engine.last_lines(container, LINES), *_last_check(known)]
    said = "\n".join(f"    {line}" for line in lines) or "    (nothing)"
    return (
        f"{name} {_condition(known)}. Last lines of its log (docker logs {container}):\n{said}\n"
        "What ran before goes on serving. Correct the cause and run pulumi up again."
    )


def _last_check(container: dict[str, Any]) -> list[str]:
    """Return what the last health check printed."""
    checks = container["State"].get("Health", {}).get("Log") or [{"Output": ""}]
    text = str(checks[-1]["Output"]).strip()
    return [f"health check: {text}"] if text else []


def _condition(container: dict[str, Any]) -> str:
    state, restarts = container["State"], container["RestartCount"]
    if state["OOMKilled"]:
        return "was killed: it needs more memory than resources allows it"
    if state["Error"]:
        return f"did not start: {state['Error']}"
    if state["Status"] in ("exited", "restarting"):
        return f"ends with code {state['ExitCode']} each time it is started ({restarts} restarts)"
    if restarts:
        return f"does not stay up ({restarts} restarts)"
    return "runs, but did not get healthy"


def _on_error(args: pulumi.ErrorHookArgs) -> bool:
    """Show the diagnosis; never ask for another try, which would only find the same."""
    if args.failed_operation == "create" and args.new_inputs is not None:
        text = diagnosis(args.name, str(args.new_inputs.get("name")))
        if text is not None:
            pulumi.log.error(text)
    return False


_HOOK = pulumi.ErrorHook("show-failure", _on_error)
