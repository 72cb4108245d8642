"""Overview: what all views show of each cell, read from the findings once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings, Versus
from batchframe.evaluation.measures import Measure
from batchframe.evaluation.statistics.measuring import Measured
from batchframe.model import RowStatus


@dataclass(frozen=True, slots=True)
class Line:
    """A cell.

    Attributes:
        asked: whether it has a job.
        measured: by each measure of the overview, in their order; empty where it has none.
        n: answers that count by the first measure, or that are there when nothing is measured.
        cost_usd, per_1000: of all its answers, and of a thousand, in US dollars; None when that is not known.
        versus: it beside the baseline, by the first measure; None for the baseline.
    """

    cell: Cell
    baseline: bool
    asked: bool
    measured: Sequence[Measured]
    n: int
    failed: int
    pending: int
    skipped: int
    cost_usd: float | None
    per_1000: float | None
    versus: Versus | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All cells, in the order they were given.

    Attributes:
        measures: the first decides.
    """

    measures: Sequence[Measure]
    lines: Sequence[Line]

    @property
    def baseline(self) -> Line:
        """The cell others are compared with."""
        return next(line for line in self.lines if line.baseline)

    @property
    def pending(self) -> int:
        """Answers to come."""
        return sum(line.pending for line in self.lines)

    @property
    def best(self) -> Line | None:
        """The best by the first measure of the cells that are not the baseline; None where none has a value."""
        others = [
            line
            for line in self.lines
            if not line.baseline and line.measured and not math.isnan(line.measured[0].value)
        ]
        if not others:
            return None
        sign = 1 if self.measures[0].better == "higher" else -1
        return max(others, key=lambda line: sign * line.measured[0].value)


def overview(findings: Findings, measures: Sequence[Measure] | None = None) -> Overview:
    """The overview of findings.

    Args:
        measures: None for all of the evaluation's.
    """
    shown = list(findings.standing.measures if measures is None else measures)
    compared = {one.cell: one for one in findings.versus(shown[:1])}
    return Overview(shown, [_line(findings, shown, cell, compared.get(cell)) for cell in findings.standing.cells])


def _line(findings: Findings, measures: Sequence[Measure], cell: Cell, versus: Versus | None) -> Line:
    standing = findings.standing
    is_baseline = cell == standing.spec.baseline
    if cell not in standing.answers:
        wanted = len(standing.frame) * standing.spec.samples
        return Line(cell, is_baseline, False, [], 0, 0, wanted, 0, None, None, None)
    answers = standing.answers[cell]
    counts = {state: int((answers.status == state.value).sum()) for state in RowStatus}
    measured = [findings.measured(cell, one) for one in measures]
    each = findings.cost_of_an_answer(cell)
    return Line(
        cell=cell,
        baseline=is_baseline,
        asked=True,
        measured=measured,
        n=measured[0].n if measured else counts[RowStatus.OK],
        failed=counts[RowStatus.FAILED],
        pending=counts[RowStatus.PENDING] + counts[RowStatus.CANCELLED],
        skipped=counts[RowStatus.SKIPPED],
        cost_usd=None if answers.cost_usd is None else float(answers.cost_usd),
        per_1000=None if each is None else each * 1000,
        versus=versus,
    )


def absent_note(findings: Findings) -> str:
    """How to pass the metrics that are functions, which are not kept; empty when all are there."""
    absent = findings.standing.absent
    if not absent:
        return ""
    which = (
        "metrics " + ", ".join(absent) + " are functions" if len(absent) > 1 else f"metric {absent[0]} is a function"
    )
    key = repr(findings.standing.name) if findings.standing.name else str(findings.standing.id)
    return f"The {which}, and code is not kept: pass it anew, bf.evaluation({key}, metrics=[{', '.join(absent)}])."
