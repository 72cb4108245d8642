"""Poison: a batch that failed validation, so that nothing of it ran, and which of its rows are to blame.

Lines the provider names are guilty, and the rest is planned anew. When it names none, the batch comes once more as it
was, in case the reason has passed; then it is halved, and each half that fails again, until single rows are found. One
guilty row among n costs about 2·log₂ n extra batches this way; a batch that fails costs no money.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchframe.core.results import Rules, failure, not_run
from batchframe.model import Attempt, Outcome, Stop

MOST_PARTS = 128
"""Extra batches a single one may be split into: finds four guilty rows among 50,000, and ends a search for a reason
that lies in no row."""

NO_MODEL = "model_not_found"
"""The code of a reason that is the same for every row of a job."""

Row = tuple[Attempt, int]
"""An attempt with the tries its row had used before."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a batch that failed validation.

    Attributes:
        outcomes: one for each row of the batch.
        parts: rows to be placed in two batches of their own; empty when the batch is not split.
        end: why the job is over as a whole, None when it goes on.
    """

    outcomes: list[Outcome]
    parts: tuple[list[Attempt], ...] = ()
    end: Stop | None = None


def judge_invalid(
    rows: Sequence[Row], problems: Sequence[tuple[int | None, str, str]], rules: Rules, n_parts: int
) -> Verdict:
    """Judge a batch that failed validation.

    Args:
        rows: in the order of the input file.
        problems: line (1-based) or None, code, message.
        n_parts: how many batches its origin has been split into already; 0 for one that is whole.
    """
    missing_model = next((Stop(code, message) for _, code, message in problems if code == NO_MODEL), None)
    if missing_model:
        return Verdict([_ends(row, rules, missing_model) for row in rows], end=missing_model)
    # A line that is not in the file blames nobody; taken at its word, the batch would come back for ever.
    named = {
        line: Stop(code, message) for line, code, message in problems if isinstance(line, int) and 0 < line <= len(rows)
    }
    if named:
        return Verdict(list(_blame(rows, named, rules)))
    reason = Stop(*problems[0][1:]) if problems else Stop("failed", "The provider failed the batch without a reason.")
    if rules.stop or (n_parts == 0 and all(tries == 0 for _, tries in rows)):
        return Verdict([_may_pass(row, rules, reason) for row in rows])
    if len(rows) > 1 and n_parts < MOST_PARTS:
        middle = len(rows) // 2
        attempts = [Attempt(row.job_id, row.row_no, row.attempt_no + 1) for row, _ in rows]
        return Verdict([not_run(*row) for row in rows], (attempts[:middle], attempts[middle:]))
    if len(rows) > 1:
        reason = Stop(reason.code, f"{reason.message} (one of {len(rows):,} rows; the search ended here)")
    return Verdict([_ends(row, rules, reason) for row in rows])


def _blame(rows: Sequence[Row], named: dict[int, Stop], rules: Rules) -> Iterator[Outcome]:
    for number, row in enumerate(rows, start=1):
        guilty = named.get(number)
        if guilty:
            yield _ends(row, rules, guilty)
        elif rules.stop:
            yield _may_pass(row, rules, rules.stop)
        else:
            yield not_run(*row)


def _ends(row: Row, rules: Rules, reason: Stop) -> Outcome:
    attempt, tries = row
    return failure(attempt, tries, rules, passing=False, code=reason.code, message=reason.message)


def _may_pass(row: Row, rules: Rules, reason: Stop) -> Outcome:
    attempt, tries = row
    if rules.stop:
        return failure(attempt, tries, rules, passing=True, code=reason.code, message=reason.message)
    # It never ran, so it is not out of tries; that it uses one up is how the next failure knows of this one.
    wait = rules.retry_wait(tries + 1)
    return Outcome(attempt, False, False, tries + 1, None, reason.code, reason.message, retry_after=wait)
