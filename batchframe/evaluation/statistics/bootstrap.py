"""The bootstrap: intervals for metrics that have no formula, by drawing whole groups again and again."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

from batchframe.evaluation.scored import Floats
from batchframe.evaluation.statistics.grouping import Codes
from batchframe.evaluation.statistics.intervals import Interval

MEMORY = 50_000_000
"""Bytes that one batch of resamples may take; what the metric makes of the weights comes on top."""

DEFINED = 0.95
"""The least share of resamples in which the metric must have a value, lest its interval be one of the lucky ones."""


def bca(
    value: Callable[[Floats], Floats], groups: Codes, *, level: float, n_resamples: int, seed: int
) -> Interval | None:
    """The bias-corrected and accelerated bootstrap interval of a metric: Efron 1987, JASA 82, p. 171-185.

    Whole groups are drawn, with replacement, and left out in turn for the acceleration, so observations may depend on
    each other within them (Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8).

    Resamples in which the metric has no value, such as kappa where all are of one class, do not count. Where the BCa
    interval has no value, it is the percentile interval: when all resamples have the same value (it is a point then),
    when all lie on one side of the metric's value, and when a group is such that without it there is no value.

    Args:
        value: the metric for weights of shape (…, n), see `Scored.value`.
        groups: the number of each observation's group, shape (n,), from 0 without gaps; -1 where it does not count.

    Returns:
        None with fewer than two groups, where the metric has no value, and where over 5 % of resamples have none.
    """
    from scipy import stats

    n_groups = int(groups.max(initial=-1)) + 1
    point = float(value((groups >= 0).astype(np.float64)))
    if n_groups < 2 or np.isnan(point):
        return None

    def statistic(drawn: Floats, axis: int) -> Floats:
        # The -1 of those that do not count takes the last column, which holds zeros.
        values = value(_times_drawn(drawn.astype(np.intp), n_groups)[..., groups])
        # BCa counts ties with the value itself, and sums that are equal may differ in the last bit.
        return np.where(np.isclose(values, point, rtol=1e-12, atol=1e-12), point, values)

    # Of a resample there are at once: indices and counts, each twice on their way, and weights.
    batch = max(1, MEMORY // (8 * (4 * n_groups + 2 * len(groups))))
    sample = (np.arange(n_groups),)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        drawn = stats.bootstrap(
            sample,
            statistic,
            n_resamples=n_resamples,
            batch=batch,
            vectorized=True,
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        values = drawn.bootstrap_distribution[~np.isnan(drawn.bootstrap_distribution)]
        if len(values) < DEFINED * n_resamples:
            return None
        low, high = stats.bootstrap(
            sample,
            statistic,
            n_resamples=0,
            batch=batch,
            vectorized=True,
            confidence_level=level,
            method="BCa",
            bootstrap_result=dataclasses.replace(drawn, bootstrap_distribution=values),
        ).confidence_interval
    if not np.isnan([low, high]).any():
        return Interval(float(low), float(high), level, "BCa bootstrap")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, "percentile bootstrap")


def _times_drawn(drawn: Codes, n_groups: int) -> Floats:
    """How often each group was drawn, shape (…, groups + 1), the last of them never."""
    rows = drawn.reshape(-1, drawn.shape[-1])
    width = n_groups + 1
    cells = (rows + width * np.arange(len(rows))[:, np.newaxis]).ravel()
    counts = np.bincount(cells, minlength=len(rows) * width)
    return counts.astype(np.float64).reshape(*drawn.shape[:-1], width)
