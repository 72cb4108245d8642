"""Standing: an evaluation at a moment: its rows, what its cells have answered, and what its judges have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.evaluation.answers import Answers
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.comparison import column, golds_of
from batchframe.evaluation.judges.judge import Judge, Said
from batchframe.evaluation.measures import Measure, is_judge
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Floats, Mean, Scored
from batchframe.evaluation.spec import EvaluationSpec
from batchframe.frame.functions import Columns, Row


@dataclass(frozen=True)
class Standing:
    """All that views and statistics need, read once.

    Attributes:
        frame: the rows, with every column they had.
        tasks: of each row what the baseline was asked; None where it was skipped.
        answers: of each cell, as far as it has a job.
        verdicts: of each judge and cell the questions with their answers, as far as they were asked.
        measures: what answers are measured by; the first decides.
        absent: metrics that are functions nobody has passed anew.
    """

    id: int
    name: str | None
    spec: EvaluationSpec
    frame: pd.DataFrame
    tasks: Sequence[str | None]
    answers: Mapping[Cell, Answers]
    verdicts: Mapping[tuple[str, Cell], pd.DataFrame]
    measures: Sequence[Measure]
    absent: Sequence[str] = field(default=())

    @property
    def title(self) -> str:
        """Which evaluation it is."""
        return f"evaluation {self.id}" + (f" {self.name!r}" if self.name else "")

    @property
    def cells(self) -> list[Cell]:
        """All cells, in the order they were given."""
        return [cell.cell for cell in self.spec.cells]

    @cached_property
    def golds(self) -> list[Any]:
        """Of each row the right answer; None where nobody knows."""
        return golds_of(self.frame, self.spec.gold)

    @cached_property
    def rows(self) -> list[Row]:
        """Each row as a function sees it."""
        columns = Columns(self.frame, is_series=False)
        return [Row(columns, at) for at in range(len(self.frame))]

    @cached_property
    def groups(self) -> npt.NDArray[np.intp]:
        """Of each row the number of its group: its own, or that of all rows with its value of the cluster column.

        Rows without a value there are groups of their own.
        """
        if self.spec.cluster is None:
            return np.arange(len(self.frame), dtype=np.intp)
        codes = pd.factorize(column(self.frame, self.spec.cluster))[0].astype(np.intp)
        alone = codes < 0
        codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
        return codes

    def said(self, cell: Cell) -> Said:
        """What a cell has answered, as a judge sees it."""
        answers = self.answers[cell]
        return Said(self.frame, self.tasks, self.golds, answers.texts, answers.failed)

    def counts(self, *cells: Cell) -> npt.NDArray[np.bool_]:
        """Which answers count in all of these cells, shape (n_rows, n_samples)."""
        counted = np.ones((len(self.frame), self.spec.samples), dtype=bool)
        for cell in cells:
            answers = self.answers[cell]
            counted &= answers.settled
            if self.spec.failed == "exclude":
                counted &= ~answers.failed
        return counted

    def groups_of(self, counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """The group of each answer that counts."""
        return self.groups[np.nonzero(counted)[0]]

    def observations(self, counted: npt.NDArray[np.bool_], *cells: Cell) -> Observations:
        """The answers that count, of one cell after the other.

        Args:
            counted: shape (n_rows, n_samples).
        """
        at_rows = np.nonzero(counted)[0]
        golds, rows = self.golds, self.rows
        return Observations(
            [value for cell in cells for value in self.answers[cell].values[counted]],
            [golds[row] for row in at_rows] * len(cells),
            [rows[row] for row in at_rows] * len(cells),
            np.tile(self.groups_of(counted), len(cells)),
        )

    def scored(self, measure: Measure, counted: npt.NDArray[np.bool_], *cells: Cell) -> Scored:
        """What a measure makes of the answers that count, of one cell after the other."""
        if is_judge(measure):
            return Mean(np.concatenate([self.judged(measure, cell)[counted] for cell in cells]))
        return measure.score(self.observations(counted, *cells))

    def judged(self, judge: Judge, cell: Cell) -> Floats:
        """A judge's scores, shape (n_rows, n_samples); to a pairwise one the baseline is as good as itself."""
        baseline = self.spec.baseline
        if judge.pairwise and cell == baseline:
            return np.full(self.answers[cell].texts.shape, 0.5)
        verdicts = self.verdicts.get((judge.name, cell))
        if verdicts is None:
            return np.full(self.answers[cell].texts.shape, np.nan)
        return judge.scores(self.said(cell), self.said(baseline), verdicts)
