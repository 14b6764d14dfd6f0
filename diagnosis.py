"""What a container or an image build that failed has to say, shown where its deployment fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

import buildkit
import engine

CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
LINES = 15
ADVICE = "What ran before goes on serving. Correct the cause and run pulumi up again."


def show_failures(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """Add the diagnosis to every container and image.

    For `pulumi.runtime.register_stack_transformation`, not for `register_resource_transform`:
    options that pass through the engine lose `delete_before_replace=False`, and the old container
    goes before the new one comes.
    """
    hook = _HOOKS.get(args.type_)
    if hook is None:
        return None
    hooks = pulumi.ResourceHookBinding(on_error=[hook])
    opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
    return pulumi.ResourceTransformationResult(props=args.props, opts=opts)


def diagnosis(name: str, container: str) -> str | None:
    """Return how a container is and the last lines of its log, None if the engine knows none.

    Args:
        name: logical name, which the operator knows.
        container: name on the engine.
    """
    said = report(container)
    return None if said is None else f"{name} {said}\n{ADVICE}"


def report(container: str) -> str | None:
    """Return the condition and the last lines alone, to go on after a name."""
    known = engine.container(container)
    if known is None:
        return None
    logged = [line for entry in engine.last_lines(container, LINES) for line in _lines(entry)]
    lines = [*logged[-LINES:], *_last_check(known)]
    return (
        f"{_condition(known)}. Last lines of its log (docker logs {container}):\n{_indented(lines)}"
    )


def failed_build(name: str, context: Path, build_args: Mapping[str, str]) -> str | None:
    """Return the last lines of the step that an image's build fails in.

    The provider drops what a build prints, so it is repeated. None where that tells nothing.

    Args:
        name: logical name of the image, which the operator knows.
        context: build context.
        build_args: build arguments.
    """
    lines = buildkit.failed_step(context, build_args)
    if lines is None:
        return None
    return (
        f"{name}: its build fails. Last lines of the step:\n{_indented(lines[-LINES:])}\n{ADVICE}"
    )


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def _lines(entry: str) -> list[str]:
    """Return the lines of a log's entry; LiteLLM writes a traceback as one line of JSON."""
    try:
        message = json.loads(entry)["message"]
    except (ValueError, TypeError, KeyError):
        return [entry]
    return str(message).splitlines()


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
    if state["Status"] == "exited" and not restarts:
        return f"is stopped (code {state['ExitCode']})"
    if state["Status"] in ("exited", "restarting"):
        return f"ends with code {state['ExitCode']} each time it is started ({restarts} restarts)"
    if restarts:
        return f"does not stay up ({restarts} restarts)"
    return "runs, but did not get healthy"


def _on_container_error(args: pulumi.ErrorHookArgs) -> bool:
    """Show the diagnosis; never ask for another try, which would only find the same."""
    if args.failed_operation == "create" and args.new_inputs is not None:
        _show(diagnosis(args.name, str(args.new_inputs.get("name"))))
    return False


def _on_image_error(args: pulumi.ErrorHookArgs) -> bool:
    """Show the diagnosis; never ask for another try."""
    build = (args.new_inputs or {}).get("build")
    if build:
        pulumi.log.info(f"{args.name}: repeating the build that failed, for its output")
        _show(failed_build(args.name, Path(build["context"]), build.get("buildArgs") or {}))
    return False


def _show(text: str | None) -> None:
    if text is not None:
        pulumi.log.error(text)


_HOOKS = {
    CONTAINER: pulumi.ErrorHook("show-failure", _on_container_error),
    IMAGE: pulumi.ErrorHook("show-failed-build", _on_image_error),
}
