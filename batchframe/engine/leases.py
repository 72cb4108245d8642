"""Leases: an engine may work on a batch only as long as it renews its lease.

Renewing has a thread and a connection of its own, so that work that hangs cannot keep it from happening. An engine
that cannot renew drops its work before the leases are over, and one that hears that another engine has taken a batch
drops that batch.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from batchframe.errors import DatabaseError
from batchframe.store import batches
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_BEATS = 5
"""Renewals within one lease. A try may take a whole beat and the next one another, so two may fail for good."""


class Holder(Protocol):
    """Who works on batches."""

    def held(self) -> Mapping[int, int]:
        """The batches being worked on, each with the token it was claimed with."""

    def drop(self, ids: Collection[int]) -> None:
        """Another engine holds these now."""

    async def drop_all(self) -> None:
        """Others may take over soon: stop."""


class Leases:
    """The leases of one engine."""

    def __init__(self, database: Database, owner: UUID, seconds: float) -> None:
        self._beat = seconds / _BEATS
        self._database = database.reserved(self._beat)
        self._owner = owner
        self._seconds = seconds
        self._renewing: threading.Thread | None = None

    async def keep(self, holder: Holder) -> None:
        """Renew until cancelled."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._beat)
            asked = time.monotonic()
            try:
                held = holder.held()
                async with asyncio.timeout(self._beat):
                    lost = await self._in_own_thread(functools.partial(self._renew, held))
                renewed = asked
                holder.drop(lost)
            except Exception as error:  # whatever it is, this loop decides whether the engine may go on
                reason = str(error) or "the database does not answer"
                logger.warning("leases could not be renewed: %s", reason)
                # The next try may take two beats from now, one to wait and one to fail.
                if time.monotonic() + 2 * self._beat > renewed + self._seconds:
                    await holder.drop_all()

    def give_back(self) -> None:
        """End the leases of an engine that stops, and close the connection."""
        if self._renewing is not None:
            self._renewing.join(self._beat)
        try:
            with self._database.transaction() as connection:
                batches.give_back(connection, self._owner)
        except DatabaseError as error:
            logger.warning("leases were not given back, they run out: %s", error)
        finally:
            self._database.close()

    def _renew(self, held: Mapping[int, int]) -> set[int]:
        if not held:
            return set()
        with self._database.transaction() as connection:
            return batches.renew(connection, self._owner, held, self._seconds)

    async def _in_own_thread(self, call: Callable[[], set[int]]) -> set[int]:
        """Run it in a new thread: no pool that work could fill, and one that hangs is left behind."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[set[int]] = loop.create_future()

        def settle(set_it: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: None if answer.done() else set_it())

        def run() -> None:
            try:
                lost = call()
            except Exception as error:
                failure = error
                settle(lambda: answer.set_exception(failure))
            else:
                settle(lambda: answer.set_result(lost))

        self._renewing = threading.Thread(target=run, name="batchframe-leases", daemon=True)
        self._renewing.start()
        return await answer
