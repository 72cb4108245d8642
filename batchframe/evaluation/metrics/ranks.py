"""Ranks: Spearman's correlation, whose ranks change with every weight, so that no sums over observations make it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from batchframe.evaluation.scored import Floats


@dataclass(frozen=True)
class Ranks:
    """The correlation of two rankings of the same observations.

    Attributes:
        golds: shape (n,), nan where an observation does not count.
        answers: the same.
    """

    golds: Floats
    answers: Floats

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.golds)

    def value(self, weights: Floats) -> Floats:
        """Pearson's correlation of the midranks in the data in which each observation stands so many times.

        Weights of shape (…, n), values of shape (…): nan where nothing counts, or where all golds or all answers of
        positive weight are the same.
        """
        weights = weights[..., self.counted]
        if not weights.shape[-1]:
            return np.full(weights.shape[:-1], np.nan)
        # Ranks lie around (their number + 1) / 2, ties or not.
        middle = (weights.sum(-1, keepdims=True) + 1) / 2
        gold, gold_varies = self._gold_ties.midranks(weights)
        answer, answer_varies = self._answer_ties.midranks(weights)
        gold -= middle
        answer -= middle
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt((weights * gold * gold).sum(-1) * (weights * answer * answer).sum(-1))
            correlation = (weights * gold * answer).sum(-1) / spread
        return np.where(gold_varies & answer_varies, np.clip(correlation, -1.0, 1.0), np.nan)

    @cached_property
    def _gold_ties(self) -> _Ties:
        return _Ties.of(self.golds[self.counted])

    @cached_property
    def _answer_ties(self) -> _Ties:
        return _Ties.of(self.answers[self.counted])


@dataclass(frozen=True)
class _Ties:
    """Observations sorted by a value, those of the same value together.

    Attributes:
        order: the observations in order of their values, shape (m,).
        starts: where in that order each distinct value begins.
        which: of each observation the number of its value among the distinct ones, shape (m,).
    """

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    which: npt.NDArray[np.intp]

    @classmethod
    def of(cls, values: Floats) -> _Ties:
        _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        return cls(np.argsort(values, kind="stable"), starts, which)

    def midranks(self, weights: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The midrank of each observation, shape (…, m), and whether more than one value has weight, shape (…).

        A value that stands w times, over b smaller ones, takes the ranks b + 1 to b + w, in the middle b + (w + 1) / 2.
        """
        tied = np.add.reduceat(weights[..., self.order], self.starts, axis=-1)
        middle = np.cumsum(tied, axis=-1) - tied + (tied + 1) / 2
        return middle[..., self.which], (tied > 0).sum(-1) > 1
