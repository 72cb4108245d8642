"""Sessions of the status page: a cookie that says which key signed in, until when, and that we said so. Pure.

It is signed with the key's stored hash, so nothing is kept of a session, and a key that was replaced ends its sessions.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

SECONDS = 12 * 3600
_LONGEST = 200
"""Characters; a cookie of ours has fewer than 110."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a cookie claims. It holds only if `is_of` its key."""

    key_id: int
    expires: int
    signature: str

    def is_of(self, sha256: bytes, now: float) -> bool:
        """Whether the key with this hash signed in, and the time is not over."""
        right = _signature(self.key_id, self.expires, sha256)
        return hmac.compare_digest(self.signature.encode(), right.encode()) and now < self.expires


def cookie(key_id: int, sha256: bytes, now: float) -> str:
    """The cookie of a key that signs in now.

    Args:
        now: seconds since the epoch.
    """
    expires = int(now) + SECONDS
    return f"{key_id}.{expires}.{_signature(key_id, expires, sha256)}"


def read(text: str) -> Session | None:
    """What a cookie claims; None when it is none of ours."""
    parts = text.split(".")
    if len(text) > _LONGEST or len(parts) != 3 or not text.isascii():
        return None
    key_id, expires, signature = parts
    if not (key_id.isdecimal() and expires.isdecimal()) or int(key_id) >= 2**63:
        return None
    return Session(int(key_id), int(expires), signature)


def _signature(key_id: int, expires: int, sha256: bytes) -> str:
    return hmac.new(sha256, f"batchframe session {key_id}.{expires}".encode(), hashlib.sha256).hexdigest()
