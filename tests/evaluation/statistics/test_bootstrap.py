"""The bootstrap, against scipy's own and by what it must do where scipy's has no answer."""

import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from batchframe.evaluation.scored import Floats, Mean, Sums
from batchframe.evaluation.statistics import bootstrap
from batchframe.evaluation.statistics.bootstrap import bca

SKEWED = np.random.default_rng(5).gamma(0.7, size=60)
ONE_EACH = np.arange(60)


def test_with_groups_of_one_it_is_scipys_bca_of_the_mean() -> None:
    """The same draws of the same numbers, only as weights."""
    found = bca(Mean(SKEWED).value, ONE_EACH, level=0.9, n_resamples=2_000, seed=3)
    expected = stats.bootstrap(
        (SKEWED,), np.mean, confidence_level=0.9, n_resamples=2_000, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert found is not None
    assert found.method == "BCa bootstrap"
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-9)


def test_whole_groups_are_drawn() -> None:
    """A mean of the groups' sums over their sizes, as scipy draws it from the groups themselves."""
    groups = np.random.default_rng(1).integers(0, 15, size=60)
    sums, sizes = np.bincount(groups, SKEWED), np.bincount(groups)
    assert (sizes > 0).all()
    expected = stats.bootstrap(
        (sums, sizes),
        lambda one, other, axis: one.sum(axis) / other.sum(axis),
        paired=True,
        n_resamples=2_000,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = bca(Mean(SKEWED).value, groups, level=0.95, n_resamples=2_000, seed=3)
    assert found is not None
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-9)


def test_what_does_not_count_is_not_drawn() -> None:
    """Rows without gold must neither widen nor move an interval."""
    groups = np.arange(60) - 10
    groups[:10] = -1
    found = bca(Mean(SKEWED).value, groups, level=0.95, n_resamples=500, seed=3)
    assert found == bca(Mean(SKEWED[10:]).value, np.arange(50), level=0.95, n_resamples=500, seed=3)


def test_ties_with_the_value_count_by_half_though_their_last_bit_differs() -> None:
    """Thirds do not add up exactly, so a resample equal to the data would lie beside them, and shift the interval."""
    scores = np.array([1, 1, 1, 0, 0, 0, 1, 0, 1, 1], dtype=np.float64)
    whole = bca(Mean(scores).value, np.arange(10), level=0.9, n_resamples=3_000, seed=1)
    third = bca(Mean(scores * 0.1 / 3).value, np.arange(10), level=0.9, n_resamples=3_000, seed=1)
    assert whole is not None
    assert third is not None
    np.testing.assert_allclose((third.low, third.high), np.array([whole.low, whole.high]) * 0.1 / 3, rtol=1e-9)


def test_the_same_seed_gives_the_same_interval_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report made again says the same, on a machine of any size."""
    found = bca(Mean(SKEWED).value, ONE_EACH, level=0.95, n_resamples=500, seed=3)
    monkeypatch.setattr(bootstrap, "MEMORY", 30_000)
    assert bca(Mean(SKEWED).value, ONE_EACH, level=0.95, n_resamples=500, seed=3) == found
    assert bca(Mean(SKEWED).value, ONE_EACH, level=0.95, n_resamples=500, seed=4) != found


def test_memory_stays_bounded() -> None:
    """2,000 resamples of 4,000 rows at once would take 64 MB for the weights alone, and the jackknife twice that."""
    groups = np.arange(4_000)
    tracemalloc.start()
    try:
        bca(Mean(np.resize(SKEWED, 4_000)).value, groups, level=0.95, n_resamples=2_000, seed=3)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * bootstrap.MEMORY
    finally:
        tracemalloc.stop()


def test_where_all_resamples_are_the_same_the_interval_is_a_point() -> None:
    """scipy has none there, and warns."""
    found = bca(Mean(np.full(20, 0.3)).value, np.arange(20), level=0.95, n_resamples=500, seed=3)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.3, 0.3), abs=1e-15)
    assert found.method == "percentile bootstrap"


def kappa_like(labels: npt.NDArray[np.int_]) -> Sums:
    """A metric that has no value where all labels are the same."""

    def formula(sums: Floats) -> Floats:
        share = sums[..., 1] / sums.sum(axis=-1)
        return np.where((share > 0) & (share < 1), share, np.nan)

    return Sums(np.eye(2)[labels], np.ones(len(labels), np.bool_), formula)


def test_resamples_without_a_value_do_not_count() -> None:
    """A few of them, and the interval is that of the others."""
    labels = np.array([0] * 12 + [1] * 4)  # 1 % of resamples lack one of both
    found = bca(kappa_like(labels).value, np.arange(16), level=0.95, n_resamples=2_000, seed=3)
    assert found is not None
    assert 0 < found.low < 0.25 < found.high < 1


def test_many_resamples_without_a_value_leave_no_interval() -> None:
    """One label of 16 is missing from a third of the resamples: the rest would flatter."""
    labels = np.array([0] * 15 + [1])
    assert bca(kappa_like(labels).value, np.arange(16), level=0.95, n_resamples=500, seed=3) is None


def test_without_a_value_when_a_group_is_left_out_it_is_the_percentile_interval() -> None:
    """There is no acceleration then."""
    labels = np.zeros(40, np.int_)
    labels[:8] = 1
    groups = np.repeat(np.arange(5), 8)  # all of the ones are in the first group

    def gated(weights: Floats) -> Floats:  # no value in the jackknife's resample alone, where the first group is out
        values = Mean(labels.astype(np.float64)).value(weights)
        return np.where((weights[..., :8].sum(-1) == 0) & (weights.sum(-1) == 32), np.nan, values)

    found = bca(gated, groups, level=0.9, n_resamples=1_000, seed=3)
    assert found is not None
    assert found.method == "percentile bootstrap"
    drawn = np.random.default_rng(3).integers(0, 5, size=(1_000, 5))
    expected = np.quantile((drawn == 0).mean(axis=1), [0.05, 0.95])
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-12)


@pytest.mark.parametrize("groups", [np.zeros(60, np.intp), np.full(60, -1)])
def test_fewer_than_two_groups_have_no_interval(groups: npt.NDArray[np.intp]) -> None:
    """There is nothing to draw from."""
    assert bca(Mean(SKEWED).value, groups, level=0.95, n_resamples=100, seed=3) is None


def test_a_metric_without_value_has_no_interval() -> None:
    """Kappa of one class."""
    assert bca(kappa_like(np.zeros(9, np.int_)).value, np.arange(9), level=0.95, n_resamples=100, seed=3) is None
