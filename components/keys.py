"""Keys derived from a secret of the stack, so that one secret serves several purposes."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pulumi

GENERATION_LENGTH = 12


def hmac_hex(secret: str, purpose: str, content: str = "") -> str:
    """Return HMAC-SHA256 of *content* in hexadecimal, bound to *purpose*."""
    message = f"llm-gateway/{purpose}\n{content}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def derived_key(secret: pulumi.Input[str], purpose: str) -> pulumi.Output[str]:
    """Return a secret key of the form ``sk-<64 hex>`` that reveals nothing of *secret*."""
    return pulumi.Output.secret(secret).apply(lambda plain: f"sk-{hmac_hex(plain, purpose)}")


def generation_id(secret: pulumi.Input[str], content: Any) -> pulumi.Output[str]:
    """Return a short public name for *content*, which may hold secrets.

    The engine ignores a ``replacement_trigger`` that is a secret, and a plain hash of a secret
    could be guessed at, so the name is a keyed hash that is made public on purpose.

    Args:
        secret: the HMAC key.
        content: JSON-serialisable, Outputs allowed at any depth.
    """
    named = pulumi.Output.all(secret=secret, content=content).apply(
        lambda known: hmac_hex(
            known["secret"], "generation", json.dumps(known["content"], sort_keys=True)
        )[:GENERATION_LENGTH]
    )
    return pulumi.Output.unsecret(named)
