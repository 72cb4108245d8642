"""Marks: which batches at a provider this database knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


def known(connection: Connection, uids: Sequence[str], provider_ids: Sequence[str]) -> set[str]:
    """Those of these marks and provider ids that belong to a batch here."""
    rows = connection.execute(
        text("""
            SELECT CAST(uid AS text) AS uid, provider_id FROM batch
            WHERE CAST(uid AS text) = ANY(:uids) OR provider_id = ANY(:ids)
        """),
        {"uids": list(uids), "ids": list(provider_ids)},
    )
    return {value for row in rows for value in row if value is not None}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A batch the provider has accepted."""

    provider_id: str
    created_at: datetime


def newest_accepted(connection: Connection, provider: str) -> Accepted | None:
    """The batch that was last created at this provider, None when none was."""
    row = connection.execute(
        text("""
            SELECT provider_id, COALESCE(intent_at, created_at) AS created_at FROM batch
            WHERE provider = :provider AND provider_id IS NOT NULL
            ORDER BY id DESC LIMIT 1
        """),
        {"provider": provider},
    ).first()
    return Accepted(row.provider_id, row.created_at) if row else None
