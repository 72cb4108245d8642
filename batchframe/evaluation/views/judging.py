"""How far a judge of one cell can be believed: its bias for a place, and its agreement with the gold."""

from __future__ import annotations

from typing import Any

import numpy as np

from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.judges.asking import VERDICT
from batchframe.evaluation.judges.judge import Judge
from batchframe.evaluation.judges.pairwise import preference
from batchframe.evaluation.metrics.labels import same
from batchframe.evaluation.scored import Floats
from batchframe.evaluation.standing import Standing


def row(findings: Findings, judge: Judge, cell: Cell) -> dict[str, Any]:
    """The figures of one judge of one cell, as `ev.judges()` describes them."""
    standing = findings.standing
    verdicts = standing.verdicts[judge.name, cell]
    found: dict[str, Any] = {
        "model_of_judge": judge.model,
        "asked": len(verdicts),
        "answered": int((verdicts[f"{VERDICT}__status"] == "ok").sum()),
        "first_preferred": np.nan,
        "consistent": np.nan,
    }
    if judge.pairwise:
        better = verdicts[f"{VERDICT}_better"]
        chosen = better.isin(["first", "second"])
        if chosen.any():
            found["first_preferred"] = float((better[chosen] == "first").mean())
        both = verdicts.assign(score=preference(verdicts)).groupby(["at_row", "at_sample"])["score"]
        pairs = both.nunique()[both.count() == 2]
        if len(pairs):
            found["consistent"] = float((pairs == 1).mean())
    scores, right = _beside_gold(standing, judge, cell)
    if judge.pairwise:
        wins, n_pairs = float(np.where(right, scores, 1 - scores).sum()), len(scores)
    else:
        wins, n_pairs = _ranked_above(scores[right], scores[~right])
    return {**found, "agrees_with_gold": wins / n_pairs if n_pairs else np.nan, "gold_pairs": n_pairs}


def _beside_gold(standing: Standing, judge: Judge, cell: Cell) -> tuple[Floats, Any]:
    """The judge's scores of answers whose gold is known, and whether each answer is right.

    Of a pairwise judge only pairs tell of which one answer is right and the other wrong.
    """
    answers, golds = standing.answers[cell], standing.golds
    scores = standing.judged(judge, cell)
    baseline = standing.answers[standing.spec.baseline]
    kept: list[tuple[float, bool]] = []
    for at, score in np.ndenumerate(scores):
        gold, value = golds[at[0]], answers.values[at]
        if gold is None or value is None or np.isnan(score):
            continue
        right = same(gold, value)
        if judge.pairwise:
            other = baseline.values[at]
            if other is None or same(gold, other) == right:
                continue
        kept.append((score, right))
    return np.array([score for score, _ in kept]), np.array([right for _, right in kept], dtype=bool)


def _ranked_above(right: Floats, wrong: Floats) -> tuple[float, int]:
    """In how many pairs of a right and a wrong answer the right one is above, a tie counting half (Mann and Whitney
    1947, U)."""
    ordered = np.sort(wrong)
    below, upto = np.searchsorted(ordered, right, "left"), np.searchsorted(ordered, right, "right")
    return float((below + (upto - below) / 2).sum()), len(right) * len(wrong)
