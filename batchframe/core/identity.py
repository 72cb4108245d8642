"""Identity: the hash that says two requests ask the same thing, and the digest that says two jobs are the same call.

BLAKE2b with 16 bytes, so it fits Postgres's `uuid`: among a billion requests the chance of one accidental collision
is about 10⁻²¹ (birthday bound n²/2¹²⁹).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from uuid import UUID

from batchframe.model import Route


def request_hasher(route: Route, sample: int) -> Callable[[bytes], bytes]:
    """A function from a body to its request's hash, 16 bytes.

    The model is in the body; provider and endpoint are not, so they go in first, and with them the number of the
    sample, which makes `samples=3` three requests.
    """
    start = hashlib.blake2b(f"{route.provider}\n{route.endpoint}\n{sample}\n".encode(), digest_size=16)

    def request_hash(body: bytes) -> bytes:
        state = start.copy()
        state.update(body)
        return state.digest()

    return request_hash


def job_digest(spec: bytes, hashes: Iterable[bytes | None]) -> UUID:
    """One call's identity: its specification and the request of every row in order, None for a skipped row."""
    state = hashlib.blake2b(spec, digest_size=16)
    nothing = bytes(16)
    for request in hashes:
        state.update(request or nothing)
    return UUID(bytes=state.digest())
