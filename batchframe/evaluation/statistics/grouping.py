"""Groups: which observations hang together, as the rest of statistics wants them numbered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]


def numbered(groups: Codes, counted: npt.NDArray[np.bool_]) -> Codes:
    """The groups of the observations that count, numbered anew from 0 without gaps; -1 for those that do not count.

    Args:
        groups: the number of each observation's group, shape (n,).
        counted: whether each observation counts, shape (n,).
    """
    codes = np.full(len(groups), -1, dtype=np.intp)
    codes[counted] = np.unique(groups[counted], return_inverse=True)[1]
    return codes


def independent(codes: Codes) -> bool:
    """Whether no two observations are of one group; -1 is no group."""
    return bool((np.bincount(codes[codes >= 0]) <= 1).all())
