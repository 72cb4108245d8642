"""An evaluation as its repr: a table of cells, and what sets each apart from the baseline. In text and in HTML.

The HTML stands alone: styles are inline, and colours are those of the page around it.
"""

from __future__ import annotations

from html import escape

from batchframe.evaluation.findings import Findings
from batchframe.evaluation.views.overview import Line, Overview, absent_note, overview
from batchframe.evaluation.views.written import NOTHING, money, with_interval
from batchframe.frame.table import columns

_MUTED = "opacity:.65"
_RULE = "var(--jp-border-color2,rgba(128,128,128,.35))"
_VERDICTS = {
    "better": "var(--jp-success-color1,#3c9a4b)",
    "worse": "var(--jp-error-color1,#d64545)",
    "tied": "currentColor",
    "not told apart": "var(--jp-warn-color1,#c77700)",
}


def as_text(findings: Findings, status: str) -> str:
    """The evaluation in some lines.

    Args:
        status: where its jobs stand, in words.
    """
    seen = overview(findings)
    table = columns([head(seen), *(row(line, seen) for line in seen.lines)])
    said = [f"{line.cell}: {line.versus.words}" for line in seen.lines if line.versus]
    note = absent_note(findings)
    lines = [f"  {line}" for line in [*table.splitlines(), *said]]
    return "\n".join([findings.standing.title, status, *lines, *([note] if note else [])])


def as_html(findings: Findings, status: str) -> str:
    """The same as a card."""
    seen = overview(findings)
    cell = (
        f"padding:3px 12px 3px 0;text-align:left;border-bottom:1px solid {_RULE};vertical-align:top;white-space:nowrap"
    )
    names = "".join(f'<th style="{cell};font-weight:600">{escape(name)}</th>' for name in head(seen))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{cell};font-variant-numeric:tabular-nums">{escape(text)}</td>' for text in row(line, seen)
        )
        + "</tr>"
        for line in seen.lines
    )
    said = "".join(f"<div>{_said(line)}</div>" for line in seen.lines if line.versus)
    card = (
        f"max-width:1240px;box-sizing:border-box;padding:12px 16px;border:1px solid {_RULE};border-radius:6px;"
        "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.5;overflow-x:auto;"
        "color:var(--jp-ui-font-color1,inherit);text-align:left"
    )
    note = absent_note(findings)
    # Two amounts in dollars would be typeset as a formula between them.
    return (
        f'<div class="tex2jax_ignore mathjax_ignore" style="{card}">'
        f'<b style="font-size:115%">{escape(findings.standing.title)}</b>'
        f'<div style="{_MUTED};white-space:pre-line">{escape(status)}</div>'
        f'<table style="border-collapse:collapse;margin-top:8px;font-size:13px"><thead><tr>{names}</tr></thead>'
        f'<tbody>{body}</tbody></table><div style="margin-top:8px">{said}</div>'
        + (f'<div style="margin-top:8px">{escape(note)}</div>' if note else "")
        + "</div>"
    )


def head(seen: Overview) -> list[str]:
    """The names of the columns."""
    return ["prompt", "model", *(one.name for one in seen.measures), "n", "failed", "cost", "per 1,000"]


def row(line: Line, seen: Overview) -> list[str]:
    """A cell, in words."""
    values = (
        [
            with_interval(found.value, one, found.interval)
            for found, one in zip(line.measured, seen.measures, strict=True)
        ]
        if line.measured
        else [NOTHING] * len(seen.measures)
    )
    prompt = f"{line.cell.prompt} (baseline)" if line.baseline else line.cell.prompt
    n = f"{line.n:,}" + (f" ({line.pending:,} to come)" if line.pending else "")
    return [prompt, line.cell.model, *values, n, f"{line.failed:,}", money(line.cost_usd), money(line.per_1000)]


def _said(line: Line) -> str:
    assert line.versus is not None
    verdict, _, rest = line.versus.words.partition(":")
    which = f'{escape(str(line.cell))}: <b style="color:{_VERDICTS[line.versus.verdict]}">{escape(verdict)}</b>'
    return f"{which}:{escape(rest)}"
