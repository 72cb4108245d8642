"""Orphans: batches at the provider that carry our mark and that this database does not know.

They come from the one window no client can close, from a database that was lost or restored, or from another batchframe
database on the same account. Which of these it is cannot be told from here, so nothing is ever cancelled by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from batchframe.providers.base import Phase, Provider, RemoteBatch
from batchframe.store import marks
from batchframe.store.database import Database

SWEEP = timedelta(days=30)
"""How far back to look: what is older has no files left (facts §1)."""

PROBE = "doctor-"
"""How the mark of a batch begins that `doctor --probe` has made."""


async def sweep(provider: Provider, database: Database, since: datetime | None = None) -> list[RemoteBatch]:
    """The orphans at this provider that ran or may run; one that failed its validation costs nothing.

    Raises:
        ProviderError: the provider's list cannot be read.
    """
    listed = await provider.marked(since or datetime.now(UTC) - SWEEP)
    return await asyncio.to_thread(unknown, database, listed)


def unknown(database: Database, listed: Sequence[RemoteBatch]) -> list[RemoteBatch]:
    """Those of the listed batches that the database knows neither by mark nor by id."""
    # Listed first, then looked up: a batch that is created in between is not taken for an orphan.
    with database.transaction() as connection:
        ours = marks.known(connection, [remote.mark or "" for remote in listed], [remote.id for remote in listed])
    return [
        remote
        for remote in listed
        if remote.mark is not None
        and not {remote.mark, remote.id} & ours
        and not remote.mark.startswith(PROBE)
        and remote.phase is not Phase.INVALID
    ]


def described(remote: RemoteBatch) -> str:
    """An orphan in one line."""
    total = "?" if remote.total is None else f"{remote.total:,}"
    created = "" if remote.created_at is None else f", created {remote.created_at:%Y-%m-%d %H:%M} UTC"
    return f"{remote.id}  {remote.status}, {remote.completed + remote.failed:,} of {total} answered{created}"
