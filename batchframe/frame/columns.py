"""From outcomes to columns: what a frame gets beside its own.

For `into="team"` these are `team` (the answer's text or vector), with a schema one typed column a field
(`team_urgency`), `team__status` and `team__error`; with `samples=n` each set comes n times (`team_1`, `team_2`, …).
Every dtype is nullable: what is not there yet is NA, and integers stay integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from batchframe.core.answers import read_answer
from batchframe.core.results import CANCELLED
from batchframe.core.spec import JobSpec
from batchframe.core.typed import field_arrays, field_types
from batchframe.errors import ColumnExistsError
from batchframe.model import EMBEDDINGS, RowStatus
from batchframe.store.outcomes import Settled


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a job, an entry a request."""

    columns: dict[str, pa.Array[Any]]
    status: pa.Array[Any]
    error: pa.Array[Any]


def column_names(spec: JobSpec, endpoint: str) -> list[str]:
    """Every column a fill writes, in order."""
    return [column for base in bases(spec) for column in _set_of(base, spec, endpoint)]


def check_free(columns: Iterable[object], spec: JobSpec, endpoint: str) -> None:
    """Refuse to write over a column that is not from an earlier fill, which its status column tells.

    Raises:
        ColumnExistsError: names the column and how to overwrite it.
    """
    there = set(columns)
    for base in bases(spec):
        if f"{base}__status" in there:
            continue
        for name in _set_of(base, spec, endpoint):
            if name in there:
                raise ColumnExistsError(
                    f"The frame has a column {name!r} already. Choose another into=, or pass overwrite=True."
                )


def read_answers(settled: Iterable[Settled], n_requests: int, spec: JobSpec, endpoint: str) -> Answers:
    """Collect the final outcomes of a job.

    Args:
        settled: in any order; a request without one is pending.
    """
    texts: list[str | None] = [None] * n_requests
    vectors: dict[int, npt.NDArray[np.float32]] = {}
    status = [RowStatus.PENDING.value] * n_requests
    errors: list[str | None] = [None] * n_requests
    for outcome in settled:
        at = outcome.row_no
        if outcome.body is not None and outcome.answered:
            answer = read_answer(endpoint, outcome.body)
            texts[at] = answer.text
            if answer.vector is not None:
                vectors[at] = np.asarray(answer.vector, dtype=np.float32)
        if outcome.ok:
            status[at] = RowStatus.OK.value
            continue
        status[at] = (RowStatus.CANCELLED if outcome.code == CANCELLED else RowStatus.FAILED).value
        errors[at] = f"{outcome.code}: {outcome.message}"
    if endpoint == EMBEDDINGS:
        columns: dict[str, pa.Array[Any]] = {"": _vectors(vectors, n_requests)}
    else:
        columns = {"": pa.array(texts, pa.string())}
        if spec.answer_schema is not None:
            valid = [text if state == "ok" else None for text, state in zip(texts, status, strict=True)]
            columns |= field_arrays(spec.answer_schema, valid)
    return Answers(columns, pa.array(status, pa.string()), pa.array(errors, pa.string()))


def result_columns(
    answers: Answers, numbers: npt.NDArray[np.int32], skipped: Sequence[str | None], spec: JobSpec
) -> dict[str, pa.Array[Any]]:
    """The result columns of some rows, in order.

    Args:
        numbers: of each row and sample its place in `answers`, shape (n_rows, n_samples), -1 where there is none.
        skipped: of each row what `JobSpec.why_skipped` explains, or None.
    """
    reasons = [None if column is None else spec.why_skipped(column) for column in skipped]
    columns: dict[str, pa.Array[Any]] = {}
    for base, sample in zip(bases(spec), numbers.T, strict=True):
        at = pa.array(sample, mask=sample < 0)
        columns |= {_column(base, field): values.take(at) for field, values in answers.columns.items()}
        columns[f"{base}__status"] = _where_absent(answers.status.take(at), reasons, status=True)
        columns[f"{base}__error"] = _where_absent(answers.error.take(at), reasons, status=False)
    return columns


def fill(frame: pd.DataFrame, results: dict[str, pa.Array[Any]]) -> pd.DataFrame:
    """The frame with the result columns; index, order and the other columns are as they were."""
    filled = frame.copy(deep=False)
    for name, series in _to_pandas(results).items():
        filled[name] = series.array
    return filled


def bases(spec: JobSpec) -> list[str]:
    """The result column of each sample, which its further columns start with."""
    if spec.samples == 1:
        return [spec.into]
    return [f"{spec.into}_{number}" for number in range(1, spec.samples + 1)]


def _set_of(base: str, spec: JobSpec, endpoint: str) -> list[str]:
    fields = list(field_types(spec.answer_schema)) if spec.answer_schema and endpoint != EMBEDDINGS else []
    return [_column(base, field) for field in ["", *fields]] + [f"{base}__status", f"{base}__error"]


def _column(base: str, field: str) -> str:
    return f"{base}_{field}" if field else base


def _where_absent(values: pa.Array[Any], reasons: Sequence[str | None], *, status: bool) -> pa.Array[Any]:
    """Say of rows without a request why."""
    if not any(reasons):
        return values
    said = values.to_pylist()
    for at, reason in enumerate(reasons):
        if reason is not None:
            said[at] = RowStatus.SKIPPED.value if status else reason
    return pa.array(said, pa.string())


def _vectors(vectors: dict[int, npt.NDArray[np.float32]], n_requests: int) -> pa.Array[Any]:
    """Vectors as a fixed-size list column; a list column should they differ in length, or none be there yet."""
    lengths = {len(vector) for vector in vectors.values()}
    if len(lengths) != 1:
        return pa.array([vectors.get(at) for at in range(n_requests)], pa.list_(pa.float32()))
    width = lengths.pop()
    values = np.zeros((n_requests, width), dtype=np.float32)
    missing = np.ones(n_requests, dtype=bool)
    for at, vector in vectors.items():
        values[at] = vector
        missing[at] = False
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width, mask=pa.array(missing))


_NULLABLE = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype("pyarrow", na_value=pd.NA),
}


def _to_pandas(columns: dict[str, pa.Array[Any]]) -> pd.DataFrame:
    def nullable(kind: pa.DataType) -> Any:
        return _NULLABLE.get(kind) or pd.ArrowDtype(kind)

    return pa.table(columns).to_pandas(types_mapper=nullable)
