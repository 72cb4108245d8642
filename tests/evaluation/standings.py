"""Standings made by hand: two prompts, two models, sixty rows, some failed, some pending, and two judges' verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from batchframe.core.spec import JobSpec
from batchframe.evaluation.answers import Answers
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.judges import graded, pairwise
from batchframe.evaluation.judges.judge import Judge, Said
from batchframe.evaluation.measures import is_judge, resolve
from batchframe.evaluation.spec import CellSpec, EvaluationSpec
from batchframe.evaluation.standing import Standing
from batchframe.model import RowStatus, Usage

ROWS = 60
LABELS = ("bug", "feature", "question")
CELLS = [Cell(prompt, model) for prompt in ("short", "rubric") for model in ("small", "large")]
BASELINE, BEST = CELLS[0], CELLS[3]
RIGHT = dict(zip(CELLS, (0.55, 0.7, 0.65, 0.9), strict=True))
COST = dict(zip(CELLS, ("0.012", "0.09", "0.025", "0.21"), strict=True))
EVIL = "<script>alert('a&b')</script>"

GRADE = graded("Is the label right?", model="judge-1")
PREFERRED = pairwise("Which label fits better?", model="judge-1")


def standing(
    *,
    metrics: Sequence[Any] = ("accuracy", "macro_f1"),
    cells: Sequence[Cell] = CELLS,
    samples: int = 1,
    gold: bool = True,
    answered: bool = True,
    priced: bool = True,
    text: Callable[[str], str] = str,
    absent: Sequence[str] = (),
    name: str | None = "triage",
) -> Standing:
    """A standing of these cells.

    Args:
        answered: whether anything was answered: else every answer is pending.
        text: what becomes of every text there is: of rows, gold, answers, errors, reasons and prompts.
    """
    random = np.random.default_rng(6)
    golds = [LABELS[at] for at in random.integers(0, 3, ROWS)]
    frame = pd.DataFrame(
        {
            "ticket": pd.array([text(f"Ticket {at}: it does not open") for at in range(ROWS)], dtype="string"),
            "length": np.arange(ROWS),
            "kind": pd.array([text(gold) for gold in golds], dtype="string"),
        }
    )
    frame.loc[ROWS - 1, "kind"] = pd.NA  # nobody knows
    measures = resolve(list(metrics)) if metrics else []
    answers = {cell: _answers(cell, golds, samples, answered, priced, text, random) for cell in cells}
    spec = EvaluationSpec(
        provider="openai:http://127.0.0.1/v1",
        cells=[_cell_spec(cell, samples, text) for cell in cells],
        gold="kind" if gold else None,
        field=None,
        cluster=None,
        metrics=[one.spec for one in measures],
        baseline=cells[0],
        level=0.95,
        failed="wrong",
    )
    tasks = [text(f"What kind is: Ticket {at}?") for at in range(ROWS)]
    made = Standing(7, name, spec, frame, tasks, answers, {}, measures, absent)
    if not answered:
        return made
    judges = [one for one in measures if is_judge(one)]
    verdicts = {(judge.name, cell): _verdicts(made, judge, cell, text) for judge in judges for cell in cells}
    return replace(made, verdicts=verdicts)


def _cell_spec(cell: Cell, samples: int, text: Callable[[str], str]) -> CellSpec:
    words = "What kind is this?" if cell.prompt == "short" else "By the rubric below, what kind is this?"
    prompt, system = f"{text(words)}\n{{ticket}}", text("You sort tickets.")
    spec = JobSpec(prompt=prompt, system=system, into="answer", samples=samples)
    return CellSpec(
        prompt=cell.prompt, model=cell.model, asks=f"gpt-{cell.model}", endpoint="/v1/chat/completions", spec=spec
    )


def _answers(
    cell: Cell,
    golds: Sequence[str],
    samples: int,
    answered: bool,
    priced: bool,
    text: Callable[[str], str],
    random: np.random.Generator,
) -> Answers:
    shape = (ROWS, samples)
    texts, errors = np.full(shape, None, dtype=object), np.full(shape, None, dtype=object)
    status = np.full(shape, RowStatus.PENDING.value, dtype=object)
    if answered:
        right, wrong = random.random(shape) < RIGHT.get(cell, 0.5), random.integers(0, 3, shape)
        status[:] = RowStatus.OK.value
        for at in np.ndindex(shape):
            texts[at] = text(golds[at[0]] if right[at] else LABELS[wrong[at]])
        for row, state in ((3, RowStatus.FAILED), (11, RowStatus.FAILED), (20, RowStatus.PENDING)):
            status[row], texts[row] = state.value, None
            errors[row] = text("content_filter: refused") if state == RowStatus.FAILED else None
    n = int((status == RowStatus.OK.value).sum())
    return Answers(
        texts=texts,
        values=texts.copy(),
        status=status,
        errors=errors,
        row_nos=np.arange(ROWS * samples, dtype=np.int32).reshape(shape),
        usage=Usage(120 * n, 0, 4 * n),
        answers=n,
        cost_usd=Decimal(COST.get(cell, "0.05")) if priced and n else None,
    )


def _verdicts(made: Standing, judge: Judge, cell: Cell, text: Callable[[str], str]) -> pd.DataFrame:
    """What a judge that knows the gold nearly always says."""
    random = np.random.default_rng(len(str(cell)))
    said: Said = made.said(cell)
    baseline = made.said(made.spec.baseline)
    questions = judge.questions(said, baseline)
    golds = made.golds
    grades: list[int] = []
    better: list[str] = []
    for question in questions.to_dict("records"):
        at = (question["at_row"], question["at_sample"])
        sure = random.random() < 0.85
        grades.append((5 if said.texts[at] == golds[at[0]] else 2) if sure else 3)
        first = (baseline.texts[at] == golds[at[0]]) == question.get("baseline_first")
        better.append("first" if first or not sure else "second")  # in doubt for the place
    verdict = {"verdict_grade": pd.array(grades, dtype="Int64"), "verdict_better": pd.array(better, dtype="string")}
    kept = "verdict_better" if judge.name == PREFERRED.name else "verdict_grade"
    return questions.assign(
        verdict__status="ok", verdict_reason=text("It names what the ticket asks."), **{kept: verdict[kept]}
    )
