"""Answers: what the cells of an evaluation have said so far, row by row, and what that has cost."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.core.answers import read_answer
from batchframe.core.pricing import bill
from batchframe.core.prompts import readable
from batchframe.core.spec import JobSpec
from batchframe.frame import columns
from batchframe.frame.requests import ask
from batchframe.frame.results import Results
from batchframe.frame.session import Session
from batchframe.frame.sources import FrameSource, KeptSource
from batchframe.model import Job, Mode, RowStatus, Usage
from batchframe.store import evaluations, outcomes
from batchframe.store.outcomes import Settled

_SETTLED = (RowStatus.OK, RowStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a cell has answered. Arrays have the shape (n_rows, n_samples).

    Attributes:
        texts: the answers as they came; None where there is none.
        values: what is held against the gold: the text, or the value of a field; None where there is none.
        status: of each what `RowStatus` says.
        errors: why a row has failed or was skipped; None else.
        row_nos: the request of each, -1 where there is none.
        usage: tokens of all answers, whichever job paid for them.
        answers: how many that are.
        cost_usd: what they would have cost this cell alone, at the batch rate; None when the price is not known.
    """

    texts: npt.NDArray[np.object_]
    values: npt.NDArray[np.object_]
    status: npt.NDArray[np.object_]
    errors: npt.NDArray[np.object_]
    row_nos: npt.NDArray[np.int32]
    usage: Usage
    answers: int
    cost_usd: Decimal | None

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Where the row has failed."""
        return np.asarray(self.status == RowStatus.FAILED.value, dtype=bool)

    @property
    def settled(self) -> npt.NDArray[np.bool_]:
        """Where there is an answer, or will never be one."""
        return np.isin(self.status.astype(str), [str(status) for status in _SETTLED])


def read(session: Session, job: Job, field: str | None) -> Answers:
    """What a cell's job has answered so far.

    Args:
        field: the field of the schema that is the value of an answer; None: its text is.
    """
    spec = JobSpec.from_json(job.spec)
    kept = KeptSource(session.database, job.id).snapshot()
    used: list[Usage] = []
    with (
        session.database.transaction() as connection,
        closing(outcomes.settled(connection, job.id)) as settled,
    ):
        answers = columns.read_answers(_noting(settled, job, used), job.n_requests, spec, job.route.endpoint)
    found = columns.result_columns(answers, kept.row_nos, kept.skipped, spec)
    bases = columns.bases(spec)

    def each(suffix: str) -> npt.NDArray[np.object_]:
        made = np.empty((len(kept.frame), len(bases)), dtype=object)
        for at, base in enumerate(bases):
            made[:, at] = found[f"{base}{suffix}"].to_pylist()
        return made

    status, texts = each("__status"), each("")
    texts[status != RowStatus.OK.value] = None
    values = texts if field is None else each(f"_{field}")
    return Answers(
        texts,
        values,
        status,
        each("__error"),
        kept.row_nos,
        sum(used, Usage()),
        len(used),
        bill(job.route.model, job.price, Mode.BATCH, used),
    )


def _noting(settled: Iterable[Settled], job: Job, used: list[Usage]) -> Generator[Settled, None, None]:
    """Hand the outcomes on, and note the tokens of those the model has answered."""
    for outcome in settled:
        if outcome.body is not None and outcome.answered:
            used.append(read_answer(job.route.endpoint, outcome.body).usage)
        yield outcome


def tasks(session: Session, job: Job, row_nos: npt.NDArray[np.int32]) -> list[str | None]:
    """Of each row what was asked, for a person or a judge to read; None for a row that was skipped."""
    with session.database.transaction() as connection:
        asked = [readable(body) for body in evaluations.bodies_of(connection, job.id)]
    return [None if row_no < 0 else asked[row_no] for row_no in row_nos[:, 0]]


def verdicts(session: Session, job: Job, questions: pd.DataFrame) -> pd.DataFrame:
    """A judge's questions with the result columns beside them, as far as its job has them."""
    spec = JobSpec.from_json(job.spec)
    asked = ask(questions, spec, job.route, session.settings.batch_max_bytes)
    results = Results(session.database, job, spec)
    return FrameSource(questions, results.numbers(asked), asked.skipped).filled(results)
