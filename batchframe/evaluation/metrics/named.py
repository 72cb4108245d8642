"""Named metrics: from what a user writes in `metrics=`, or in a file, to the metrics, and back."""

from __future__ import annotations

import difflib
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from batchframe.errors import InputError
from batchframe.evaluation.metrics import confusion, text
from batchframe.evaluation.metrics.exact import accuracy, exact
from batchframe.evaluation.metrics.functions import Function, scored
from batchframe.evaluation.metrics.json_fields import json_fields
from batchframe.evaluation.metrics.metric import Metric
from batchframe.evaluation.metrics.numeric import mae, rmse, spearman
from batchframe.evaluation.metrics.patterns import contains, matches

One = str | Metric | Function | Mapping[str, Any]

_OF_LABELS: tuple[Callable[..., Metric], ...] = (
    exact,
    accuracy,
    confusion.balanced_accuracy,
    confusion.macro_f1,
    confusion.micro_f1,
    confusion.weighted_f1,
    confusion.kappa,
)
_OTHERS: tuple[Callable[..., Metric], ...] = (
    *(mae, rmse, spearman),
    *(text.edit_similarity, text.rouge_l, text.bleu, text.chrf),
    *(json_fields, contains, matches),
)
_FACTORIES = {factory.__name__: factory for factory in (*_OF_LABELS, *_OTHERS)}
_NORMALISED = {f"{factory.__name__}_normalised": factory for factory in _OF_LABELS}


def resolve(names: One | Sequence[One]) -> list[Metric]:
    """The metrics a user has named.

    Args:
        names: one or several: a name, a specification as `from_spec` takes it, a metric, or a function of the answer
            and its row (see `scored`).

    Raises:
        InputError: nothing, a name nobody knows, what is no metric, or two metrics of one name.
    """
    several = names if isinstance(names, Sequence) and not isinstance(names, str) else [names]
    metrics = [_resolved(one) for one in several]
    if not metrics:
        raise InputError('metrics is empty. Name at least one, such as "accuracy".')
    twice = [name for name, count in Counter(metric.name for metric in metrics).items() if count > 1]
    if twice:
        raise InputError(
            f"Two metrics are called {twice[0]!r}. Leave one out, or give a function another name: "
            'bf.metrics.scored(function, name="…").'
        )
    return metrics


def from_spec(spec: str | Mapping[str, Any]) -> Metric:
    """The metric of a specification: of a metric's `spec`, or of an entry of a TOML or YAML file.

    Args:
        spec: a name, such as "macro_f1", or a mapping of "metric" to a name and of options to their values, such as
            {"metric": "contains", "text": "Yours sincerely"}.

    Raises:
        InputError: a name nobody knows, options the metric does not have, or a metric that is a function.
    """
    if isinstance(spec, str):
        return _made(spec, {})
    if "function" in spec:
        raise InputError(
            f"The metric {spec['function']!r} is a Python function, of which only the name is kept. Pass the function "
            "itself in metrics=[…]."
        )
    if not isinstance(spec.get("metric"), str):
        raise InputError(f'{dict(spec)!r} names no metric. Write {{"metric": "contains", "text": "…"}}, say.')
    return _made(spec["metric"], {option: value for option, value in spec.items() if option != "metric"})


def _resolved(one: One) -> Metric:
    if isinstance(one, str | Mapping):
        return from_spec(one)
    for factory in (*_FACTORIES.values(), scored):
        if cast(object, one) is factory:
            raise InputError(
                f"bf.metrics.{factory.__name__} makes a metric: call it, bf.metrics.{factory.__name__}(…)."
            )
    if isinstance(one, Metric):
        return one
    if callable(one):
        return scored(one)
    raise InputError(f'{one!r} is no metric. Pass a name, such as "accuracy", a function, or one of bf.metrics.')


def _made(name: str, options: dict[str, Any]) -> Metric:
    if name in _NORMALISED:
        if options:
            raise InputError(f"The metric {name} has no option {next(iter(options))!r}. Its options: none.")
        return _NORMALISED[name](normalise=True)
    if name not in _FACTORIES:
        raise InputError(_unknown(name))
    parameters = inspect.signature(_FACTORIES[name]).parameters
    known = ", ".join(parameters) or "none"
    for option, value in options.items():
        if option not in parameters:
            raise InputError(f"The metric {name} has no option {option!r}. Its options: {known}.")
        if isinstance(parameters[option].default, bool) and not isinstance(value, bool):
            raise InputError(f"The option {option} of the metric {name} is true or false, not {value!r}.")
    for option, parameter in parameters.items():
        if parameter.default is parameter.empty and option not in options:
            raise InputError(
                f'The metric {name} needs {option}: bf.metrics.{name}("…"), or in a file '
                f'{{metric = "{name}", {option} = "…"}}.'
            )
    return _FACTORIES[name](**options)


def _unknown(name: str) -> str:
    names = [*_FACTORIES, *_NORMALISED]
    nearest = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    return f"There is no metric {name!r}. {hint}Known: {', '.join(_FACTORIES)}; or pass a function of (answer, row)."
