"""Keys at the door: who calls, and whether it may ask for more just now.

What the database says of a key is believed for a few seconds, so a call costs no look-up. A revoked key is refused that
much later, and limits are kept to within what comes in that time; each instance counts its own calls a minute.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from dataclasses import dataclass, field
from decimal import Decimal

from batchframe.errors import DatabaseError
from batchframe.proxy import keymaking
from batchframe.proxy.calling import Caller
from batchframe.store import keys
from batchframe.store.database import Database
from batchframe.store.keys import Key
from batchframe.wire.refusals import Refusal

logger = logging.getLogger(__name__)

_BELIEVED_SECONDS = 3.0
_MOST_STRANGERS = 1_000
"""Wrong keys remembered, so that they cost no look-up each either."""
_RETRY_AFTER = 20
"""Seconds until a full queue is worth another try; the Node SDK heeds at most 60."""


@dataclass(slots=True)
class _Known:
    """What is believed of a key."""

    key: Key
    caller: Caller
    until: float
    spent_usd: Decimal = Decimal(0)
    unanswered: int = 0
    tokens: float = 0.0
    filled_at: float = field(default_factory=time.monotonic)


class Keys:
    """The door."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, _Known] = {}
        self._by_id: dict[int, _Known] = {}
        self._strangers: dict[bytes, float] = {}
        self._looking: dict[bytes, asyncio.Future[_Known | None]] = {}

    async def caller(self, authorization: str) -> Caller:
        """Who calls, by the `Authorization` header.

        Raises:
            Refusal: no key, or one that opens nothing.
            DatabaseError: nobody can say.
        """
        scheme, _, given = authorization.partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer" or not given:
            message = "You didn't provide an API key. Send it as `Authorization: Bearer …`."
            raise Refusal(401, message, code="invalid_api_key")
        digest = keymaking.digest(given)
        del given
        now = time.monotonic()
        known = self._known.get(digest)
        if known is None or known.until < now:
            if self._strangers.get(digest, 0.0) > now:
                raise _unknown_key()
            known = await self._look(digest)
        if known is None:
            raise _unknown_key()
        return known.caller

    async def admit(self, caller: Caller, requests: int = 1) -> None:
        """Count requests of a key, if it may have them now.

        Raises:
            Refusal: 429, with the time after which it is worth another try.
        """
        known = self._by_id[caller.id]
        if caller.budget_usd is not None and known.spent_usd >= caller.budget_usd:
            message = f"The budget of the key {caller.name!r} is used up. Its owner can raise it."
            raise Refusal(429, message, code="insufficient_quota", headers={"x-should-retry": "false"})
        if caller.queue_limit is not None and known.unanswered + requests > caller.queue_limit:
            message = f"The key {caller.name!r} has {known.unanswered:,} unanswered requests, and may have "
            message += f"{caller.queue_limit:,}."
            raise Refusal(429, message, code="queue_full", headers={"retry-after": str(_RETRY_AFTER)})
        if caller.rate_limit is not None:
            wait = self._take(known, caller.rate_limit, requests)
            if wait > 0:
                message = f"Rate limit reached for the key {caller.name!r}: {caller.rate_limit:,} requests a minute."
                headers = {"retry-after": str(max(1, round(wait)))}
                raise Refusal(429, message, code="rate_limit_exceeded", headers=headers)
        known.unanswered += requests

    @staticmethod
    def _take(known: _Known, per_minute: int, requests: int) -> float:
        """Take requests from a bucket that fills by the minute's rate; seconds to wait, 0 when they were there."""
        now = time.monotonic()
        known.tokens = min(per_minute, known.tokens + (now - known.filled_at) * per_minute / 60)
        known.filled_at = now
        if known.tokens < min(requests, per_minute):
            return (requests - known.tokens) * 60 / per_minute
        known.tokens -= requests
        return 0.0

    async def _look(self, digest: bytes) -> _Known | None:
        """Ask the database, once for all calls that want to know."""
        looking = self._looking.get(digest)
        if looking is None:
            looking = self._looking[digest] = asyncio.ensure_future(self._look_up(digest))
            looking.add_done_callback(lambda _: self._looking.pop(digest, None))
        return await asyncio.shield(looking)

    async def _look_up(self, digest: bytes) -> _Known | None:
        before = self._known.get(digest)
        try:
            found = await asyncio.to_thread(self._read, digest)
        except DatabaseError:
            if before is not None:
                before.until = time.monotonic() + _BELIEVED_SECONDS  # what needs the database will fail by itself
                return before
            raise
        until = time.monotonic() + _BELIEVED_SECONDS
        if found is None:
            self._known.pop(digest, None)
            if len(self._strangers) >= _MOST_STRANGERS:
                self._strangers.clear()
            self._strangers[digest] = until
            return None
        key, spent = found
        caller = Caller(key.id, key.name, key.budget_usd, key.rate_limit, key.queue_limit)
        known = _Known(key, caller, until, spent.cost_usd + spent.reserved_usd, spent.unanswered)
        known.tokens = before.tokens if before else float(key.rate_limit or 0)
        known.filled_at = before.filled_at if before else time.monotonic()
        self._known[digest] = self._by_id[key.id] = known
        return known

    def _read(self, digest: bytes) -> tuple[Key, keys.Spent] | None:
        with self._database.transaction() as connection:
            key = keys.find(connection, digest)
            if key is None or key.revoked_at is not None or not hmac.compare_digest(key.sha256, digest):
                return None
            keys.touch(connection, [key.id])
            return key, keys.spent(connection, key.id)


def _unknown_key() -> Refusal:
    return Refusal(401, "Incorrect API key provided.", code="invalid_api_key")
