"""Patterns: whether an answer holds what it should, a pattern or a text."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from batchframe.errors import InputError
from batchframe.evaluation.metrics.labels import label
from batchframe.evaluation.metrics.metric import Metric, Spec
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Mean


def matches(pattern: str) -> Metric:
    """The share of answers in which a regular expression is found somewhere (`re.search`): "matches:<pattern>".

    Anchors make it the whole answer, `(?i)` ignores case. Answers are taken as `labels.label` writes them; a failed row
    is none that matches. It needs no gold.

    Raises:
        InputError: no regular expression.
    """
    if not isinstance(pattern, str):
        raise InputError(f"matches takes a regular expression as text, not {pattern!r}.")
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"{pattern!r} is no regular expression: {error}. re.escape makes one of a fixed text."
        ) from error
    return Matches(pattern)


def contains(text: str | None = None, *, column: Hashable = None, ignore_case: bool = True) -> Metric:
    """The share of answers that contain a text: a fixed one, the row's value of a column, or else the gold.

    Named "contains:<text>", "contains[<column>]" or "contains"; with `ignore_case=False`, "contains_cased…". Answers
    and values are taken as `labels.label` writes them. A failed row contains nothing. A row whose value is missing or
    empty does not count.

    Raises:
        InputError: both a text and a column, an empty text, or what cannot name a column; when scoring, a column the
            rows do not have.
    """
    if text is not None and column is not None:
        raise InputError("contains takes a text or a column, not both. Pass two metrics to have both.")
    if text is not None and not (isinstance(text, str) and text.strip()):
        raise InputError(f"contains takes a text to look for, not {text!r}.")
    if not isinstance(column, Hashable):
        raise InputError(f"contains takes the name of one column, not {column!r}.")
    return Contains(text, column, ignore_case)


@dataclass(frozen=True)
class Matches:
    """Whether a regular expression is found in the answer."""

    pattern: str
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    share: ClassVar[bool] = True
    needs_gold: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"matches:{self.pattern}"

    @property
    def spec(self) -> Spec:
        return {"metric": "matches", "pattern": self.pattern}

    def score(self, seen: Observations) -> Mean:
        search = re.compile(self.pattern).search
        own = [answer is not None and search(label(answer)) is not None for answer in seen.answers]
        return Mean(np.array(own, dtype=np.float64))


@dataclass(frozen=True)
class Contains:
    """Whether a text, a column's value or the gold is in the answer."""

    text: str | None
    column: Hashable
    ignore_case: bool
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    share: ClassVar[bool] = True

    @property
    def name(self) -> str:
        kind = "contains" if self.ignore_case else "contains_cased"
        if self.text is not None:
            return f"{kind}:{self.text}"
        return kind if self.column is None else f"{kind}[{self.column}]"

    @property
    def needs_gold(self) -> bool:
        return self.text is None and self.column is None

    @property
    def spec(self) -> Spec:
        options = {"text": self.text, "column": self.column}
        options = {option: value for option, value in options.items() if value is not None}
        return {"metric": "contains", **options} | ({} if self.ignore_case else {"ignore_case": False})

    def score(self, seen: Observations) -> Mean:
        own = [self._own(*one) for one in zip(seen.answers, seen.golds, seen.rows, strict=True)]
        return Mean(np.array(own, dtype=np.float64))

    def _own(self, answer: Any, gold: Any, row: Mapping[Any, Any]) -> float:
        wanted = self._written(self._wanted(gold, row))
        if not wanted:
            return np.nan
        return wanted in self._written(answer)

    def _wanted(self, gold: Any, row: Mapping[Any, Any]) -> Any:
        if self.text is not None:
            return self.text
        if self.column is None:
            return gold
        if self.column not in row:
            raise InputError(
                f"There is no column {self.column!r}, which {self.name} looks for in the answers. Columns: "
                f"{', '.join(map(str, row))}."
            )
        return row[self.column]

    def _written(self, value: Any) -> str:
        text = "" if value is None else label(value)
        return text.casefold() if self.ignore_case else text
