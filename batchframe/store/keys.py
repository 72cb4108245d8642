"""Keys of the proxy: who may ask, how much, and what it has come to. Of a key only its hash is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from batchframe.errors import NameInUseError
from batchframe.store.spending import RESERVED

_COLUMNS = "id, name, sha256, shown, budget_usd, rate_limit, queue_limit, created_at, last_used_at, revoked_at"


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without itself.

    Attributes:
        sha256: what it is found by; sessions of the status page are signed with it, so no log shows it.
        shown: its first characters, by which people tell keys apart.
        budget_usd: what its requests may cost together; None: no limit.
        rate_limit: requests a minute; None: no limit.
        queue_limit: unanswered requests at once; None: no limit.
    """

    id: int
    name: str
    sha256: bytes = field(repr=False)
    shown: str
    budget_usd: Decimal | None
    rate_limit: int | None
    queue_limit: int | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def create(
    connection: Connection,
    name: str,
    sha256: bytes,
    shown: str,
    *,
    budget_usd: Decimal | None = None,
    rate_limit: int | None = None,
    queue_limit: int | None = None,
) -> Key:
    """Keep a new key.

    Raises:
        NameInUseError: there is one of this name, revoked or not.
    """
    row = connection.execute(
        text(f"""
            INSERT INTO api_key (name, sha256, shown, budget_usd, rate_limit, queue_limit)
            VALUES (:name, :sha256, :shown, :budget, :rate, :queue)
            ON CONFLICT (name) DO NOTHING RETURNING {_COLUMNS}
        """),
        {
            "name": name,
            "sha256": sha256,
            "shown": shown,
            "budget": budget_usd,
            "rate": rate_limit,
            "queue": queue_limit,
        },
    ).first()
    if row is None:
        raise NameInUseError(f"There is a key {name!r} already. Choose another name; `batchframe keys list` shows all.")
    return _key(row)


def ensure(connection: Connection, name: str, sha256: bytes, shown: str) -> None:
    """Keep a key that the environment gives; given anew, it takes the place of the one of its name.

    One that is there under another name stays what it is, and one that was revoked stays revoked: neither a start nor
    another instance that starts in the same moment may fail by it or undo it.
    """
    values = {"name": name, "sha256": sha256, "shown": shown}
    connection.execute(
        text("INSERT INTO api_key (name, sha256, shown) VALUES (:name, :sha256, :shown) ON CONFLICT DO NOTHING"), values
    )
    connection.execute(
        text("""
            UPDATE api_key SET sha256 = :sha256, shown = :shown, revoked_at = NULL
            WHERE name = :name AND NOT EXISTS (SELECT 1 FROM api_key WHERE sha256 = :sha256)
        """),
        values,
    )


def find(connection: Connection, sha256: bytes) -> Key | None:
    """The key of this hash."""
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM api_key WHERE sha256 = :sha256"), {"sha256": sha256}).first()
    return _key(row) if row else None


def by_id(connection: Connection, key_id: int) -> Key | None:
    """The key of this number."""
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM api_key WHERE id = :id"), {"id": key_id}).first()
    return _key(row) if row else None


def every(connection: Connection) -> list[Key]:
    """All keys, the oldest first."""
    return [_key(row) for row in connection.execute(text(f"SELECT {_COLUMNS} FROM api_key ORDER BY id"))]


def revoke(connection: Connection, name: str) -> bool:
    """Let a key open nothing any more; whether there is one of this name that did."""
    query = text("UPDATE api_key SET revoked_at = now() WHERE name = :name AND revoked_at IS NULL")
    return connection.execute(query, {"name": name}).rowcount == 1


def set_budget(connection: Connection, name: str, budget_usd: Decimal | None) -> bool:
    """Set what a key's requests may cost together, from its first; None lifts it. Whether there is such a key."""
    key_id = connection.execute(
        text("UPDATE api_key SET budget_usd = :budget WHERE name = :name RETURNING id"),
        {"name": name, "budget": budget_usd},
    ).scalar()
    if key_id is None:
        return False
    connection.execute(
        text("UPDATE job SET paused = NULL WHERE api_key_id = :key AND closed_at IS NULL AND paused IS NOT NULL"),
        {"key": key_id},
    )
    connection.execute(
        text("""
            UPDATE batch SET step_at = now() WHERE id IN (
                SELECT b.id FROM batch b JOIN job j ON j.id = b.job_id
                WHERE j.api_key_id = :key AND j.closed_at IS NULL AND b.state IN ('planned', 'uploaded')
                ORDER BY b.id FOR NO KEY UPDATE OF b
            )
        """),
        {"key": key_id},
    )
    return True


def touch(connection: Connection, ids: Sequence[int]) -> None:
    """They were used now."""
    connection.execute(text("UPDATE api_key SET last_used_at = now() WHERE id = ANY(:ids)"), {"ids": list(ids)})


@dataclass(frozen=True, slots=True)
class Spent:
    """What a key's requests have come to.

    Attributes:
        cost_usd: as far as prices are known.
        reserved_usd: what its batches under way are expected to cost beyond.
        unanswered: requests without a final outcome.
    """

    cost_usd: Decimal
    reserved_usd: Decimal
    requests: int
    unanswered: int


def spent(connection: Connection, key_id: int) -> Spent:
    """What a key's requests have come to."""
    money = connection.execute(
        text(f"""
            SELECT COALESCE(sum(cost_usd), 0) AS cost, {RESERVED} AS reserved FROM batch
            WHERE job_id IN (SELECT id FROM job WHERE api_key_id = :key)
        """),
        {"key": key_id},
    ).one()
    counted = connection.execute(
        text("""
            SELECT COALESCE(sum(n_requests), 0) AS requests,
                COALESCE(sum(n_requests - n_ok - n_failed - n_cancelled) FILTER (WHERE closed_at IS NULL), 0) AS open
            FROM job WHERE api_key_id = :key
        """),
        {"key": key_id},
    ).one()
    return Spent(Decimal(money.cost), Decimal(money.reserved), int(counted.requests), int(counted.open))


def _key(row: Row[Any]) -> Key:
    return Key(**{**row._mapping, "sha256": bytes(row.sha256)})
