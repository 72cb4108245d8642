"""The plan of an evaluation: what all of its cells and judges would send and cost. It sends and stores nothing."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pandas as pd

from batchframe.core.budget import dollars
from batchframe.core.pricing import rates
from batchframe.core.prompts import readable
from batchframe.evaluation import answers as reading
from batchframe.evaluation.answers import Answers
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.comparison import Comparison, golds_of
from batchframe.evaluation.judges.judge import Judge, Said
from batchframe.evaluation.measures import is_judge
from batchframe.frame.outlook import PriceIs
from batchframe.frame.plan import Plan, draw_up
from batchframe.frame.requests import Asked, ask
from batchframe.frame.session import Session
from batchframe.frame.table import columns
from batchframe.frame.usage import amounts
from batchframe.model import Mode, Usage
from batchframe.store import jobs

_NUMBERS = frozenset({2, 3, 4, 5})
"""The columns of the plan that are numbers."""

_VAGUER: tuple[PriceIs, ...] = ("at most", "about", "from")


@dataclass(frozen=True, slots=True)
class Part:
    """What one job of the evaluation would send and cost.

    Attributes:
        cell: whose answers they are, or are judged.
        judge: the judge's name; "" for the cell's own answers.
        model: who is asked.
        distinct: different requests; of a judge whose answers are not there yet, at most.
        answered: those whose answer is in the database, or under way to it; they cost nothing.
        to_send: those that are paid for.
        input_tokens, output_tokens: of those; None when nothing is known of their length.
        price_batch_usd: US dollars for them; None when the model's price is not known.
        price_is: "at most", "about" or "from", as of `Plan`.
    """

    cell: Cell
    judge: str
    model: str
    distinct: int
    answered: int
    to_send: int
    input_tokens: int
    output_tokens: int | None
    price_batch_usd: Decimal | None
    price_is: PriceIs


@dataclass(frozen=True, repr=False)
class EvaluationPlan:
    """What `df.llm.compare` with the same arguments would send and cost.

    Attributes:
        rows: of the frame.
        parts: the cells, then the judges of each.
        plans: the whole plan of every cell, with examples of its prompts.
        warnings: what looks as if it were not meant.
    """

    rows: int
    parts: Sequence[Part]
    plans: Mapping[Cell, Plan]
    warnings: Sequence[str]

    @property
    def to_send(self) -> int:
        """Requests to be paid for; those to judges are counted at their most."""
        return sum(part.to_send for part in self.parts)

    @property
    def price_batch_usd(self) -> Decimal | None:
        """US dollars for everything together, in batches; None when the price of a model is not known."""
        known = [part.price_batch_usd for part in self.parts if part.to_send]
        return None if None in known else sum((price for price in known if price is not None), Decimal(0))

    @property
    def price_is(self) -> PriceIs:
        """How far to believe it: as its vaguest part."""
        return max((part.price_is for part in self.parts if part.to_send), key=_VAGUER.index, default="about")

    def to_frame(self) -> pd.DataFrame:
        """A row a part, indexed by `prompt`, `model` and `judge`: asks, distinct, answered, to_send, input_tokens,
        output_tokens, price_batch_usd, price_is."""
        return pd.DataFrame(
            {
                "asks": pd.array([part.model for part in self.parts], dtype="string"),
                **{
                    name: pd.array([getattr(part, name) for part in self.parts], dtype="Int64")
                    for name in ("distinct", "answered", "to_send", "input_tokens", "output_tokens")
                },
                "price_batch_usd": amounts([part.price_batch_usd for part in self.parts]),
                "price_is": pd.array([part.price_is for part in self.parts], dtype="string"),
            },
            index=pd.MultiIndex.from_tuples(
                [(*part.cell, part.judge) for part in self.parts], names=["prompt", "model", "judge"]
            ),
        )

    def __repr__(self) -> str:
        table = columns(self._lines(), right=_NUMBERS)
        warned = [f"! {warning}" for warning in self.warnings]
        return "\n".join([self._title(), *(f"  {line}" for line in [*table.splitlines(), *warned])])

    def _repr_html_(self) -> str:
        head, *rows = self._lines()
        cells = "".join(f"<th style='text-align:left'>{html.escape(name)}</th>" for name in head)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:{'right' if at in _NUMBERS else 'left'}'>{html.escape(value)}</td>"
                for at, value in enumerate(row)
            )
            + "</tr>"
            for row in rows
        )
        warned = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        # Two amounts in dollars would be typeset as a formula between them.
        return (
            f"<div class='tex2jax_ignore mathjax_ignore'><b>{html.escape(self._title())}</b>"
            f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
            f"{f'<ul>{warned}</ul>' * bool(warned)}</div>"
        )

    def _title(self) -> str:
        return f"Plan of an evaluation of {self.rows:,} rows: nothing is sent before df.llm.compare(…)."

    def _lines(self) -> list[list[str]]:
        head = ["", "asks", "requests", "answered", "to send", "tokens in", "price in batches"]
        lines = [head]
        for part in self.parts:
            what = f"{part.cell}" + (f", judged by {part.judge}" if part.judge else "")
            price = _price(part.price_batch_usd, part.price_is) if part.to_send else ""
            numbers = [part.distinct, part.answered, part.to_send, part.input_tokens]
            lines.append([what, part.model, *(f"{number:,}" for number in numbers), price])
        answered = sum(part.answered for part in self.parts)
        sums = [sum(part.distinct for part in self.parts), answered, self.to_send]
        tokens = sum(part.input_tokens for part in self.parts)
        total = _price(self.price_batch_usd, self.price_is) if self.to_send else dollars(Decimal(0))
        return [*lines, ["together", "", *(f"{number:,}" for number in [*sums, tokens]), total]]


def draw_up_evaluation(session: Session, frame: pd.DataFrame, comparison: Comparison) -> EvaluationPlan:
    """The plan of a comparison.

    Raises:
        InputError: the frame does not fit a cell's prompt (its subclasses say how).
        DatabaseError: Postgres cannot be reached.
    """
    plans = {cell: draw_up(session, frame, call) for cell, call in comparison.calls.items()}
    parts = [_part(cell, "", plan) for cell, plan in plans.items()]
    judges = [one for one in comparison.measures if is_judge(one)]
    if judges:
        baseline = comparison.spec.baseline
        said = _said(session, frame, comparison, plans)
        for judge in judges:
            parts += [
                _judged(session, judge, cell, said[cell], said[baseline])
                for cell in plans
                if not (judge.pairwise and cell == baseline)
            ]
    return EvaluationPlan(len(frame), parts, plans, [*_leaks(frame, comparison), *_warnings(plans)])


def _part(cell: Cell, judge: str, plan: Plan) -> Part:
    return Part(
        cell,
        judge,
        plan.model,
        plan.distinct,
        plan.answered + plan.under_way,
        plan.to_send,
        plan.input_tokens,
        plan.output_tokens,
        plan.price_batch_usd,
        plan.price_is,
    )


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a judge would see of a cell; `tokens` of an answer that is not there yet, 0 when all are."""

    said: Said
    tokens: float


def _said(
    session: Session, frame: pd.DataFrame, comparison: Comparison, plans: Mapping[Cell, Plan]
) -> dict[Cell, _Expected]:
    """The answers of cells that have ended; else something as long as nothing in their place."""

    def asked(cell: Cell) -> Asked:
        call = comparison.calls[cell]
        return ask(frame, call.spec, call.route, session.settings.batch_max_bytes, call.function)

    base = asked(comparison.spec.baseline)
    tasks = [None if hash_ is None else readable(base.bodies[hash_]) for hash_ in base.hashes[0]]
    golds = golds_of(frame, comparison.spec.gold)
    found = {}
    for cell, plan in plans.items():
        answers = _ended(session, plan, comparison.spec.field)
        if answers is not None:
            found[cell] = _Expected(Said(frame, tasks, golds, answers.texts, answers.failed), 0)
            continue
        # No two cells are taken to answer the same, so what is planned is the most there can be.
        there = np.array([[hash_ is not None for hash_ in sample] for sample in asked(cell).hashes], dtype=bool).T
        texts = np.full(there.shape, None, dtype=object)
        texts[there] = str(cell)
        each = plan.output_tokens / plan.to_send if plan.output_tokens and plan.to_send else 0
        found[cell] = _Expected(Said(frame, tasks, golds, texts, np.zeros(there.shape, dtype=bool)), each)
    return found


def _ended(session: Session, plan: Plan, field: str | None) -> Answers | None:
    """The answers of the job that a call is already; None when it is none, or still open."""
    if plan.job_id is None:
        return None
    with session.database.transaction() as connection:
        job = jobs.find(connection, plan.job_id)
    return reading.read(session, job, field) if job is not None and job.closed else None


def _judged(session: Session, judge: Judge, cell: Cell, own: _Expected, base: _Expected) -> Part:
    call = judge.call(session.provider_id)
    plan = draw_up(session, judge.questions(own.said, base.said), call)
    part = _part(cell, judge.name, plan)
    further = round((own.tokens + base.tokens * judge.pairwise) * plan.to_send)
    if not further:
        return part
    price = rates(call.route.model, call.terms.price, Mode.BATCH)
    more = None if price is None or plan.price_batch_usd is None else plan.price_batch_usd + price.cost(Usage(further))
    return replace(part, input_tokens=plan.input_tokens + further, price_batch_usd=more)


def _leaks(frame: pd.DataFrame, comparison: Comparison) -> list[str]:
    """Prompts that show the model the right answer."""
    gold, names = comparison.spec.gold, [str(label) for label in frame.columns]
    found = []
    for cell, call in comparison.calls.items():
        if gold is not None and call.function is None:
            body = call.spec.body(call.route, names)
            if gold in (*body.columns, *body.value_columns):
                found.append(f"The prompt {cell.prompt!r} shows the model the right answer, column {gold!r}.")
    return list(dict.fromkeys(found))


def _warnings(plans: Mapping[Cell, Plan]) -> list[str]:
    """Of every prompt, since what is said of it is said for each model."""
    said: dict[str, list[str]] = {}
    for cell, plan in plans.items():
        for warning in plan.warnings:
            if plan.job_id is None:
                said.setdefault(warning, []).append(cell.prompt)
    every = {cell.prompt for cell in plans}
    return [
        warning if set(of) == every else f"{', '.join(map(repr, dict.fromkeys(of)))}: {warning}"
        for warning, of in said.items()
    ]


def _price(amount: Decimal | None, price_is: PriceIs) -> str:
    return "unknown" if amount is None else f"{price_is} {dollars(amount)}"
