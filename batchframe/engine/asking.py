"""Asking in real time: the few rows of a group at once, each outcome written as it comes.

The provider keeps no list of such calls, so one whose answer is lost cannot be found again. It may have been paid for:
it is reported (`answer_lost`), not repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from sqlalchemy import Connection

from batchframe.config import Settings
from batchframe.core.pricing import bill
from batchframe.core.results import ANSWER_LOST, Rules, failure, judge, line_of_reply, not_run
from batchframe.core.states import Event
from batchframe.engine.insisting import insist
from batchframe.errors import DoubtfulError, RefusedError
from batchframe.model import NO_USAGE, Batch, Job, Outcome, Paid
from batchframe.providers.base import Provider
from batchframe.store import batches, outcomes
from batchframe.store.database import Database

_PATIENCE = 3.0
"""Seconds an engine that stops gives to answers that are paid for already."""

_ABOUT_THE_KEY = frozenset({401, 403})
_NO_CLEAR_ANSWER = frozenset({408, 409})
_TOO_MANY = 429

Asked = tuple[outcomes.Expected, bytes]
"""A row with its body."""


class Asking:
    """Asks the rows of one batch in real time."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def read(self, batch: Batch) -> list[Asked]:
        """The rows of a batch with their bodies; read before the intent, so that nothing can fail after it."""
        with self._database.transaction() as connection:
            owed, bodies = outcomes.expected(connection, batch), outcomes.bodies(connection, batch)
        return [(row, bodies[row.attempt.row_no]) for row in owed.values()]

    async def ask(self, batch: Batch, job: Job, rules: Rules, rows: Sequence[Asked], provider: Provider) -> None:
        """Ask every row of a batch whose intent is committed, and end the batch.

        Raises:
            LeaseLostError: another engine holds it now; it has reported the rows as lost.
        """
        asked = [asyncio.create_task(self._ask_row(batch, job, row, body, rules, provider)) for row, body in rows]
        try:
            for ended in await asyncio.shield(asyncio.gather(*asked, return_exceptions=True)):
                if isinstance(ended, BaseException):
                    raise ended
        except asyncio.CancelledError:
            await asyncio.wait(asked, timeout=_PATIENCE)
            for task in asked:
                task.cancel()
            raise
        await asyncio.to_thread(self._end, batch)

    def not_asked(self, batch: Batch, rows: Sequence[Asked]) -> None:
        """Take an intent back whose calls were not made.

        Raises:
            LeaseLostError: another engine holds it now; it has reported the rows as lost.
        """
        with self._database.transaction() as connection:
            outcomes.record(connection, batch, [not_run(row.attempt, row.tries) for row, _ in rows])
            self._finish(connection, batch)

    def lost(self, batch: Batch, rules: Rules) -> None:
        """Report the rows a dead engine was asking: nobody knows what became of them."""
        with self._database.transaction() as connection:
            owed = outcomes.expected(connection, batch).values()
            why = "The process that asked it in real time ended before the answer came"
            outcomes.record(connection, batch, [_lost(row, rules, why) for row in owed])
            batches.add_paid(connection, batch, Paid(0, NO_USAGE, _share(batch, len(owed))))
            self._finish(connection, batch)

    async def _ask_row(
        self, batch: Batch, job: Job, row: outcomes.Expected, body: bytes, rules: Rules, provider: Provider
    ) -> None:
        outcome = await self._outcome(batch, row, body, rules, provider)
        paid = Paid(0, NO_USAGE, _share(batch, 1) if outcome.code == ANSWER_LOST else None)
        if outcome.status is not None and 200 <= outcome.status < 300:
            cost = bill(batch.route.model, job.price, batch.mode, [outcome.usage])
            paid = Paid(1, outcome.usage, cost)
        await self._record(batch, outcome, paid)

    async def _outcome(
        self, batch: Batch, row: outcomes.Expected, body: bytes, rules: Rules, provider: Provider
    ) -> Outcome:
        try:
            reply = await provider.ask(batch.route.endpoint, body)
        except RefusedError as error:
            return self._refused(row, rules, str(error))
        except DoubtfulError as error:
            return _lost(row, rules, str(error).rstrip("."))
        if reply.status in _NO_CLEAR_ANSWER or reply.status >= 500:
            return _lost(row, rules, f"The provider answered with status {reply.status}")
        if reply.status in _ABOUT_THE_KEY:
            return self._refused(row, rules, "The provider refuses the API key in real time; check OPENAI_API_KEY.")
        outcome = judge(line_of_reply(row.attempt.custom_id, reply.status, reply.body), row.attempt, row.tries, rules)
        if reply.status == _TOO_MANY:
            return self._refused(row, rules, outcome.message or "Too many requests.", reply.retry_after or 0.0)
        return outcome

    def _refused(self, row: outcomes.Expected, rules: Rules, why: str, wait: float = 0.0) -> Outcome:
        """It never ran, for a reason that is not the row's: asked again without end, as a batch would be."""
        if rules.stop:
            return failure(row.attempt, row.tries, rules, passing=True, code=rules.stop.code, message=why)
        refused = not_run(row.attempt, row.tries)
        pause = max(wait, self._settings.poll_seconds)
        return msgspec.structs.replace(refused, message=why, retry_after=pause)

    async def _record(self, batch: Batch, outcome: Outcome, paid: Paid) -> None:
        """Write one outcome. An answer in hand is paid for, so a database that is away is waited for, a lease long."""

        def write(again: bool) -> None:
            with self._database.transaction() as connection:
                if again and outcome.attempt.custom_id not in outcomes.expected(connection, batch):
                    return  # it was committed, and only the confirmation was lost
                outcomes.record(connection, batch, [outcome])
                batches.add_paid(connection, batch, paid)

        await insist(write, self._settings, f"batch {batch.id}")

    def _end(self, batch: Batch) -> None:
        with self._database.transaction() as connection:
            self._finish(connection, batch)

    @staticmethod
    def _finish(connection: Connection, batch: Batch) -> None:
        batches.advance(connection, batch, Event.ANSWERED)
        batches.wake_waiting(connection, batch.route)


def _share(batch: Batch, n_rows: int) -> Decimal | None:
    """What so many rows were expected to cost: what a lost answer is taken to have cost."""
    return None if batch.reserved_usd is None else batch.reserved_usd * n_rows / batch.n_requests


def _lost(row: outcomes.Expected, rules: Rules, why: str) -> Outcome:
    message = f"{why}; it may have been paid for, so it is not asked again by itself. job.retry() does."
    return failure(row.attempt, row.tries + 1, rules, passing=False, code=ANSWER_LOST, message=message)
