"""The best cell: by quality alone, or the cheapest of those that are as good as can be told."""

from __future__ import annotations

from typing import Literal

from batchframe.errors import InputError
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.measures import Measure

Rule = Literal["cheapest within interval", "best"]


def choose(findings: Findings, one: Measure, rule: Rule) -> tuple[Cell, str]:
    """The best cell, and why.

    "best" is the one with the best value of the metric. "cheapest within interval" is, of those whose value lies within
    that one's interval, the one whose answers cost least: paying more buys nothing that these rows can show.

    Raises:
        InputError: an unknown rule, nothing to go by yet, or a price that is not known.
    """
    if rule not in ("cheapest within interval", "best"):
        raise InputError(f"rule={rule!r}: choose 'cheapest within interval' or 'best'.")
    sign = 1 if one.better == "higher" else -1
    found = {cell: findings.measured(cell, one) for cell in findings.cells}
    found = {cell: measured for cell, measured in found.items() if measured.value == measured.value and measured.n}
    if not found:
        raise InputError(f"No cell has a value of {one.name!r} yet: wait for the answers, ev.wait().")
    top = max(found, key=lambda cell: sign * found[cell].value)
    shown = f"{one.name} {_shown(found[top].value, one)}"
    if rule == "best":
        return top, f"the best {shown}"
    interval = found[top].interval
    near = [
        cell
        for cell, measured in found.items()
        if cell == top or (interval is not None and interval.low <= measured.value <= interval.high)
    ]
    costs = {cell: findings.cost_of_an_answer(cell) for cell in near}
    known = {cell: cost for cell, cost in costs.items() if cost is not None}
    if len(known) < len(near):
        without = next(cell for cell in near if cell not in known)
        raise InputError(f"What {without} costs is not known: pass price= to df.llm.compare, or rule='best'.")
    cheapest = min(near, key=lambda cell: (known[cell], -sign * found[cell].value))
    if cheapest == top:
        return top, f"the best {shown}, and nothing as good is cheaper"
    own = f"{one.name} {_shown(found[cheapest].value, one)}"
    return (
        cheapest,
        f"{own}, within the interval of the best ({top}, {_shown(found[top].value, one)}), at the least cost",
    )


def _shown(value: float, one: Measure) -> str:
    return f"{value:.1%}" if one.share else f"{value:.3g}"
