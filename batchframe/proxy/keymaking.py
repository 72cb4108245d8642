"""Keys as they are made, hashed and shown."""

from __future__ import annotations

import hashlib
import secrets

_SHOWN = 7


def make() -> str:
    """A new key: 32 random bytes, so that its plain hash cannot be turned back by guessing."""
    return f"bf-{secrets.token_urlsafe(32)}"


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def shown(key: str) -> str:
    """Its first characters: too few to help a guess."""
    return f"{key[:_SHOWN]}…" if len(key) > 3 * _SHOWN else "…"
