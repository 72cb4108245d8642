"""Views of standings made by hand, at every stage; and that nothing of a user's text is taken for HTML."""

import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

import batchframe as bf
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.views import browser, chart, display, frames, labels, plot, report
from batchframe.evaluation.views.overview import overview
from tests.evaluation.standings import BASELINE, BEST, CELLS, EVIL, GRADE, PREFERRED, ROWS, standing


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def evil(text: str) -> str:
    return f"{text} {EVIL}"


STAGES: list[dict[str, Any]] = [
    {},
    {"answered": False},
    {"cells": CELLS[:1]},
    {"priced": False},
    {"samples": 3},
    {"gold": False, "metrics": [GRADE, PREFERRED]},
    {"metrics": ["accuracy", GRADE, PREFERRED]},
    {"metrics": [], "absent": ["mine"]},
    {"name": None},
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: ",".join(stage) or "usual")
def test_every_stage_can_be_shown(stage: dict[str, Any]) -> None:
    """Before the first answer, with one cell, without prices, without functions: something true is shown."""
    findings = Findings(standing(**stage))
    text = display.as_text(findings, "running: 3 of 4")
    assert "running: 3 of 4" in text
    assert all(cell.prompt in text for cell in findings.cells)
    assert ("pass it anew" in text) == bool(stage.get("absent"))
    for page in (display.as_html(findings, "running"), report.to_html(findings)):
        assert "nan" not in page.replace("finance", "")
        assert not Tags(page).links


def test_text_of_users_is_never_html() -> None:
    """Rows, gold, answers, errors, reasons and prompts that look like a script stay text."""
    findings = Findings(standing(text=evil, metrics=["accuracy", GRADE, PREFERRED]))
    for page in (report.to_html(findings), display.as_html(findings, EVIL), browser._row(findings, 3, BASELINE, BEST)):
        assert "script" not in Tags(page).seen
        assert EVIL not in page
    assert "&lt;script&gt;" in report.to_html(findings)


def test_the_report_says_what_the_tables_say() -> None:
    """The figures of the repr, of the report and of the frames are the same."""
    findings = Findings(standing())
    page, table = report.to_html(findings), frames.table(findings)
    for cell in CELLS:
        shown = f"{table.loc[tuple(cell), 'accuracy']:.1%}".replace("%", " %")
        assert shown in page
        assert shown in display.as_text(findings, "")
    for line in overview(findings).lines:
        if line.versus:
            assert line.versus.words.split(":")[0] in page


def test_charts_are_xml_with_a_label() -> None:
    """So that a browser draws them and a screen reader reads them; with nothing to draw there is none."""
    findings = Findings(standing(metrics=["accuracy"]))
    seen = overview(findings)
    for svg in (chart.values(seen.lines, seen.measures[0], 0), chart.cost_against(seen.lines, seen.measures[0])):
        drawn = ET.fromstring(svg)
        assert drawn.get("aria-label")
        assert len(drawn.findall(".//circle")) == len(CELLS)
    empty = overview(Findings(standing(metrics=["accuracy"], answered=False)))
    assert chart.values(empty.lines, empty.measures[0], 0) == ""
    assert chart.cost_against(empty.lines, empty.measures[0]) == ""


def test_a_plot_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyplot, whose state is the user's; and without matplotlib the error says what to install."""
    findings = Findings(standing())
    figure = plot.plot(findings)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    with pytest.raises(bf.InputError, match="No cell has a value"):
        plot.plot(Findings(standing(answered=False)))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(bf.ConfigurationError, match=r"batchframe\[plot\]"):
        plot.plot(findings)


def test_labels_with_dollars_are_no_formulas() -> None:
    """A prompt may be called what matplotlib would take for mathematics."""
    cells = [Cell("pay $5 or $9", "small"), Cell("cost $\\foo$ each", "small")]
    findings = Findings(standing(cells=cells, metrics=["accuracy"]))
    assert plot.plot(findings)._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_rows_are_browsed() -> None:
    """Filters keep the rows they say, buttons go through them."""
    made = standing()
    findings = Findings(made)
    box = browser.browse(findings)
    (first, second, kept), (before, after, place, where) = (part.children for part in box.children[:2])
    shown = box.children[2]
    assert (first.value, second.value) == (CELLS[0], CELLS[-1])
    differ = len(frames.diff(made, CELLS[0], CELLS[-1], sample=0))
    assert where.value == f"1 of {differ}"
    assert before.disabled
    text = shown.value
    after.click()
    assert (place.value, where.value) == (1, f"2 of {differ}")
    assert shown.value != text
    kept.value = "one has failed"
    assert where.value == "1 of 2"
    assert "content_filter" in shown.value
    kept.value = "all rows"
    assert where.value == f"1 of {ROWS}"
    assert isinstance(box, widgets.VBox)


def test_the_table_counts_what_there_is() -> None:
    """Two rows failed, one is pending, one has no gold: 58 count, and failed ones count as wrong."""
    made = standing()
    row = frames.table(Findings(made)).loc[tuple(BASELINE)]
    assert (row["failed"], row["pending"], row["rows"], row["accuracy_n"]) == (2, 1, ROWS, ROWS - 2)
    answers = made.answers[BASELINE]
    known = [at for at in range(ROWS) if made.golds[at] is not None and answers.status[at, 0] != "pending"]
    said = ["(failed)" if answers.values[at, 0] is None else answers.values[at, 0] for at in known]
    assert row["accuracy"] == pytest.approx(accuracy_score([made.golds[at] for at in known], said))
    assert row["usd_per_1000"] == pytest.approx(0.012 / (ROWS - 3) * 1000)


def test_long_form_has_a_row_an_answer() -> None:
    """For a user's own statistics: every answer with its score, and the mean of the scores is the metric."""
    findings = Findings(standing(samples=2, metrics=["accuracy", "macro_f1"]))
    long = frames.tidy(findings)
    assert len(long) == len(CELLS) * ROWS * 2
    assert "macro_f1" not in long  # it scores many together
    means = long.groupby(["prompt", "model"])["accuracy"].mean()
    expected = frames.table(findings)["accuracy"]
    assert np.allclose(means[expected.index].astype(float), expected.astype(float))


def test_judges_are_held_against_the_gold() -> None:
    """The judge of the fixture knows the gold in 85 of 100 cases and prefers the first when it does not."""
    judged = frames.judges(Findings(standing(metrics=["accuracy", GRADE, PREFERRED])))
    assert (judged["agrees_with_gold"].dropna() > 0.7).all()
    assert judged["first_preferred"].dropna().between(0.4, 0.75).all()
    with pytest.raises(bf.InputError, match="has no judge"):
        frames.judges(Findings(standing()))


def test_confusion_and_agreement() -> None:
    """Every row with gold and an outcome is in the matrix once; agreement needs several samples."""
    made = standing()
    assert labels.confusion(made, BASELINE).to_numpy().sum() == ROWS - 2
    with pytest.raises(bf.InputError, match="one answer a row"):
        labels.agreement(Findings(made))
    found = labels.agreement(Findings(standing(samples=3)))
    assert found["agreement"].between(0, 1).all()
    assert found.index.names == ["prompt", "model"]
    with pytest.raises(bf.InputError, match="no right answers"):
        labels.confusion(standing(gold=False, metrics=[GRADE]), BASELINE)


def test_difference_shows_rows_whole() -> None:
    """All columns, and both answers, where they are not the same."""
    made = standing()
    rows = frames.diff(made, BASELINE, BEST, sample=0)
    assert list(rows.columns) == [*made.frame.columns, str(BASELINE), str(BEST)]
    assert (rows[str(BASELINE)].fillna("") != rows[str(BEST)].fillna("")).all()
    assert isinstance(rows, pd.DataFrame)
