"""Certificates that an operator brings."""

from __future__ import annotations

import subprocess
from pathlib import Path

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def leaf(directory: Path, root: str, root_key: str) -> tuple[str, str]:
    """Return a certificate for this machine that *root* issued, and its key, as PEM."""
    files = {name: directory / f"leaf-{name}" for name in ("root", "root.key", "request", "key")}
    extensions = directory / "leaf-extensions"
    extensions.write_text(f"{NAMES}\nextendedKeyUsage=serverAuth\n")
    files["root"].write_text(root)
    files["root.key"].touch(mode=0o600)
    files["root.key"].write_text(root_key)
    request = ["openssl", "req", *CURVE, "-subj", "/CN=localhost"]
    subprocess.run(
        [*request, "-keyout", str(files["key"]), "-out", str(files["request"])],
        check=True,
        capture_output=True,
    )
    sign = ["openssl", "x509", "-req", "-in", str(files["request"]), "-days", "30"]
    sign += ["-CA", str(files["root"]), "-CAkey", str(files["root.key"]), "-CAcreateserial"]
    signed = subprocess.run(
        [*sign, "-extfile", str(extensions)], check=True, capture_output=True, text=True
    )
    key = files["key"].read_text()
    for file in files.values():
        file.unlink()
    return signed.stdout, key


def unusable() -> str:
    """Return a self-signed certificate whose key is thrown away."""
    command = ["openssl", "req", "-x509", *CURVE, "-keyout", "/dev/null", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", NAMES]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
