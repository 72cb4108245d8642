"""Waiting: connections that are held open for an outcome, told when it is there.

A notice names the job that has changed; the answers that are waited for are then read in one go. A notice that is lost
costs time, never an answer: all are looked for every few seconds as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batchframe.errors import DatabaseError
from batchframe.store import notices, proxied
from batchframe.store.arrivals import Place
from batchframe.store.database import Database
from batchframe.store.proxied import Settled

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0

Wanted = dict[int, list["asyncio.Future[Settled]"]]
"""By row number, those who wait for its outcome."""


class Waiting:
    """Who waits in this process for what."""

    def __init__(self, database: Database, on_notice: Callable[[], object]) -> None:
        """Args:
        on_notice: called when anything has changed, for whoever else wants to know.
        """
        self._database = database
        self._on_notice = on_notice
        self._wanted: dict[int, Wanted] = {}
        self._changed: set[int] = set()
        self._woken = asyncio.Event()

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(len(futures) for wanted in self._wanted.values() for futures in wanted.values())

    @contextmanager
    def outcome(self, place: Place) -> Iterator[asyncio.Future[Settled]]:
        """The future of an outcome, for as long as the block lasts."""
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        wanted = self._wanted.setdefault(place.job_id, {})
        wanted.setdefault(place.row_no, []).append(future)
        if place.joined:
            self._notice(place.job_id)  # it may be there already
        try:
            yield future
        finally:
            wanted[place.row_no].remove(future)
            if not wanted[place.row_no]:
                del wanted[place.row_no]
            if not wanted and self._wanted.get(place.job_id) is wanted:
                del self._wanted[place.job_id]

    def waits_for(self, place: Place) -> bool:
        """Whether somebody here waits for it."""
        return place.row_no in self._wanted.get(place.job_id, {})

    async def run(self) -> None:
        """Tell those who wait, until cancelled."""
        listening = asyncio.create_task(notices.listen(self._database, self._heard))
        try:
            while True:
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    self._changed.update(self._wanted)
                self._woken.clear()
                changed, self._changed = self._changed, set()
                for job_id in changed & self._wanted.keys():
                    await self._tell(job_id)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _heard(self, job_id: int | None) -> None:
        self._notice(job_id)
        self._on_notice()

    def _notice(self, job_id: int | None) -> None:
        if job_id is None:
            self._changed.update(self._wanted)
        elif job_id in self._wanted:
            self._changed.add(job_id)
        else:
            return
        self._woken.set()

    async def _tell(self, job_id: int) -> None:
        rows = list(self._wanted.get(job_id, ()))
        try:
            settled = await asyncio.to_thread(self._read, job_id, rows)
        except DatabaseError as error:
            logger.warning("%s Trying again.", error)
            return
        except Exception:
            logger.exception("outcomes of job %s could not be read; they are looked for again", job_id)
            return
        wanted = self._wanted.get(job_id, {})
        for one in settled:
            for future in wanted.get(one.row_no, ()):
                if not future.done():
                    future.set_result(one)

    def _read(self, job_id: int, rows: list[int]) -> list[Settled]:
        with self._database.transaction() as connection:
            return proxied.settled(connection, job_id, rows)
