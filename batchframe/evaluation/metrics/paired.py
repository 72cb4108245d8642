"""Paired: metrics that score each answer against its gold, by itself, and average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from batchframe.evaluation.metrics.metric import Spec
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Mean


@dataclass(frozen=True)
class Paired:
    """The mean of a score of gold and answer.

    Attributes:
        pair: from a gold and an answer, neither of them None, to a score; nan where the pair does not count.
        failed: the score of a failed row; nan when it does not count.
    """

    name: str
    pair: Callable[[Any, Any], float]
    failed: float = 0.0
    better: Literal["higher", "lower"] = "higher"
    share: bool = True
    needs_gold: ClassVar[bool] = True

    @property
    def spec(self) -> Spec:
        return self.name

    def score(self, seen: Observations) -> Mean:
        own = [self._own(gold, answer) for gold, answer in zip(seen.golds, seen.answers, strict=True)]
        return Mean(np.array(own, dtype=np.float64))

    def _own(self, gold: Any, answer: Any) -> float:
        if gold is None:
            return np.nan
        return self.failed if answer is None else float(self.pair(gold, answer))
