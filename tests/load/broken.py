"""Changes that cannot work: `pulumi up` fails and says why, and the old generation serves on."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.load.certificates import unusable
from tests.load.changes import ACCESS_RULES, appended, edited, unset
from tests.load.site import Site

PROXY_IMAGE = "images/claude-code-proxy/Dockerfile"
LITELLM_CONFIG = "templates/litellm_config.yaml.j2"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One configuration that cannot work.

    Attributes:
        name: what the table calls it.
        spoil: sets it.
        mend: sets a good one again.
        words: what `pulumi up` must say.
        twice: deploy it a second time, which must fail as well.
        loses: logical names of containers that may be gone after the failure.
    """

    name: str
    spoil: Callable[[Site], None]
    mend: Callable[[Site], None]
    words: tuple[str, ...]
    twice: bool = True
    loses: frozenset[str] = frozenset()

    def says(self, output: str) -> list[str]:
        """Return the words that are missing from what `pulumi up` printed."""
        return [word for word in self.words if word not in output]


def line(file: str, text: str) -> dict[str, Callable[[Site], None]]:
    """Spoil a file by a line at its end."""
    return {"spoil": appended(file, text), "mend": edited(file, text, "")}


def word(file: str, good: str, bad: str) -> dict[str, Callable[[Site], None]]:
    """Spoil a file by one word in it."""
    return {"spoil": edited(file, good, bad), "mend": edited(file, bad, good)}


def certificate_without_key(site: Site) -> None:
    """Bring a certificate and somebody else's key."""
    site.deployment.set("tls.mode", "files")
    site.deployment.set("tls.certificate", unusable())
    site.deployment.set_secret("tlsKey", site.next_authority[1])


@contextlib.contextmanager
def somebody_elses_port() -> Iterator[int]:
    """Listen on a port."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


class TakenPort:
    """A port that something else listens on until it is mended."""

    def spoil(self, site: Site) -> None:
        """Ask for the port."""
        self._former = site.deployment.pulumi("config", "get", "httpsPort").stdout.strip()
        self._held = contextlib.ExitStack()
        site.deployment.set("httpsPort", str(self._held.enter_context(somebody_elses_port())))

    def mend(self, site: Site) -> None:
        """Go back to the former one."""
        self._held.close()
        site.deployment.set("httpsPort", self._former)


_port = TakenPort()

BROKEN = [
    Broken(
        name="Caddyfile that Caddy refuses",
        **word(ACCESS_RULES, "respond 204", "no_such_directive"),
        words=("gateway-edge-gate ends with code 1", "unrecognized directive: no_such_directive"),
    ),
    Broken(
        name="certificate without its key",
        spoil=certificate_without_key,
        mend=unset("tls", "tlsKey"),
        words=("gateway-edge-gate ends with code 1", "private key does not match public key"),
    ),
    Broken(
        name="port that is taken",
        spoil=_port.spoil,
        mend=_port.mend,
        words=("httpsPort", "is in use", "run: pulumi config set"),
    ),
    Broken(
        name="image that does not build",
        **line(PROXY_IMAGE, "RUN echo this build fails | tr a-z A-Z; false\n"),
        words=("images-claude-code-proxy-build: its build fails", "THIS BUILD FAILS"),
    ),
    Broken(
        name="image build on a full disk",
        **line(PROXY_IMAGE, "RUN dd if=/dev/zero of=/dev/full bs=1 count=1\n"),
        words=("images-claude-code-proxy-build: its build fails", "No space left on device"),
    ),
    Broken(
        name="image that does not start",
        **line(PROXY_IMAGE, "ENV PATH=/nowhere\n"),
        words=("gateway-proxy",),
    ),
    Broken(
        name="image that never gets healthy",
        **line(
            PROXY_IMAGE,
            "USER 0:0\n"
            "RUN printf '#!/bin/sh\\nexec sleep 3600\\n' >/opt/venv/bin/claude-code-proxy\n"
            "USER 65532:65532\n",
        ),
        words=("gateway-proxy",),
    ),
    Broken(
        name="model configuration that LiteLLM rejects",
        **word(LITELLM_CONFIG, "routing_strategy: simple-shuffle", "routing_strategy: nonsense"),
        words=("gateway-litellm",),
        twice=False,
    ),
    Broken(
        name="provider's key that is wrong",
        spoil=lambda site: site.deployment.set_secret(
            "providerKeys.groq", f"gsk_{secrets.token_hex(24)}"
        ),
        mend=unset("providerKeys"),
        words=("gateway-litellm runs, but did not get healthy", "groq refuses the key"),
        twice=False,
    ),
]
