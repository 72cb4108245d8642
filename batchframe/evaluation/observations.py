"""Observations: what a cell answered, an entry an answer, as metrics and statistics take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Observations:
    """The answers of a cell that are there, in the order of the rows; with several samples a row has several.

    Attributes:
        answers: of each what the model said, or the value of the schema's field; None where the row has failed.
        golds: of each what it should have said; None where nobody knows.
        rows: of each the row it is about, a mapping of columns to plain values.
        groups: of each the number of its group, from 0, all of equal dependence: rows of a cluster, samples of a row.
    """

    answers: Sequence[Any]
    golds: Sequence[Any]
    rows: Sequence[Mapping[Any, Any]]
    groups: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.answers)
