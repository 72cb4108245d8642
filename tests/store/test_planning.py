"""Planning, counted against the outcomes."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from batchframe.core.packing import Limits
from batchframe.core.results import not_run
from batchframe.core.states import Event
from batchframe.model import Outcome, Request, Route
from batchframe.store import batches, jobs, loans, outcomes, planning, quotas
from batchframe.store.database import Database
from tests.storing import write_job

ROUTE = Route("p", "/v1/chat/completions", "m")
LIMITS = Limits(40, 10**9)


def create(database: Database, n: int, *, offset: int = 0, reuse: bool = False) -> int:
    requests = (Request(row, (row + offset).to_bytes(16), b"{}", 1) for row in range(n))
    with database.transaction() as connection:
        made = write_job(
            connection, name=None, route=ROUTE, spec="{}", digest=uuid4(), n_rows=n, n_skipped=0, requests=requests,
            frame=[b"x"], reuse=reuse,
        )  # fmt: skip
    assert made is not None
    return made


def plan(database: Database, job_id: int) -> list[planning.Step]:
    steps = []
    while not steps or steps[-1] is planning.Step.PLANNED:
        with database.transaction() as connection:
            steps.append(planning.plan(connection, job_id, LIMITS, 60.0))
    return steps


def sizes(database: Database, job_id: int) -> list[int]:
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT count(*) AS n FROM attempt WHERE job_id = :job GROUP BY batch_id ORDER BY batch_id"),
            {"job": job_id},
        )
        return [row.n for row in rows]


def end(database: Database, job_id: int, *, ok: bool = True, final: bool = True) -> None:
    """End every batch of the job, all rows alike."""
    with database.transaction() as connection:
        for batch in batches.claim(connection, uuid4(), ["p"], 60.0, 100):
            rows = outcomes.expected(connection, batch)
            outcomes.record(
                connection,
                batch,
                (
                    Outcome(row.attempt, final, ok, 1, 200, None if ok else "c", None, b"{}",
                            retry_after=None if final else 0.0)
                    for row in rows.values()
                ),
            )  # fmt: skip
            batches.advance(connection, batch, Event.GIVEN_UP)


def test_every_request_is_planned_once_in_full_batches(database: Database) -> None:
    """The cursor neither skips nor repeats."""
    job_id = create(database, 100)
    assert plan(database, job_id)[-1] is planning.Step.NOTHING
    assert sizes(database, job_id) == [40, 40, 20]
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(DISTINCT row_no) FROM attempt")).scalar() == 100


def test_batches_cut_by_tokens_or_bytes_stay_full_across_steps(database: Database) -> None:
    """A stretch of the cursor must not end in a half-empty batch."""
    job_id = create(database, 100)
    with database.transaction() as connection:
        quotas.learn(connection, ROUTE, 30)
    plan(database, job_id)
    assert sizes(database, job_id) == [30, 30, 30, 10]


def test_the_key_refuses_to_plan_a_row_twice(database: Database) -> None:
    """Whatever the planner does wrong, the database does not let a row into two batches."""
    job_id = create(database, 1)
    plan(database, job_id)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(text("UPDATE job SET next_row = 0"))
        planning.plan(connection, job_id, LIMITS, 60.0)


def test_two_planners_cannot_meet(database: Database) -> None:
    """The second finds the job taken and goes on to other work."""
    job_id = create(database, 10)
    with database.transaction() as first:
        assert planning.plan(first, job_id, LIMITS, 60.0) is planning.Step.PLANNED
        with database.transaction() as second:
            assert planning.plan(second, job_id, LIMITS, 60.0) is planning.Step.NOTHING


def test_open_rows_are_planned_again_and_the_job_is_closed_at_the_end(database: Database) -> None:
    """Retries find their rows, the counts agree with the outcomes, and a settled job costs nothing any more."""
    job_id = create(database, 50)
    plan(database, job_id)
    end(database, job_id, final=False, ok=False)
    assert plan(database, job_id)[0] is planning.Step.PLANNED
    assert sizes(database, job_id) == [40, 10, 40, 10]
    end(database, job_id)
    assert plan(database, job_id) == [planning.Step.NOTHING]
    with database.transaction() as connection:
        job = jobs.find(connection, job_id)
        counted = connection.execute(text("SELECT count(*) FROM outcome WHERE final AND ok")).scalar()
    assert job is not None
    assert job.closed
    assert job.n_ok == job.n_settled == counted == 50


def test_at_most_one_final_outcome_a_request(database: Database) -> None:
    """The index refuses a second one, whoever writes it."""
    job_id = create(database, 1)
    insert = text(
        "INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries) VALUES (:job, 0, :attempt, true, true, 1)"
    )
    with pytest.raises(IntegrityError, match="uq_outcome_final"), database.transaction() as connection:
        connection.execute(insert, {"job": job_id, "attempt": 1})
        connection.execute(insert, {"job": job_id, "attempt": 2})


def test_cancelling_settles_what_no_batch_holds(database: Database) -> None:
    """Planned rows end with their batch, the others at once; nothing is left open."""
    job_id = create(database, 100)
    with database.transaction() as connection:
        planning.plan(connection, job_id, LIMITS, 60.0)
        jobs.cancel(connection, job_id)
    assert plan(database, job_id) == [planning.Step.NOTHING]
    end(database, job_id)
    assert plan(database, job_id) == [planning.Step.NOTHING]
    with database.transaction() as connection:
        job = jobs.find(connection, job_id)
    assert job is not None
    assert (job.n_ok, job.n_cancelled) == (40, 60)


def test_rows_given_back_use_up_no_try(database: Database) -> None:
    """A batch dissolved for the queue's sake says nothing about its rows."""
    job_id = create(database, 3)
    plan(database, job_id)
    with database.transaction() as connection:
        (batch,) = batches.claim(connection, uuid4(), ["p"], 60.0, 1)
        rows = outcomes.expected(connection, batch)
        given_back = (not_run(row.attempt, row.tries) for row in rows.values())
        outcomes.record(connection, batch, given_back)
        batches.advance(connection, batch, Event.GIVEN_UP)
    plan(database, job_id)
    with database.transaction() as connection:
        (batch,) = batches.claim(connection, uuid4(), ["p"], 60.0, 1)
        owed = outcomes.expected(connection, batch).values()
        assert {(row.attempt.attempt_no, row.tries) for row in owed} == {(2, 0)}


def test_a_loan_is_settled_when_its_lender_is(database: Database) -> None:
    """The borrower pays nothing for what comes, and asks itself for what does not."""
    lender = create(database, 6, reuse=True)
    borrower = create(database, 8, offset=2, reuse=True)
    plan(database, lender)
    plan(database, borrower)
    assert sizes(database, borrower) == [4]
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM loan")).scalar() == 4
        found = {batch.job_id: batch for batch in batches.claim(connection, uuid4(), ["p"], 60.0, 9)}
        batch = found[lender]
        rows = outcomes.expected(connection, batch)
        outcomes.record(
            connection,
            batch,
            (
                Outcome(row.attempt, True, no != 3, 1, 200, "c" if no == 3 else None, None, b"{}")
                for no, row in enumerate(rows.values())
            ),
        )
        batches.advance(connection, batch, Event.GIVEN_UP)
    assert plan(database, borrower)[0] is planning.Step.PLANNED
    assert sizes(database, borrower) == [4, 1]
    with database.transaction() as connection:
        job = jobs.find(connection, borrower)
        loans.settle(connection, borrower)
        assert connection.execute(text("SELECT count(*) FROM loan")).scalar() == 0
    assert job is not None
    assert (job.n_ok, job.n_reused) == (3, 3)


def test_a_retry_takes_no_answer_for_a_row_that_is_in_a_batch(database: Database) -> None:
    """The batch brings one of its own, and a second final outcome would keep it from ever being settled."""
    asking = create(database, 2)
    plan(database, asking)
    with database.transaction() as connection:
        batches.claim(connection, uuid4(), ["p"], 60.0, 10)
        connection.execute(
            text("INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, code) "
                 "VALUES (:job, 0, 1, true, false, 1, 'c')"), {"job": asking}
        )  # fmt: skip
    answered = create(database, 2)
    plan(database, answered)
    end(database, answered)
    with database.transaction() as connection:
        job = jobs.find(connection, asking)
        assert job is not None
        assert jobs.retry(connection, job, reuse=True) == 1
        taken = connection.execute(text("SELECT row_no FROM outcome WHERE job_id = :job AND final"), {"job": asking})
        assert taken.scalars().all() == [0], "row 1 is in a batch of its own job"
