"""Checking: whether a cell is worse than another by more than is allowed, for tests and CI."""

from __future__ import annotations

from dataclasses import dataclass

from batchframe.errors import InputError
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.measures import Measure
from batchframe.evaluation.statistics.words import level_of, number


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        passed: whether the loss, or the value, is within what is allowed.
        allows: what that is, in words.
        words: what was found, in a sentence.
    """

    cell: Cell
    metric: str
    passed: bool
    allows: str
    words: str


def not_worse(findings: Findings, cell: Cell, baseline: Cell, one: Measure, by: float, *, sure: bool) -> Check:
    """Whether a cell is not worse than another by more than `by`.

    Args:
        by: the loss that is allowed, in the metric's own unit: 0.02 is 2 points of a share.
        sure: whether the whole interval must be within what is allowed (non-inferiority, as Blackwelder 1982), so that
            too few rows fail; else only a loss that is shown to be larger fails.

    Raises:
        InputError: `by` is negative, or a cell has no answers yet.
    """
    if by < 0:
        raise InputError(f"by={by!r}: pass the loss that is allowed, 0 or more.")
    for needed in (cell, baseline):
        _check_answered(findings, needed)
    found = findings.compared(cell, baseline, one)
    sign = 1.0 if one.better == "higher" else -1.0
    ends = (found.difference, found.difference) if found.interval is None else (found.interval.low, found.interval.high)
    worst, best = sorted(sign * end for end in ends)
    passed = (worst if sure else best) >= -by and found.difference == found.difference
    change = number(found.difference, share=one.share, signed=True)
    span = f"{number(min(ends), share=one.share, signed=True)} to {number(max(ends), share=one.share, signed=True)}"
    verdict = "is not worse" if passed else "may be worse" if sure and best >= -by else "is worse"
    allowed = number(by, share=one.share, signed=False)
    return Check(
        cell,
        one.name,
        passed,
        f"no worse than {baseline} by more than {allowed}",
        f"{cell} {verdict} than {baseline} by more than {allowed} of {one.name}: {change}, "
        f"{level_of(findings.standing.spec.level)} from {span}, {found.n:,} pairs",
    )


def reaches(
    findings: Findings, cell: Cell, one: Measure, *, at_least: float | None, at_most: float | None, sure: bool
) -> Check:
    """Whether a cell's value is not below `at_least`, or not above `at_most`.

    Args:
        sure: whether the whole interval must be on that side, so that too few rows fail.

    Raises:
        InputError: the cell has no answers yet.
    """
    _check_answered(findings, cell)
    found = findings.measured(cell, one)
    low, high = (found.value, found.value) if found.interval is None else (found.interval.low, found.interval.high)
    if at_least is not None:
        passed, limit = (low if sure else found.value) >= at_least, f"at least {_plain(at_least, one)}"
    else:
        assert at_most is not None
        passed, limit = (high if sure else found.value) <= at_most, f"at most {_plain(at_most, one)}"
    is_it = "is" if passed else "may not be" if sure else "is not"
    values = f"{_plain(found.value, one)} ({_plain(low, one)} to {_plain(high, one)}), {found.n:,} answers"
    return Check(cell, one.name, passed, limit, f"{one.name} of {cell} {is_it} {limit}: {values}")


def _check_answered(findings: Findings, cell: Cell) -> None:
    if cell not in findings.standing.answers or not findings.standing.answers[cell].settled.any():
        raise InputError(f"{cell} has no answers yet: wait for them, ev.wait().")


def _plain(value: float, one: Measure) -> str:
    return f"{value:.1%}" if one.share else f"{value:.4g}"
