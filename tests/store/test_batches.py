"""Claims, leases and guarded writes."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from batchframe.core.states import Event, IllegalMoveError
from batchframe.model import Batch, BatchState, Route
from batchframe.store import batches, jobs, quotas
from batchframe.store.database import Database

ROUTE = Route("p", "/v1/chat/completions", "m")


@pytest.fixture
def job_id(database: Database) -> int:
    """A job without requests, to hang batches on."""
    with database.transaction() as connection:
        made = jobs.create(
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
        assert batches.renew(connection, owner, [held.id, batch.id], 60.0) == 1
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
