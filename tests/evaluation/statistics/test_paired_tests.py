"""Paired tests, against scipy, statsmodels and full enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from batchframe.evaluation.scored import Floats, Mean, Sums
from batchframe.evaluation.statistics import paired_tests
from batchframe.evaluation.statistics.paired_tests import mcnemar, sign_flip, swap, wilcoxon


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_statsmodels(gained: int, lost: int) -> None:
    """Exact, for every table."""
    expected = statsmodels_mcnemar([[0, gained], [lost, 0]], exact=True).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_is_the_published_example() -> None:
    """Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91, table 1: 7 and 1, so 2 * 9 / 256."""
    assert mcnemar(1, 7) == pytest.approx(18 / 256, abs=1e-12)


DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=np.float64)
"""Darwin's maize, crossed less self-fertilised, eighths of an inch: Fisher 1935, The Design of Experiments, table 2."""


def test_sign_flip_is_fishers_own_example() -> None:
    """Section 21: 863 of 32,768 sign changes sum to 314 or more, so p is 1726 / 32768, on both sides."""
    assert sign_flip(DARWIN, np.arange(15), n_resamples=2**15, seed=0) == pytest.approx(1726 / 2**15, abs=1e-15)


def test_sign_flip_that_is_drawn_comes_near_the_exact_one() -> None:
    """Fewer draws than sign changes; three standard errors of 20,000 draws are 0.005."""
    drawn = sign_flip(DARWIN, np.arange(15), n_resamples=20_000, seed=0)
    assert drawn == pytest.approx(1726 / 2**15, abs=0.005)
    assert drawn == sign_flip(DARWIN, np.arange(15), n_resamples=20_000, seed=0)
    assert drawn != sign_flip(DARWIN, np.arange(15), n_resamples=20_000, seed=1)


@settings(max_examples=50)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=7))
def test_sign_flip_is_scipys_exact_permutation_test(differences: list[int]) -> None:
    """Zeros and ties included; tenths, so that equal sums differ in their last bit."""
    tenths = np.array(differences) / 10
    expected = stats.permutation_test(
        (np.array(differences),), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    ).pvalue
    assert sign_flip(tenths, np.arange(len(tenths)), n_resamples=1 << 9, seed=0) == pytest.approx(expected, abs=1e-9)


def test_sign_flip_flips_groups() -> None:
    """Four samples of two rows are two pieces of evidence: the smallest p is 2 of 4."""
    assert sign_flip(np.ones(4), np.array([0, 0, 1, 1]), n_resamples=100, seed=0) == 0.5


def test_no_p_is_zero() -> None:
    """However clear the difference: 99 draws cannot show less than one in a hundred."""
    assert sign_flip(np.ones(200), np.arange(200), n_resamples=99, seed=0) == 0.01
    values = Mean(np.repeat([0.0, 1.0], 200)).value
    assert swap(values, np.arange(200), n_resamples=99, seed=0) == 0.01


def test_permutations_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report made again says the same, on a machine of any size."""
    groups = np.arange(15)
    both = Mean(np.concatenate([DARWIN, np.zeros(15)]))

    def figures() -> list[float]:
        return [sign_flip(DARWIN, groups, n_resamples=n_resamples, seed=2) for n_resamples in (500, 2**15)] + [
            swap(both.value, groups, n_resamples=n_resamples, seed=2) for n_resamples in (500, 2**15)
        ]

    whole = figures()
    monkeypatch.setattr(paired_tests, "MEMORY", 20_000)
    assert figures() == whole


def test_wilcoxon_is_the_known_figure() -> None:
    """Darwin's maize has neither ties nor zeros; V is 96 and p is 0.04126 in R's wilcox.test."""
    assert round(wilcoxon(DARWIN), 5) == 0.04126
    assert wilcoxon(DARWIN) == pytest.approx(exact_signed_rank(DARWIN), abs=1e-12)


def exact_signed_rank(differences: Floats) -> float:
    """By enumeration of all signs, zeros ranked and dropped (Pratt)."""
    ranks = stats.rankdata(np.abs(differences))[differences != 0]
    signs = np.array(list(itertools.product([-1, 1], repeat=len(ranks))))
    seen = abs(ranks @ np.sign(differences[differences != 0]))
    return float((np.abs(signs @ ranks) >= seen - 1e-9).mean())


@settings(max_examples=25)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=7))
def test_wilcoxon_of_few_differences_is_exact_with_zeros_and_ties(differences: list[int]) -> None:
    """Scores of LLM answers are full of both."""
    values = np.array(differences, dtype=np.float64)
    assert wilcoxon(values) == pytest.approx(exact_signed_rank(values) if values.any() else 1.0, abs=1e-9)


def macro_like(hits: Floats) -> Sums:
    """The mean of two classes' recalls, no mean of scores: the first half of each system's rows are of one class."""
    n = len(hits) // 2
    one = np.tile(np.arange(n) < n // 3, 2).astype(np.float64)
    stats_ = np.column_stack([hits * one, one, hits * (1 - one), 1 - one])
    return Sums(
        stats_, np.ones(2 * n, np.bool_), lambda sums: (sums[..., 0] / sums[..., 1] + sums[..., 2] / sums[..., 3]) / 2
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=8), st.integers(1, 3))
def test_swap_is_scipys_exact_permutation_test(pairs: list[tuple[bool, bool]], per_group: int) -> None:
    """Of any metric, with whole groups swapped."""
    before, after = np.array(pairs, dtype=np.float64).T
    n = len(before)
    groups = np.arange(n) // per_group
    metric = macro_like(np.concatenate([before, after]))

    def difference(flipped: np.ndarray) -> float:
        flip = flipped[groups].astype(bool)
        first, second = np.where(flip, after, before), np.where(flip, before, after)
        scored = macro_like(np.concatenate([first, second]))
        return float(scored.value(np.repeat([0.0, 1.0], n)) - scored.value(np.repeat([1.0, 0.0], n)))

    n_groups = groups[-1] + 1
    seen = abs(difference(np.zeros(n_groups)))
    all_of_them = [abs(difference(np.array(one))) for one in itertools.product([0, 1], repeat=n_groups)]
    expected = np.mean([one >= seen - 1e-12 for one in all_of_them])
    assert swap(metric.value, groups, n_resamples=1 << 8, seed=0) == pytest.approx(expected, abs=1e-12)


def test_swap_of_a_mean_is_sign_flip_of_its_differences() -> None:
    """Two roads to the same figure, where both are open; those that do not count are on neither."""
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=10), rng.normal(0.5, size=10)
    groups = np.array([0, 0, 1, 2, 2, 3, 4, -1, -1, 5])
    counted = groups >= 0
    expected = sign_flip((after - before)[counted], groups[counted], n_resamples=64, seed=0)
    found = swap(Mean(np.concatenate([before, after])).value, groups, n_resamples=64, seed=0)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_swap_without_value_counts_against_a_difference() -> None:
    """What cannot be computed is no evidence."""
    scores = Mean(np.repeat([0.0, 1.0], 3))

    def gated(weights: Floats) -> Floats:
        return np.where(weights[..., 0] == weights[..., 1], scores.value(weights), np.nan)

    # Of 8 swaps half are without value, and of the others the data and their mirror image are as extreme.
    assert swap(gated, np.arange(3), n_resamples=8, seed=0) == pytest.approx((4 + 2) / 8)


def test_without_a_value_there_is_no_p() -> None:
    """Nothing to compare."""
    assert np.isnan(swap(lambda weights: np.full(weights.shape[:-1], np.nan), np.arange(3), n_resamples=9, seed=0))
    assert np.isnan(swap(Mean(np.ones(6)).value, np.full(3, -1), n_resamples=9, seed=0))
