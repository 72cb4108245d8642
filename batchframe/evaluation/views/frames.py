"""An evaluation as frames: what every other view shows, in nullable dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batchframe.errors import InputError
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings, Versus
from batchframe.evaluation.measures import is_judge
from batchframe.evaluation.metrics.labels import same
from batchframe.evaluation.standing import Standing
from batchframe.model import RowStatus


def table(findings: Findings) -> pd.DataFrame:
    """A row a cell, indexed by `prompt` and `model`.

    Returns:
        Of each metric its value, `…_low` and `…_high` (the interval) and `…_n` (how many answers it is of); then
        `rows` asked, `failed`, `pending` and `skipped` of the answers wanted, `input_tokens`, `output_tokens`,
        `cost_usd` (what all answers cost at the batch rate, those taken over from elsewhere too) and
        `usd_per_1000` answers.
    """
    standing = findings.standing
    columns: dict[str, list[Any]] = {}

    def add(name: str, value: Any) -> None:
        columns.setdefault(name, []).append(value)

    for cell in findings.cells:
        for one in standing.measures:
            found = findings.measured(cell, one)
            add(one.name, found.value)
            add(f"{one.name}_low", None if found.interval is None else found.interval.low)
            add(f"{one.name}_high", None if found.interval is None else found.interval.high)
            add(f"{one.name}_n", found.n)
        answers = standing.answers[cell]
        counts = {state: int((answers.status == state.value).sum()) for state in RowStatus}
        add("rows", len(standing.frame))
        add("failed", counts[RowStatus.FAILED])
        add("pending", counts[RowStatus.PENDING] + counts[RowStatus.CANCELLED])
        add("skipped", counts[RowStatus.SKIPPED])
        add("input_tokens", answers.usage.input)
        add("output_tokens", answers.usage.output)
        add("cost_usd", None if answers.cost_usd is None else float(answers.cost_usd))
        each = findings.cost_of_an_answer(cell)
        add("usd_per_1000", None if each is None else each * 1000)
    return pd.DataFrame(
        {name: _numbers(name, values) for name, values in columns.items()}, index=_index(findings.cells)
    )


def versus(found: Sequence[Versus], *, by: float | None) -> pd.DataFrame:
    """A row a comparison with the baseline, indexed by `prompt`, `model` and `metric`.

    Returns:
        `baseline` and `value` (of the pairs both have), `difference`, `low`, `high`, `p`, `p_adjusted` (Holm, over the
        rows of this table), `verdict`, `in_words`, `n` (pairs), `discordant` (those that differ), `rows_needed` (to
        show a difference of `by`, else the one seen, with a power of 80 %), `test`.
    """
    needed = [
        one.compared.rows_needed if by is None else one.compared.needs.rows(by, one.compared.level, one.compared.power)
        for one in found
    ]
    intervals = [one.compared.interval for one in found]
    return pd.DataFrame(
        {
            "baseline": _floats(one.compared.before for one in found),
            "value": _floats(one.compared.after for one in found),
            "difference": _floats(one.compared.difference for one in found),
            "low": _floats(None if one is None else one.low for one in intervals),
            "high": _floats(None if one is None else one.high for one in intervals),
            "p": _floats(one.compared.p for one in found),
            "p_adjusted": _floats(one.p_adjusted for one in found),
            "verdict": pd.array([one.verdict for one in found], dtype="string"),
            "in_words": pd.array([one.words for one in found], dtype="string"),
            "n": pd.array([one.compared.n for one in found], dtype="Int64"),
            "discordant": pd.array([one.compared.discordant for one in found], dtype="Int64"),
            "rows_needed": pd.array(needed, dtype="Int64"),
            "test": pd.array([one.compared.test for one in found], dtype="string"),
        },
        index=pd.MultiIndex.from_tuples(
            [(*one.cell, one.measure.name) for one in found], names=["prompt", "model", "metric"]
        ),
    )


def diff(standing: Standing, first: Cell, second: Cell, *, sample: int) -> pd.DataFrame:
    """The rows on whose answer two cells disagree: all columns of the frame, then both answers.

    Args:
        sample: which of several answers a row, from 0.
    """
    one, other = (standing.answers[cell] for cell in (first, second))
    there = standing.counts(first, second)[:, sample]
    differ = np.array(
        [not same(a, b) for a, b in zip(one.values[:, sample], other.values[:, sample], strict=True)], dtype=bool
    )
    chosen: pd.DataFrame = standing.frame[there & differ].copy(deep=False)
    for cell, answers in ((first, one), (second, other)):
        chosen[str(cell)] = pd.array(_texts(answers.values[there & differ, sample]), dtype="string")
    return chosen


def tidy(findings: Findings) -> pd.DataFrame:
    """A row an answer: `prompt`, `model`, `row` (the label of the index), `sample`, `answer`, `value`, `status`,
    `error`, `gold`, and the score of every metric that scores answers one by one."""
    standing = findings.standing
    n_rows, n_samples = len(standing.frame), standing.spec.samples
    labels = [label for label in standing.frame.index.tolist() for _ in range(n_samples)]
    parts = []
    for cell in findings.cells:
        answers = standing.answers[cell]
        part = pd.DataFrame(
            {
                "prompt": pd.array([cell.prompt] * (n_rows * n_samples), dtype="string"),
                "model": pd.array([cell.model] * (n_rows * n_samples), dtype="string"),
                "row": pd.Series(
                    labels, dtype=standing.frame.index.dtype if standing.frame.index.nlevels == 1 else "object"
                ),
                "sample": np.tile(np.arange(1, n_samples + 1), n_rows),
                "answer": pd.array(list(answers.texts.ravel()), dtype="string"),
                "value": pd.array(_texts(answers.values.ravel()), dtype="string"),
                "status": pd.array(list(answers.status.ravel()), dtype="string"),
                "error": pd.array(list(answers.errors.ravel()), dtype="string"),
                "gold": pd.array(_texts([gold for gold in standing.golds for _ in range(n_samples)]), dtype="string"),
            }
        )
        for one in standing.measures:
            own = findings.own_scores(cell, one)
            if own is not None:
                part[one.name] = pd.array(own.ravel(), dtype="Float64")
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def judges(findings: Findings) -> pd.DataFrame:
    """How far each judge can be believed, a row a judge and cell, indexed by `judge`, `prompt` and `model`.

    Returns:
        `asked` and `answered` questions. Of a pairwise judge `first_preferred`: of the verdicts that are no tie, the
        share for the answer that came first (0.5 without a bias for a place), and `consistent`: of the pairs asked in
        both orders, the share with the same preference. `agrees_with_gold`: how likely the judge puts a right answer
        above a wrong one (0.5 is chance, 1 always; ties count half), over `gold_pairs` of them.
    """
    from batchframe.evaluation.views.judging import row

    standing = findings.standing
    rows = [
        (one.name, cell, row(findings, one, cell))
        for one in standing.measures
        if is_judge(one)
        for cell in findings.cells
        if (one.name, cell) in standing.verdicts
    ]
    if not rows:
        raise InputError("This evaluation has no judge, or none has been asked yet: metrics=[bf.graded(…), …].")
    made = pd.DataFrame([values for _, _, values in rows])
    made.index = pd.MultiIndex.from_tuples(
        [(name, *cell) for name, cell, _ in rows], names=["judge", "prompt", "model"]
    )
    typed: pd.DataFrame = made.convert_dtypes(dtype_backend="numpy_nullable")
    return typed


def _index(cells: Sequence[Cell]) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples([tuple(cell) for cell in cells], names=["prompt", "model"])


_COUNTS = ("rows", "failed", "pending", "skipped", "input_tokens", "output_tokens")


def _numbers(name: str, values: list[Any]) -> Any:
    if name in _COUNTS or name.endswith("_n"):
        return pd.array(values, dtype="Int64")
    return _floats(values)


def _floats(values: Iterable[Any]) -> Any:
    return pd.array([None if value is None or np.isnan(value) else float(value) for value in values], dtype="Float64")


def _texts(values: Iterable[Any]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]
