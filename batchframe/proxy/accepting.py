"""Accepting: a call is kept in Postgres before anything else happens to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from uuid import UUID, uuid4

from batchframe.config import Settings
from batchframe.core.identity import request_hasher
from batchframe.core.tokens import estimate
from batchframe.errors import DatabaseError
from batchframe.model import Route
from batchframe.proxy.calls import Call
from batchframe.proxy.grouping import Grouped
from batchframe.proxy.presence import SILENCE_SECONDS, Presence
from batchframe.store import arrivals
from batchframe.store.arrivals import Arrival, Place, Stream, Window
from batchframe.store.database import Database
from batchframe.wire.refusals import Refusal

logger = logging.getLogger(__name__)

_PATIENCE = 2.0
"""Seconds in which a commit whose confirmation was lost is looked up, before its callers are told to come again."""
_PAUSE = 0.1


class Accepting:
    """Keeps calls, many in one transaction."""

    def __init__(self, database: Database, settings: Settings, provider_id: str, presence: Presence) -> None:
        self._database = database
        self._window = Window(settings.window_seconds, settings.window_requests, settings.window_bytes)
        self._provider_id = provider_id
        self._presence = presence
        self._grouped: Grouped[Arrival, Place] = Grouped(self._keep)

    async def accept(self, call: Call, api_key_id: int) -> Place:
        """Keep a call, or join the request it has made before.

        Raises:
            DatabaseError: the database is away; nothing was kept, or what was is joined when the call comes again.
            Refusal: its idempotency key stands for another call.
        """
        return _checked(await self._grouped.add(self._arrival(call, api_key_id)))

    async def rejoin(self, call: Call, api_key_id: int) -> Place | None:
        """Join the request a call has made before; None when there is none, and then nothing is kept.

        Raises:
            DatabaseError: the database is away.
            Refusal: its idempotency key stands for another call.
        """
        arrival = self._arrival(call, api_key_id)

        def join() -> Place | None:
            with self._database.transaction() as connection:
                return arrivals.rejoin(connection, arrival, self._presence.id, silence=SILENCE_SECONDS)

        place = await asyncio.to_thread(join)
        return None if place is None else _checked(place)

    def _arrival(self, call: Call, api_key_id: int) -> Arrival:
        route = Route(self._provider_id, call.endpoint, call.model)
        return Arrival(
            id=uuid4(),
            stream=Stream(api_key_id, route, call.deadline),
            body=call.body,
            hash=request_hasher(route, 0)(call.body),
            tokens=estimate(len(call.body)),
            call_hash=call.identity,
            answer_tokens=call.answer_tokens,
            idempotency_key=call.idempotency_key,
            background=call.background or call.receipt,
            repeated=call.repeated,
        )

    def _keep(self, group: Sequence[Arrival]) -> Sequence[Place]:
        """One transaction; when it fails, another, for those that are not there: a commit may only be unheard."""
        until = time.monotonic() + _PATIENCE
        kept: dict[UUID, Place] = {}
        missing = group
        again = False
        while True:
            try:
                with self._database.transaction() as connection:
                    if again:
                        kept |= arrivals.places(connection, [arrival.id for arrival in missing])
                        missing = [arrival for arrival in missing if arrival.id not in kept]
                    fresh = arrivals.accept(
                        connection, missing, self._presence.id, self._window, silence=SILENCE_SECONDS
                    )
                kept |= fresh
                return [kept[arrival.id] for arrival in group]
            except DatabaseError as error:
                if time.monotonic() > until:
                    raise
                logger.warning("%s Trying again.", error)
                again = True
                time.sleep(_PAUSE)


def _checked(place: Place) -> Place:
    if not place.same:
        message = "This Idempotency-Key was used for a different request. Use a new key for each request."
        raise Refusal(400, message, code="idempotency_key_in_use")
    return place
