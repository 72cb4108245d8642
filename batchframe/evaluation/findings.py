"""Findings: the figures of a standing, each computed when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchframe.errors import InputError
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.measures import Measure, is_judge
from batchframe.evaluation.scored import Floats, Mean
from batchframe.evaluation.standing import Standing
from batchframe.evaluation.statistics.adjusting import holm
from batchframe.evaluation.statistics.comparing import Compared, Test, compare
from batchframe.evaluation.statistics.measuring import Measured, measure
from batchframe.evaluation.statistics.words import Verdict, sentence, verdict

N_RESAMPLES = 2_000
_SEED = 20_260
"""The same figures every time they are computed."""


@dataclass(frozen=True, slots=True)
class Versus:
    """A cell beside the baseline.

    Attributes:
        p_adjusted: by Holm, for all comparisons that were made together.
        verdict: better, worse, tied or not told apart.
        words: the same in a sentence.
    """

    cell: Cell
    measure: Measure
    compared: Compared
    p_adjusted: float
    verdict: Verdict
    words: str


class Findings:
    """What a standing shows."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self._measured: dict[tuple[Cell, str], Measured] = {}
        self._compared: dict[tuple[Cell, Cell, str, Test], Compared] = {}

    @property
    def cells(self) -> list[Cell]:
        """Those that have a job."""
        return [cell for cell in self.standing.cells if cell in self.standing.answers]

    def measure_of(self, name: str | None) -> Measure:
        """The measure of a name; the first, which decides, without one.

        Raises:
            InputError: there is none of that name.
        """
        known = {one.name: one for one in self.standing.measures}
        if name is None and known:
            return next(iter(known.values()))
        if name not in known:
            name = self.standing.absent[0] if name is None else name
            absent = f"{name!r} is a function: pass it anew, bf.evaluation(…, metrics=[…])."
            raise InputError(
                absent
                if name in self.standing.absent or not known
                else f"There is no metric {name!r}. There are: {', '.join(map(repr, known))}."
            )
        return known[name]

    def measured(self, cell: Cell, one: Measure) -> Measured:
        """A cell by a measure, with its interval."""
        key = (cell, one.name)
        if key not in self._measured:
            counted = self.standing.counts(cell)
            found = measure(
                self.standing.scored(one, counted, cell),
                self.standing.groups_of(counted),
                level=self.standing.spec.level,
                seed=_SEED,
                n_resamples=N_RESAMPLES,
            )
            if is_judge(one) and one.pairwise and cell == self.standing.spec.baseline:
                found = Measured(found.value, found.n, None)  # half by definition, and so without doubt
            self._measured[key] = found
        return self._measured[key]

    def cost_of_an_answer(self, cell: Cell) -> float | None:
        """US dollars at the batch rate; None without answers, or when the price is not known."""
        answers = self.standing.answers[cell]
        return None if answers.cost_usd is None or not answers.answers else float(answers.cost_usd) / answers.answers

    def own_scores(self, cell: Cell, one: Measure) -> Floats | None:
        """The score of every answer, shape (n_rows, n_samples), nan where there is none; None for a measure that only
        scores many together."""
        counted = self.standing.counts(cell)
        scored = self.standing.scored(one, counted, cell)
        if not isinstance(scored, Mean):
            return None
        own = np.full(counted.shape, np.nan)
        own[counted] = scored.own
        return own

    def compared(self, cell: Cell, baseline: Cell, one: Measure, test: Test = "auto") -> Compared:
        """A cell beside another, by a measure."""
        key = (cell, baseline, one.name, test)
        if key not in self._compared:
            counted = self.standing.counts(cell, baseline)
            before = self.standing.scored(one, counted, baseline)
            after = self.standing.scored(one, counted, cell)
            means = isinstance(before, Mean) and isinstance(after, Mean)
            self._compared[key] = compare(
                before,
                after,
                None if means else self.standing.scored(one, counted, baseline, cell),
                self.standing.groups_of(counted),
                level=self.standing.spec.level,
                seed=_SEED,
                n_resamples=N_RESAMPLES,
                test=test,
                per_row=self.standing.spec.samples,
            )
        return self._compared[key]

    def _knows(self, one: Measure, baseline: Cell) -> bool:
        """Whether a measure says anything of a baseline: a pairwise judge does of the evaluation's own alone."""
        return not (is_judge(one) and one.pairwise) or baseline == self.standing.spec.baseline

    def versus(
        self,
        measures: Sequence[Measure],
        *,
        baseline: Cell | None = None,
        by: float | None = None,
        test: Test = "auto",
    ) -> list[Versus]:
        """Cells beside the baseline, by these measures; the p values are adjusted for all of them together.

        Args:
            by: the smallest difference that matters, in the metric's own unit.
        """
        against = self.standing.spec.baseline if baseline is None else baseline
        pairs = [
            (cell, one)
            for one in measures
            for cell in self.cells
            if cell != against and against in self.standing.answers and self._knows(one, against)
        ]
        compared = [self.compared(cell, against, one, test) for cell, one in pairs]
        adjusted = holm([one.p for one in compared])
        return [
            Versus(
                cell,
                one,
                found,
                float(p),
                verdict(found, float(p), better=one.better, share=one.share, by=by),
                sentence(found, float(p), better=one.better, share=one.share, by=by),
            )
            for (cell, one), found, p in zip(pairs, compared, adjusted, strict=True)
        ]
