"""Submitting: a frame and the arguments of a call become a job, or find the job they already are.

The order is the promise: everything that can be wrong is found before anything is stored, and all is stored in one
transaction before anything is sent.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import msgspec
import pandas as pd
import pydantic

from batchframe.core.budget import dollars
from batchframe.core.schema import answer_schema
from batchframe.core.spec import JobSpec, Prompt
from batchframe.errors import InputError, NameInUseError
from batchframe.frame import columns, parameters, snapshot
from batchframe.frame.job import JobHandle
from batchframe.frame.requests import Asked, as_frame, ask, check_samples
from batchframe.frame.session import Session
from batchframe.frame.terms import AtDeadline, Deadline, Money, check_terms
from batchframe.model import Job, Route
from batchframe.store import jobs
from batchframe.store.jobs import Terms

Schema = type[pydantic.BaseModel] | Mapping[str, Any]
Missing = Literal["skip", "raise", "render"]


def submit(
    session: Session,
    frame: pd.DataFrame | pd.Series[Any],
    prompt: Prompt,
    *,
    model: str,
    into: str,
    system: str | None,
    schema: Schema | None,
    endpoint: str,
    name: str | None,
    missing: Missing,
    reuse: bool,
    samples: int,
    overwrite: bool,
    budget_usd: Money | None,
    price: tuple[Money, Money] | None,
    deadline: Deadline | None,
    at_deadline: AtDeadline,
    params: Mapping[str, Any],
) -> JobHandle:
    """Store the call as a job and start on it; the same call again is the same job.

    Raises:
        InputError: what was passed cannot be used (its subclasses say how); nothing was stored or sent.
        ConfigurationError: there is no API key.
        DatabaseError, ProviderError: one of them cannot be reached.
    """
    spec, path = _specify(prompt, model, into, system, schema, endpoint, name, missing, reuse, samples, params)
    terms = check_terms(
        model=model,
        endpoint=path,
        params=spec.params,
        budget_usd=budget_usd,
        price=price,
        deadline=deadline,
        at_deadline=at_deadline,
    )
    route = Route(session.provider_id, path, model)
    asked = ask(frame, spec, route, session.settings.batch_max_bytes)
    digest = asked.digest(spec, route, name)
    table = as_frame(frame)
    with session.database.transaction() as connection:
        known = jobs.find(connection, digest)
    if known is None:
        if not overwrite:
            columns.check_free(table.columns, spec, path)
        _check_name(session, name, spec, route, len(table))
        if asked.bodies:
            session.require_key()
            session.background.check_providers()
        known = _store(session, table, asked, spec, route, name, terms)
    else:
        _give_budget(session, known, terms)
    if not known.closed:
        session.background.start()
    return JobHandle(session, known, table, asked.numbers(), asked.skipped)


def _specify(
    prompt: Prompt,
    model: str,
    into: str,
    system: str | None,
    schema: Schema | None,
    endpoint: str,
    name: str | None,
    missing: Missing,
    reuse: bool,
    samples: int,
    params: Mapping[str, Any],
) -> tuple[JobSpec, str]:
    for argument, value in {"model": model, "into": into}.items():
        if not isinstance(value, str) or not value or not value.isprintable():
            raise InputError(f"{argument}={value!r}: pass a text of printable characters that is not empty.")
    if not isinstance(prompt, str) and not (
        isinstance(prompt, list) and prompt and all(isinstance(message, Mapping) for message in prompt)
    ):
        raise InputError("The template is a text, or a list of messages such as {'role': 'user', 'content': '…'}.")
    if name is not None and not _is_name(name):
        raise InputError(f"name={name!r}: pass 1 to 200 printable characters; not a number, which would be an id.")
    if missing not in ("skip", "raise", "render"):
        raise InputError(f"missing={missing!r}: choose 'skip', 'raise' or 'render'.")
    check_samples(samples)
    path = parameters.endpoint_path(endpoint)
    strict = answer_schema(schema) if schema is not None else None
    spec = JobSpec(
        prompt=prompt,
        into=into,
        system=system,
        schema=strict.schema if strict else None,
        schema_name=strict.name if strict else None,
        params=parameters.body_parameters(path, params, has_schema=schema is not None),
        missing=missing,
        samples=samples,
        reuse=reuse,
    )
    return spec, path


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() and not name.isdecimal()


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


def _store(
    session: Session, table: pd.DataFrame, asked: Asked, spec: JobSpec, route: Route, name: str | None, terms: Terms
) -> Job:
    kept = snapshot.Snapshot(table[asked.columns], asked.numbers(), asked.skipped)
    digest = asked.digest(spec, route, name)
    # Packing releases the interpreter's lock, so it runs beside the COPY of the requests.
    with ThreadPoolExecutor(1) as pool, session.database.transaction() as connection:
        packed = pool.submit(lambda: list(snapshot.pack(kept)))
        jobs.create(
            connection,
            name=name,
            route=route,
            spec=spec.to_json().decode(),
            digest=digest,
            n_rows=len(table),
            n_skipped=sum(column is not None for column in asked.skipped),
            requests=asked.requests(),
            frame=_when_ready(packed),
            reuse=spec.reuse,
            terms=terms,
        )
    with session.database.transaction() as connection:
        job = jobs.find(connection, digest)
    if job is None:
        # Another process stored something else under this name since we looked.
        _check_name(session, name, spec, route, len(table))
        raise NameInUseError(f"The name {name!r} was taken at this moment by another job. Choose another name.")
    return job


def _when_ready(parts: Future[list[bytes]]) -> Iterator[bytes]:
    yield from parts.result()


def _check_name(session: Session, name: str | None, spec: JobSpec, route: Route, n_rows: int) -> None:
    if name is None:
        return
    with session.database.transaction() as connection:
        other = jobs.find(connection, name)
    if other is None:
        return
    differences = "\n".join(f"  {line}" for line in _differences(other, spec, route, n_rows))
    raise NameInUseError(
        f"The name {name!r} stands for job {other.id}, which is something else:\n{differences}\n"
        f"Choose another name, or go on with that job: bf.job({name!r})."
    )


def _differences(other: Job, spec: JobSpec, route: Route, n_rows: int) -> list[str]:
    before = {**dataclasses.asdict(other.route), **msgspec.structs.asdict(JobSpec.from_json(other.spec))}
    now = {**dataclasses.asdict(route), **msgspec.structs.asdict(spec)}
    lines = [f"{field}: {_short(before[field])} → {_short(now[field])}" for field in now if before[field] != now[field]]
    if other.n_rows != n_rows:
        lines.append(f"rows: {other.n_rows:,} → {n_rows:,}")
    return lines or ["the values in its rows"]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
