"""Settling: what a batch's end means for each of its rows, written in the transaction that ends the batch.

Runs in a worker thread: parsing fifty thousand lines must not hold up the event loop that keeps the leases alive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from batchframe.config import Settings
from batchframe.core.pacing import row_wait
from batchframe.core.poison import NO_MODEL, judge_invalid
from batchframe.core.pricing import bill
from batchframe.core.results import MISSING, Rules, decode_line, failure, judge, not_run
from batchframe.core.schema import validator
from batchframe.core.spec import JobSpec
from batchframe.core.states import Event
from batchframe.model import Batch, Job, Outcome, Stop, Usage
from batchframe.providers.base import Problem
from batchframe.store import batches, jobs, outcomes
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_LONGEST_ROW_WAIT = 600.0
RESULT_GONE = "result_gone"

Decide = Callable[[outcomes.Expected, Rules], Outcome]
"""From an attempt that is owed a result to its outcome."""


class IncompleteResultsError(Exception):
    """Result files that hold less than the provider says it has answered."""


class Settling:
    """Turns ended batches into outcomes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def job(self, batch: Batch) -> Job:
        """The job of a batch."""
        with self._database.transaction() as connection:
            job = jobs.find(connection, batch.job_id)
        assert job is not None, "a batch outlives its job"
        return job

    def rules(self, job: Job) -> Rules:
        """How a job judges its rows."""
        schema = JobSpec.from_json(job.spec).answer_schema
        first = self._settings.poll_seconds
        return Rules(
            endpoint=job.route.endpoint,
            row_attempts=self._settings.row_attempts,
            retry_wait=lambda tries: row_wait(tries, first, _LONGEST_ROW_WAIT),
            stop=job.stop,
            late=job.late,
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
        job = self.job(batch)
        rules = self.rules(job)
        with self._database.transaction() as connection:
            owed = outcomes.expected(connection, batch)
            found = list(self._read(batch, files, owed, rules))
            if must_be_whole and len(found) < min(batch.n_answered, batch.n_requests):
                raise IncompleteResultsError(
                    f"The provider counts {batch.n_answered:,} answers and its files hold {len(found):,}."
                )
            outcomes.record(connection, batch, [*found, *_missing(owed, rules, gone=gone)])
            paid = _paid(batch, job, found) | (_presumed(batch) if gone else {})
            batches.advance(connection, batch, Event.FETCHED, **paid)
            batches.wake_waiting(connection, batch.route)

    def lost(self, batch: Batch) -> None:
        """The provider no longer knows a batch it had accepted: what it answered was paid for and cannot be had."""
        message = "The provider no longer knows the batch it was in. job.retry() asks again, and may pay again."
        self._give_up(batch, _ends_all(RESULT_GONE, message), **_presumed(batch))

    def invalid(self, batch: Batch, problems: Sequence[Problem]) -> None:
        """Write the outcomes of a batch that failed validation: guilty rows are final, the rest comes again."""
        rules = self.rules(self.job(batch))
        said = [(problem.line, problem.code, problem.message) for problem in problems]
        with self._database.transaction() as connection:
            owed = outcomes.expected(connection, batch).values()
            rows = [(row.attempt, row.tries) for row in owed]
            verdict = judge_invalid(rows, said, rules, batches.parts(connection, batch))
            outcomes.record(connection, batch, verdict.outcomes)
            for part in verdict.parts:
                tokens = batch.tokens * len(part) // batch.n_requests
                batches.insert(connection, batch.job_id, batch.route, part, tokens, root_id=batch.root_id or batch.id)
            if verdict.end:
                jobs.end(connection, batch.job_id, verdict.end)
            batches.advance(connection, batch, Event.GIVEN_UP)
            batches.wake_waiting(connection, batch.route)

    def refused(self, batch: Batch, code: str, message: str) -> None:
        """Every row ends with the provider's reason: it would not take the file or the batch."""
        self._give_up(batch, _ends_all(code, message), end=Stop(code, message) if code == NO_MODEL else None)

    def give_back(self, batch: Batch) -> None:
        """A batch that never ran is dissolved: its rows are planned anew, or end with their job."""

        def decide(row: outcomes.Expected, rules: Rules) -> Outcome:
            if rules.stop is None:
                return not_run(row.attempt, row.tries)
            reason = rules.stop
            return failure(row.attempt, row.tries, rules, passing=True, code=reason.code, message=reason.message)

        self._give_up(batch, decide)

    def _give_up(self, batch: Batch, decide: Decide, *, end: Stop | None = None, **columns: Any) -> None:
        rules = self.rules(self.job(batch))
        with self._database.transaction() as connection:
            owed = outcomes.expected(connection, batch).values()
            outcomes.record(connection, batch, [decide(row, rules) for row in owed])
            if end:
                jobs.end(connection, batch.job_id, end)
            batches.advance(connection, batch, Event.GIVEN_UP, **columns)
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


def _ends_all(code: str, message: str) -> Decide:
    """Every row ends for good, with these words."""

    def decide(row: outcomes.Expected, rules: Rules) -> Outcome:
        return failure(row.attempt, row.tries, rules, passing=False, code=code, message=message)

    return decide


def _paid(batch: Batch, job: Job, found: Iterable[Outcome]) -> dict[str, Any]:
    """What the answers of a batch were paid for, by the provider's own count."""
    usages = [row.usage for row in found if row.status is not None and 200 <= row.status < 300]
    total = sum(usages, Usage())
    return {
        "n_paid": len(usages),
        "input_tokens": total.input,
        "cached_tokens": total.cached,
        "output_tokens": total.output,
        "cost_usd": bill(batch.route.model, job.price, batch.mode, usages),
    }


def _presumed(batch: Batch) -> dict[str, Any]:
    """What a batch whose answers cannot be had is taken to have cost: as much as it was expected to."""
    return {"cost_usd": batch.reserved_usd}


def _missing(owed: dict[str, outcomes.Expected], rules: Rules, *, gone: bool) -> Iterator[Outcome]:
    """The outcomes of attempts without a line."""
    for row in owed.values():
        if gone:
            message = "Its answer was in a result file the provider no longer has. job.retry() asks again, and pays."
            yield failure(row.attempt, row.tries + 1, rules, passing=False, code=RESULT_GONE, message=message)
        else:
            message = "The provider's results do not mention it."
            yield failure(row.attempt, row.tries + 1, rules, passing=True, code=MISSING, message=message)
