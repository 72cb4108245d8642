"""Prompts by a function: called with each row, it returns a text, messages, or None for a row to leave out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from batchframe.errors import TemplateError
from batchframe.frame.values import values
from batchframe.model import EMBEDDINGS, RESPONSES

Own = str | Sequence[Mapping[str, Any]]
"""What a function may return for a row that is asked."""


class Row(Mapping[Hashable, Any]):
    """A row as a function sees it: by the label of the column a plain Python value, None where it is missing.

    In a series it is also `row["value"]`. It can be read only.
    """

    __slots__ = ("_at", "_columns")

    def __init__(self, columns: Columns, at: int) -> None:
        self._columns = columns
        self._at = at

    def __getitem__(self, label: Hashable) -> Any:
        return self._columns.read(label)[self._at]

    def __contains__(self, label: object) -> bool:
        return label in self._columns.labels

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._columns.labels.values())

    def __len__(self) -> int:
        return len(self._columns.labels)

    def __repr__(self) -> str:
        return f"Row({', '.join(map(repr, self))})"


RowFunction = Callable[[Row], Own | None]


class Columns:
    """The columns of a frame, whose values are made when one is first read.

    Attributes:
        labels: what a row may be asked for, and the column it stands for.
    """

    def __init__(self, table: pd.DataFrame, *, is_series: bool) -> None:
        self._table = table
        self._read: dict[Hashable, list[Any]] = {}
        self.labels: dict[Hashable, Hashable] = {label: label for label in table.columns}
        if is_series:
            self.labels.setdefault("value", table.columns[0])

    @property
    def used(self) -> list[Hashable]:
        """The labels of the columns that were read, in the frame's order."""
        return [label for label in dict.fromkeys(self._table.columns) if label in self._read]

    def read(self, name: Hashable) -> list[Any]:
        """The values of a column.

        Raises:
            KeyError: there is no such column; or several.
        """
        label = self.labels.get(name, name)
        if label not in self._read:
            if label not in self.labels:
                near = difflib.get_close_matches(str(name), list(map(str, self.labels)), n=1, cutoff=0.5)
                raise _NoColumnError(f"{name!r} is no column.{f' Did you mean {near[0]!r}?' if near else ''}")
            column = self._table[label]
            if isinstance(column, pd.DataFrame):
                raise _NoColumnError(f"{column.shape[1]} columns have the name {name!r}. Rename one of them.")
            self._read[label] = values(column)
        return self._read[label]


class _NoColumnError(KeyError):
    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's own is the repr of it


def call(function: RowFunction, columns: Columns, position: int, label: object, endpoint: str) -> Own | None:
    """What a function says of the row at a position.

    Raises:
        TemplateError: the function raised something, or returned something that cannot be sent; the row is named.
    """
    try:
        said = function(Row(columns, position))
    except Exception as error:
        raise TemplateError(f"{function_name(function)} failed in row {label!r}: {_told(error)}") from error
    if said is None:
        return None
    if isinstance(said, str):
        return str.__str__(said)
    trouble = "Embeddings take a text" if endpoint == EMBEDDINGS else _trouble(said, endpoint)
    if trouble:
        raise TemplateError(
            f"{function_name(function)} returned for row {label!r} what cannot be sent: {trouble}. Return a text, a "
            "list of messages such as {'role': 'user', 'content': '…'}, or None to leave the row out."
        )
    return said


def _told(error: Exception) -> str:
    return f"{type(error).__name__.lstrip('_')}: {error}" if not isinstance(error, TemplateError) else str(error)


def _trouble(said: object, endpoint: str) -> str | None:
    """Why it is no list of messages."""
    if not isinstance(said, list | tuple) or not said:
        return (
            f"a value of type {type(said).__name__}" if said or not isinstance(said, list | tuple) else "an empty list"
        )
    for number, message in enumerate(said):
        if not isinstance(message, Mapping):
            return f"message {number} is a {type(message).__name__}"
        if endpoint == RESPONSES and "type" in message and message["type"] != "message":
            continue  # a call of a tool, and its output, have neither role nor content
        if not isinstance(message.get("role"), str):
            return f"message {number} has no role"
        if not isinstance(message.get("content"), str | list | tuple) and "tool_calls" not in message:
            return f"message {number} has no content"
    return None


def function_name(function: Callable[..., Any]) -> str:
    """A name that stays the same when the cell that defines the function runs again."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
