"""Observations from golds and answers, and a metric's value of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from batchframe.evaluation.metrics import Metric
from batchframe.evaluation.observations import Observations


def observed(
    golds: Sequence[Any], answers: Sequence[Any], rows: Sequence[Mapping[Any, Any]] | None = None
) -> Observations:
    return Observations(answers, golds, rows or [{}] * len(answers), np.arange(len(answers)))


def value(
    metric: Metric, golds: Sequence[Any], answers: Sequence[Any], weights: Sequence[float] | None = None
) -> float:
    """The metric, each observation counting so many times; once by default."""
    scored = metric.score(observed(golds, answers))
    return float(scored.value(np.array(weights if weights is not None else [1.0] * len(answers))))


def repeated(values: Sequence[Any], times: Sequence[int]) -> list[Any]:
    """What weights stand for: each value so many times."""
    return [one for one, n in zip(values, times, strict=True) for _ in range(n)]
