"""Which images a stack builds or pulls, seen by an engine that records every registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.images import Images, ImagesArgs
from tests.conftest import RecordingEngine

Run = Callable[[Callable[[], Any]], RecordingEngine]
ROOTFS = "llm-gateway/rootfs:0123456789ab"
PINNED = f"registry.test/litellm:v1.106.2@sha256:{'0' * 64}"


def images(run_program: Run, **changes: Any) -> tuple[RecordingEngine, Images]:
    """Run a program that declares the images and nothing else."""
    made: list[Images] = []
    engine = run_program(lambda: made.append(Images("img", ImagesArgs(rootfs=ROOTFS, **changes))))
    return engine, made[0]


def test_a_built_image_is_named_by_its_content(run_program: Run) -> None:
    """A changed context is another name and another trigger, so that `up` alone notices it."""
    engine, _ = images(run_program)

    for image in engine.of_type("RemoteImage"):
        repository, digest = image.inputs["name"].split(":")
        assert repository.startswith("llm-gateway/"), image.name
        assert image.inputs["triggers"] == {"content": digest}, image.name
        assert image.inputs["keepLocally"] is True, image.name
        assert image.inputs["build"]["context"].startswith("images/"), "a path of one machine"


def test_every_service_is_built_on_the_one_base(run_program: Run) -> None:
    """The base is built once, and what is built on it names it."""
    engine, _ = images(run_program, with_demo=True)
    base = engine.named("img-base-build").inputs["name"]

    for service in ("litellm", "claude-code-proxy", "demo-upstream"):
        arguments = engine.named(f"img-{service}-build").inputs["build"]["buildArgs"]
        assert arguments == {"BASE": base, "ROOTFS": ROOTFS}, service
    assert engine.named("img-base-build").inputs["build"]["buildArgs"] == {"ROOTFS": ROOTFS}


def test_the_demo_upstream_is_built_only_when_it_is_used(run_program: Run) -> None:
    """With a provider's key nobody waits for it."""
    engine, made = images(run_program)

    assert made.demo_upstream is None
    assert "demo-upstream" not in made.versions
    assert not [image for image in engine.of_type("RemoteImage") if "demo" in image.name]


def test_an_image_by_reference_is_pulled_and_nothing_is_built_for_it(run_program: Run) -> None:
    """The reference stands in the versions, and the service's own context is left alone."""
    engine, made = images(run_program, litellm=PINNED)
    names = {image.name for image in engine.of_type("RemoteImage")}

    assert engine.named("img-litellm-pull").inputs["name"] == PINNED
    assert "img-litellm-build" not in names
    assert made.versions["litellm"] == PINNED
