"""Comparing: which interval and which test a difference gets, and how many rows would show it."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from batchframe.errors import InputError
from batchframe.evaluation.scored import Floats, Mean, Scored, Sums
from batchframe.evaluation.statistics.comparing import Compared, Test, compare
from batchframe.evaluation.statistics.grouping import Codes
from batchframe.evaluation.statistics.intervals import clustered_mean, paired_proportions
from batchframe.evaluation.statistics.power import design_effect, rows_for_means, rows_for_proportions

BEFORE = np.array([1.0] * 40 + [0] * 60)
AFTER = np.array([1.0] * 35 + [0] * 5 + [1] * 18 + [0] * 42)
"""Of 100 pairs 18 are gained and 5 lost."""


def compared(
    before: Scored, after: Scored, groups: Codes, joint: Scored | None = None, test: Test = "auto", per_row: int = 1
) -> Compared:
    return compare(before, after, joint, groups, level=0.95, seed=1, n_resamples=1_024, test=test, per_row=per_row)


def ends(found: Compared) -> tuple[float, float]:
    assert found.interval is not None
    return found.interval.low, found.interval.high


def test_shares_of_independent_rows_are_compared_by_pairs() -> None:
    """Bonett-Price and McNemar, both of 18 gained and 5 lost."""
    found = compared(Mean(BEFORE), Mean(AFTER), np.arange(100))
    assert (found.before, found.after, found.n, found.discordant) == (0.40, 0.53, 100, 23)
    assert found.difference == pytest.approx(0.13, abs=1e-12)
    wanted = paired_proportions(18, 5, 100)
    assert ends(found) == (wanted.low, wanted.high)
    assert found.p == pytest.approx(mcnemar([[0, 18], [5, 0]], exact=True).pvalue, abs=1e-12)
    assert found.test == "exact McNemar"


def test_only_pairs_that_count_in_both_count() -> None:
    """A row that one of the two was not asked must not make the other look better."""
    before, after = BEFORE.copy(), AFTER.copy()
    before[:10] = np.nan
    after[-20:] = np.nan
    found = compared(Mean(before), Mean(after), np.arange(100))
    assert (found.n, found.before, found.after) == (70, 30 / 70, 43 / 70)
    assert ends(found) == ends(compared(Mean(BEFORE[10:-20]), Mean(AFTER[10:-20]), np.arange(70)))


def test_grouped_shares_have_the_clustered_interval_and_flip_groups() -> None:
    """Ten samples of ten rows are not a hundred rows."""
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 10))
    found = compared(Mean(BEFORE), Mean(AFTER), groups)
    differences = AFTER - BEFORE
    wanted = clustered_mean(differences, groups)
    assert wanted is not None
    assert ends(found) == (wanted.low, wanted.high)
    sums = np.array([differences[groups == group].sum() for group in range(10)])
    flipped = np.array(list(product([-1, 1], repeat=10))) @ sums
    assert found.p == pytest.approx((np.abs(flipped) >= abs(sums.sum())).mean(), abs=1e-12)
    assert (found.test, found.discordant) == ("sign-flip permutation", 23)


def test_two_that_never_differed_in_few_groups_are_not_known_to_be_the_same() -> None:
    """Three rows sampled often, with the same result, leave room for a difference."""
    found = compared(Mean(BEFORE), Mean(BEFORE), np.arange(100) % 3)
    wanted = paired_proportions(0, 0, 3)
    assert ends(found) == (wanted.low, wanted.high)
    assert found.p == 1


def test_scores_have_the_bootstrap_interval_of_their_differences() -> None:
    """Not of the two means apart, which would throw the pairs away."""
    rng = np.random.default_rng(2)
    before = rng.gamma(1, size=50)
    after = before + rng.normal(0.2, 0.3, size=50)
    found = compared(Mean(before), Mean(after), np.arange(50))
    wanted = stats.bootstrap((after - before,), np.mean, n_resamples=1_024, rng=np.random.default_rng(1))
    assert ends(found) == pytest.approx(tuple(wanted.confidence_interval), rel=1e-9)
    assert found.test == "sign-flip permutation"
    assert found.rows_needed == rows_for_means(found.difference, float((after - before).std(ddof=1)))
    asked = compared(Mean(before), Mean(after), np.arange(50), test="wilcoxon")
    assert asked.p == pytest.approx(stats.wilcoxon(after - before).pvalue, abs=1e-12)
    assert asked.test == "Wilcoxon signed-rank"


def test_wilcoxon_takes_groups_by_their_mean() -> None:
    """Samples of a row are one observation to it."""
    differences = np.array([1.0, 3, -1, -2, 4, 4, 0.5, 1, 5, 6.5])
    found = compared(Mean(np.zeros(10)), Mean(differences), np.arange(10) // 2, test="wilcoxon")
    assert found.p == pytest.approx(stats.wilcoxon([2, -1.5, 4, 0.75, 5.75]).pvalue, abs=1e-12)


def test_a_permutation_is_made_of_shares_on_request() -> None:
    """With groups of one it is McNemar's test, by another road."""
    few = np.r_[0:5, 35:43]
    by_formula = compared(Mean(BEFORE[few]), Mean(AFTER[few]), np.arange(13))
    by_flips = compared(Mean(BEFORE[few]), Mean(AFTER[few]), np.arange(13), test="permutation")
    assert (by_formula.test, by_flips.test) == ("exact McNemar", "sign-flip permutation")
    assert by_flips.p == pytest.approx(by_formula.p, abs=1e-12)


def ratio(own: Floats) -> Sums:
    """A metric that is no mean: the root of one."""
    return Sums(
        np.column_stack([own, np.ones(len(own))]), np.ones(len(own), np.bool_), lambda s: np.sqrt(s[..., 0] / s[..., 1])
    )


def test_other_metrics_are_drawn_by_pairs_and_swapped() -> None:
    """RMSE, F1, kappa."""
    rng = np.random.default_rng(4)
    before, after = rng.gamma(1, size=10), rng.gamma(2, size=10)
    found = compared(ratio(before), ratio(after), np.arange(10), ratio(np.concatenate([before, after])))
    wanted = stats.bootstrap(
        (before, after),
        lambda one, other, axis: np.sqrt(other.mean(axis)) - np.sqrt(one.mean(axis)),
        paired=True,
        n_resamples=1_024,
        rng=np.random.default_rng(1),
    )
    assert ends(found) == pytest.approx(tuple(wanted.confidence_interval), rel=1e-9)
    swaps = [
        abs(np.sqrt(np.where(flip, before, after).mean()) - np.sqrt(np.where(flip, after, before).mean()))
        for flip in product([False, True], repeat=10)
    ]
    assert found.p == pytest.approx(np.mean(np.array(swaps) >= abs(found.difference) - 1e-12), abs=1e-12)
    assert (found.test, found.discordant) == ("swap permutation", None)
    low, high = ends(found)
    spread = (high - low) / (2 * stats.norm.ppf(0.975)) * np.sqrt(10)
    assert found.rows_needed == pytest.approx(rows_for_means(found.difference, spread), abs=1)


def test_what_other_metrics_need_is_asked_for() -> None:
    """No scores, no ranks; no joint metric, no swap."""
    metric = ratio(BEFORE)
    with pytest.raises(InputError, match='test="permutation"'):
        compared(metric, metric, np.arange(100), ratio(np.tile(BEFORE, 2)), test="wilcoxon")
    with pytest.raises(InputError, match="joint"):
        compared(metric, metric, np.arange(100))


def test_rows_needed_follow_from_the_pairs_that_differ_and_their_groups() -> None:
    """The share of pairs that differ is shifted as in the interval; it takes more rows where they come in groups."""
    single = compared(Mean(BEFORE), Mean(AFTER), np.arange(100))
    assert single.rows_needed == rows_for_proportions(0.13, 24 / 102)
    assert single.needs.rows(0.03, 0.95, 0.8) == rows_for_proportions(0.03, 24 / 102)
    groups = np.arange(100) // 5
    effect = design_effect(AFTER - BEFORE, groups)
    assert effect > 2
    grouped = compared(Mean(BEFORE), Mean(AFTER), groups)
    assert grouped.rows_needed == rows_for_proportions(0.13, 24 / 102, design_effect=effect)


def test_rows_needed_count_rows_where_each_has_several_samples() -> None:
    """The user adds rows, each of which brings its samples."""
    once = compared(Mean(BEFORE), Mean(AFTER), np.arange(100) // 5)
    five = compared(Mean(BEFORE), Mean(AFTER), np.arange(100) // 5, per_row=5)
    assert once.rows_needed is not None
    assert five.rows_needed == -(-once.rows_needed // 5)


def test_no_difference_needs_no_number_of_rows() -> None:
    """No number of rows shows what is not there."""
    assert compared(Mean(BEFORE), Mean(BEFORE), np.arange(100)).rows_needed is None
    assert compared(Mean(np.zeros(9)), Mean(np.full(9, 0.5)), np.arange(9)).rows_needed is None


@pytest.mark.parametrize(
    "scored", [Mean(np.full(4, np.nan)), Sums(np.zeros((4, 2)), np.zeros(4, np.bool_), lambda s: s[..., 0])]
)
def test_without_pairs_there_is_nothing_to_tell(scored: Scored) -> None:
    """Two cells that no row has in common."""
    found = compared(scored, scored, np.arange(4), scored)
    assert np.isnan([found.before, found.after, found.difference, found.p]).all()
    assert (found.n, found.interval, found.rows_needed) == (0, None, None)


def test_the_same_seed_says_the_same() -> None:
    """A report made again is the same report."""
    rng = np.random.default_rng(0)
    before, after = Mean(rng.random(40)), Mean(rng.random(40))
    assert compared(before, after, np.arange(40)) == compared(before, after, np.arange(40))
