"""Submitting: a frame and the arguments of a call become a job, or find the job they already are.

The order is the promise: everything that can be wrong is found before anything is stored, and all is stored in one
transaction before anything is sent.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import pandas as pd

from batchframe.core.budget import dollars
from batchframe.core.spec import JobSpec
from batchframe.errors import NameInUseError
from batchframe.frame import columns, snapshot
from batchframe.frame.call import Call
from batchframe.frame.job import JobHandle
from batchframe.frame.requests import Asked, as_frame, ask
from batchframe.frame.session import Session
from batchframe.model import Job
from batchframe.store import jobs
from batchframe.store.jobs import Terms


def submit(session: Session, frame: pd.DataFrame | pd.Series[Any], call: Call) -> JobHandle:
    """Store the call as a job and start on it; the same call again is the same job.

    Raises:
        InputError: the frame does not fit the call (its subclasses say how); nothing was stored or sent.
        ConfigurationError: there is no API key.
        DatabaseError, ProviderError: one of them cannot be reached.
    """
    asked = ask(frame, call.spec, call.route, session.settings.batch_max_bytes, call.function)
    digest = asked.digest(call.spec, call.route, call.name)
    table = as_frame(frame)
    with session.database.transaction() as connection:
        known = jobs.find(connection, digest)
    if known is None:
        if not call.overwrite:
            columns.check_free(table.columns, call.spec, call.route.endpoint)
        _check_name(session, call, len(table))
        if asked.bodies:
            session.require_key()
            session.background.check_providers()
        known = _store(session, table, asked, call)
    else:
        _give_budget(session, known, call.terms)
    if not known.closed:
        session.background.start()
    return JobHandle(session, known, table, asked.numbers(), asked.skipped)


def _give_budget(session: Session, job: Job, terms: Terms) -> None:
    """The same call with a first or a larger budget is the same job; a smaller one is the handle's to say."""
    budget = terms.budget_usd
    if job.closed or budget is None or budget == job.budget_usd:
        return
    if job.budget_usd is not None and budget < job.budget_usd:
        warnings.warn(
            f"Job {job.id} goes on with its budget of {dollars(job.budget_usd)}: "
            f"job.resume(budget_usd={budget}) makes it smaller.",
            stacklevel=4,
        )
        return
    with session.database.transaction() as connection:
        jobs.resume(connection, job.id, budget)


def _store(session: Session, table: pd.DataFrame, asked: Asked, call: Call) -> Job:
    kept = snapshot.Snapshot(table[asked.columns], asked.numbers(), asked.skipped)
    digest = asked.digest(call.spec, call.route, call.name)
    # Packing releases the interpreter's lock, so it runs beside the COPY of the requests.
    with ThreadPoolExecutor(1) as pool, session.database.transaction() as connection:
        packed = pool.submit(lambda: list(snapshot.pack(kept)))
        jobs.create(
            connection,
            name=call.name,
            route=call.route,
            spec=call.spec.to_json().decode(),
            digest=digest,
            n_rows=len(table),
            n_skipped=sum(column is not None for column in asked.skipped),
            requests=asked.requests(),
            frame=_when_ready(packed),
            reuse=call.spec.reuse,
            terms=call.terms,
        )
    with session.database.transaction() as connection:
        job = jobs.find(connection, digest)
    if job is None:
        # Another process stored something else under this name since we looked.
        _check_name(session, call, len(table))
        raise NameInUseError(f"The name {call.name!r} was taken at this moment by another job. Choose another name.")
    return job


def _when_ready(parts: Future[list[bytes]]) -> Iterator[bytes]:
    yield from parts.result()


def _check_name(session: Session, call: Call, n_rows: int) -> None:
    if call.name is None:
        return
    with session.database.transaction() as connection:
        other = jobs.find(connection, call.name)
    if other is None:
        return
    differences = "\n".join(f"  {line}" for line in _differences(other, call, n_rows))
    raise NameInUseError(
        f"The name {call.name!r} stands for job {other.id}, which is something else:\n{differences}\n"
        f"Choose another name, or go on with that job: bf.job({call.name!r})."
    )


def _differences(other: Job, call: Call, n_rows: int) -> list[str]:
    before = {**dataclasses.asdict(other.route), **msgspec.structs.asdict(JobSpec.from_json(other.spec))}
    now = {**dataclasses.asdict(call.route), **msgspec.structs.asdict(call.spec)}
    lines = [f"{field}: {_short(before[field])} → {_short(now[field])}" for field in now if before[field] != now[field]]
    if other.n_rows != n_rows:
        lines.append(f"rows: {other.n_rows:,} → {n_rows:,}")
    return lines or ["the values in its rows"]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
