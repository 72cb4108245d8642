"""Submitting: a comparison becomes an evaluation with a job for every cell, or goes on with the one it already is.

It is written first, with all that its jobs need, so that a process that dies between two jobs loses nothing: whoever
opens the evaluation next submits the rest.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
import numpy as np
import pandas as pd

from batchframe.core.identity import job_digest
from batchframe.errors import NameInUseError
from batchframe.evaluation.comparison import Comparison
from batchframe.evaluation.spec import EvaluationSpec
from batchframe.frame import snapshot
from batchframe.frame.requests import ask
from batchframe.frame.session import Session
from batchframe.frame.submit import short
from batchframe.store import evaluations, jobs
from batchframe.store.evaluations import Place, StoredEvaluation


def store(session: Session, frame: pd.DataFrame, comparison: Comparison) -> StoredEvaluation:
    """Write the evaluation; one of the same name grows, and one that would change into another is refused.

    Raises:
        InputError: the frame does not fit a cell's prompt (its subclasses say how); nothing was stored or sent.
        NameInUseError: the name stands for an evaluation that is something else.
        ConfigurationError: there is no API key.
        DatabaseError, ProviderError: one of them cannot be reached.
    """
    limit = session.settings.batch_max_bytes
    hashes: dict[Place, set[bytes]] = {}
    digests: dict[Place, UUID] = {}
    for cell, call in comparison.calls.items():
        asked = ask(frame, call.spec, call.route, limit, call.function)
        hashes[Place(*cell)] = set(asked.bodies)
        digests[Place(*cell)] = asked.digest(call.spec, call.route, None)
    _check_growth(session, comparison, hashes)
    with session.database.transaction() as connection:
        known = [jobs.find(connection, digest) for digest in digests.values()]
    if not all(known):
        session.require_key()
        session.background.check_providers()
    spec = comparison.spec.to_json()
    kept = snapshot.Snapshot(frame, np.zeros((len(frame), 0), dtype=np.int32), [None] * len(frame))
    with session.database.transaction() as connection:
        stored = evaluations.write(
            connection,
            name=comparison.name,
            digest=job_digest(
                f"{comparison.name or ''}\n".encode() + spec, (digest.bytes for digest in digests.values())
            ),
            spec=spec.decode(),
            n_rows=len(frame),
            parts=snapshot.pack(kept),
        )
        evaluations.drop_jobs(connection, stored.id, digests)
    return stored


def _check_growth(session: Session, comparison: Comparison, hashes: dict[Place, set[bytes]]) -> None:
    """An evaluation of a name may get further prompts, models, rows, metrics and better gold; it may lose none, and
    what was compared must stay what it was."""
    if comparison.name is None:
        return
    with session.database.transaction() as connection:
        other = evaluations.find(connection, comparison.name)
        if other is None:
            return
        differences = _differences(EvaluationSpec.from_json(other.spec), comparison.spec)
        if not differences:
            for place, job in evaluations.jobs_of(connection, other.id).items():
                if not place.judge:
                    gone = set(evaluations.hashes_of(connection, job.id)) - hashes[place]
                    if gone:
                        differences.append(f"rows: {len(gone):,} of what {place.prompt!r} asks is not in this frame")
                        break
    if differences:
        raise NameInUseError(
            f"The name {comparison.name!r} stands for evaluation {other.id}, which may grow, but not change:\n"
            + "\n".join(f"  {line}" for line in differences)
            + f"\nChoose another name, or go on with that evaluation: bf.evaluation({comparison.name!r})."
        )


def _differences(before: EvaluationSpec, now: EvaluationSpec) -> list[str]:
    cells = {cell.cell: cell for cell in now.cells}
    lines = []
    for old in before.cells:
        new = cells.get(old.cell)
        if new is None:
            lines.append(f"{old.cell} is not compared any more")
            continue
        if (old.asks, old.endpoint) != (new.asks, new.endpoint):
            lines.append(f"{old.cell}: {old.asks} at {old.endpoint} → {new.asks} at {new.endpoint}")
        lines += [
            f"{old.cell}, {name}: {short(getattr(old.spec, name))} → {short(getattr(new.spec, name))}"
            for name in msgspec.structs.asdict(new.spec)
            if name not in ("samples", "missing", "reuse") and getattr(old.spec, name) != getattr(new.spec, name)
        ]
    if now.samples < before.samples:
        lines.append(f"samples: {before.samples} → {now.samples}")
    return lines


def kept_frame(session: Session, evaluation: StoredEvaluation) -> pd.DataFrame:
    """The rows of an evaluation as they were given."""
    with session.database.transaction() as connection:
        parts = evaluations.frame_parts(connection, evaluation.id)
    return snapshot.unpack(parts).frame
