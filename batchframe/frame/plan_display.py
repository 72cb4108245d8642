"""A plan as it is shown: figures first, then what to look at, then the prompts, cut short."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from batchframe.core.budget import dollars

if TYPE_CHECKING:
    from batchframe.frame.plan import Plan

_TEXT_CHARACTERS = 200
_HTML_CHARACTERS = 2_000


def as_text(plan: Plan) -> str:
    """Aligned lines: what, how many, and a note."""
    figures = _figures(plan)
    wide = max(len(value) for _, value, _ in figures)
    lines = [f"  {name:<20}{value:>{wide}}  {note}".rstrip() for name, value, note in figures]
    lines += [f"  ! {warning}" for warning in plan.warnings]
    for example, name in zip(plan.examples, _names(plan), strict=True):
        lines.append(f"  {name}: {_cut(' '.join(example.split()), _TEXT_CHARACTERS)}")
    return "\n".join([_title(plan), *lines])


def as_html(plan: Plan) -> str:
    """The same as a small table; the prompts unfold."""
    left, right = "text-align:left", "text-align:right"
    rows = "".join(
        f"<tr><th style='{left}'>{html.escape(name)}</th><td style='{right}'>{html.escape(value)}</td>"
        f"<td style='{left}'>{html.escape(note)}</td></tr>"
        for name, value, note in _figures(plan)
    )
    warnings = "".join(f"<li>{html.escape(warning)}</li>" for warning in plan.warnings)
    examples = "".join(
        f"<details><summary>{html.escape(name)}</summary><pre style='white-space:pre-wrap;{left}'>"
        f"{html.escape(_cut(example, _HTML_CHARACTERS))}</pre></details>"
        for example, name in zip(plan.examples, _names(plan), strict=True)
    )
    return f"<b>{html.escape(_title(plan))}</b><table>{rows}</table>{f'<ul>{warnings}</ul>' * bool(warnings)}{examples}"


def _title(plan: Plan) -> str:
    if plan.sampled:
        return f"Sample for {plan.model}: nothing is sent before run() asks it in real time."
    return f"Plan for {plan.model}: nothing is sent before df.llm.batch(plan)."


def _figures(plan: Plan) -> list[tuple[str, str, str]]:
    """Name, value and note of each line; those of no interest are left out."""
    skipped = ", ".join(f"{n:,} without {column!r}" for column, n in plan.skipped.items())
    lines = [("rows", f"{plan.rows:,}", "")]
    if skipped:
        lines.append(("skipped", f"{sum(plan.skipped.values()):,}", skipped))
    lines.append(("distinct requests", f"{plan.distinct:,}", ""))
    if plan.answered:
        lines.append(("answered already", f"{plan.answered:,}", "reused at no cost"))
    if plan.under_way:
        lines.append(("under way", f"{plan.under_way:,}", "waited for at no cost"))
    batches = "" if plan.sampled or not plan.to_send else f"in {plan.n_batches:,} batch{'es' * (plan.n_batches != 1)}"
    lines.append(("to send", f"{plan.to_send:,}", batches))
    if not plan.to_send:
        return lines
    lines.append(("input tokens", f"{plan.input_tokens:,}", plan.tokens_note))
    batch, realtime = plan.price_batch_usd, plan.price_realtime_usd
    if batch is None or realtime is None:
        return [*lines, ("price", "unknown", plan.price_note)]
    prices = [("price in batches", batch), ("price in real time", realtime)]
    if plan.sampled:
        prices = prices[1:]
    (first, amount), *rest = prices
    lines.append((first, dollars(amount), f"{plan.price_is}; {plan.price_note}"))
    return lines + [(name, dollars(amount), plan.price_is) for name, amount in rest]


def _names(plan: Plan) -> list[str]:
    n = len(plan.examples)
    return ["prompt"] * (n - 1) + ["longest prompt" if n > 1 else "prompt"] * min(n, 1)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}… ({len(text):,} characters)"
