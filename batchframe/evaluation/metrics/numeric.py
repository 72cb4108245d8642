"""Numeric: how far answers that are numbers lie from the gold.

A failed row, and an answer that is no number, has no error and no rank: it does not count, so the number of
observations that count falls below the number of rows, and shows how many answers were of use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Literal

import numpy as np

from batchframe.errors import InputError
from batchframe.evaluation.metrics.metric import Metric, Spec
from batchframe.evaluation.metrics.ranks import Ranks
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Floats, Mean, Scored, Sums

_NUMBER = re.compile(r"[+-]?(([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Numeric:
    """A figure of pairs of numbers, gold and answer.

    Attributes:
        figure: from golds and answers, both of shape (n,) and nan where the observation does not count.
    """

    name: str
    figure: Callable[[Floats, Floats], Scored]
    better: Literal["higher", "lower"]
    share: ClassVar[bool] = False
    needs_gold: ClassVar[bool] = True

    @property
    def spec(self) -> Spec:
        return self.name

    def score(self, seen: Observations) -> Scored:
        golds = np.array([_gold(gold, place) for place, gold in enumerate(seen.golds)], dtype=np.float64)
        answers = np.array([number(answer) for answer in seen.answers], dtype=np.float64)
        missing = np.isnan(golds) | np.isnan(answers)
        return self.figure(np.where(missing, np.nan, golds), np.where(missing, np.nan, answers))


def mae() -> Metric:
    """The mean absolute error, in the gold's unit; lower is better."""
    return Numeric("mae", lambda golds, answers: Mean(np.abs(answers - golds)), "lower")


def rmse() -> Metric:
    """The root of the mean squared error, in the gold's unit; lower is better. It minds large errors more."""
    return Numeric("rmse", _rmse, "lower")


def spearman() -> Metric:
    """Spearman's rank correlation (1904), ties at their middle rank: whether answers order rows as the gold does.

    From -1 to 1; undefined (nan) when all golds or all answers are the same.
    """
    return Numeric("spearman", Ranks, "higher")


def number(value: Any) -> float:
    """The number a value is, or a text is as a whole; nan when it is none, or not finite.

    A text may have outer white space, a sign, commas that part thousands ("1,234.5"), and an exponent. "about 3" is no
    number, as a guess at what was meant would be one at the model's error. "12%" is none either: whether that is 12 or
    0.12 only the user knows, who can ask the model for the one or the other. Nor is a boolean.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        text = value.strip().replace("\N{MINUS SIGN}", "-")
        if not _NUMBER.fullmatch(text):
            return math.nan
        value = float(text.replace(",", ""))
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | Decimal | np.number):
        return math.nan
    try:
        found = float(value)
    except OverflowError:  # an integer beyond what a float can hold
        return math.nan
    return found if math.isfinite(found) else math.nan


def _gold(gold: Any, place: int) -> float:
    if gold is None:
        return math.nan
    if math.isnan(found := number(gold)):
        raise InputError(
            f"The gold {gold!r} (observation {place}, counted from 0) is no number, and this metric compares numbers. "
            'Make the gold column numeric, or choose a metric of text, such as "exact".'
        )
    return found


def _rmse(golds: Floats, answers: Floats) -> Sums:
    counted = ~np.isnan(golds)
    squares = np.where(counted, (answers - golds) ** 2, 0.0)
    return Sums(np.column_stack([squares, counted]).astype(np.float64), counted, _root_of_mean)


def _root_of_mean(sums: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(sums[..., 0] / sums[..., 1]))
