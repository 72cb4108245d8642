"""Cells: one prompt asked of one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from batchframe.errors import InputError


class Cell(NamedTuple):
    """A prompt and a model, by their labels."""

    prompt: str
    model: str

    def __str__(self) -> str:
        return f"{self.prompt} · {self.model}"


CellKey = str | tuple[str, str]
"""What a user may say for a cell: the pair of labels, or one label that stands in one cell only."""


def cell_of(key: CellKey, cells: Sequence[Cell]) -> Cell:
    """The cell a user means.

    Raises:
        InputError: there is none, or several.
    """
    if isinstance(key, tuple) and key in cells:
        return Cell(*key)
    meant = [cell for cell in cells if key in (*cell, str(cell))]
    if len(meant) == 1:
        return meant[0]
    known = ", ".join(repr(tuple(cell)) for cell in (meant or cells))
    if meant:
        raise InputError(f"{key!r} stands in {len(meant)} cells: pass one of {known}.")
    raise InputError(f"There is no cell {key!r}: pass one of {known}.")
