"""Comparing: a cell with the baseline, answer by answer, since both have answered the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from batchframe.errors import InputError
from batchframe.evaluation.scored import Floats, Mean, Scored
from batchframe.evaluation.statistics.bootstrap import bca
from batchframe.evaluation.statistics.grouping import Codes, independent, numbered
from batchframe.evaluation.statistics.intervals import (
    Interval,
    clustered_mean,
    paired_proportions,
    two_sided,
)
from batchframe.evaluation.statistics.paired_tests import mcnemar, sign_flip, swap, wilcoxon
from batchframe.evaluation.statistics.power import design_effect, rows_for_means, rows_for_proportions

Test = Literal["auto", "permutation", "wilcoxon"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What the number of rows depends on that would show a difference.

    Attributes:
        spread: the standard deviation of what one pair adds to the difference; None for shares of right answers.
        discordant: the share of pairs of which one is right and the other wrong; None for other metrics.
        design_effect: how many times as many pairs it takes because some depend on each other.
        per_row: how many pairs a row has, that is, samples.
    """

    spread: float | None
    discordant: float | None
    design_effect: float
    per_row: int

    def rows(self, difference: float, level: float, power: float) -> int | None:
        """How many rows show such a difference with this power; None where that cannot be said, as for none at all."""
        if not difference or np.isnan(difference):
            return None
        if self.discordant is not None:
            pairs = rows_for_proportions(
                difference, self.discordant, level=level, power=power, design_effect=self.design_effect
            )
        elif self.spread:
            pairs = rows_for_means(difference, self.spread, level=level, power=power, design_effect=self.design_effect)
        else:
            return None
        return -(-pairs // self.per_row)


@dataclass(frozen=True, slots=True)
class Compared:
    """A cell beside the baseline, over the pairs of observations that count in both.

    Attributes:
        before: the metric of the baseline.
        after: that of the cell.
        difference: after less before; nan where either has no value.
        interval: of the difference; None where nothing can be said, as of a single group.
        p: of the test that they are the same; nan where there is nothing to test.
        test: which, in words.
        n: how many pairs count.
        discordant: how many pairs have different scores; None for a metric that is no mean of scores.
        rows_needed: how many rows would show the difference seen; None where that cannot be said.
        needs: to say the same of another difference.
        power: how likely so many rows show it.
    """

    before: float
    after: float
    difference: float
    interval: Interval | None
    p: float
    test: str
    n: int
    discordant: int | None
    rows_needed: int | None
    needs: Needs
    level: float
    power: float


def compare(
    before: Scored,
    after: Scored,
    joint: Scored | None,
    groups: Codes,
    *,
    level: float,
    seed: int,
    n_resamples: int,
    power: float = 0.8,
    test: Test = "auto",
    per_row: int = 1,
) -> Compared:
    """Compare a cell with the baseline.

    | metric | interval of the difference | test |
    |---|---|---|
    | share of right answers, independent | Bonett-Price | exact McNemar |
    | mean, independent | bootstrap over the differences | sign-flip permutation |
    | mean, grouped | cluster-robust | sign-flip permutation of groups |
    | other | bootstrap over pairs | swap permutation of groups |

    Args:
        before: the metric of the baseline's n observations.
        after: of the cell's, the same n in the same order.
        joint: of both one after the other, 2n; needed unless the metric is a mean.
        groups: the number of the group of each of the n, shape (n,).
        n_resamples: how often bootstrap and permutation draw.
        test: "permutation" instead of McNemar, or "wilcoxon" for means; groups go into it by their mean.
        per_row: how many observations a row has (its samples), for the number of rows that would show a difference.

    Raises:
        InputError: Wilcoxon's test for a metric that is no mean of scores.
    """
    codes = numbered(groups, before.counted & after.counted)
    weights = (codes >= 0).astype(np.float64)
    n = int(weights.sum())
    if isinstance(before, Mean) and isinstance(after, Mean):
        found = _means(before, after, codes, level, seed, n_resamples, test)
    else:
        found = _others(before, after, joint, codes, level, seed, n_resamples, test)
    values = (float(before.value(weights)), float(after.value(weights))) if n else (np.nan, np.nan)
    difference = values[1] - values[0]
    needs = replace(found.needs, per_row=per_row)
    return Compared(
        before=values[0],
        after=values[1],
        difference=difference,
        interval=found.interval,
        p=found.p,
        test=found.test,
        n=n,
        discordant=found.discordant,
        rows_needed=needs.rows(difference, level, power),
        needs=needs,
        level=level,
        power=power,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    interval: Interval | None
    p: float
    test: str
    discordant: int | None
    needs: Needs


def _means(before: Mean, after: Mean, codes: Codes, level: float, seed: int, n_resamples: int, test: Test) -> _Found:
    counted = codes >= 0
    codes = codes[counted]
    differences = after.own[counted] - before.own[counted]
    shares = Mean(before.own[counted]).binary and Mean(after.own[counted]).binary
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    n = len(differences)
    single = independent(codes)
    effect = 1.0 if single else design_effect(differences, codes)
    if shares:
        # As Bonett and Price do: no pair that differs among a few is no proof that there are none.
        needs = Needs(None, (gained + lost + 1) / (n + 2), effect, 1)
    else:
        needs = Needs(float(differences.std(ddof=1)) if n > 1 else None, None, effect, 1)
    if not n:
        return _Found(None, np.nan, "none", 0, needs)
    interval: Interval | None
    if single and shares:
        interval = paired_proportions(gained, lost, n, level)
    elif single:
        interval = bca(Mean(differences).value, codes, level=level, n_resamples=n_resamples, seed=seed)
    else:
        interval = clustered_mean(differences, codes, level)
        if shares and interval is not None and not differences.any():
            # The same all over is no certainty that they always are. A group counts as one.
            interval = paired_proportions(0, 0, int(codes.max()) + 1, level)
    if test == "wilcoxon":
        by_group = np.bincount(codes, weights=differences) / np.bincount(codes)
        p, name = wilcoxon(by_group), "Wilcoxon signed-rank"
    elif test == "auto" and single and shares:
        p, name = mcnemar(gained, lost), "exact McNemar"
    else:
        p, name = sign_flip(differences, codes, n_resamples=n_resamples, seed=seed), "sign-flip permutation"
    return _Found(interval, p, name, gained + lost, needs)


def _others(
    before: Scored,
    after: Scored,
    joint: Scored | None,
    codes: Codes,
    level: float,
    seed: int,
    n_resamples: int,
    test: Test,
) -> _Found:
    if test == "wilcoxon":
        message = "Wilcoxon's test compares scores of single answers, and this metric has none: it is one figure of all"
        raise InputError(f'{message}. Use test="permutation" for it.')
    if joint is None:
        raise InputError("A metric that is no mean of scores is compared by swapping answers: pass `joint`, too.")

    def difference(weights: Floats) -> Floats:
        return after.value(weights) - before.value(weights)

    interval = bca(difference, codes, level=level, n_resamples=n_resamples, seed=seed)
    spread = None
    if interval is not None:
        # The interval is about as wide as that of a mean with this spread; groups have widened it already.
        error = (interval.high - interval.low) / (2 * two_sided(level))
        spread = error * float(np.sqrt((codes >= 0).sum()))
    p = swap(joint.value, codes, n_resamples=n_resamples, seed=seed)
    return _Found(interval, p, "swap permutation", None, Needs(spread, None, 1.0, 1))
