"""Fields of JSON: how much of a structured gold an answer has right."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from batchframe.errors import InputError
from batchframe.evaluation.metrics.labels import same
from batchframe.evaluation.metrics.metric import Metric
from batchframe.evaluation.metrics.paired import Paired

Path = tuple[str, ...]


def json_fields() -> Metric:
    """The share of the gold's fields that the answer has right, mean over rows: every row counts alike.

    Gold and answer are mappings or JSON texts of objects. A field of an object within an object counts by itself. A
    list is one field, right as a whole and in order: by position, one item left out would make all that follow wrong,
    and one too many nothing. Values are compared as `exact` does; null is what a field that is missing has. What the
    answer has beyond the gold does not matter. An answer that is no JSON object as a whole (in a code fence, say)
    scores 0, as a failed row does; a gold without fields does not count.

    Raises:
        InputError: (when scoring) a gold that is no JSON object.
    """
    return Paired("json_fields", _share_right)


def field_accuracy(golds: Sequence[Any], answers: Sequence[Any]) -> pd.DataFrame:
    """How often each field is right.

    Args:
        golds: mappings or JSON texts; None where nobody knows: such rows are left out.
        answers: the same, of the same length; None where the row has failed: its fields are wrong.

    Returns:
        A row for each field of any gold, in order of appearance, indexed by `field`, its path joined by dots; columns
        `accuracy` (float64, a share of 1) and `n` (int64, the golds that have the field).

    Raises:
        InputError: a gold that is no JSON object.
    """
    found: dict[Path, list[bool]] = {}
    for gold, answer in zip(golds, answers, strict=True):
        if gold is not None:
            for path, right in _fields_right(gold, answer):
                found.setdefault(path, []).append(right)
    return pd.DataFrame(
        {
            "accuracy": pd.Series([sum(rights) / len(rights) for rights in found.values()], dtype="float64"),
            "n": pd.Series([len(rights) for rights in found.values()], dtype="int64"),
        }
    ).set_index(pd.Index([".".join(path) for path in found], name="field", dtype="object"))


def _share_right(gold: Any, answer: Any) -> float:
    rights = [right for _, right in _fields_right(gold, answer)]
    return sum(rights) / len(rights) if rights else math.nan


def _fields_right(gold: Any, answer: Any) -> Iterator[tuple[Path, bool]]:
    """The paths of the gold's fields, and whether the answer has each right."""
    fields = _object(gold)
    if fields is None:
        raise InputError(
            f"The gold {str(gold)[:100]!r} is no JSON object, and json_fields compares the fields of objects. Give "
            'dictionaries or JSON texts as gold, or choose a metric of text, such as "exact".'
        )
    said = _object(answer)
    for path, value in _leaves(fields, ()):
        yield path, said is not None and same(value, _at(said, path))


def _object(value: Any) -> Mapping[Any, Any] | None:
    """A mapping, or what a text has as one; None when it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):  # a model may open more brackets than the parser can follow
            return None
    return value if isinstance(value, Mapping) else None


def _leaves(fields: Mapping[Any, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in fields.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, path)
        else:
            yield path, value


def _at(fields: Any, path: Path) -> Any:
    # Keys as JSON has them, which are texts: a gold of Python's may have others.
    for name in path:
        fields = {str(key): value for key, value in fields.items()}.get(name) if isinstance(fields, Mapping) else None
    return fields
