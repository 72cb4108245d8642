"""Paired tests: how often chance alone would tell two systems apart as far as they are, were they the same.

Both have answered the same observations; what is permuted are the two answers of a group. All are two-sided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from batchframe.evaluation.scored import Floats
from batchframe.evaluation.statistics.grouping import Codes

MEMORY = 50_000_000
"""Bytes that one batch of permutations may take."""

TINY = 1e-12
"""By so much, relative to what is summed, sums that are equal may differ."""


def mcnemar(gained: int, lost: int) -> float:
    """The exact test of McNemar 1947 (Psychometrika 12, p. 153-157) that two paired proportions are equal.

    Of the pairs that differ, each is as likely gained as lost. Without any, 1. It errs on the side of "no difference"
    where pairs that differ are few (Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91).

    Args:
        gained: pairs of which only the second succeeds.
        lost: pairs of which only the first succeeds.
    """
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def sign_flip(differences: Floats, groups: Codes, *, n_resamples: int, seed: int) -> float:
    """The permutation test that a mean difference is 0: the sign of a whole group is as likely the other.

    Fisher 1935, The Design of Experiments, section 21; with groups, Winkler et al. 2015, NeuroImage 123, p. 253-268.
    Exact when all sign changes are no more than `n_resamples`; else drawn, and the data count as one drawn (Phipson &
    Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39), so p is never 0.

    Args:
        differences: shape (n,), no nan.
        groups: the number of each one's group, from 0 without gaps, shape (n,).
    """
    sums = np.bincount(groups, weights=differences)
    sums = sums[sums != 0]  # its sign changes nothing
    seen, tiny = abs(sums.sum()), TINY * np.abs(sums).sum()
    # A sum of which the groups in `flips` change their sign is the whole less twice theirs.
    return _p_value(
        lambda flips: np.abs(sums.sum() - 2 * (flips @ sums)) >= seen - tiny,
        len(sums),
        width=len(sums),
        n_resamples=n_resamples,
        seed=seed,
    )


def wilcoxon(differences: Floats) -> float:
    """The signed-rank test that differences lie symmetrically around 0: Wilcoxon 1945, Biometrics Bulletin 1, p. 80-83.

    Zeros are ranked with the others and then dropped (Pratt 1959, JASA 54, p. 655-667): answers of two prompts are
    often just the same, and the test that drops zeros first can call a difference clearer when more pairs have none.
    Exact up to 50 differences without zeros and ties, up to 13 with them; else by the normal distribution.

    Args:
        differences: independent of each other, shape (n,), no nan. All zero gives 1.
    """
    from scipy import stats

    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences, zero_method="pratt").pvalue)


def swap(value: Callable[[Floats], Floats], groups: Codes, *, n_resamples: int, seed: int) -> float:
    """The test by approximate randomisation that a metric which is no mean is the same for two systems.

    Noreen 1989, Computer-Intensive Methods for Testing Hypotheses, chapter 2; Yeh 2000 (COLING, p. 947-953) for F1:
    the two systems' answers to a group are swapped or not, at random, and the metrics computed anew. Exact or drawn as
    in `sign_flip`. Swaps that leave a metric without value count as if they were as far from 0 as what was seen.

    Args:
        value: the metric over the answers of both: for weights of shape (…, 2n), the first n for the first system.
        groups: the number of each observation's group, from 0 without gaps, shape (n,); -1 where it does not count.

    Returns:
        nan where the metric has no value.
    """
    counts = (groups >= 0).astype(np.float64)

    def difference(flips: Floats) -> Floats:
        swapped = flips[..., groups] * counts
        stayed = counts - swapped
        first = value(np.concatenate([stayed, swapped], axis=-1))
        return value(np.concatenate([swapped, stayed], axis=-1)) - first

    n_groups = int(groups.max(initial=-1)) + 1
    if not n_groups:
        return np.nan
    seen = abs(float(difference(np.zeros(n_groups))))
    if np.isnan(seen):
        return np.nan
    return _p_value(
        lambda flips: ~(np.abs(difference(flips)) < seen - TINY * max(1.0, seen)),
        n_groups,
        width=n_groups + 6 * len(groups),
        n_resamples=n_resamples,
        seed=seed,
    )


def _p_value(
    extreme: Callable[[Floats], np.ndarray[tuple[int, ...], np.dtype[np.bool_]]],
    n_groups: int,
    *,
    width: int,
    n_resamples: int,
    seed: int,
) -> float:
    """The share of permutations that are as extreme as the data.

    Args:
        extreme: of permutations, shape (b, groups), 1 where a group is flipped, whether each is as extreme.
        width: how many floats a permutation takes.
    """
    batch = max(1, MEMORY // (8 * max(1, width)))
    if 1 << n_groups <= n_resamples:
        return sum(int(extreme(flips).sum()) for flips in _all_flips(n_groups, batch)) / (1 << n_groups)
    rng = np.random.default_rng(seed)
    as_extreme = 1  # the data themselves
    for start in range(0, n_resamples, batch):
        # Not bits: those left over at the end of a batch would be lost, and the figures depend on its size.
        flips = rng.random((min(batch, n_resamples - start), n_groups)) < 0.5
        as_extreme += int(extreme(flips.astype(np.float64)).sum())
    return as_extreme / (n_resamples + 1)


def _all_flips(n_groups: int, batch: int) -> Iterator[Floats]:
    for start in range(0, 1 << n_groups, batch):
        numbers = np.arange(start, min(start + batch, 1 << n_groups))
        yield ((numbers[:, np.newaxis] >> np.arange(n_groups)) & 1).astype(np.float64)
