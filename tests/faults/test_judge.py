"""The judge can see: engines that pay twice are convicted, and so is every way in which the books may be wrong."""

import dataclasses

import pytest
from sqlalchemy import text

from tests.faults import jobs
from tests.faults.conftest import World, Worlds
from tests.faults.control import RetryingProvider
from tests.faults.engines import finish
from tests.judging import examine, judge


@pytest.mark.parametrize(("kind", "status"), [("reset_after", 0), ("status_after", 500)])
def test_an_engine_that_lets_the_sdk_retry_is_convicted(world: World, kind: str, status: int) -> None:
    """One lost answer, two batches: what every script with the SDK's defaults does."""
    world.simulator.faults.on("batches.create", kind, status=status)
    jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
    retrying = {"batchframe.providers.openai.OpenAIProvider": RetryingProvider}
    finish(dataclasses.replace(world.site, patches=retrying))
    world.simulator.wait_for(lambda seen: all(batch.ended for batch in seen.batches))
    with pytest.raises(AssertionError, match="4 answers billed again, 0 allowed: bf-1-0-1"):
        judge(world.database, world.simulator)
    assert examine(world.database, world.simulator, twice=4).twice == 4


def test_an_engine_without_patience_is_convicted(worlds: Worlds) -> None:
    """A clean list proves nothing while a batch may still show up in it: why there is a grace period."""
    with worlds(grace_seconds=0.001) as world:
        world.simulator.settings.list_lag = 3.0
        world.simulator.faults.on("batches.create", "reset_after")
        jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
        finish(world.site)
        with pytest.raises(AssertionError, match="4 answers billed again"):
            judge(world.database, world.simulator)


WRONGS = {
    "an outcome is lost": (
        "DELETE FROM outcome WHERE row_no = 1",
        "1 billed answers without an outcome, 0 allowed: bf-1-1-1",
    ),
    "a final outcome is lost": ("DELETE FROM outcome WHERE row_no = 1", "without a final outcome: job 1 row 1"),
    "an answer is invented": (
        """INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, status, body)
        SELECT job_id, row_no, 2, false, false, 1, 200, body FROM outcome WHERE row_no = 1;
        INSERT INTO attempt VALUES (1, 1, 2, 1)""",
        "1 outcomes that claim an answer nobody billed: bf-1-1-2",
    ),
    "two answers are swapped": (
        "UPDATE outcome o SET body = p.body FROM outcome p WHERE p.row_no = 1 - o.row_no AND o.row_no < 2",
        "2 answers that belong to another request: job 1 row 0 ('row number 1')",
    ),
    "a count is wrong": ("UPDATE job SET n_ok = n_ok + 1", "1 jobs whose counts are not their outcomes"),
    "tokens are wrong": ("UPDATE outcome SET input_tokens = 7 WHERE row_no = 1", "1 outcomes whose usage"),
    "a job is open": ("UPDATE job SET closed_at = NULL", "1 jobs still open: job 1"),
    "a batch is left": ("UPDATE batch SET state = 'unsure'", "1 batches that never ended: batch 1 is unsure"),
    "a row is under way again": ("UPDATE batch SET state = 'submitted'", "rows with a final outcome in a live batch"),
    "a batch has lost a row": ("DELETE FROM attempt WHERE row_no = 1", "1 batches whose attempts are not as many"),
    "a request is gone": ("DELETE FROM request WHERE row_no = 1", "1 answers billed for requests nobody stored"),
}


@pytest.mark.parametrize(("statement", "said"), WRONGS.values(), ids=WRONGS)
def test_books_that_are_wrong_are_found_out(world: World, statement: str, said: str) -> None:
    """A judge that overlooks one of these would acquit an engine that does it."""
    jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
    finish(world.site)
    judge(world.database, world.simulator)
    with world.database.transaction() as connection:
        connection.execute(text(statement))
    with pytest.raises(AssertionError) as convicted:
        judge(world.database, world.simulator)
    assert said in str(convicted.value)


def test_what_may_be_paid_twice_is_not_convicted(world: World) -> None:
    """Asking anew on purpose is the user's right; answers that are taken over cost nothing and are no invention."""
    prompts = [f"row number {n}" for n in range(4)]
    for reuse in (True, False, True):
        jobs.submit(world.database, world.site, prompts, reuse=reuse)
        finish(world.site)
    assert world.simulator.ledger.requests == 8
    judge(world.database, world.simulator)
