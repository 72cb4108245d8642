"""The engine: plans due jobs, claims due batches, takes their steps, and sleeps until more is due or a notice comes.

Many engines may share a database. Each is only trusted as long as it renews its leases (`leases.py`).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from batchframe.config import Settings
from batchframe.core.packing import Limits
from batchframe.engine.leases import Leases
from batchframe.engine.steps import Steps
from batchframe.engine.watching import tally
from batchframe.errors import ConfigurationError, DatabaseError
from batchframe.model import Batch, BatchState
from batchframe.providers.base import Provider
from batchframe.store import batches, notices, planning
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_JOBS_A_LOOK = 50
_FIRST_PAUSE = 0.05
"""Before a second look at what is due and was not to be had; doubles with each."""
_STOP_SECONDS = 2.0


@dataclass(slots=True)
class _Work:
    """A batch being worked on, as it was before the step that is under way; `lost` when another engine has it."""

    batch: Batch
    task: asyncio.Task[None] | None = None
    lost: bool = False


class Engine:
    """One engine; `run` is its life."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        settings: Settings,
        on_change: Callable[[], None] = lambda: None,
        *,
        concurrency: int = 8,
    ) -> None:
        """Args:
        on_change: called from the event loop after every step and notice, so that waiting handles look again.
        concurrency: batches worked on at once; those that rest at the provider are not counted.

        Raises:
            ConfigurationError: a concurrency below 1.
        """
        if concurrency < 1:
            raise ConfigurationError(f"concurrency={concurrency}: an engine works on at least 1 batch at once.")
        self._database = database
        self._providers = providers
        self._settings = settings
        self._concurrency = concurrency
        self._steps = Steps(database, providers, settings)
        self._on_change = on_change
        self._owner = uuid.uuid4()
        self._held: dict[int, _Work] = {}
        self._claiming: asyncio.Task[list[Batch]] | None = None
        self._planning: asyncio.Task[None] | None = None
        self._plan_again = False
        self._fruitless = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for work now. Call it in the engine's event loop."""
        self._woken.set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until cancelled, or until no job of its providers is open.

        Cancelled, it leaves its batches where they are; their leases are given back, so the next engine goes on at
        once.
        """
        leases = Leases(self._database, self._owner, self._settings.lease_seconds)
        beside = [
            asyncio.create_task(leases.keep(self)),
            asyncio.create_task(notices.listen(self._database, self._noticed)),
        ]
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
            for task in beside:
                task.cancel()
            try:
                await self._stop()
                await asyncio.gather(*beside, return_exceptions=True)
            finally:  # also when it is told to stop twice
                leases.give_back()  # not in a pool's thread: an event loop that is closing may have none left
                self._steps.reading.close()

    def held(self) -> dict[int, int]:
        """The batches being worked on, each with the token it was claimed with."""
        return {id_: work.batch.token for id_, work in self._held.items() if not work.lost}

    def drop(self, ids: Collection[int]) -> None:
        """Another engine holds these now."""
        for id_ in ids:
            work = self._held.get(id_)
            if work is None or work.task is None:
                continue
            logger.warning("batch %s: another engine holds it now; this one drops it", id_)
            tally["leases lost"] += 1
            work.lost = True
            # A create call goes on to its end: only whoever gets its answer can tell that nobody else will find it.
            if work.batch.state is not BatchState.UPLOADED:
                work.task.cancel()

    async def drop_all(self) -> None:
        """Stop what is under way; it is taken up again when the leases have run out."""
        tasks = [work.task for work in self._held.values() if work.task]
        tasks += [self._planning] if self._planning else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self) -> None:
        await self.drop_all()
        if self._claiming is not None:
            # A claim that is committed after the leases were given back would hold its batches for a whole lease.
            await asyncio.wait([self._claiming], timeout=_STOP_SECONDS)
            if self._claiming.done() and not self._claiming.cancelled():
                self._claiming.exception()  # seen, or asyncio would report it

    def _noticed(self, _job_id: int | None) -> None:
        self._woken.set()
        self._on_change()

    async def _look(self) -> float | None:
        """Start what is due; seconds until something else is, None when nothing will be."""
        try:
            if self._planning is None:
                self._plan_again = False
                self._planning = asyncio.create_task(self._plan())
                self._planning.add_done_callback(self._planned)
            else:
                self._plan_again = True
            free = self._concurrency - len(self._held)
            claimed = await self._claim(free) if free > 0 else []
            for batch in claimed:
                self._begin(batch)
            full = len(self._held) >= self._concurrency
            wait = await asyncio.to_thread(self._next_due, full)
        except DatabaseError as error:
            logger.warning("%s Trying again.", error)
            return self._settings.poll_seconds
        except Exception:
            logger.exception("looking for work failed; it is tried again")
            return self._settings.poll_seconds
        if wait is None or wait > 0 or claimed:
            self._fruitless = 0
        if wait is None:
            return None
        if wait > 0:
            return min(wait, self._settings.poll_max_seconds)
        # It is due and was not to be had: another engine is at it, or our own planning. Their end wakes us.
        self._fruitless += 1
        longest = min(self._settings.poll_seconds, self._settings.poll_max_seconds)
        return min(longest, _FIRST_PAUSE * 2.0 ** min(self._fruitless - 1, 16))

    async def _is_idle(self) -> bool:
        if self._planning is not None:
            await asyncio.wait([self._planning])  # it may be cancelled by itself, when leases cannot be renewed
        return not self._woken.is_set()

    async def _claim(self, limit: int) -> list[Batch]:
        self._claiming = asyncio.create_task(asyncio.to_thread(self._claim_due, limit))
        try:
            return await asyncio.shield(self._claiming)
        finally:
            if self._claiming.done():
                self._claiming = None

    def _claim_due(self, limit: int) -> list[Batch]:
        with self._database.transaction() as connection:
            return batches.claim(connection, self._owner, list(self._providers), self._settings.lease_seconds, limit)

    def _next_due(self, full: bool) -> float | None:
        with self._database.transaction() as connection:
            # With all places taken a due batch is no reason to look: the end of one of those wakes us.
            return batches.next_due(connection, list(self._providers), jobs_only=full)

    def _begin(self, batch: Batch) -> None:
        before = self._held.get(batch.id)
        if before is not None and before.task is not None:
            before.task.cancel()  # our own lease on it has run out, and we are the one who took it over
        work = _Work(batch)
        self._held[batch.id] = work
        work.task = asyncio.create_task(self._work(work))
        work.task.add_done_callback(functools.partial(self._finished, work))

    async def _work(self, work: _Work) -> None:
        """Take steps with a batch until it rests."""
        batch = work.batch
        following: Batch | None = batch
        try:
            while following is not None:
                work.batch = batch = following
                following = await self._steps.take(batch)
                self._on_change()
        except batches.LeaseLostError as error:
            logger.warning("%s", error)
        except DatabaseError as error:
            logger.warning("batch %s: %s It is taken up again when its lease has run out.", batch.id, error)
        except Exception:
            logger.exception("batch %s: unexpected; it is taken up again when its lease has run out", batch.id)

    def _finished(self, work: _Work, _: asyncio.Task[None]) -> None:
        if self._held.get(work.batch.id) is work:
            del self._held[work.batch.id]
        self._woken.set()

    async def _plan(self) -> None:
        """Plan every due job as far as it goes, in turn a step each, so that a small one need not wait for a large."""
        broken: set[int] = set()
        planned = True
        try:
            while planned:
                planned = False
                for job_id, provider in await asyncio.to_thread(self._due_jobs):
                    if job_id not in broken:
                        planned |= await self._plan_job(job_id, self._providers[provider].limits, broken)
        except DatabaseError as error:
            logger.warning("%s Trying again.", error)

    async def _plan_job(self, job_id: int, limits: Limits, broken: set[int]) -> bool:
        """Take a step; whether batches were planned."""
        try:
            step = await asyncio.to_thread(self._plan_step, job_id, limits)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("job %s cannot be planned; the others go on", job_id)
            broken.add(job_id)
            return False
        self._on_change()
        if step is not planning.Step.PLANNED:
            return False
        self._woken.set()
        return True

    def _planned(self, _: asyncio.Task[None]) -> None:
        self._planning = None
        if self._plan_again:  # a look in between found it busy, and may have come for a job it had passed
            self._woken.set()

    def _due_jobs(self) -> list[tuple[int, str]]:
        with self._database.transaction() as connection:
            return planning.due_jobs(connection, list(self._providers), _JOBS_A_LOOK)

    def _plan_step(self, job_id: int, limits: Limits) -> planning.Step:
        with self._database.transaction() as connection:
            return planning.plan(connection, job_id, limits, self._settings.poll_max_seconds)
