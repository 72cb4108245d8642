"""A browser of rows: what was asked, what two cells answered, and what the judges said, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from batchframe.errors import InputError
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.judges.asking import VERDICT
from batchframe.evaluation.metrics.labels import same
from batchframe.evaluation.standing import Standing
from batchframe.evaluation.views.written import NOTHING

_FILTERS = ("all rows", "they disagree", "first is wrong", "second is wrong", "one has failed")
_MOST = 4_000
"""Characters of a text that are shown."""


def browse(findings: Findings) -> Any:
    """The widget: two cells to choose, a filter, and the rows to go through.

    Raises:
        InputError: no cell has a job yet.
    """
    import ipywidgets as widgets  # type: ignore[import-untyped]  # takes 0.2 s; only notebooks need it

    cells = findings.cells
    if not cells:
        raise InputError("No cell has been asked yet: ev.wait() submits them.")
    names = [(str(cell), cell) for cell in cells]
    first = widgets.Dropdown(options=names, value=cells[0], description="first")
    second = widgets.Dropdown(options=names, value=cells[-1], description="second")
    kept = widgets.Dropdown(options=_FILTERS, value=_FILTERS[1 if len(cells) > 1 else 0], description="show")
    place = widgets.IntSlider(min=0, max=0, description="row", continuous_update=False, readout=False)
    before, after = widgets.Button(description="Previous"), widgets.Button(description="Next")
    where, shown = widgets.Label(), widgets.HTML()
    rows: list[int] = []

    def show(*_: object) -> None:
        where.value = f"{place.value + 1:,} of {len(rows):,}" if rows else "no such row"
        before.disabled, after.disabled = place.value <= 0, place.value >= len(rows) - 1
        shown.value = _row(findings, rows[place.value], first.value, second.value) if rows else ""

    def choose(*_: object) -> None:
        rows[:] = chosen(findings.standing, first.value, second.value, kept.value)
        place.value, place.max = 0, max(0, len(rows) - 1)
        show()

    def step(by: int) -> Callable[[object], None]:
        def move(_: object) -> None:
            place.value = min(max(0, place.value + by), place.max)

        return move

    for control in (first, second, kept):
        control.observe(choose, "value")
    place.observe(show, "value")
    before.on_click(step(-1))
    after.on_click(step(1))
    choose()
    wrap = widgets.Layout(flex_flow="row wrap")
    return widgets.VBox(
        [
            widgets.HBox([first, second, kept], layout=wrap),
            widgets.HBox([before, after, place, where], layout=wrap),
            shown,
        ]
    )


def chosen(standing: Standing, first: Cell, second: Cell, kept: str) -> list[int]:
    """The positions of the rows a filter keeps."""
    one, other = standing.answers[first], standing.answers[second]
    found: npt.NDArray[np.bool_]
    if kept == _FILTERS[0]:
        found = np.ones(len(standing.frame), dtype=bool)
    elif kept == _FILTERS[4]:
        found = np.asarray((one.failed | other.failed).any(axis=1))
    elif kept == _FILTERS[1]:
        both = standing.counts(first, second)
        found = (both & _differ(one.values, other.values)).any(axis=1)
    else:
        cell = first if kept == _FILTERS[2] else second
        golds = np.empty((len(standing.frame), 1), dtype=object)
        golds[:, 0] = standing.golds
        known = np.array([gold is not None for gold in standing.golds])
        wrong = standing.counts(cell) & _differ(
            standing.answers[cell].values, np.repeat(golds, standing.spec.samples, 1)
        )
        found = wrong.any(axis=1) & known
    return [int(at) for at in np.nonzero(found)[0]]


def _differ(one: Any, other: Any) -> Any:
    differ = [not same(a, b) for a, b in zip(one.flat, other.flat, strict=True)]
    return np.array(differ, dtype=bool).reshape(one.shape)


def _row(findings: Findings, at: int, first: Cell, second: Cell) -> str:
    standing = findings.standing
    index = standing.frame.index[at : at + 1].tolist()[0]
    columns = [(str(name), value) for name, value in standing.rows[at].items()]
    gold = [] if standing.spec.gold is None else [("right answer", standing.golds[at])]
    answers = [entry for cell in dict.fromkeys([first, second]) for entry in _answers(findings, cell, at)]
    return (
        f"<h4>row {escape(str(index))}</h4>"
        + _table([*gold, *answers])
        + "<h4>what was asked of</h4>"
        + _table(columns)
    )


def _answers(findings: Findings, cell: Cell, at: int) -> list[tuple[str, object]]:
    standing = findings.standing
    answers = standing.answers[cell]
    entries: list[tuple[str, object]] = []
    for sample in range(standing.spec.samples):
        which = f"{cell}" + (f", sample {sample + 1}" if standing.spec.samples > 1 else "")
        text = answers.texts[at, sample]
        entries.append((which, text if text is not None else answers.errors[at, sample] or answers.status[at, sample]))
    for (judge, judged), verdicts in standing.verdicts.items():
        if judged == cell:
            entries += [(f"{judge} of {cell}", said) for said in _said(verdicts[verdicts["at_row"] == at])]
    return entries


def _said(verdicts: Any) -> list[str]:
    found = []
    for verdict in verdicts.to_dict("records"):
        said = verdict.get(f"{VERDICT}_grade", verdict.get(f"{VERDICT}_better"))
        order = {True: "baseline first: ", False: "baseline second: "}.get(verdict.get("baseline_first"), "")
        found.append(f"{order}{said}: {verdict.get(f'{VERDICT}_reason')}")
    return found


def _table(entries: Sequence[tuple[str, object]]) -> str:
    rows = "".join(
        f"<tr><th style='text-align:left;vertical-align:top;padding-right:12px;white-space:nowrap'>{escape(name)}</th>"
        f"<td style='text-align:left;white-space:pre-wrap'>{escape(_cut(value))}</td></tr>"
        for name, value in entries
    )
    return f"<table class='tex2jax_ignore mathjax_ignore'>{rows}</table>"


def _cut(value: object) -> str:
    text = NOTHING if value is None else str(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
