"""Cautions: what in a frame looks as if it were not meant, told before it is paid for. None of it is an error."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from batchframe.core.tokens import BYTES_PER_TOKEN

_BLANK = ("", "-", "--", "?", ".", "n/a", "na", "nan", "none", "null", "nil", "<na>", "nat", "unknown", "tbd")
"""Values that are there and say nothing, in lower case; missing ones are skipped rows, and told as such."""

_LONG = 4_000
_TIMES_LONGER = 10
"""A request is very long with so many tokens or more that are so many times those of the middle one."""

_SHOWN = 5


def cautions(
    table: pd.DataFrame, used: Sequence[Hashable], row_of: Sequence[int], bodies: Sequence[bytes]
) -> list[str]:
    """What a user should look at before sending.

    Args:
        used: labels of the columns the templates use.
        row_of: the position of a row that asks each of the bodies.
        bodies: the requests to be sent.
    """
    return [*_long(table, row_of, bodies), *_blank(table, used), *_unused(table, used)]


def _long(table: pd.DataFrame, row_of: Sequence[int], bodies: Sequence[bytes]) -> list[str]:
    if not bodies:
        return []
    tokens = np.fromiter(map(len, bodies), dtype=np.int64, count=len(bodies)) // BYTES_PER_TOKEN
    limit = max(_LONG, _TIMES_LONGER * int(np.median(tokens)))
    n = int((tokens >= limit).sum())
    if not n:
        return []
    longest = int(tokens.argmax())
    which = f"{n:,} request{'s' * (n > 1)} of {limit:,} tokens or more"
    where = f"the longest in row {_label(table, row_of[longest])} with about {tokens[longest]:,}"
    return [f"Very long: {which}, {where}; the middle one has {int(np.median(tokens)):,}."]


def _blank(table: pd.DataFrame, used: Sequence[Hashable]) -> list[str]:
    found = []
    for label in used:
        column = table[label]
        if not (pd.api.types.is_string_dtype(column.dtype) or pd.api.types.is_object_dtype(column.dtype)):
            continue
        blank = column.str.strip().str.casefold().isin(_BLANK).to_numpy()
        if n := int(blank.sum()):
            first = int(blank.argmax())
            found.append(
                f"Near-empty: {n:,} value{'s' if n > 1 else ''} of column {str(label)!r}, such as "
                f"{column.iloc[first]!r} in row {_label(table, first)}."
            )
    return found


def _unused(table: pd.DataFrame, used: Sequence[Hashable]) -> list[str]:
    unused = [repr(str(label)) for label in table.columns if label not in used]
    if not unused:
        return []
    shown = ", ".join(unused[:_SHOWN]) + (f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else "")
    return [f"Not used by the template: {shown}."]


def _label(table: pd.DataFrame, position: int) -> str:
    return repr(table.index[position : position + 1].tolist()[0])
