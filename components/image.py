"""A container image: built here from a pinned context, or named by reference."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_docker as docker

REPOSITORY = "llm-gateway"
_VERSION_LABEL = re.compile(r'org\.opencontainers\.image\.version="([^"]+)"')


def context_digest(context: Path, build_args: Mapping[str, str]) -> str:
    """Return 12 hexadecimal digits over what a build of *context* depends on.

    Covers path, mode bit and content of each file that the engine is sent, and the build arguments.
    """
    digest = hashlib.sha256()
    for name, value in sorted(build_args.items()):
        digest.update(f"{name}={value}\0".encode())
    for name, path in context_files(context):
        executable = path.stat().st_mode & 0o100
        digest.update(f"{name}\0{executable}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def context_files(context: Path) -> Iterator[tuple[str, Path]]:
    """Yield what the engine is sent, in order, by its name there; honours ``.dockerignore``."""
    ignored = _ignore_patterns(context)
    for path in sorted(context.rglob("*")):
        relative = path.relative_to(context).as_posix()
        if path.is_file() and not _is_ignored(relative, ignored):
            yield relative, path


def declared_version(context: Path) -> str | None:
    """Return the version that the context's Dockerfile puts into its OCI label, if it does."""
    found = _VERSION_LABEL.search((context / "Dockerfile").read_text())
    return found[1] if found else None


def _ignore_patterns(context: Path) -> list[str]:
    ignore_file = context / ".dockerignore"
    if not ignore_file.exists():
        return []
    lines = (line.strip() for line in ignore_file.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _is_ignored(relative: str, patterns: list[str]) -> bool:
    """Follow Docker's rules: the last pattern that matches the path or a parent of it decides."""
    if relative == "Dockerfile":
        return False
    ignored = False
    for pattern in patterns:
        if _matches(pattern.removeprefix("!").strip("/").split("/"), relative.split("/")):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return (
        bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageArgs:
    """What an image is made of.

    Attributes:
        context: build context, relative to the project, e.g. ``images/litellm``.
        build_args: build arguments; an image that is named here is part of this one's content.
        ref: registry reference that replaces the build.
    """

    context: str
    build_args: Mapping[str, str] = field(default_factory=dict)
    ref: str | None = None


class Image(pulumi.ComponentResource):
    """An image on the engine, by content: a changed context is a new image.

    Attributes:
        image_id: ``sha256:…``, so that a container is replaced when its image changes.
        ref: the name under which later builds can use it.
        version: version label of the build, else its digest; the reference of an image pulled.
    """

    image_id: pulumi.Output[str]
    ref: str
    version: str

    def __init__(
        self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:Image", name, None, opts)
        if args.ref is None:
            self._build(name, args)
        else:
            self._pull(name, args.ref)
        self.register_outputs({"image_id": self.image_id, "ref": self.ref, "version": self.version})

    def _build(self, name: str, args: ImageArgs) -> None:
        context = Path(args.context)
        digest = context_digest(context, args.build_args)
        self.ref = f"{REPOSITORY}/{context.name}:{digest}"
        self.version = declared_version(context) or digest
        image = docker.RemoteImage(
            f"{name}-build",
            name=self.ref,
            build=docker.RemoteImageBuildArgs(
                context=args.context,
                build_args=dict(args.build_args),
                # BuildKit's front end and its session need more than an engine of 2020 has.
                use_legacy_builder=True,
                force_remove=True,
            ),
            triggers={"content": digest},
            # Deleting by name would take the tag from the image that replaces this one.
            keep_locally=True,
            opts=pulumi.ResourceOptions.merge(
                _image_options(self), pulumi.ResourceOptions(hide_diffs=["build"])
            ),
        )
        self.image_id = image.image_id

    def _pull(self, name: str, ref: str) -> None:
        self.ref = self.version = ref
        image = docker.RemoteImage(
            f"{name}-pull", name=ref, keep_locally=True, opts=_image_options(self)
        )
        self.image_id = image.image_id


def _image_options(parent: pulumi.Resource) -> pulumi.ResourceOptions:
    # A resource with a name of its own is deleted before it is replaced, and the running container
    # with it, because that depends on the image: a build that fails would be an outage.
    return pulumi.ResourceOptions(parent=parent, delete_before_replace=False)
