"""A comparison: the arguments of `df.llm.compare`, checked, and every cell's call, before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from batchframe.core.spec import JobSpec
from batchframe.core.typed import field_types
from batchframe.errors import InputError, TemplateError
from batchframe.evaluation import measures
from batchframe.evaluation.cell import Cell, CellKey, cell_of
from batchframe.evaluation.extras import check_installed
from batchframe.evaluation.measures import Measure, Measures
from batchframe.evaluation.observations import Observations
from batchframe.evaluation.spec import CellSpec, EvaluationSpec, Failed
from batchframe.frame.call import Call, Missing, Schema, check_call, check_name
from batchframe.frame.examples import Examples
from batchframe.frame.prompts import Images, Prompt, Text
from batchframe.frame.requests import column_names
from batchframe.frame.terms import AtDeadline, Deadline, Money, check_terms
from batchframe.frame.values import values
from batchframe.model import EMBEDDINGS, Route

ANSWER = "answer"
"""The result column of the cells' jobs."""

Prompts = Mapping[str, Prompt | Mapping[str, Any]]
Models = str | Sequence[str] | Mapping[str, str | Mapping[str, Any]]
Prices = tuple[Money, Money] | Mapping[str, tuple[Money, Money]]

_OF_A_PROMPT = ("system", "examples", "images")


@dataclass(frozen=True)
class Comparison:
    """What is to be compared.

    Attributes:
        calls: the call of every cell.
        measures: what the answers are measured by.
    """

    spec: EvaluationSpec
    calls: dict[Cell, Call]
    measures: list[Measure]
    name: str | None


def check_comparison(
    provider: str,
    frame: pd.DataFrame,
    prompts: Prompts,
    *,
    models: Models,
    gold: str | None,
    metrics: Measures | None,
    field: str | None,
    schema: Schema | None,
    system: Text | None,
    examples: Examples | None,
    images: Images | None,
    endpoint: str,
    samples: int,
    baseline: CellKey | None,
    cluster: str | None,
    failed: Failed,
    level: float,
    name: str | None,
    missing: Missing,
    reuse: bool,
    price: Prices | None,
    deadline: Deadline | None,
    at_deadline: AtDeadline,
    params: Mapping[str, Any],
) -> Comparison:
    """Check the arguments; `df.llm.compare` says what they are.

    Raises:
        InputError: one of them cannot be used; its subclasses say how.
        ConfigurationError: the extra `eval` is not installed.
    """
    check_installed()
    if not isinstance(prompts, Mapping) or not prompts:
        raise InputError("prompts= takes a dictionary of labels and templates: {'short': '…', 'with rubric': '…'}.")
    asked = _models(models)
    if failed not in ("wrong", "exclude"):
        raise InputError(f"failed={failed!r}: choose 'wrong' (a row without an answer counts as one) or 'exclude'.")
    if isinstance(level, bool) or not isinstance(level, float) or not 0.5 <= level < 1:
        raise InputError(f"level={level!r}: pass the confidence of intervals, such as 0.95.")
    calls: dict[Cell, Call] = {}
    for prompt, template in prompts.items():
        of_prompt = _own(template)
        for model, of_model in asked.items():
            _check_label("prompts", prompt)
            further = {key: value for key, value in of_prompt.items() if key not in ("template", *_OF_A_PROMPT)}
            calls[Cell(prompt, model)] = check_call(
                provider,
                of_prompt["template"],
                model=of_model["model"],
                into=ANSWER,
                system=of_prompt.get("system", system),
                examples=of_prompt.get("examples", examples),
                images=of_prompt.get("images", images),
                schema=schema,
                endpoint=endpoint,
                name=None,
                missing=missing,
                reuse=reuse,
                samples=samples,
                overwrite=True,
                budget_usd=None,
                price=_price_of(price, model),
                deadline=deadline,
                at_deadline=at_deadline,
                params={**params, **further, **{key: value for key, value in of_model.items() if key != "model"}},
            )
    first = next(iter(calls.values()))
    if first.route.endpoint == EMBEDDINGS:
        raise InputError("Embeddings cannot be compared with each other: choose 'chat' or 'responses'.")
    _check_columns(frame, gold=gold, cluster=cluster)
    check_name(name)
    chosen = measures.resolve(_usual(frame, gold) if metrics is None else metrics)
    if gold is None and (lacking := [one.name for one in chosen if one.needs_gold]):
        raise InputError(f"The metric {lacking[0]!r} needs the right answers: say with gold= which column has them.")
    for one in chosen:
        if measures.is_judge(one):
            one.call(provider)  # a parameter its endpoint does not know is found before the answers are paid for
    spec = EvaluationSpec(
        provider=provider,
        cells=[_cell_spec(cell, call) for cell, call in calls.items()],
        gold=gold,
        field=_field(field, first.spec, gold),
        cluster=cluster,
        metrics=[one.spec for one in chosen],
        baseline=next(iter(calls)) if baseline is None else cell_of(baseline, list(calls)),
        level=level,
        failed=failed,
    )
    _check_golds(frame, gold, chosen)
    return Comparison(spec, calls, chosen, name)


def call_of(provider: str, cell: CellSpec) -> Call:
    """The call of a cell, from its specification alone: without a deadline, which was that of another moment."""
    terms = check_terms(
        model=cell.asks,
        endpoint=cell.endpoint,
        params=cell.spec.params,
        budget_usd=None,
        price=cell.price,
        deadline=None,
        at_deadline="realtime",
    )
    return Call(cell.spec, Route(provider, cell.endpoint, cell.asks), terms, None, True)


def column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """A column by the name a template would have for it."""
    found = frame[column_names(frame)[name]]
    assert isinstance(found, pd.Series)
    return found


def golds_of(frame: pd.DataFrame, gold: str | None) -> list[Any]:
    """Of each row the right answer, as plain Python has it; None where nobody knows."""
    return [None] * len(frame) if gold is None else values(column(frame, gold))


def _own(template: Prompt | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(template, Mapping):
        return {"template": template}
    if "template" not in template:
        raise InputError("A prompt that is a dictionary has its text under 'template', beside 'system' and the like.")
    return template


def _models(models: Models) -> dict[str, Mapping[str, Any]]:
    """Of each label the model as the provider names it, under "model", and its own parameters."""
    if isinstance(models, str):
        models = [models]
    if not isinstance(models, Mapping):
        if len(set(models)) != len(models):
            raise InputError("models= names a model twice: give the two labels, {'low': {'model': …, …}, …}.")
        models = {model: model for model in models}
    if not models:
        raise InputError("models= is empty: pass the names of one or more models.")
    found: dict[str, Mapping[str, Any]] = {}
    for label, model in models.items():
        _check_label("models", label)
        own = {"model": model} if isinstance(model, str) else model
        if not isinstance(own, Mapping) or not isinstance(own.get("model"), str):
            raise InputError(f"models={{{label!r}: …}}: pass a model's name, or {{'model': name, …}} with parameters.")
        found[label] = own
    return found


def _check_label(argument: str, label: object) -> None:
    if not isinstance(label, str) or not label or not label.isprintable() or len(label) > 100:
        raise InputError(f"{argument}= has the label {label!r}: pass 1 to 100 printable characters.")


def _price_of(price: Prices | None, model: str) -> tuple[Money, Money] | None:
    return price.get(model) if isinstance(price, Mapping) else price


def _check_columns(frame: pd.DataFrame, **columns: str | None) -> None:
    names = column_names(frame)
    for argument, name in columns.items():
        if name is None:
            continue
        if name not in names:
            raise TemplateError(f"{argument}={name!r} is no column. The columns are: {', '.join(names)}.")
        if isinstance(frame[names[name]], pd.DataFrame):
            raise TemplateError(f"{argument}={name!r}: several columns have that name. Rename one of them.")
        if frame[names[name]].isna().all():
            raise InputError(f"{argument}={name!r}: the column has no value in any row.")


def _usual(frame: pd.DataFrame, gold: str | None) -> list[str]:
    """The metric that fits the gold when none is named."""
    if gold is None:
        raise InputError("Say what is good: gold= for a column of right answers, or metrics= for what needs none.")
    kind = column(frame, gold).dtype
    return ["mae" if pd.api.types.is_float_dtype(kind) else "accuracy"]


def _field(named: str | None, spec: JobSpec, gold: str | None) -> str | None:
    """The field of the schema that is the answer: the one named, the only one, or the one called like the gold."""
    fields = list(field_types(spec.answer_schema)) if spec.answer_schema else []
    if named is not None:
        if named not in fields:
            raise InputError(f"field={named!r} is no field of the schema. It has: {', '.join(fields) or 'no schema'}.")
        return named
    return fields[0] if len(fields) == 1 else gold if gold in fields else None


def _check_golds(frame: pd.DataFrame, gold: str | None, chosen: Sequence[Measure]) -> None:
    """What a metric cannot score is found before anything is paid for."""
    if gold is None:
        return
    golds = golds_of(frame, gold)
    nothing = Observations([None] * len(frame), golds, [{}] * len(frame), np.arange(len(frame)))
    for one in chosen:
        if one.needs_gold and not measures.is_judge(one):
            one.score(nothing)


def _cell_spec(cell: Cell, call: Call) -> CellSpec:
    price = call.terms.price
    return CellSpec(
        prompt=cell.prompt,
        model=cell.model,
        asks=call.route.model,
        endpoint=call.route.endpoint,
        spec=call.spec,
        price=None if price is None else (Decimal(price.input), Decimal(price.output)),
    )
