"""Agreement: whether the same question gets the same answer again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the samples of a row agree.

    Attributes:
        rows: how many rows count: those of which at least one sample was answered.
        samples: of each.
        unanimous: the share of rows whose samples all agree; nan without rows.
        kappa: Fleiss' kappa: 1 for full agreement, 0 for as much as chance gives; nan with a single sample, and where
            all are of one label, so that chance alone agrees in full.
    """

    rows: int
    samples: int
    unanimous: float
    kappa: float


def agreement(labels: npt.NDArray[Any]) -> Agreement:
    """How far the samples of each row agree, and how far beyond chance.

    Fleiss 1971, Psychological Bulletin 76, p. 378-382, equations 1 to 7. A failed sample is a label of its own beside
    others: a prompt that sometimes has no answer does not agree with itself. A row of which all have failed says
    nothing.

    Args:
        labels: the answers, shape (rows, samples), hashable objects; None where a sample has failed.
    """
    answered = labels[~pd.isna(labels).all(axis=1)]
    rows, samples = answered.shape
    codes, found = pd.factorize(answered.ravel())
    width = len(found) + 1
    # Failed ones have code -1, so counting starts with them.
    cells = codes.reshape(rows, samples) + 1 + width * np.arange(rows)[:, np.newaxis]
    counts = np.bincount(cells.ravel(), minlength=rows * width).reshape(rows, width).astype(np.float64)
    unanimous = float((counts.max(axis=1) == samples).mean()) if rows else np.nan
    return Agreement(rows, samples, unanimous, _fleiss_kappa(counts))


def _fleiss_kappa(counts: npt.NDArray[np.float64]) -> float:
    """Kappa from how many samples of each row gave each label, shape (rows, labels), the same number in each row."""
    rows, samples = len(counts), counts[:1].sum()
    if not rows or samples < 2:
        return np.nan
    by_row = ((counts**2).sum(axis=1) - samples) / (samples * (samples - 1))
    by_chance = float(((counts.sum(axis=0) / (rows * samples)) ** 2).sum())
    return float((by_row.mean() - by_chance) / (1 - by_chance)) if by_chance < 1 else np.nan
