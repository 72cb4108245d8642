"""Plain columns, for a terminal and for what a repr shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[object]], *, right: frozenset[int] = frozenset()) -> str:
    """Lines whose fields stand below each other, two blanks apart.

    Args:
        right: the fields to align at their right, as numbers are.
    """
    texts = [["" if field is None else str(field) for field in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(
            field.rjust(width) if at in right else field.ljust(width)
            for at, (field, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )
