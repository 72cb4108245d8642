"""Scored: what a metric makes of observations, in a form that statistics can weigh anew.

A bootstrap, a jackknife and a permutation ask the same of every metric: its value when the observations count so many
times each. So a metric hands over, instead of a number, what answers that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Scored(Protocol):
    """A metric's view of n observations."""

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Whether each observation counts, shape (n,): not where there is no gold, say."""

    def value(self, weights: Floats) -> Floats:
        """The metric when each observation counts so many times.

        Args:
            weights: shape (…, n), not negative.

        Returns:
            Shape (…); nan where nothing counts.
        """


@dataclass(frozen=True)
class Mean:
    """The mean of the observations' own scores.

    Attributes:
        own: each one's score, shape (n,); nan where it does not count.
    """

    own: Floats

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.own)

    @property
    def binary(self) -> bool:
        """Whether every score is 0 or 1, so that the mean is a proportion."""
        counted = self.own[self.counted]
        return bool(np.isin(counted, (0.0, 1.0)).all())

    def value(self, weights: Floats) -> Floats:
        n = weights @ self.counted.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ np.nan_to_num(self.own)) / n)


@dataclass(frozen=True)
class Sums:
    """A function of sums over the observations, such as of a confusion matrix.

    Attributes:
        stats: what each observation adds, shape (n, m); zeros where it does not count.
        counted: shape (n,).
        formula: from sums of shape (…, m) to values of shape (…); nan where nothing was counted.
    """

    stats: Floats
    counted: npt.NDArray[np.bool_]
    formula: Callable[[Floats], Floats]

    def value(self, weights: Floats) -> Floats:
        return self.formula(weights @ self.stats)
