"""Settling: what a batch's end means for each of its rows, written in the transaction that ends the batch.

Runs in a worker thread: parsing fifty thousand lines must not hold up the event loop that keeps the leases alive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from batchframe.config import Settings
from batchframe.core.pacing import row_wait
from batchframe.core.results import CANCELLED, MISSING, Rules, blame, decode_line, failure, judge, not_run
from batchframe.core.schema import validator
from batchframe.core.spec import JobSpec
from batchframe.core.states import Event
from batchframe.model import Attempt, Batch, Outcome
from batchframe.providers.base import Problem
from batchframe.store import batches, jobs, outcomes
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_LONGEST_ROW_WAIT = 600.0
RESULT_GONE = "result_gone"

Decide = Callable[[Iterable[tuple[Attempt, int]]], Iterable[Outcome]]
"""From attempts, each with the tries used before, to their outcomes."""


class IncompleteResultsError(Exception):
    """Result files that hold less than the provider says it has answered."""


class Settling:
    """Turns ended batches into outcomes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def rules(self, batch: Batch) -> Rules:
        """How the batch's job judges its rows."""
        with self._database.transaction() as connection:
            job = jobs.find(connection, batch.job_id)
        assert job is not None, "a batch outlives its job"
        schema = JobSpec.from_json(job.spec).answer_schema
        first = self._settings.poll_seconds
        return Rules(
            endpoint=batch.route.endpoint,
            row_attempts=self._settings.row_attempts,
            retry_wait=lambda tries: row_wait(tries, first, _LONGEST_ROW_WAIT),
            cancelled=job.cancelled,
            validate=validator(schema) if schema else None,
        )

    def results(self, batch: Batch, files: Sequence[Path], *, gone: bool, must_be_whole: bool) -> None:
        """Write the outcomes of an ended batch from its result files.

        Args:
            files: those of output and error file that there are.
            gone: whether a result file can no longer be had. What it held was paid for, so its rows are not asked
                again by themselves.
            must_be_whole: whether to insist on as many results as the provider has counted.

        Raises:
            IncompleteResultsError: there are fewer; nothing was written.
        """
        rules = self.rules(batch)
        with self._database.transaction() as connection:
            owed = outcomes.expected(connection, batch)
            found = list(self._read(batch, files, owed, rules))
            if must_be_whole and len(found) < min(batch.n_answered, batch.n_requests):
                raise IncompleteResultsError(
                    f"The provider counts {batch.n_answered:,} answers and its files hold {len(found):,}."
                )
            outcomes.record(connection, batch, [*found, *_missing(owed, rules, gone=gone)])
            batches.advance(connection, batch, Event.FETCHED)
            batches.wake_waiting(connection, batch.route)

    def lost(self, batch: Batch) -> None:
        """The provider no longer knows a batch it had accepted: what it answered was paid for and cannot be had."""
        message = "The provider no longer knows the batch it was in. job.retry() asks again, and may pay again."
        self.refused(batch, RESULT_GONE, message)

    def invalid(self, batch: Batch, problems: Sequence[Problem]) -> None:
        """Write the outcomes of a batch that failed validation: guilty rows are final, the rest comes again."""
        rules = self.rules(batch)
        said = [(problem.line, problem.code, problem.message) for problem in problems]
        self._give_up(batch, lambda attempts: blame(attempts, said, rules))

    def refused(self, batch: Batch, code: str, message: str) -> None:
        """Every row ends with the provider's reason: it would not take the file or the batch."""
        rules = self.rules(batch)
        self._give_up(
            batch,
            lambda attempts: (
                failure(attempt, tries, rules, passing=False, code=code, message=message) for attempt, tries in attempts
            ),
        )

    def give_back(self, batch: Batch) -> None:
        """A batch that never ran is dissolved: its rows are planned anew, or cancelled with their job."""
        rules = self.rules(batch)
        self._give_up(
            batch,
            lambda attempts: (
                failure(attempt, tries, rules, passing=True, code=CANCELLED, message="The job was cancelled.")
                if rules.cancelled
                else not_run(attempt, tries)
                for attempt, tries in attempts
            ),
        )

    def _give_up(self, batch: Batch, decide: Decide) -> None:
        with self._database.transaction() as connection:
            owed = outcomes.expected(connection, batch).values()
            outcomes.record(connection, batch, decide((row.attempt, row.tries) for row in owed))
            batches.advance(connection, batch, Event.GIVEN_UP)
            batches.wake_waiting(connection, batch.route)

    @staticmethod
    def _read(
        batch: Batch, files: Sequence[Path], owed: dict[str, outcomes.Expected], rules: Rules
    ) -> Iterator[Outcome]:
        """Judge each line that is still owed, and strike it off; what is left then has no line."""
        strange = 0
        for path in files:
            with path.open("rb") as lines:
                for raw in lines:
                    line = decode_line(raw)
                    row = owed.pop(line.custom_id, None) if line else None
                    if line is None or row is None:
                        strange += 1
                    else:
                        yield judge(line, row.attempt, row.tries, rules)
        if strange:
            logger.warning(
                "batch %s: %d lines of its results were passed over: broken, given twice, or of no request in it",
                batch.id,
                strange,
            )


def _missing(owed: dict[str, outcomes.Expected], rules: Rules, *, gone: bool) -> Iterator[Outcome]:
    """The outcomes of attempts without a line."""
    for row in owed.values():
        if gone:
            message = "Its answer was in a result file the provider no longer has. job.retry() asks again, and pays."
            yield failure(row.attempt, row.tries + 1, rules, passing=False, code=RESULT_GONE, message=message)
        else:
            message = "The provider's results do not mention it."
            yield failure(row.attempt, row.tries + 1, rules, passing=True, code=MISSING, message=message)
