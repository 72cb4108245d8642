"""Measuring: a metric of one cell, and how far it can be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from batchframe.evaluation.scored import Floats, Mean, Scored
from batchframe.evaluation.statistics.bootstrap import bca
from batchframe.evaluation.statistics.grouping import Codes, independent, numbered
from batchframe.evaluation.statistics.intervals import Interval, clustered_mean, wilson
from batchframe.evaluation.statistics.power import design_effect


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a cell.

    Attributes:
        value: nan where nothing counts, or the metric has no value.
        n: how many observations count.
        interval: None where nothing can be said, as of a single group.
    """

    value: float
    n: int
    interval: Interval | None


def measure(scored: Scored, groups: Codes, *, level: float, seed: int, n_resamples: int) -> Measured:
    """A metric and its interval.

    A proportion has Wilson's interval, of grouped observations with the number of independent ones they are worth; any
    other mean of grouped ones the cluster-robust one, and everything else the bootstrap's.

    Args:
        groups: the number of the group of each observation, whether it counts or not, shape (n,).
        n_resamples: how often the bootstrap draws.
    """
    codes = numbered(groups, scored.counted)
    counted = codes >= 0
    n = int(counted.sum())
    if not n:
        return Measured(np.nan, 0, None)
    value = float(scored.value(counted.astype(np.float64)))
    interval = None
    if not isinstance(scored, Mean):
        interval = bca(scored.value, codes, level=level, n_resamples=n_resamples, seed=seed)
    elif not independent(codes):
        interval = _of_grouped(scored, codes, level)
    elif scored.binary:
        interval = wilson(round(value * n), n, level)
    else:
        interval = bca(scored.value, codes, level=level, n_resamples=n_resamples, seed=seed)
    return Measured(value, n, interval)


def _of_grouped(scored: Mean, codes: Codes, level: float) -> Interval | None:
    """Franco, Little, Louis & Slud 2019 (Journal of Survey Statistics and Methodology 7, p. 334-364) compare intervals
    of proportions from clustered samples: Wilson's with n over the design effect holds near 0 and 1, where the mean and
    its standard error do not."""
    own: Floats = scored.own[scored.counted]
    groups = codes[codes >= 0]
    n_groups = int(groups.max()) + 1
    if not scored.binary:
        return clustered_mean(own, groups, level)
    if n_groups < 2:
        return None
    # All right, or all wrong: the errors are none, yet nobody would call that certain. A group counts as one.
    same = own.min() == own.max()
    n = n_groups if same else len(own) / design_effect(own, groups)
    found = wilson(float(own.mean()) * n, n, level)
    return replace(found, method="Wilson score, by the design effect")
