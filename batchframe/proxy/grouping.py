"""Grouping: what many calls want of the database at one moment, done in one transaction.

While one group is being written the next gathers, so nobody waits for a timer, and a busy proxy commits a few hundred
times a second however many calls come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

_LARGEST = 1_000


class Grouped(Generic[Item, Done]):
    """Runs a blocking function on groups of items, one group at a time, in a thread."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Done]]) -> None:
        """Args:
        work: from items, in the order they came, to what each came to; what it raises, all of them get.
        """
        self._work = work
        self._waiting: list[tuple[Item, asyncio.Future[Done]]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, item: Item) -> asyncio.Future[Done]:
        """The future of what the item comes to. Call it in the event loop."""
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return future

    async def finish(self) -> None:
        """Wait until all that was added is done."""
        while self._task is not None:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
                try:
                    done = await asyncio.to_thread(self._work, [item for item, _ in group])
                except Exception as error:
                    _fail([future for _, future in group], error)
                else:
                    for (_, future), result in zip(group, done, strict=True):
                        if not future.done():
                            future.set_result(result)
        finally:
            self._task = None


def _fail(futures: Sequence[asyncio.Future[Done]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
