"""Coming back to jobs: by id, by name, or all of them."""

from __future__ import annotations

import operator

import pandas as pd

from batchframe.errors import InputError, JobNotFoundError
from batchframe.frame import progress
from batchframe.frame.job import JobHandle
from batchframe.frame.session import Session, current
from batchframe.frame.usage import amounts
from batchframe.model import Job, Kind
from batchframe.store import jobs as stored


def job(key: int | str) -> JobHandle:
    """The handle of a job, also after a restart or in another process; work on an open one goes on.

    Args:
        key: its id or its name.

    Raises:
        JobNotFoundError: there is none.
    """
    session = current()
    found = find(session, key if isinstance(key, str) else operator.index(key))
    if not found.closed and session.settings.openai_api_key and found.route.provider == session.provider_id:
        session.background.start()
    return JobHandle(session, found)


def find(session: Session, key: int | str) -> Job:
    """The job of this id or name.

    Raises:
        JobNotFoundError: there is none.
    """
    with session.database.transaction() as connection:
        found = stored.find(connection, key)
        if found is None:
            names = [other.name for other in stored.newest_first(connection) if other.name]
    if found is None:
        near = ", ".join(repr(name) for name in names[:5])
        known = f" The newest names are {near}." if near else ""
        raise JobNotFoundError(f"There is no job {key!r} in this database.{known} bf.jobs() lists all.")
    return found


def jobs(kind: str | None = None) -> pd.DataFrame:
    """All jobs, open ones first, then the newest first.

    Args:
        kind: only those of "frame", "proxy" (requests that came over HTTP) or "upload" (a proxy's batches).

    Returns:
        One row a job, indexed by `id`: name, kind, status, model, endpoint, provider, rows, requests, ok, failed,
        cancelled, pending, reused, cost_usd, created.

    Raises:
        InputError: there is no such kind.
    """
    if kind is not None and kind not in list(Kind):
        raise InputError(f"kind={kind!r}: choose from {', '.join(repr(str(one)) for one in Kind)}.")
    session = current()
    with session.database.transaction() as connection:
        found = [one for one in stored.newest_first(connection) if kind in (None, one.kind)]
        states = [progress.read(connection, one) for one in found]
    return pd.DataFrame(
        {
            "name": pd.array([one.name for one in found], dtype="string"),
            "kind": pd.array([str(one.kind) for one in found], dtype="string"),
            "status": pd.array([state.status for state in states], dtype="string"),
            "model": pd.array([one.route.model for one in found], dtype="string"),
            "endpoint": pd.array([one.route.endpoint for one in found], dtype="string"),
            "provider": pd.array([one.route.provider for one in found], dtype="string"),
            **{
                field: pd.array([getattr(state, field) for state in states], dtype="Int64")
                for field in ("rows", "requests", "ok", "failed", "cancelled", "pending", "reused")
            },
            "cost_usd": amounts([state.usage.cost_usd for state in states]),
            "created": pd.to_datetime([one.created_at for one in found], utc=True),
        },
        index=pd.Index([one.id for one in found], name="id", dtype="int64"),
    )
