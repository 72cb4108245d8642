"""Measures: the metrics and the judges of an evaluation, as the user names them and as they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import TypeIs

from batchframe.errors import InputError
from batchframe.evaluation.judges.graded import Graded, graded
from batchframe.evaluation.judges.pairwise import Pairwise, pairwise
from batchframe.evaluation.metrics import named
from batchframe.evaluation.metrics.metric import Metric

Measure = Metric | Graded | Pairwise
One = named.One | Graded | Pairwise
Measures = One | Sequence[One]

_JUDGES: dict[str, Callable[..., Graded | Pairwise]] = {"graded": graded, "pairwise": pairwise}


def is_judge(measure: Measure) -> TypeIs[Graded | Pairwise]:
    """Whether a model decides it."""
    return isinstance(measure, Graded | Pairwise)


def resolve(measures: Measures) -> list[Measure]:
    """What the user has named, made ready.

    Raises:
        InputError: one of them is unknown, two have the same name, or there is none.
    """
    listed = [*measures] if isinstance(measures, Sequence) and not isinstance(measures, str) else [measures]
    made: list[Measure] = []
    for one in listed:
        judge = _judge(one)
        made += named.resolve(one) if judge is None else [judge]  # type: ignore[arg-type]
    names = [one.name for one in made]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"Two metrics have the name {twice[0]!r}: give one of them another with name=.")
    if not made:
        raise InputError("metrics= is empty: name at least one.")
    return made


def from_spec(specs: Sequence[Any], at_hand: Sequence[Measure] = ()) -> tuple[list[Measure], list[str]]:
    """What was kept, made again.

    Args:
        at_hand: those the user has passed anew, which functions are taken from.

    Returns:
        The measures, and the names of those that were functions and are not at hand.
    """
    given = {one.name: one for one in at_hand}
    made: list[Measure] = []
    absent: list[str] = []
    for spec in specs:
        judge = _judge(spec)
        if judge is not None:
            made.append(judge)
        elif isinstance(spec, Mapping) and "function" in spec:
            name = str(spec.get("name", spec["function"]))
            if name in given:
                made.append(given[name])
            else:
                absent.append(name)
        else:
            made.append(named.from_spec(spec))
    return made, absent


def _judge(one: Any) -> Graded | Pairwise | None:
    if isinstance(one, Graded | Pairwise):
        return one
    if not isinstance(one, Mapping) or "judge" not in one:
        return None
    given = {name: value for name, value in one.items() if value is not None}
    kind = given.pop("judge")
    if kind not in _JUDGES:
        raise InputError(f"There is no judge {kind!r}: choose from {', '.join(map(repr, _JUDGES))}.")
    params = given.pop("params", {})
    if "price" in given:
        given["price"] = tuple(map(float, given["price"]))
    if "scale" in given:
        given["scale"] = tuple(given["scale"])
    try:
        return _JUDGES[kind](**given, **params)
    except TypeError as error:
        raise InputError(f"The judge {kind!r} cannot be made: {error}.") from None
