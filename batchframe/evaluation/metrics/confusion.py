"""Confusion: labels that are taken for one another, and the figures of classification that come of it.

Every figure here needs only three counts a class: how often it is the gold, how often it is the answer, and how often
both at once. So what statistics weigh anew is three columns a class, not the square of the classes, and a formula over
them takes thousands of resamples at a time. An answer that is no gold class, or that has failed, adds to no class's
answers: it is a miss of its gold and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.evaluation.metrics.labels import label
from batchframe.evaluation.metrics.metric import Metric, Spec
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Floats, Sums

FAILED = "(failed)"
"""The column of a confusion matrix that counts failed rows."""


@dataclass(frozen=True)
class Confusion:
    """A figure of the counts of classes.

    The classes are those that occur in the gold; in a resample, those that occur in the resample's. So a class is never
    divided by the zero it has as its count.

    Attributes:
        figure: from counts of golds, of answers and of hits, each of shape (…, k), to values of shape (…).
        normalise: whether labels are normalised first; see `labels.normalised`.
    """

    name: str
    figure: Callable[[Floats, Floats, Floats], Floats]
    normalise: bool
    share: bool = True
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    needs_gold: ClassVar[bool] = True

    @property
    def spec(self) -> Spec:
        return self.name

    def score(self, seen: Observations) -> Sums:
        golds, answers = _labels(seen.golds, self.normalise), _labels(seen.answers, self.normalise)
        classes = sorted({gold for gold in golds if gold is not None})
        gold, answer = _codes(golds, classes), _codes(answers, classes)
        counted = gold >= 0
        stats = np.zeros((len(golds), 3, len(classes)))
        # Answers without a gold must add nothing, whatever they say.
        answered, hit = counted & (answer >= 0), counted & (answer == gold)
        for part, which, codes in ((0, counted, gold), (1, answered, answer), (2, hit, gold)):
            stats[np.flatnonzero(which), part, codes[which]] = 1.0
        return Sums(stats.reshape(len(golds), 3 * len(classes)), counted, self._of_sums)

    def _of_sums(self, sums: Floats) -> Floats:
        k = sums.shape[-1] // 3
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.figure(sums[..., :k], sums[..., k : 2 * k], sums[..., 2 * k :]))


def balanced_accuracy(normalise: bool = False) -> Metric:
    """The mean over gold classes of the share of their rows that are right (Brodersen et al. 2010).

    Equals scikit-learn's balanced_accuracy_score, adjusted=False.
    """
    return _confusion("balanced_accuracy", _balanced_accuracy, normalise)


def macro_f1(normalise: bool = False) -> Metric:
    """The mean over gold classes of F1, each class alike. Equals f1_score(average="macro") with the gold's labels."""
    return _confusion("macro_f1", _macro_f1, normalise)


def micro_f1(normalise: bool = False) -> Metric:
    """F1 of all gold classes' hits and misses together. Equals f1_score(average="micro") with the gold's labels.

    Above the accuracy where answers are no gold class or have failed: such an answer is a miss of its gold, but a false
    alarm of no class.
    """
    return _confusion("micro_f1", _micro_f1, normalise)


def weighted_f1(normalise: bool = False) -> Metric:
    """The mean over gold classes of F1, weighed by their rows. Equals f1_score(average="weighted")."""
    return _confusion("weighted_f1", _weighted_f1, normalise)


def kappa(normalise: bool = False) -> Metric:
    """Agreement of answers and gold beyond chance (Cohen 1960, equation 1): 1 is perfect, 0 is chance.

    Over all labels, those no gold has included, and a failed row is a label of its own. Equals scikit-learn's
    cohen_kappa_score. Undefined (nan) when gold and answers are all one label.
    """
    return _confusion("kappa", _kappa, normalise, share=False)


def confusion_matrix(golds: Sequence[Any], answers: Sequence[Any], normalise: bool = False) -> pd.DataFrame:
    """How often each answer was given to each gold.

    Args:
        golds: what should have been said, None where nobody knows: such rows are left out.
        answers: what was said, of the same length; None where the row has failed.
        normalise: see `labels.normalised`.

    Returns:
        Counts (int64): a row for each gold label, in order; columns for the same labels in the same order, then for
        answers that are no gold label, then "(failed)".
    """
    rows, columns = _labels(golds, normalise), _labels(answers, normalise)
    pairs = [(gold, answer) for gold, answer in zip(rows, columns, strict=True) if gold is not None]
    classes = sorted({gold for gold, _ in pairs})
    others = sorted({answer for _, answer in pairs if answer is not None} - set(classes))
    counts = np.zeros((len(classes), len(classes) + len(others) + 1), dtype=np.int64)
    at = (_codes([gold for gold, _ in pairs], classes), _codes([answer for _, answer in pairs], classes + others))
    np.add.at(counts, at, 1)  # a failed answer's code is -1: the last column
    # Typed as objects, since an empty list of labels has no type of its own.
    columns_index = pd.Index([*classes, *others, FAILED], name="answer", dtype="object")
    return pd.DataFrame(counts, index=pd.Index(classes, name="gold", dtype="object"), columns=columns_index)


def _confusion(
    name: str, figure: Callable[[Floats, Floats, Floats], Floats], normalise: bool, share: bool = True
) -> Metric:
    return Confusion(f"{name}_normalised" if normalise else name, figure, normalise, share)


def _labels(values: Sequence[Any], normalise: bool) -> list[str | None]:
    return [None if value is None else label(value, normalise) for value in values]


def _codes(labels: Sequence[str | None], classes: Sequence[str]) -> npt.NDArray[np.intp]:
    """Of each label its place among the classes, -1 when it has none."""
    places: dict[str | None, int] = {name: place for place, name in enumerate(classes)}
    return np.array([places.get(one, -1) for one in labels], dtype=np.intp)


def _f1(golds: Floats, answers: Floats, hits: Floats) -> Floats:
    """F1 of each class (van Rijsbergen 1979, chapter 7): twice its hits by its golds and answers; 0 without a gold."""
    occurs = golds > 0
    return np.divide(2 * hits, golds + answers, out=np.zeros_like(hits), where=occurs)


def _macro_f1(golds: Floats, answers: Floats, hits: Floats) -> Floats:
    return np.asarray(_f1(golds, answers, hits).sum(-1) / (golds > 0).sum(-1))


def _weighted_f1(golds: Floats, answers: Floats, hits: Floats) -> Floats:
    return np.asarray((golds * _f1(golds, answers, hits)).sum(-1) / golds.sum(-1))


def _micro_f1(golds: Floats, answers: Floats, hits: Floats) -> Floats:
    # An answer of a class that does not occur in this resample's gold is an answer outside the classes.
    return np.asarray(2 * hits.sum(-1) / (golds.sum(-1) + (answers * (golds > 0)).sum(-1)))


def _balanced_accuracy(golds: Floats, answers: Floats, hits: Floats) -> Floats:
    recalls = np.divide(hits, golds, out=np.zeros_like(hits), where=golds > 0)
    return np.asarray(recalls.sum(-1) / (golds > 0).sum(-1))


def _kappa(golds: Floats, answers: Floats, hits: Floats) -> Floats:
    # A label no gold has agrees with nothing and is expected to: its product of margins is zero.
    n = golds.sum(-1)
    by_chance = (golds * answers).sum(-1)
    return np.asarray((n * hits.sum(-1) - by_chance) / (n * n - by_chance))
