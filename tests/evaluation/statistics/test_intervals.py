"""Intervals with a formula, against statsmodels and published examples."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from batchframe.evaluation.statistics.intervals import clustered_mean, paired_proportions, wilson

LEVELS = st.floats(0.5, 0.999)


@given(st.integers(1, 5_000), st.floats(0, 1), LEVELS)
def test_wilson_is_statsmodels(n: int, share: float, level: float) -> None:
    """The most common figure of all: accuracy."""
    successes = round(share * n)
    found = wilson(successes, n, level)
    expected = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    np.testing.assert_allclose((found.low, found.high), expected, rtol=0, atol=1e-12)


def test_wilson_is_the_published_example() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81 of 263 is 0.2553 to 0.3662, 0 of 20 to 0.1611."""
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    found = wilson(0, 20)
    assert (found.low, round(found.high, 4)) == (0.0, 0.1611)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.floats(-100, 100)), min_size=2, max_size=40).filter(
        lambda pairs: len({group for group, _ in pairs}) > 1
    ),
    LEVELS,
)
def test_the_clustered_mean_is_that_of_a_clustered_regression(pairs: list[tuple[int, float]], level: float) -> None:
    """Samples of one row are no independent evidence."""
    groups = np.unique([group for group, _ in pairs], return_inverse=True)[1]
    values = np.array([value for _, value in pairs])
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    found = clustered_mean(values, groups, level)
    assert found is not None
    np.testing.assert_allclose((found.low, found.high), fit.conf_int(1 - level)[0], rtol=1e-9, atol=1e-9)


def test_with_groups_of_one_it_is_the_t_interval() -> None:
    """No cluster, no correction."""
    values = np.array([1.0, 2.5, -3.0, 4.0, 9.0])
    found = clustered_mean(values, np.arange(5), 0.9)
    assert found is not None
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-12)


def test_a_single_group_has_no_interval() -> None:
    """One cluster tells nothing of the next."""
    assert clustered_mean(np.array([1.0, 2.0]), np.zeros(2, np.intp)) is None


@pytest.mark.parametrize(
    ("gained", "lost", "n", "low", "high"),
    [
        (26, 4, 48, 0.2548067, 0.6251933),  # help page of ci.prop.ps, in Bonett's own package statpsych
        (15, 1, 61, 0.102179, 0.342266),  # by hand: 14/63 ± 1.959964 * 0.0612475, from (18/63 - (14/63)²)/63
    ],
)
def test_paired_proportions_are_the_worked_examples(gained: int, lost: int, n: int, low: float, high: float) -> None:
    """The authors' own package, and a calculator."""
    found = paired_proportions(gained, lost, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-6)
    mirrored = paired_proportions(lost, gained, n)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-15)


def test_paired_proportions_cover_the_difference_they_are_made_for() -> None:
    """The sum over all tables of 30 pairs, weighted with their exact chance: a slip in the formula would show."""
    n, up, down = 30, 0.25, 0.10
    covered = 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            found = paired_proportions(gained, lost, n)
            if found.low <= up - down <= found.high:
                covered += stats.multinomial.pmf([gained, lost, n - gained - lost], n, [up, down, 1 - up - down])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_paired_proportions_stay_between_minus_one_and_one() -> None:
    """Two pairs say nearly nothing, but nothing impossible."""
    found = paired_proportions(1, 0, 1)
    assert -1 < found.low < found.high == 1
