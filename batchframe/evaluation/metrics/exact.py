"""Exact: whether the answer is the gold."""

from __future__ import annotations

from typing import Any

from batchframe.evaluation.metrics.labels import label, same
from batchframe.evaluation.metrics.metric import Metric
from batchframe.evaluation.metrics.paired import Paired


def exact(normalise: bool = False) -> Metric:
    """The share of answers that are the gold: "exact", or "exact_normalised".

    Numbers are compared as numbers, everything else as text without outer white space; see `labels.label`. A failed row
    is wrong.

    Args:
        normalise: whether case, forms of characters, white space and outer punctuation are overlooked; see
            `labels.normalised`.
    """
    return _named("exact", normalise)


def accuracy(normalise: bool = False) -> Metric:
    """The same as `exact`, by the name it has for labels: "accuracy", or "accuracy_normalised"."""
    return _named("accuracy", normalise)


def _named(name: str, normalise: bool) -> Metric:
    return Paired(f"{name}_normalised", _same_normalised) if normalise else Paired(name, same)


def _same_normalised(gold: Any, answer: Any) -> float:
    return label(gold, normalise=True) == label(answer, normalise=True)
