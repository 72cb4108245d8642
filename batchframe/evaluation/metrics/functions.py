"""Functions: any Python function of an answer and its row as a metric."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from batchframe.errors import InputError
from batchframe.evaluation.metrics.metric import Metric, Spec
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Mean

Function = Callable[[Any, Mapping[Any, Any]], float | bool | None]


def scored(
    function: Function,
    *,
    name: str | None = None,
    better: Literal["higher", "lower"] = "higher",
    share: bool | None = None,
    failed: float | None = None,
    needs_gold: bool = False,
) -> Metric:
    """A function's scores as a metric: their mean over rows.

    Args:
        function: of the answer and its row, a mapping of columns to values, to a number or a boolean; None or nan where
            the row does not count.
        name: what to call it; None for the function's own name.
        better: whether more or less of it is better.
        share: whether scores are shares of 1, shown in percent; None for whether the function is annotated to return
            a bool.
        failed: the score of failed rows, which the function never sees; nan when they do not count. None for the worst
            there is: 0, or where lower is better, 1 of a share, and of anything else, which has no worst, nan.
        needs_gold: whether it looks at the gold column: rows without gold are then not passed to it, and do not count.

    Raises:
        InputError: a function without a name, or an argument of the wrong kind; when scoring, the function has raised
            something, or returned what is no score.
    """
    own_name = getattr(function, "__name__", "<lambda>") if name is None else name
    if own_name == "<lambda>":
        raise InputError('A metric needs a name. Use a function with one, or bf.metrics.scored(function, name="…").')
    if better not in ("higher", "lower"):
        raise InputError(f'better is "higher" or "lower", not {better!r}.')
    is_share = _returns_bool(function) if share is None else share
    if failed is None:
        failed = 0.0 if better == "higher" else 1.0 if is_share else math.nan
    if is_share and not (math.isnan(failed) or 0 <= failed <= 1):
        raise InputError(f"{own_name} is a share, from 0 to 1, and failed is {failed}. Pass share=False, or another.")
    return Scores(own_name, function, better, is_share, float(failed), needs_gold)


@dataclass(frozen=True)
class Scores:
    """The mean of a function's scores; see `scored`."""

    name: str
    function: Function
    better: Literal["higher", "lower"]
    share: bool
    failed: float
    needs_gold: bool

    @property
    def spec(self) -> Spec:
        return {"function": self.name}

    def score(self, seen: Observations) -> Mean:
        own = np.empty(len(seen))
        for place, (answer, gold, row) in enumerate(zip(seen.answers, seen.golds, seen.rows, strict=True)):
            if self.needs_gold and gold is None:
                own[place] = np.nan
            elif answer is None:
                own[place] = self.failed
            else:
                own[place] = self._own(answer, row)
        return Mean(own)

    def _own(self, answer: Any, row: Mapping[Any, Any]) -> float:
        where = f"on the answer {reprlib.repr(answer)} to the row {reprlib.repr(dict(row))}"
        try:
            said = self.function(answer, row)
        except Exception as error:
            raise InputError(f"The metric {self.name} raised {type(error).__name__}: {error}, {where}.") from error
        if said is None:
            return np.nan
        if not isinstance(said, bool | int | float | np.bool_ | np.number) or math.isinf(said):
            raise InputError(f"The metric {self.name} returned {said!r}, {where}. Return a number, a bool or None.")
        if self.share and not (math.isnan(said) or 0 <= said <= 1):
            raise InputError(f"The metric {self.name} is a share, from 0 to 1, and returned {said!r}, {where}.")
        return float(said)


def _returns_bool(function: Function) -> bool:
    # As text where annotations are not evaluated.
    return getattr(function, "__annotations__", {}).get("return") in (bool, "bool")
