"""How a configuration value is read and judged, and how a wrong one is reported.

Nothing here knows the gateway's keys; `settings` says which rule each of them must satisfy.
"""

from __future__ import annotations

import difflib
import ipaddress
import itertools
import json
import re
import shlex
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

PROJECT = "llm-gateway"
HIDDEN = "<hidden>"

Path = tuple[str | int, ...]

_TYPE_NAMES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "empty",
}


def render_path(path: Path) -> str:
    """Write a path as `pulumi config --path` reads it: `models[0].name`, `clientTokens["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text


def config_command(verb: str, path: Path, *, secret: bool = False, hint: str = "") -> str:
    """Write the `pulumi config` command that acts on one path."""
    words = ["pulumi config", verb, *(["--secret"] if secret else [])]
    words += ["--path"] if len(path) > 1 else []
    return " ".join([*words, shlex.quote(render_path(path)), *([hint] if hint else [])])


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or `None`."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown word with the nearest known one, or with all of them."""
    names = sorted(known)
    near = nearest(word, names)
    return f"did you mean {near}?" if near else f"known: {', '.join(names) or 'none'}"


@dataclass(frozen=True, slots=True)
class Node:
    """One place in the configuration: its path, what stands there, and where to report it.

    Readers never raise: they report, and return a harmless stand-in of the right type, so that one
    pass finds every problem. A `secret` node's value is never part of a report.
    """

    path: Path
    value: object = field(repr=False)
    secret: bool
    problems: list[str] = field(repr=False)

    @property
    def is_set(self) -> bool:
        """Whether anything stands here; an empty string counts as nothing."""
        return self.value is not None and self.value != ""

    def fail(self, what: str, hint: str = "<value>", cure: str = "") -> None:
        """Report this node, with the command that cures it (`hint`: the value to set)."""
        command = cure or self.setter(hint)
        line = f"{PROJECT}:{render_path(self.path)}: {what} — run: {command}"
        # Two rules may read the same node.
        if line not in self.problems:
            self.problems.append(line)

    def setter(self, hint: str = "<value>") -> str:
        """Write the command that sets this node; it asks for a secret, or reads it from a file."""
        if self.secret and not hint.startswith("< "):
            hint = ""
        return config_command("set", self.path, secret=self.secret, hint=hint)

    def shown(self) -> str:
        """Quote the value for a report."""
        if self.secret:
            return "the value"
        text = json.dumps(self.value, ensure_ascii=True)
        return text if len(text) <= 80 else f"{text[:77]}..."

    def child(self, key: str | int, value: object = None) -> Node:
        """Name a place below this one."""
        return Node((*self.path, key), value, self.secret, self.problems)

    def unknown(
        self, name: str, known: Collection[str], noun: str = "key", *, secrets: Collection[str] = ()
    ) -> None:
        """Report `name` below this node as one that nothing reads; `secrets` are known ones."""
        child = self.named(name)
        hidden = child.path[-1] == HIDDEN
        near = None if hidden else nearest(name, known)
        cure = config_command("rm", self.path if hidden else child.path)
        if near:
            meant = replace(self.child(near), secret=self.secret or near in secrets)
            cure += f" && {meant.setter()}"
        guess = did_you_mean("" if hidden else name, known)
        child.fail(f"unknown {noun}, {guess}", cure=cure)

    def named(self, name: str) -> Node:
        """Name the place below this one in a way that may be shown."""
        # A secret pasted on the wrong side of the colon must not travel into a log.
        plain = not self.secret or re.fullmatch(r"[a-z][a-z0-9.-]{0,23}", name)
        return self.child(name if plain else HIDDEN)

    def _wrong_type(self, wanted: str, cure: str = "", hint: str = "<value>") -> None:
        self.fail(f"is {_TYPE_NAMES[type(self.value)]}, must be {wanted}", hint=hint, cure=cure)

    def mapping(self, example: str = "NAME") -> dict[str, Node]:
        """Read an object with free keys, of which `example` is one. Unset is empty."""
        if not self.is_set:
            return {}
        if not isinstance(self.value, dict):
            below = replace(self, path=(*self.path, *example.split("."))).setter()
            self._wrong_type("an object", f"{config_command('rm', self.path)} && {below}")
            return {}
        return {str(key): self.child(str(key), value) for key, value in self.value.items()}

    def fields(self, *known: str) -> dict[str, Node]:
        """Read an object with these keys and no others; each is there, set or not."""
        present = self.mapping(example=known[0])
        for name in sorted(present.keys() - set(known)):
            self.unknown(name, known)
        return {name: present.get(name) or self.child(name) for name in known}

    def sequence(self, hint: str = "<value>", below: str = "") -> list[Node]:
        """Read a list. Unset is empty."""
        if not self.is_set:
            return []
        if not isinstance(self.value, list):
            first = shlex.quote(f"{render_path(self.path)}[0]{below}")
            cure = f"{config_command('rm', self.path)} && pulumi config set --path {first} {hint}"
            self._wrong_type("a list", cure)
            return []
        return [self.child(index, value) for index, value in enumerate(self.value)]

    def text(
        self,
        *,
        pattern: str = "",
        rule: str = "",
        hint: str = "<value>",
        required: str = "",
        default: str = "",
    ) -> str:
        """Read a string that matches `pattern`; `required` says why it may not be missing."""
        if not self.is_set:
            if required:
                self.fail(required, hint)
            return default
        if not isinstance(self.value, str):
            self._wrong_type("a string", hint=hint)
            return default
        if pattern and not re.fullmatch(pattern, self.value):
            self.fail(f"{self.shown()} {rule}", hint)
            return default
        return self.value

    def choice(self, options: Sequence[str]) -> str:
        """Read one of a few words; unset is the first."""
        text = self.text(hint=options[0], default=options[0])
        if text not in options:
            self.fail(f"{self.shown()} is unknown, {did_you_mean(text, options)}", options[0])
        return text

    def integer(
        self, low: int, high: int, default: int | None = None, hint: str = ""
    ) -> int | None:
        """Read a whole number from `low` to `high`."""
        hint = hint or str(low if default is None else default)
        if not self.is_set:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self._wrong_type("an integer", hint=hint)
            return default
        if not low <= self.value <= high:
            self.fail(f"{self.shown()} is out of range, must be {low} to {high}", hint)
            return default
        return self.value

    def flag(self) -> bool:
        """Read true or false; unset is false."""
        if self.is_set and not isinstance(self.value, bool):
            self._wrong_type("a boolean (true or false)", hint="true")
        return self.is_set and bool(self.value)


def decode(raw: str | None, kind: str) -> object:
    """Turn the text in which the engine hands over a top-level key into a value.

    Scalars arrive as text whatever their YAML type was, lists and objects as JSON. What does not
    decode stays text, so that a reader can name the type it found. `None` when unset.
    """
    if raw is None or not raw.strip():
        return None
    if kind in ("array", "object") or raw.lstrip()[:1] in ("[", "{"):
        try:
            value: object = json.loads(raw)
        except ValueError:
            return raw
        return value if kind in ("array", "object") or isinstance(value, list | dict) else raw
    if kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", raw):
        return int(raw)
    if kind == "boolean" and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    return raw


_PLACEHOLDERS = (
    *("changeme", "change-me", "change_me", "putyour", "yourkey", "your-key", "your_key"),
    *("password", "placeholder", "replace", "example", "insert", "dummy"),
)


def placeholder(text: str) -> bool:
    """Tell whether a secret is a template's stand-in that nobody filled in."""
    return any(word in text.lower() for word in _PLACEHOLDERS)


def weakness(text: str) -> str:
    """Say why a generated secret is guessable, or "".

    A cheap floor, not a strength meter: stand-ins, fewer than 8 different characters, one block
    repeated, and runs such as abcdef or 111111 over more than half of the length.
    """
    if placeholder(text):
        return "is a placeholder"
    if len(set(text)) < 8:
        return "has fewer than 8 different characters"
    if text in (text + text)[1:-1]:
        return "repeats one block"
    steps = sum(abs(ord(a) - ord(b)) <= 1 for a, b in itertools.pairwise(text))
    return "is mostly a run of neighbouring characters" if steps * 2 > len(text) else ""


def unprintable(text: str) -> str:
    """Say which character keeps a secret out of a shell file or a Caddyfile, or ""."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return "has a space, a line break or a character outside ASCII"
    return "has a quote, brace, $ or \\" if set(text) & set("\"'`{}$\\") else ""


def is_address(text: str) -> bool:
    """Tell whether the text is an IPv4 or IPv6 literal (without a zone)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def hostname_problem(name: str) -> str:
    """Say why a name cannot stand in a certificate, or ""."""
    if is_address(name):
        return ""
    if "*" in name:
        return "is a wildcard; name each host"
    if "/" in name or re.search(r":[0-9]+$", name):
        return "must be a host alone, without scheme, port or path"
    labels = name.split(".")
    label = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    if len(name) > 253 or not all(re.fullmatch(label, part) for part in labels):
        return "is neither a DNS name nor an IP address"
    return "is neither a DNS name nor an IP address" if labels[-1].isdigit() else ""


_PRIVATE_SUFFIXES = ("localhost", "local", "internal", "test", "example", "invalid", "lan", "home")


def is_public_name(name: str) -> bool:
    """Tell whether a public certificate authority could issue for the name."""
    labels = name.lower().split(".")
    return not is_address(name) and len(labels) > 1 and labels[-1] not in _PRIVATE_SUFFIXES


def url_problem(url: str) -> str:
    """Say why an API base cannot be used, or "". Never repeats any of the URL."""
    if not re.fullmatch(r"[A-Za-z0-9._~:/@%\[\]?#=&+,;!()*-]+", url):
        return "has a character that a URL must not hold unescaped"
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        return "is not a URL"
    if "@" in parts.netloc:
        return "must not hold credentials (they belong in providerKeys)"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        return "is not an http:// or https:// URL"
    if hostname_problem(parts.hostname.replace("_", "-")):
        return "names no valid host"
    return "must not have a query or fragment" if parts.query or parts.fragment else ""


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----\s[A-Za-z0-9+/=\s]{40,}-----END \1-----"
)


def certificates(pem: str) -> tuple[str, ...]:
    """Split a PEM bundle into its certificates; empty when any of it is not a certificate."""
    found = tuple(match.group() + "\n" for match in _CERTIFICATE.finditer(pem))
    if not found or _CERTIFICATE.sub("", pem).strip():
        return ()
    try:
        ssl.create_default_context(cadata="".join(found))
    except (ssl.SSLError, ValueError):
        return ()
    return found


def is_private_key(pem: str) -> bool:
    """Tell whether the text is one unencrypted PEM private key."""
    return _PRIVATE_KEY.fullmatch(pem.strip()) is not None


_REFERENCE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed image reference."""

    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """Parse `name[:tag][@sha256:digest]`; `None` when it is none."""
        match = _REFERENCE.fullmatch(text) if len(text) <= 512 else None
        return cls(match["tag"], match["digest"]) if match else None

    @property
    def names_content(self) -> bool:
        """Whether the tag is a hash of what is in the image, as `scripts/bootstrap` makes it."""
        return re.fullmatch(r"[0-9a-f]{12,64}", self.tag or "") is not None


def release(text: str) -> tuple[int, int, int, int] | None:
    """Read the release out of `1.2.3`, `v1.2.3`, `v1.2.3-rc.1` or `main-v1.2.3-stable`.

    The last number is 0 for a preview (rc, dev, alpha, beta) and 1 otherwise, so tuples compare.
    """
    match = re.fullmatch(
        r"(?:[a-z_]+-)*v?([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})([-.+]?[A-Za-z].*|\.[0-9].*)?",
        text,
    )
    if not match:
        return None
    preview = re.match(r"[-.+]?(rc|dev|nightly|a[0-9l]|b[0-9e])", match[4] or "")
    return int(match[1]), int(match[2]), int(match[3]), 0 if preview else 1
