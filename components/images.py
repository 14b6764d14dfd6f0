"""All images of a stack, built once however many gateways use them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.image import Image, ImageArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagesArgs:
    """Where each image comes from.

    Attributes:
        rootfs: reference of the root file system that built images start from.
        litellm: registry reference instead of a build.
        proxy: registry reference instead of a build.
        caddy: registry reference instead of a build.
        demo_upstream: registry reference instead of a build.
        with_demo: whether the demo upstream's image is needed.
    """

    rootfs: str
    litellm: str | None = None
    proxy: str | None = None
    caddy: str | None = None
    demo_upstream: str | None = None
    with_demo: bool = False


class Images(pulumi.ComponentResource):
    """The images that the services run.

    Attributes:
        seed: image of containers that are never started and only carry files into a volume.
        demo_upstream: None when it is not needed.
    """

    litellm: Image
    proxy: Image
    caddy: Image
    seed: Image
    demo_upstream: Image | None

    def __init__(
        self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("llmgateway:index:Images", name, None, opts)
        self._name = name
        self._rootfs = args.rootfs
        self._base: Image | None = None
        self.seed = Image(
            f"{name}-seed",
            ImageArgs(context="images/seed"),
            pulumi.ResourceOptions(parent=self),
        )
        self.caddy = self._image("caddy", args.caddy, on_base=False)
        self.litellm = self._image("litellm", args.litellm)
        self.proxy = self._image("claude-code-proxy", args.proxy)
        self.demo_upstream = (
            self._image("demo-upstream", args.demo_upstream) if args.with_demo else None
        )
        self.register_outputs({"versions": self.versions})

    @property
    def versions(self) -> dict[str, str]:
        """Version of each service's image."""
        versions = {
            "litellm": self.litellm.version,
            "claude-code-proxy": self.proxy.version,
            "caddy": self.caddy.version,
        }
        if self.demo_upstream is not None:
            versions["demo-upstream"] = self.demo_upstream.version
        return versions

    def _image(self, service: str, ref: str | None, *, on_base: bool = True) -> Image:
        if ref is not None:
            return Image(
                f"{self._name}-{service}",
                ImageArgs(context=f"images/{service}", ref=ref),
                pulumi.ResourceOptions(parent=self),
            )
        build_args = {"ROOTFS": self._rootfs}
        depends_on: list[pulumi.Resource] = []
        if on_base:
            base = self._base_image()
            build_args["BASE"] = base.ref
            depends_on.append(base)
        return Image(
            f"{self._name}-{service}",
            ImageArgs(context=f"images/{service}", build_args=build_args),
            pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )

    def _base_image(self) -> Image:
        if self._base is None:
            self._base = Image(
                f"{self._name}-base",
                ImageArgs(context="images/base", build_args={"ROOTFS": self._rootfs}),
                pulumi.ResourceOptions(parent=self),
            )
        return self._base
