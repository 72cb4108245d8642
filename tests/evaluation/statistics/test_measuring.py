"""Measuring: which interval a metric gets."""

from dataclasses import dataclass

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from batchframe.evaluation.scored import Floats, Mean, Scored, Sums
from batchframe.evaluation.statistics.grouping import Codes
from batchframe.evaluation.statistics.measuring import Measured, measure


def measured(scored: Scored, groups: Codes) -> Measured:
    return measure(scored, groups, level=0.9, seed=1, n_resamples=1_000)


def test_a_proportion_of_independent_rows_has_wilsons_interval() -> None:
    """Rows without gold do not count, nor do their groups."""
    own = np.array([1, 1, 0, np.nan, 1, np.nan])
    found = measured(Mean(own), np.array([5, 4, 3, 3, 9, 9]))
    assert (found.value, found.n) == (0.75, 4)
    assert found.interval is not None
    expected = proportion_confint(3, 4, alpha=0.1, method="wilson")
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-12)


def test_samples_of_a_row_have_the_cluster_robust_interval() -> None:
    """Three samples of each of two rows are little evidence: a t with one degree of freedom."""
    found = measured(Mean(np.array([2.0, 3, 4, 5, 6, 7])), np.repeat([0, 1], 3))
    assert found.interval is not None
    error = np.sqrt(2 * 2 * 4.5**2) / 6  # residuals sum to -4.5 and 4.5, times 2 / (2 - 1)
    half = stats.t.ppf(0.95, 1) * error
    assert (found.interval.low, found.interval.high) == pytest.approx((4.5 - half, 4.5 + half), rel=1e-12)


def test_a_grouped_proportion_has_wilsons_interval_by_its_design_effect() -> None:
    """It stays between 0 and 1, and is as wide as so many independent answers would make it: the standard error is
    statsmodels' cluster-robust one."""
    own, groups = np.array([1.0, 1, 1, 1, 0, 0, 1, 1, 1, 1]), np.repeat(np.arange(5), 2)
    found = measured(Mean(own), groups)
    assert found.interval is not None
    model = sm.OLS(own, np.ones(len(own))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    n = len(own) / (float(model.bse[0]) ** 2 * len(own) / own.var(ddof=1))
    expected = proportion_confint(own.mean() * n, n, alpha=0.1, method="wilson")
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-9)
    assert n < len(own)


@pytest.mark.parametrize(("score", "successes"), [(1.0, 5), (0.0, 0)])
def test_a_grouped_proportion_of_all_or_none_is_no_certainty(score: float, successes: int) -> None:
    """Five rows sampled thrice, all right: as if five answers were right."""
    found = measured(Mean(np.full(15, score)), np.repeat(np.arange(5), 3))
    assert found.interval is not None
    expected = proportion_confint(successes, 5, alpha=0.1, method="wilson")
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-12)


def test_a_mean_of_independent_scores_has_scipys_bootstrap_interval() -> None:
    """Scores are skewed, which a t interval would not see."""
    own = np.random.default_rng(0).gamma(0.5, size=40)
    found = measured(Mean(own), np.arange(40))
    expected = stats.bootstrap(
        (own,), np.mean, confidence_level=0.9, n_resamples=1_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected), rel=1e-9)


def test_another_metric_has_the_bootstrap_interval_over_groups() -> None:
    """A ratio of sums, whose rows without gold take no part."""
    rng = np.random.default_rng(0)
    sums = Sums(rng.random((30, 2)), np.arange(30) >= 6, lambda added: added[..., 0] / added[..., 1])
    sums.stats[:6] = 0
    found = measured(sums, np.arange(30) // 3)
    tops, bottoms = sums.stats[6:].reshape(8, 3, 2).sum(axis=1).T
    expected = stats.bootstrap(
        (tops, bottoms),
        lambda top, bottom, axis: top.sum(axis) / bottom.sum(axis),
        paired=True,
        confidence_level=0.9,
        n_resamples=1_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.value, found.n) == (pytest.approx(tops.sum() / bottoms.sum()), 24)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected), rel=1e-9)


@dataclass(frozen=True)
class Refusing:
    """A metric that cannot be computed of nothing."""

    counted: np.ndarray

    def value(self, weights: Floats) -> Floats:
        raise AssertionError("asked though nothing counts")


def test_where_nothing_counts_there_is_no_value() -> None:
    """No gold, no accuracy."""
    found = measured(Refusing(np.zeros(3, np.bool_)), np.arange(3))
    assert (np.isnan(found.value), found.n, found.interval) == (True, 0, None)
