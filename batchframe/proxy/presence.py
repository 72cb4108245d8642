"""Presence: what this process tells the others of the calls it holds.

A call whose waiter is gone may be taken up by the next that asks the same, here or at another instance. An instance
that is killed says nothing; it is known by its silence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID, uuid4

from batchframe.errors import DatabaseError
from batchframe.proxy.grouping import Grouped
from batchframe.store import proxied
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_BEAT_SECONDS = 2.0
SILENCE_SECONDS = 10.0
"""After so long without a beat an instance is taken for dead."""


class Presence:
    """This instance, as the others see it."""

    def __init__(self, database: Database) -> None:
        self.id = uuid4()
        self._database = database
        self._left: Grouped[UUID, None] = Grouped(self._release)
        self._sent: Grouped[UUID, None] = Grouped(self._deliver)
        self._pending: set[asyncio.Future[None]] = set()

    def beat_once(self) -> None:
        """Say that it is there.

        Raises:
            DatabaseError: the database is away.
        """
        with self._database.transaction() as connection:
            proxied.seen(connection, self.id)

    async def run(self) -> None:
        """Say so again and again, until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                await asyncio.to_thread(self.beat_once)
            except DatabaseError as error:
                logger.warning("%s Trying again.", error)

    def left(self, request_id: UUID) -> None:
        """Nobody waits for it here any more."""
        self._keep(self._left.add(request_id))

    def delivered(self, request_id: UUID) -> None:
        """Its answer was sent."""
        self._keep(self._sent.add(request_id))

    async def leave(self) -> None:
        """Say what there is left to say, and good-bye."""
        await self._left.finish()
        await self._sent.finish()
        try:
            await asyncio.to_thread(self._gone)
        except DatabaseError as error:
            logger.warning("%s The other instances find out by themselves.", error)

    def _keep(self, future: asyncio.Future[None]) -> None:
        self._pending.add(future)
        future.add_done_callback(self._said)

    def _said(self, future: asyncio.Future[None]) -> None:
        self._pending.discard(future)
        if not future.cancelled() and (error := future.exception()):
            # At worst a call that comes again is answered with what was answered before.
            logger.warning("could not be noted: %s", error)

    def _release(self, ids: Sequence[UUID]) -> Sequence[None]:
        with self._database.transaction() as connection:
            proxied.release(connection, ids, self.id)
        return [None] * len(ids)

    def _deliver(self, ids: Sequence[UUID]) -> Sequence[None]:
        with self._database.transaction() as connection:
            proxied.delivered(connection, ids)
        return [None] * len(ids)

    def _gone(self) -> None:
        with self._database.transaction() as connection:
            proxied.gone(connection, self.id)
