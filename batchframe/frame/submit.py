"""Submitting: a frame and the arguments of a call become a job, or find the job they already are.

The order is the promise: everything that can be wrong is found before anything is stored, and all is stored in one
transaction before anything is sent.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.core.budget import dollars
from batchframe.core.spec import JobSpec
from batchframe.errors import NameInUseError
from batchframe.frame import columns, snapshot
from batchframe.frame.call import Call
from batchframe.frame.job import JobHandle
from batchframe.frame.requests import as_frame, ask
from batchframe.frame.session import Session
from batchframe.frame.sources import Filled, FrameSource, Source
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
    table = as_frame(frame)
    return submit_as(session, frame, call, lambda numbers, skipped: FrameSource(table, numbers, skipped))


def submit_as(
    session: Session,
    frame: pd.DataFrame | pd.Series[Any],
    call: Call,
    source: Callable[[npt.NDArray[np.int32], list[str | None]], Source[Filled]],
) -> JobHandle[Filled]:
    """As `submit`, for a frame that stands for the caller's.

    Args:
        source: makes the source of the handle, from what each row asks and why it is skipped.
    """
    asked = ask(frame, call.spec, call.route, session.settings.batch_max_bytes, call.function)
    table = as_frame(frame)
    n_skipped = sum(column is not None for column in asked.skipped)
    size = Size(len(table), n_skipped, asks=bool(asked.bodies))

    def write(draft: jobs.Draft) -> None:
        kept = snapshot.Snapshot(table[asked.columns], asked.numbers(), asked.skipped)
        # Packing releases the interpreter's lock, so it runs beside the COPY of the requests.
        with ThreadPoolExecutor(1) as pool:
            packed = pool.submit(lambda: list(snapshot.pack(kept)))
            draft.add_requests(asked.requests())
            for part in packed.result():
                draft.add_part(part)

    job = known_or_new(session, call, asked.digest(call.spec, call.route, call.name), table.columns, size, write)
    return JobHandle(session, job, source(asked.numbers(), asked.skipped), call.function)


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows a job is for, how many of them are skipped, and whether any asks something."""

    n_rows: int
    n_skipped: int
    asks: bool


def known_or_new(
    session: Session,
    call: Call,
    digest: UUID,
    labels: Iterable[object],
    size: Size,
    write: Callable[[jobs.Draft], None],
) -> Job:
    """The job this call is already, or a new one; an engine is at work on it.

    Args:
        labels: the columns the rows have.
        write: writes requests and frame of a new job.

    Raises:
        InputError, ConfigurationError, DatabaseError, ProviderError: as `submit`.
    """
    with session.database.transaction() as connection:
        known = jobs.find(connection, digest)
    if known is None:
        check_free(session, call, labels, size.n_rows)
        if size.asks:
            session.require_key()
            session.background.check_providers()
        known = _store(session, call, digest, size, write)
    else:
        _compare_terms(session, known, call.terms)
    if not known.closed:
        session.background.start()
    return known


def _compare_terms(session: Session, job: Job, terms: Terms) -> None:
    """The same call with a first or a larger budget is the same job; a smaller one is the handle's to say."""
    if not job.closed and terms.price not in (None, job.price):
        warnings.warn(f"Job {job.id} keeps the price it was given first.", stacklevel=5)
    if not job.closed and terms.deadline is not None and job.deadline_at is None:
        warnings.warn(f"Job {job.id} goes on without a deadline: it was given none when it was made.", stacklevel=5)
    budget = terms.budget_usd
    if job.closed or budget is None or budget == job.budget_usd:
        return
    if job.budget_usd is not None and budget < job.budget_usd:
        warnings.warn(
            f"Job {job.id} goes on with its budget of {dollars(job.budget_usd)}: "
            f"job.resume(budget_usd={budget}) makes it smaller.",
            stacklevel=5,
        )
        return
    with session.database.transaction() as connection:
        jobs.resume(connection, job.id, budget)


def _store(session: Session, call: Call, digest: UUID, size: Size, write: Callable[[jobs.Draft], None]) -> Job:
    with session.database.transaction() as connection:
        draft = jobs.begin(
            connection,
            name=call.name,
            route=call.route,
            spec=call.spec.to_json().decode(),
            digest=digest,
            n_rows=size.n_rows,
            n_skipped=size.n_skipped,
            reuse=call.spec.reuse,
            terms=call.terms,
        )
        if draft is not None:
            write(draft)
            draft.finish()
    with session.database.transaction() as connection:
        job = jobs.find(connection, digest)
    if job is None:
        # Another process stored something else under this name since we looked.
        check_free(session, call, (), size.n_rows)
        raise NameInUseError(f"The name {call.name!r} was taken at this moment by another job. Choose another name.")
    return job


def check_free(session: Session, call: Call, labels: Iterable[object], n_rows: int) -> None:
    """Raises:
    ColumnExistsError: a result column is among the labels already.
    NameInUseError: the name stands for a job; only for one that is something else if this call is none yet.
    """
    if not call.overwrite:
        columns.check_free(labels, call.spec, call.route.endpoint)
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
    lines = [f"{field}: {short(before[field])} → {short(now[field])}" for field in now if before[field] != now[field]]
    if other.n_rows != n_rows:
        lines.append(f"rows: {other.n_rows:,} → {n_rows:,}")
    return lines or ["the values in its rows"]


def short(value: object) -> str:
    """A value as Python writes it, cut where a message would grow too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
