"""`python -m benchmarks.coverage`: whether intervals hold the truth, and tests err, as often as they say.

Data are made anew again and again from a known truth: shares of right answers, shares in rows sampled three times with
a common difficulty, skewed scores, and macro F1 over three classes. Of intervals the table has how often they hold the
truth, at 95 %; of tests, how often p is at most 0.05 though both systems are the same, which may be less often, never
more. After ± is the standard error of the simulation. Exact tests of few observations cannot reach 5 %.

Every row has the same time, so how many simulations a slow one has depends on the machine; the draws do not.
"""

import argparse
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from batchframe.evaluation.scored import Floats, Mean, Sums
from batchframe.evaluation.statistics.bootstrap import bca
from batchframe.evaluation.statistics.intervals import Interval, clustered_mean, paired_proportions, wilson
from batchframe.evaluation.statistics.measuring import measure as measure_cell
from batchframe.evaluation.statistics.paired_tests import mcnemar, sign_flip, swap

LEVEL = 0.95
RESAMPLES = 2_000
AT_ONCE = 20_000
"""Simulations drawn in one go where there are few different results: counts."""

Hits = Iterator[tuple[int, int]]
"""Of a bout of simulations: how many hit, and how many there were."""


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table: a method, what it is tried on, and the simulation."""

    method: str
    data: str
    nominal: float
    hits: Callable[[np.random.Generator], Hits]


def holds(interval: Interval | None, truth: float) -> bool:
    """Whether an interval holds the truth; none holds nothing."""
    return interval is not None and interval.low <= truth <= interval.high


def shares(n: int, p: float, rng: np.random.Generator) -> Hits:
    """Wilson's interval of a share."""
    held = functools.cache(lambda successes: holds(wilson(successes, n, LEVEL), p))
    while True:
        yield sum(held(one) for one in rng.binomial(n, p, AT_ONCE).tolist()), AT_ONCE


def paired_shares(n: int, gained: float, lost: float, rng: np.random.Generator) -> Hits:
    """Bonett and Price's interval of the difference of two shares."""
    held = functools.cache(lambda up, down: holds(paired_proportions(up, down, n, LEVEL), gained - lost))
    while True:
        tables = rng.multinomial(n, [gained, lost, 1 - gained - lost], AT_ONCE).tolist()
        yield sum(held(up, down) for up, down, _ in tables), AT_ONCE


def clustered_shares(rows: int, p: float, rng: np.random.Generator) -> Hits:
    """The interval of a share, of rows with three samples each whose chances are spread by a beta."""
    groups = np.repeat(np.arange(rows), 3)
    while True:
        right = rng.random((rows, 3)) < rng.beta(2 * p, 2 * (1 - p), (rows, 1))
        scored = Mean(right.ravel().astype(np.float64))
        found = measure_cell(scored, groups, level=LEVEL, seed=0, n_resamples=RESAMPLES)
        yield int(holds(found.interval, p)), 1


def clustered_scores(rows: int, rng: np.random.Generator) -> Hits:
    """The cluster-robust interval of a mean of rows with three skewed scores each."""
    groups = np.repeat(np.arange(rows), 3)
    while True:
        scores = rng.exponential(size=(rows, 1)) + rng.normal(scale=0.3, size=(rows, 3))
        yield int(holds(clustered_mean(scores.ravel(), groups, LEVEL), 1.0)), 1


def skewed(n: int, rng: np.random.Generator) -> Hits:
    """The bootstrap interval of a mean of exponential scores."""
    for seed in itertools.count():
        value = Mean(rng.exponential(size=n)).value
        interval = bca(value, np.arange(n), level=LEVEL, n_resamples=RESAMPLES, seed=seed)
        yield int(holds(interval, 1.0)), 1


CLASSES = np.array([0.6, 0.3, 0.1])
RECALL = 0.8


def macro_f1(sums: Floats) -> Floats:
    """Macro F1 from true, predicted and hit counts of each class, shape (…, 9)."""
    true, predicted, hit = np.split(sums, 3, axis=-1)
    return np.asarray((2 * hit / np.maximum(true + predicted, 1e-300)).mean(axis=-1))


def labelled(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Three unequal classes, one-hot, and two systems' answers to them, each right in 80 %: (n, 9) each."""
    gold = rng.choice(3, n, p=CLASSES)
    one_hot = np.eye(3)

    def answered() -> Floats:
        answer = np.where(rng.random(n) < RECALL, gold, (gold + rng.integers(1, 3, n)) % 3)
        return np.hstack([one_hot[gold], one_hot[answer], one_hot[gold] * one_hot[answer]])

    return answered(), answered()


def f1(n: int, rng: np.random.Generator) -> Hits:
    """The bootstrap interval of macro F1, whose truth is that of the expected counts."""
    confusion = CLASSES[:, np.newaxis] * ((1 - RECALL) / 2 + (RECALL - (1 - RECALL) / 2) * np.eye(3))
    truth = float(macro_f1(np.concatenate([confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()])))
    for seed in itertools.count():
        value = Sums(labelled(n, rng)[0], np.ones(n, np.bool_), macro_f1).value
        interval = bca(value, np.arange(n), level=LEVEL, n_resamples=RESAMPLES, seed=seed)
        yield int(holds(interval, truth)), 1


def mcnemar_size(n: int, discordant: float, rng: np.random.Generator) -> Hits:
    """McNemar's test of two shares that are the same."""
    wrong = functools.cache(lambda gained, lost: mcnemar(gained, lost) <= 1 - LEVEL)
    while True:
        tables = rng.multinomial(n, [discordant / 2, discordant / 2, 1 - discordant], AT_ONCE // 10).tolist()
        yield sum(wrong(gained, lost) for gained, lost, _ in tables), AT_ONCE // 10


def sign_flip_size(rows: int, rng: np.random.Generator) -> Hits:
    """The sign-flip test of skewed scores with the same mean, three samples of each row."""
    groups = np.repeat(np.arange(rows), 3)
    for seed in itertools.count():
        before, after = rng.exponential(size=(2, rows, 1)) + rng.normal(scale=0.3, size=(2, rows, 3))
        yield int(sign_flip((after - before).ravel(), groups, n_resamples=RESAMPLES, seed=seed) <= 1 - LEVEL), 1


def swap_size(n: int, rng: np.random.Generator) -> Hits:
    """The swap test of macro F1 of two systems with the same chances."""
    for seed in itertools.count():
        value = Sums(np.vstack(labelled(n, rng)), np.ones(2 * n, np.bool_), macro_f1).value
        yield int(swap(value, np.arange(n), n_resamples=RESAMPLES, seed=seed) <= 1 - LEVEL), 1


def cases() -> list[Case]:
    """The rows of the table."""
    error = 1 - LEVEL
    return [
        *(
            Case("Wilson", f"share {p}, {n} rows", LEVEL, functools.partial(shares, n, p))
            for n, p in itertools.product((20, 100, 500), (0.5, 0.9, 0.98))
        ),
        *(
            Case(
                "Bonett-Price",
                f"{n} rows, {up} gained, {down} lost",
                LEVEL,
                functools.partial(paired_shares, n, up, down),
            )
            for n, (up, down) in itertools.product((30, 100, 500), ((0.05, 0.05), (0.15, 0.05), (0.02, 0.01)))
        ),
        *(
            Case(
                "Wilson, grouped", f"share {p}, {n} rows of 3 samples", LEVEL, functools.partial(clustered_shares, n, p)
            )
            for n, p in itertools.product((20, 100, 500), (0.5, 0.9, 0.97))
        ),
        *(
            Case(
                "cluster-robust", f"skewed scores, {n} rows of 3 samples", LEVEL, functools.partial(clustered_scores, n)
            )
            for n in (20, 100, 500)
        ),
        *(Case("BCa", f"mean of skewed scores, {n} rows", LEVEL, functools.partial(skewed, n)) for n in (20, 100, 500)),
        *(Case("BCa", f"macro F1, {n} rows", LEVEL, functools.partial(f1, n)) for n in (50, 200, 500)),
        *(
            Case("McNemar", f"{n} rows, {share} differ", error, functools.partial(mcnemar_size, n, share))
            for n, share in itertools.product((30, 100, 500), (0.1, 0.3))
        ),
        *(
            Case("sign flip", f"skewed scores, {n} rows of 3 samples", error, functools.partial(sign_flip_size, n))
            for n in (8, 20, 100)
        ),
        *(Case("swap", f"macro F1, {n} rows", error, functools.partial(swap_size, n)) for n in (50, 200)),
    ]


def measure(case: Case, seed: int, seconds: float) -> tuple[int, int]:
    """Simulate for so long, at least once: how many hit, and how many simulations there were."""
    hit = n = 0
    until = time.monotonic() + seconds
    for more, of in case.hits(np.random.default_rng(seed)):
        hit, n = hit + more, n + of
        if time.monotonic() >= until:
            break
    return hit, n


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1_200.0, help="for all rows together")
    arguments = parser.parse_args()
    rows = cases()
    print("| method | data | nominal | measured | simulations |")
    print("|---|---|---:|---:|---:|")
    for seed, case in enumerate(rows):
        hit, n = measure(case, seed, arguments.seconds / len(rows))
        # Of a share of (hit + 1) / (n + 2), so that all or none of a few does not look exact.
        share = (hit + 1) / (n + 2)
        error = math.sqrt(share * (1 - share) / n)
        measured = f"{hit / n:.1%} ± {error:.2%}"
        print(f"| {case.method} | {case.data} | {case.nominal:.0%} | {measured} | {n:,} |", flush=True)


if __name__ == "__main__":
    main()
