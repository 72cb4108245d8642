"""Keys of the proxy in the database."""

from decimal import Decimal

import pytest
from sqlalchemy import Connection, text

from batchframe.errors import NameInUseError
from batchframe.proxy.keymaking import digest
from batchframe.store import keys
from batchframe.store.database import Database


def ensure(database: Database, key: str) -> None:
    with database.transaction() as connection:
        keys.ensure(connection, "first", digest(key), key[:2])


def opens(database: Database, key: str) -> bool:
    with database.transaction() as connection:
        found = keys.find(connection, digest(key))
        return found is not None and found.revoked_at is None


def test_the_first_key_is_there_however_often_a_process_starts(database: Database) -> None:
    """Every instance of a container asks for it."""
    ensure(database, "one")
    ensure(database, "one")
    assert opens(database, "one")
    with database.transaction() as connection:
        (key,) = keys.every(connection)
        assert keys.by_id(connection, key.id) == key


def test_another_first_key_replaces_the_old_one(database: Database) -> None:
    """Who changes the variable wants the old key to be worth nothing; its jobs stay with the name."""
    ensure(database, "one")
    ensure(database, "two")
    assert not opens(database, "one")
    assert opens(database, "two")


def test_a_revoked_first_key_stays_revoked_until_it_is_another(database: Database) -> None:
    """A container that starts again must not open what somebody closed."""
    ensure(database, "one")
    with database.transaction() as connection:
        assert keys.revoke(connection, "first")
        assert not keys.revoke(connection, "first")
    ensure(database, "one")
    assert not opens(database, "one")
    ensure(database, "two")
    assert opens(database, "two")


def test_a_first_key_that_has_a_name_already_keeps_it(database: Database) -> None:
    """A key made by hand and then put into the environment is still that key, and must not stop a start."""
    with database.transaction() as connection:
        keys.create(connection, "ada", digest("one"), "on", budget_usd=Decimal(3))
        with pytest.raises(NameInUseError):
            keys.create(connection, "ada", digest("two"), "tw")
    ensure(database, "one")
    with database.transaction() as connection:
        found = keys.find(connection, digest("one"))
        assert found is not None
        assert (found.name, found.budget_usd) == ("ada", 3)
        assert len(keys.every(connection)) == 1


def test_a_use_is_noted(database: Database) -> None:
    """A key nobody has used for a year can go."""
    with database.transaction() as connection:
        used = keys.create(connection, "ada", b"1", "…")
        keys.create(connection, "bob", b"2", "…")
        assert used.last_used_at is None
        keys.touch(connection, [used.id])
        assert [key.last_used_at is not None for key in keys.every(connection)] == [True, False]


def test_spending_is_that_of_the_keys_own_jobs(database: Database) -> None:
    """A budget that counted another's requests would stop the wrong client."""
    with database.transaction() as connection:
        ada, bob = (keys.create(connection, name, name.encode(), "…") for name in ("ada", "bob"))
        assert keys.spent(connection, ada.id) == keys.Spent(Decimal(0), Decimal(0), requests=0, unanswered=0)
        done = _job(connection, ada.id, n_requests=5, n_ok=4, n_failed=1, closed=True)
        _batch(connection, done, "done", reserved="0.5", cost="0.2")
        running = _job(connection, ada.id, n_requests=10, n_ok=3)
        _batch(connection, running, "submitted", reserved="0.4")
        _batch(connection, running, "asking", reserved="0.3", cost="0.1")
        other = _job(connection, bob.id, n_requests=7)
        _batch(connection, other, "submitted", reserved="9")
        _batch(connection, _job(connection, None, n_requests=3), "done", reserved="1", cost="5")
        assert keys.spent(connection, ada.id) == keys.Spent(Decimal("0.3"), Decimal("0.6"), requests=15, unanswered=7)
        assert keys.spent(connection, bob.id) == keys.Spent(Decimal(0), Decimal(9), requests=7, unanswered=7)


def _job(
    connection: Connection,
    key_id: int | None,
    *,
    n_requests: int,
    n_ok: int = 0,
    n_failed: int = 0,
    closed: bool = False,
) -> int:
    return int(
        connection.execute(
            text("""
                INSERT INTO job (
                    kind, provider, endpoint, model, spec, digest, n_requests, n_ok, n_failed, api_key_id, closed_at
                )
                VALUES ('proxy', 'p', '/v1/embeddings', 'm', '{}', gen_random_uuid(), :n, :ok, :failed, :key,
                    CASE WHEN :closed THEN now() END)
                RETURNING id
            """),
            {"n": n_requests, "ok": n_ok, "failed": n_failed, "key": key_id, "closed": closed},
        ).scalar_one()
    )


def _batch(connection: Connection, job_id: int, state: str, *, reserved: str, cost: str | None = None) -> None:
    connection.execute(
        text("""
            INSERT INTO batch (job_id, provider, endpoint, model, n_requests, tokens, state, reserved_usd, cost_usd)
            VALUES (:job, 'p', '/v1/embeddings', 'm', 1, 1, :state, :reserved, :cost)
        """),
        {"job": job_id, "state": state, "reserved": Decimal(reserved), "cost": None if cost is None else Decimal(cost)},
    )
