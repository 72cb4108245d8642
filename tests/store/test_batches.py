"""Claims, leases and guarded writes."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from batchframe.core.states import Event, IllegalMoveError
from batchframe.model import Batch, BatchState, Route
from batchframe.store import batches, quotas
from batchframe.store.database import Database
from tests.storing import write_job

ROUTE = Route("p", "/v1/chat/completions", "m")


@pytest.fixture
def job_id(database: Database) -> int:
    """A job without requests, to hang batches on."""
    with database.transaction() as connection:
        made = write_job(
            connection, name=None, route=ROUTE, spec="{}", digest=uuid4(), n_rows=0, n_skipped=0, requests=[],
            frame=[], reuse=False,
        )  # fmt: skip
    assert made is not None
    return made


def insert(database: Database, job_id: int, n: int = 1, **columns: object) -> None:
    values = {"provider": "p", "endpoint": ROUTE.endpoint, "model": "m", "tokens": 10, "state": "planned", **columns}
    names = ", ".join(values)
    with database.transaction() as connection:
        for _ in range(n):
            connection.execute(
                text(
                    f"INSERT INTO batch (job_id, n_requests, {names}) "
                    f"VALUES (:job, 1, {', '.join(f':{name}' for name in values)})"
                ),
                {"job": job_id, **values},
            )


def claim(database: Database, owner: UUID | None = None, lease: float = 60.0, limit: int = 10) -> list[Batch]:
    with database.transaction() as connection:
        return batches.claim(connection, owner or uuid4(), ["p"], lease, limit)


def test_a_batch_is_claimed_by_one_engine_only(database: Database, job_id: int) -> None:
    """Two engines on one batch would send it twice."""
    insert(database, job_id, 40)
    with ThreadPoolExecutor(8) as pool:
        claimed = [batch.id for found in pool.map(lambda _: claim(database), range(16)) for batch in found]
    assert len(claimed) == len(set(claimed)) == 40


def test_only_the_engines_own_providers_are_claimed(database: Database, job_id: int) -> None:
    """A job for the simulator must never reach a real provider."""
    insert(database, job_id, provider="other")
    assert claim(database) == []


def test_a_lease_that_ran_out_is_taken_over_and_the_old_holder_is_refused(database: Database, job_id: int) -> None:
    """A process that was frozen and wakes must not write over its successor."""
    insert(database, job_id)
    (old,) = claim(database, lease=0.0)
    (new,) = claim(database)
    assert (new.id, new.token) == (old.id, old.token + 1)
    with pytest.raises(batches.LeaseLostError), database.transaction() as connection:
        batches.advance(connection, old, Event.UPLOADED)
    with pytest.raises(batches.LeaseLostError), database.transaction() as connection:
        batches.release(connection, old, 1.0)
    with database.transaction() as connection:
        assert batches.advance(connection, new, Event.UPLOADED).state is BatchState.UPLOADED


def test_a_move_from_a_state_it_is_no_longer_in_is_refused(database: Database, job_id: int) -> None:
    """The same engine, too, may act on old news."""
    insert(database, job_id)
    (batch,) = claim(database)
    with database.transaction() as connection:
        batches.advance(connection, batch, Event.UPLOADED, input_file_id="f")
    with pytest.raises(batches.LeaseLostError), database.transaction() as connection:
        batches.advance(connection, batch, Event.UPLOADED, input_file_id="g")
    with pytest.raises(IllegalMoveError), database.transaction() as connection:
        batches.advance(connection, batch, Event.FETCHED)


def test_the_mark_is_new_for_every_create_call(database: Database, job_id: int) -> None:
    """A list that still shows the refused or given-up call must not answer for the next one."""
    for event, state, file in [
        (Event.REFUSED, "creating", "f"),
        (Event.QUEUE_FULL, "creating", "f"),
        (Event.QUEUE_FULL, "submitted", None),
        (Event.ABSENT, "unsure", None),
    ]:
        insert(database, job_id, state=state, input_file_id="f", provider_id="b")
        (batch,) = claim(database)
        with database.transaction() as connection:
            moved = batches.advance(connection, batch, event)
        assert moved.uid != batch.uid
        assert moved.intent_at is None
        assert moved.input_file_id == file, "a file the provider made a batch of may be taken for the next one"


def test_a_released_batch_is_due_only_after_its_wait(database: Database, job_id: int) -> None:
    """Polling has a pace; and an engine that stops gives its leases back at once."""
    insert(database, job_id)
    owner = uuid4()
    (batch,) = claim(database, owner)
    with database.transaction() as connection:
        batches.release(connection, batch, 3600.0, error="x")
        assert 3500 < (batches.next_due(connection, ["p"]) or 0) <= 3600
    assert claim(database) == []
    insert(database, job_id)
    (held,) = claim(database, owner)
    assert claim(database) == []
    with database.transaction() as connection:
        batches.give_back(connection, owner)
    assert [again.id for again in claim(database)] == [held.id]


def test_a_quota_is_not_spent_twice_by_engines_at_once(database: Database, job_id: int) -> None:
    """Without the row's lock many engines see the same room (over quota in 39 of 40 trials)."""
    insert(database, job_id, 12, state="uploaded", input_file_id="f")
    with database.transaction() as connection:
        quotas.learn(connection, ROUTE, 35)
    claimed = claim(database, limit=12)

    def create(batch: Batch) -> bool:
        with database.transaction() as connection:
            admitted = quotas.admits(connection, batch)
            if admitted:
                batches.advance(connection, batch, Event.INTENT)
            return admitted

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(create, claimed)) == 3


def test_a_batch_alone_is_always_let_through(database: Database, job_id: int) -> None:
    """Only the provider can say that it is too large."""
    insert(database, job_id, state="uploaded", tokens=1000)
    (batch,) = claim(database)
    with database.transaction() as connection:
        quotas.learn(connection, ROUTE, 35)
        assert quotas.admits(connection, batch)


def test_a_renewal_keeps_what_is_held_and_names_what_another_engine_has_taken(database: Database, job_id: int) -> None:
    """An engine learns at once what is no longer its own; what it gave back itself is no loss."""
    insert(database, job_id, 4)
    owner = uuid4()
    kept, taken, released, locked = claim(database, owner)
    with database.transaction() as connection:
        connection.execute(text("UPDATE batch SET lease_until = now()"))
        batches.release(connection, released, 60.0)
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE batch SET lease_until = now() + interval '1 h' WHERE id <> :id"), {"id": taken.id}
        )
    assert [batch.id for batch in claim(database)] == [taken.id]
    held = {batch.id: batch.token for batch in (kept, taken, released, locked)}
    with database.transaction() as other, database.transaction() as connection:
        other.execute(text("SELECT 1 FROM batch WHERE id = :id FOR UPDATE"), {"id": locked.id})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert batches.renew(connection, owner, held, 7200.0) == {taken.id}
    with database.transaction() as connection:
        renewed = connection.execute(text("SELECT id FROM batch WHERE lease_until > now() + interval '90 min'"))
        assert renewed.scalars().all() == [kept.id]


def test_two_settlings_at_once_do_not_wait_for_each_other(database: Database, job_id: int) -> None:
    """Each has woken one of the waiting batches and wants the other's: Postgres would end one of them as a deadlock,
    and fifty thousand outcomes would be written twice."""
    insert(database, job_id, 2, step_at="2100-01-01")
    with database.transaction() as connection:
        first, second = connection.execute(text("SELECT id FROM batch ORDER BY id")).scalars()

    with database.transaction() as one, database.transaction() as other, ThreadPoolExecutor(2) as pool:
        for connection, id_ in ((one, first), (other, second)):
            connection.execute(text("UPDATE batch SET step_at = now() WHERE id = :id"), {"id": id_})
        for waking in [pool.submit(batches.wake_waiting, connection, ROUTE) for connection in (one, other)]:
            waking.result(20)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM batch WHERE step_at <= now()")).scalar() == 2


def test_a_quota_is_forgotten_after_a_day(database: Database, job_id: int) -> None:
    """A provider that raised its limit says nothing; believed for ever, the old one would hold up all later jobs."""
    insert(database, job_id, 2, state="uploaded", tokens=20)
    first, second = claim(database)
    with database.transaction() as connection:
        quotas.learn(connection, ROUTE, 30)
        batches.advance(connection, first, Event.INTENT)
        assert not quotas.admits(connection, second)
        connection.execute(text("UPDATE quota SET learnt_at = now() - interval '25 hours'"))
        assert quotas.allowed_tokens(connection, ROUTE) is None
        assert quotas.admits(connection, second)
        quotas.learn(connection, ROUTE, 35)
        assert quotas.allowed_tokens(connection, ROUTE) == 35


def test_a_call_that_is_given_up_for_good_loses_its_mark(database: Database, job_id: int) -> None:
    """By its mark the engine that sent the call too late knows that nobody will adopt what it made, and cancels it."""
    insert(database, job_id, state="unsure", input_file_id="f")
    (batch,) = claim(database)
    with database.transaction() as connection:
        assert batches.advance(connection, batch, Event.GIVEN_UP).uid != batch.uid
