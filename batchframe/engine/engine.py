"""The engine: plans due jobs, claims due batches, takes their steps, keeps its leases, and sleeps until the next.

Many engines may share a database. Each is only trusted as long as it renews its leases: one that cannot stops its
own work before the others take it over.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import uuid
from collections.abc import Callable, Mapping

from batchframe.config import Settings
from batchframe.core.packing import Limits
from batchframe.engine.steps import Steps
from batchframe.errors import DatabaseError
from batchframe.model import Batch
from batchframe.providers.base import Provider
from batchframe.store import batches, planning
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_CONCURRENT_BATCHES = 8
_JOBS_A_LOOK = 50


class Engine:
    """One engine; `run` is its life."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        settings: Settings,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        on_change: called from the event loop after every step, so that waiting handles look again.
        """
        self._database = database
        self._providers = providers
        self._settings = settings
        self._steps = Steps(database, providers, settings)
        self._on_change = on_change
        self._owner = uuid.uuid4()
        self._held: dict[int, asyncio.Task[None]] = {}
        self._planning: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for work now. Call it in the engine's event loop."""
        self._woken.set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until cancelled, or until no job of its providers is open.

        Cancelled, it leaves its batches where they are; their leases are given back, so the next engine goes on at
        once.
        """
        renewing = asyncio.create_task(self._keep_leases())
        try:
            while True:
                self._woken.clear()
                wait = await self._look()
                if until_idle and wait is None and not self._held and await self._is_idle():
                    return
                try:
                    async with asyncio.timeout(self._settings.poll_max_seconds if wait is None else wait):
                        await self._woken.wait()
                except TimeoutError:
                    pass
        finally:
            renewing.cancel()
            await self._drop_all()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _look(self) -> float | None:
        """Start what is due; seconds until something else is, None when nothing will be."""
        try:
            if self._planning is None:
                self._planning = asyncio.create_task(self._plan())
                self._planning.add_done_callback(self._planned)
            free = _CONCURRENT_BATCHES - len(self._held)
            if free > 0:
                for batch in await asyncio.to_thread(self._claim, free):
                    task = asyncio.create_task(self._work(batch))
                    self._held[batch.id] = task
                    task.add_done_callback(functools.partial(self._finished, batch.id))
            wait = await asyncio.to_thread(self._next_due)
        except DatabaseError as error:
            logger.warning("%s Trying again.", error)
            return self._settings.poll_seconds
        except Exception:
            logger.exception("looking for work failed; it is tried again")
            return self._settings.poll_seconds
        if wait is None:
            return None
        # What is due and was not started waits for a place or a lock, whose end wakes us: no need to spin.
        return min(wait or 0.05, self._settings.poll_max_seconds)

    async def _is_idle(self) -> bool:
        if self._planning is not None:
            await self._planning
        return not self._woken.is_set()

    def _claim(self, limit: int) -> list[Batch]:
        with self._database.transaction() as connection:
            return batches.claim(connection, self._owner, list(self._providers), self._settings.lease_seconds, limit)

    def _next_due(self) -> float | None:
        with self._database.transaction() as connection:
            return batches.next_due(connection, list(self._providers))

    async def _work(self, batch: Batch) -> None:
        """Take steps with a batch until it rests."""
        following: Batch | None = batch
        try:
            while following is not None:
                batch = following
                following = await self._steps.take(batch)
                self._on_change()
        except batches.LeaseLostError as error:
            logger.warning("%s", error)
        except DatabaseError as error:
            logger.warning("batch %s: %s It is taken up again when its lease has run out.", batch.id, error)
        except Exception:
            logger.exception("batch %s: unexpected; it is taken up again when its lease has run out", batch.id)

    def _finished(self, batch_id: int, _: asyncio.Task[None]) -> None:
        del self._held[batch_id]
        self._woken.set()

    async def _plan(self) -> None:
        """Plan every due job as far as it goes."""
        try:
            for job_id, provider in await asyncio.to_thread(self._due_jobs):
                await self._plan_job(job_id, self._providers[provider].limits)
        except DatabaseError as error:
            logger.warning("%s Trying again.", error)

    async def _plan_job(self, job_id: int, limits: Limits) -> None:
        try:
            step = planning.Step.PLANNED
            while step is planning.Step.PLANNED:
                step = await asyncio.to_thread(self._plan_step, job_id, limits)
                self._on_change()
                if step is planning.Step.PLANNED:
                    self._woken.set()
        except DatabaseError:
            raise
        except Exception:
            logger.exception("job %s cannot be planned; the others go on", job_id)

    def _planned(self, _: asyncio.Task[None]) -> None:
        self._planning = None

    def _due_jobs(self) -> list[tuple[int, str]]:
        with self._database.transaction() as connection:
            return planning.due_jobs(connection, list(self._providers), _JOBS_A_LOOK)

    def _plan_step(self, job_id: int, limits: Limits) -> planning.Step:
        with self._database.transaction() as connection:
            return planning.plan(connection, job_id, limits, self._settings.poll_max_seconds)

    async def _keep_leases(self) -> None:
        """Renew what is held; stop all work when that has failed for so long that others may have taken over."""
        lease = self._settings.lease_seconds
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(lease / 3)
            try:
                ids = list(self._held)
                asked = time.monotonic()
                # Not wait_for, which in Python 3.11 swallows a cancellation that meets the answer: it would never stop.
                async with asyncio.timeout(lease / 3):
                    await asyncio.to_thread(self._renew, ids)
                renewed = asked
            except Exception as error:  # whatever it is, this loop decides whether the engine may go on
                logger.warning("leases could not be renewed: %s", error)
                if time.monotonic() - renewed > lease * 2 / 3:
                    await self._drop_tasks()

    def _renew(self, ids: list[int]) -> None:
        with self._database.transaction() as connection:
            batches.renew(connection, self._owner, ids, self._settings.lease_seconds)

    async def _drop_tasks(self) -> None:
        tasks = [*self._held.values(), *([self._planning] if self._planning else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drop_all(self) -> None:
        """Stop working and give the leases back."""
        await self._drop_tasks()
        try:
            self._give_back()  # not in a thread: an event loop that is closing may have none left
        except DatabaseError as error:
            logger.warning("leases were not given back, they run out: %s", error)

    def _give_back(self) -> None:
        with self._database.transaction() as connection:
            batches.give_back(connection, self._owner)
