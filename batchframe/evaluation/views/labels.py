"""Labels: which right answer was answered by what, and how far the samples of a row agree."""

from __future__ import annotations

import pandas as pd

from batchframe.errors import InputError
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.metrics.confusion import confusion_matrix
from batchframe.evaluation.metrics.json_fields import field_accuracy
from batchframe.evaluation.metrics.labels import label
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.standing import Standing
from batchframe.evaluation.statistics.agreement import agreement as agreement_of


def confusion(standing: Standing, cell: Cell) -> pd.DataFrame:
    """How often each right answer (rows) was answered by each (columns).

    Raises:
        InputError: there is no gold, or the cell has no job yet.
    """
    seen = _seen(standing, cell)
    return confusion_matrix(seen.golds, seen.answers)


def fields(standing: Standing, cell: Cell) -> pd.DataFrame:
    """How often each field of the gold is right; see `field_accuracy`.

    Raises:
        InputError: there is no gold, it is no JSON, or the cell has no job yet.
    """
    seen = _seen(standing, cell)
    return field_accuracy(seen.golds, seen.answers)


def _seen(standing: Standing, cell: Cell) -> Observations:
    if standing.spec.gold is None:
        raise InputError("There are no right answers to go by: say with gold= which column has them.")
    if cell not in standing.answers:
        raise InputError(f"{cell} has no job yet: ev.wait() submits it.")
    return standing.observations(standing.counts(cell), cell)


def agreement(findings: Findings) -> pd.DataFrame:
    """How far the samples of a row agree, a row a cell: the share of rows whose samples all do, and Fleiss' kappa.

    Raises:
        InputError: there is one sample a row.
    """
    standing = findings.standing
    if standing.spec.samples == 1:
        raise InputError("There is one answer a row: ask for several with samples=3 to see how far they agree.")
    made = {}
    for cell in findings.cells:
        values = standing.answers[cell].values
        labels = values.copy()
        for at, value in enumerate(values.flat):
            labels.flat[at] = None if value is None else label(value)
        made[cell] = agreement_of(labels[standing.counts(cell).all(axis=1)])
    return pd.DataFrame(
        {
            "agreement": pd.array([one.unanimous for one in made.values()], dtype="Float64"),
            "fleiss_kappa": pd.array([one.kappa for one in made.values()], dtype="Float64"),
            "rows": pd.array([one.rows for one in made.values()], dtype="Int64"),
        },
        index=pd.MultiIndex.from_tuples([tuple(cell) for cell in made], names=["prompt", "model"]),
    )
