"""A report: one HTML page that needs nothing else, to be shown to people who were not there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from batchframe.evaluation.findings import N_RESAMPLES, Findings
from batchframe.evaluation.measures import is_judge
from batchframe.evaluation.statistics.words import level_of
from batchframe.evaluation.views import chart, display, frames, labels
from batchframe.evaluation.views.overview import Overview, absent_note, overview
from batchframe.evaluation.views.written import (
    NOTHING,
    between,
    cut,
    difference,
    percent,
    probability,
    with_interval,
)

_MOST_LABELS = 25
"""A confusion matrix of more is not read by anybody."""
_MOST_ROWS = 20
_MOST_TEXT = 120

_STYLE = Path(__file__).with_name("report.css")


def to_html(findings: Findings) -> str:
    """The page."""
    seen = overview(findings)
    sections = [
        _head(findings, seen),
        _verdicts(findings, seen),
        _cells(seen),
        _charts(seen),
        _comparisons(findings),
        _judges(findings),
        _confusion(findings, seen),
        _differences(findings, seen),
        _prompts(findings),
        _methods(findings),
    ]
    title = escape(findings.standing.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE.read_text()}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _head(findings: Findings, seen: Overview) -> str:
    standing = findings.standing
    spec = standing.spec
    what = [
        f"{len(standing.frame):,} rows",
        f"{len({cell.prompt for cell in standing.cells}):,} prompts",
        f"{len({cell.model for cell in standing.cells}):,} models",
        *([f"{spec.samples} answers a row"] if spec.samples > 1 else []),
        f"gold: {spec.gold}" if spec.gold else "no gold",
        *([f"rows of one {spec.cluster} belong together"] if spec.cluster else []),
        "a row without an answer counts as wrong" if spec.failed == "wrong" else "rows without an answer are left out",
    ]
    judges = [f"{one.name} by {one.model}" for one in standing.measures if is_judge(one)]
    if judges:
        what.append(f"judged: {', '.join(judges)}")
    now = dt.datetime.now(dt.UTC)
    still = f"<p><b>{seen.pending:,} answers are still to come.</b></p>" if seen.pending else ""
    note = absent_note(findings)
    return (
        f"<h1>{escape(standing.title)}</h1><p class='soft'>{escape(' · '.join(what))}</p>"
        f"<p class='soft'>As of {now:%Y-%m-%d %H:%M} UTC</p>{still}" + (f"<p>{escape(note)}</p>" if note else "")
    )


def _verdicts(findings: Findings, seen: Overview) -> str:
    said = [line for line in seen.lines if line.versus]
    if not said:
        return ""
    baseline = seen.baseline
    of = f"{seen.measures[0].name} of the baseline, {baseline.cell}"
    value = (
        ""
        if not baseline.measured
        else with_interval(baseline.measured[0].value, seen.measures[0], baseline.measured[0].interval)
    )
    lines = "".join(
        f"<p class='say {escape(line.versus.verdict.split()[0])}'><b>{escape(str(line.cell))}</b> is "
        f"{escape(line.versus.words)}</p>"
        for line in said
        if line.versus
    )
    return f"<h2>Is it better?</h2><p>{escape(of)}: <b>{escape(value)}</b>. Beside it:</p>{lines}"


def _cells(seen: Overview) -> str:
    table = _table(display.head(seen), [display.row(line, seen) for line in seen.lines])
    note = "Costs are at the batch rate, as if nothing had been reused."
    return f"<h2>Cells</h2>{table}<p class='soft'>{note}</p>"


def _charts(seen: Overview) -> str:
    made = [chart.values(seen.lines, one, at) for at, one in enumerate(seen.measures)]
    shown = "".join(f"<h2>{escape(one.name)}</h2>{svg}" for one, svg in zip(seen.measures, made, strict=True) if svg)
    costs = chart.cost_against(seen.lines, seen.measures[0]) if seen.measures else ""
    return shown + (f"<h2>{escape(seen.measures[0].name)} against cost</h2>{costs}" if costs else "")


def _comparisons(findings: Findings) -> str:
    found = findings.versus(list(findings.standing.measures))
    if not found:
        return ""
    head = [
        "cell",
        "metric",
        "difference",
        f"{level_of(findings.standing.spec.level)} from",
        "p (Holm)",
        "pairs",
        "differ",
        "test",
    ]
    rows = [
        [
            str(one.cell),
            one.measure.name,
            difference(one.compared.difference, one.measure, one.compared.interval),
            between(one.compared.interval, one.measure) or NOTHING,
            probability(one.p_adjusted),
            f"{one.compared.n:,}",
            NOTHING if one.compared.discordant is None else f"{one.compared.discordant:,}",
            one.compared.test,
        ]
        for one in found
    ]
    return (
        f"<h2>Against the baseline, row by row</h2>{_table(head, rows)}"
        f"<p class='soft'>p values are adjusted for all {len(found)} comparisons of this table.</p>"
    )


def _judges(findings: Findings) -> str:
    if not findings.standing.verdicts:
        return ""
    made = frames.judges(findings)
    shares = {
        "agrees with gold": "agrees_with_gold",
        "prefers the first": "first_preferred",
        "consistent": "consistent",
    }
    shares = {name: column for name, column in shares.items() if made[column].notna().any()}
    head = ["judge", "cell", "asked", "answered", *shares]
    rows = [
        [
            f"{judge} ({row['model_of_judge']})",
            f"{prompt} · {model}",
            f"{row['asked']:,}",
            f"{row['answered']:,}",
            *(_share(row[column]) for column in shares.values()),
        ]
        for (judge, prompt, model), row in zip(made.index.tolist(), made.to_dict("records"), strict=True)
    ]
    return (
        f"<h2>Can the judges be believed?</h2>{_table(head, rows)}"
        "<p class='soft'>Agrees with gold: how likely a right answer is put above a wrong one; 50 % is chance. Prefers "
        "the first: of verdicts that are no tie; 50 % is no bias for a place. Consistent: pairs judged the same in "
        "both orders.</p>"
    )


def _confusion(findings: Findings, seen: Overview) -> str:
    standing = findings.standing
    best = seen.best
    if standing.spec.gold is None or best is None or not best.asked:
        return ""
    made = labels.confusion(standing, best.cell)
    if not 1 < len(made) <= _MOST_LABELS or made.shape[1] > 2 * _MOST_LABELS:
        return ""
    made = made.loc[:, (made != 0).any() | made.columns.isin(made.index)]
    head = "".join(f"<th>{escape(cut(str(name), 14))}</th>" for name in made.columns)
    rows = "".join(
        f"<tr><th>{escape(str(gold))}</th>"
        + "".join(_heat(int(count), int(row.sum()), right=name == gold) for name, count in row.items())
        + "</tr>"
        for gold, row in made.iterrows()
    )
    return (
        f"<h2>What was taken for what: {escape(str(best.cell))}</h2><div class='wide'><table class='heat'>"
        f"<thead><tr><th>gold ↓ answer →</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _heat(count: int, total: int, *, right: bool) -> str:
    colour = "var(--good)" if right else "var(--bad)"
    strength = round(70 * count / total) if total else 0
    return f"<td style='background:color-mix(in srgb,{colour} {strength}%,transparent)'>{count or ''}</td>"


def _differences(findings: Findings, seen: Overview) -> str:
    best, baseline = seen.best, seen.baseline
    if best is None or not best.asked or not baseline.asked:
        return ""
    made = frames.diff(findings.standing, baseline.cell, best.cell, sample=0)
    if not len(made):
        return ""
    gold = [] if findings.standing.spec.gold is None else [findings.standing.spec.gold]
    first = [label for label in made.columns if str(label) in (*gold, str(baseline.cell), str(best.cell))]
    shown = made[[*first, *(label for label in made.columns if label not in first)]].head(_MOST_ROWS)
    head = ["row", *map(str, shown.columns)]
    rows = [
        [str(index), *(NOTHING if _missing(value) else cut(str(value), _MOST_TEXT) for value in row)]
        for index, row in zip(shown.index.tolist(), shown.itertuples(index=False, name=None), strict=True)
    ]
    return (
        f"<h2>Where {escape(str(baseline.cell))} and {escape(str(best.cell))} differ</h2>"
        f"<div class='rows'>{_table(head, rows)}</div>"
        f"<p class='soft'>{len(shown):,} of {len(made):,} rows.</p>"
    )


def _prompts(findings: Findings) -> str:
    shown: dict[str, str] = {}
    for cell in findings.standing.spec.cells:
        spec = cell.spec
        asked = spec.function and f"made by the function {spec.function}"
        system = f"system: {spec.system}\n\n" if spec.system else ""
        text = spec.prompt if isinstance(spec.prompt, str) else "\n".join(str(message) for message in spec.prompt)
        shown.setdefault(cell.prompt, system + (asked or text))
    first = next((task for task in findings.standing.tasks if task), None)
    sent = "" if first is None else _details("as it was sent for the first row, to the baseline", _cut_long(first))
    return "<h2>Prompts</h2>" + sent + "".join(_details(name, text) for name, text in shown.items())


def _details(name: str, text: str) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


def _cut_long(text: str) -> str:
    return text if len(text) <= 4_000 else f"{text[:3_999]}…"


def _methods(findings: Findings) -> str:
    level = level_of(findings.standing.spec.level)
    words = (
        f"Intervals ({level}): of a share Wilson's (1927), by the design effect (Kish 1965) where answers depend on "
        "each other, as samples of a row or rows of a cluster do; of other means of such answers cluster-robust (Liang "
        "and Zeger 1986) with Student's t; else the BCa bootstrap (Efron 1987, "
        f"{N_RESAMPLES:,} resamples of rows). Comparisons are paired: both cells answered the same rows. "
        "Shares: Bonett and Price's interval (2012) and McNemar's exact test; other means: sign-flip permutation; "
        "other metrics: the answers of the two are swapped at random (Noreen 1989). p values are adjusted by Holm "
        "(1979). "
        "“Not told apart” means that these rows cannot show a difference, not that there is none."
    )
    return f"<h2>How this was computed</h2><p class='soft'>{words}</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<div class='wide'><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def _share(value: object) -> str:
    return NOTHING if _missing(value) else percent(float(str(value)))


def _missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
