"""Keys derived from a secret of the stack, so that one secret serves several purposes."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pulumi

GENERATION_LENGTH = 12
GENERATION_PURPOSE = "generation"
# Tells this stack's objects on the engine from those of another stack of the same name.
DEPLOYMENT_LABEL = "llm-gateway.deployment"
DEPLOYMENT_CONTENT = "deployment"


def hmac_hex(secret: str, purpose: str, content: str = "") -> str:
    """Return HMAC-SHA256 of *content* in hexadecimal, bound to *purpose*."""
    message = f"llm-gateway/{purpose}\n{content}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def plain_derived_key(secret: str, purpose: str) -> str:
    """Return a key of the form ``sk-<64 hex>`` that reveals nothing of *secret*."""
    return f"sk-{hmac_hex(secret, purpose)}"


def plain_generation_id(secret: str, content: Any) -> str:
    """Return 12 hexadecimal digits that name JSON-serialisable *content*, keyed with *secret*."""
    text = json.dumps(content, sort_keys=True)
    return hmac_hex(secret, GENERATION_PURPOSE, text)[:GENERATION_LENGTH]


def deployment_id(salt_key: str) -> str:
    """Return the value of the deployment label of the stack with that salt key."""
    return plain_generation_id(plain_derived_key(salt_key, GENERATION_PURPOSE), DEPLOYMENT_CONTENT)


def derived_key(secret: pulumi.Input[str], purpose: str) -> pulumi.Output[str]:
    """Return `plain_derived_key` of an input, as a secret."""
    return pulumi.Output.secret(secret).apply(lambda plain: plain_derived_key(plain, purpose))


def generation_id(secret: pulumi.Input[str], content: Any) -> pulumi.Output[str]:
    """Return a short public name for *content*, which may hold secrets.

    The engine ignores a ``replacement_trigger`` that is a secret, and a plain hash of a secret
    could be guessed at, so the name is a keyed hash that is made public on purpose.

    Args:
        secret: the HMAC key.
        content: JSON-serialisable, Outputs allowed at any depth.
    """
    named = pulumi.Output.all(secret=secret, content=content).apply(
        lambda known: plain_generation_id(known["secret"], known["content"])
    )
    return pulumi.Output.unsecret(named)
