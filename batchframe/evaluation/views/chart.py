"""Charts of a report, as SVG: they need no library, no script and no network, and follow the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from batchframe.evaluation.measures import Measure
from batchframe.evaluation.views.overview import Line
from batchframe.evaluation.views.written import figure, money, with_interval

_WIDTH = 760
_LEFT = 230
_RIGHT = 40
_ROW = 34
_TICKS = 5


def values(lines: Sequence[Line], one: Measure, at: int) -> str:
    """Every cell's value with its interval, and the baseline's as a line; empty when there are no values.

    Args:
        at: the place of the measure among those of the lines.
    """
    shown = [line for line in lines if line.measured and not math.isnan(line.measured[at].value)]
    if not shown:
        return ""
    ends = [end for line in shown for end in _ends(line, at)]
    scale = _Scale(min(ends), max(ends), _LEFT, _WIDTH - _RIGHT)
    height = _ROW * len(shown) + 50
    parts = [_axis(scale, height, one)]
    for line in shown:
        if line.baseline:
            x = scale(line.measured[at].value)
            parts.append(f'<line class="base" x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="{height - 34}"/>')
    for row, line in enumerate(shown):
        y = 26 + _ROW * row
        found = line.measured[at]
        low, high = (scale(end) for end in _ends(line, at))
        said = with_interval(found.value, one, found.interval)
        parts.append(
            f"<g><title>{escape(str(line.cell))}: {escape(said)}</title>"
            f'<text x="{_LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(_short(str(line.cell)))}</text>'
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot" cx="{scale(found.value):.1f}" cy="{y}" r="5"/></g>'
        )
    return _svg(height, f"{one.name} of each cell with its interval", parts)


def cost_against(lines: Sequence[Line], one: Measure) -> str:
    """Cost of 1,000 answers against the value of the first measure; empty when a price or all values are missing."""
    shown = [
        line
        for line in lines
        if line.measured and not math.isnan(line.measured[0].value) and line.per_1000 is not None and line.per_1000 > 0
    ]
    if len(shown) < 2:
        return ""
    costs = [math.log10(line.per_1000) for line in shown if line.per_1000]
    across = _Scale(min(costs), max(costs), 90, _WIDTH - 150)
    ends = [end for line in shown for end in _ends(line, 0)]
    height = 330
    up = _Scale(min(ends), max(ends), height - 60, 20)
    parts = [
        f'<text class="soft" x="{_WIDTH / 2}" y="{height - 8}" text-anchor="middle">US dollars for 1,000 answers</text>'
    ]
    for tick in up.ticks():
        y = up(tick)
        parts.append(
            f'<line class="grid" x1="80" x2="{_WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="soft" x="72" y="{y + 4:.1f}" text-anchor="end">{escape(figure(tick, one))}</text>'
        )
    for cost in _round_costs(min(costs), max(costs)):
        x = across(math.log10(cost))
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="14" y2="{height - 50}"/>'
            f'<text class="soft" x="{x:.1f}" y="{height - 32}" text-anchor="middle">${cost:g}</text>'
        )
    below: list[float] = []
    for line, cost in zip(shown, costs, strict=True):
        x, y = across(cost), up(line.measured[0].value)
        low, high = (up(end) for end in _ends(line, 0))
        while any(abs(y - other) < 15 for other in below):
            y += 15
        below.append(y)
        value = with_interval(line.measured[0].value, one, line.measured[0].interval)
        said = f"{line.cell}: {value}, {money(line.per_1000)}"
        parts.append(
            f"<g><title>{escape(said)}</title>"
            f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
            f'<circle class="dot" cx="{x:.1f}" cy="{up(line.measured[0].value):.1f}" r="5"/>'
            f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{escape(_short(str(line.cell)))}</text>'
            "</g>"
        )
    return _svg(height, f"{one.name} against the cost of 1,000 answers", parts)


def _round_costs(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two logarithms of cost, and a little beyond."""
    powers = range(math.floor(low) - 1, math.ceil(high) + 1)
    return [
        cost
        for power in powers
        for cost in (10**power, 2 * 10**power, 5 * 10**power)
        if low - 0.05 <= math.log10(cost) <= high + 0.05
    ]


class _Scale:
    """From values to places, with some room at both ends."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        self._low, self._high = low - room, high + room
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Some round values within."""
        span = self._high - self._low
        size = 10 ** math.floor(math.log10(span / _TICKS))
        step = next(times * size for times in (1, 2, 5, 10) if span / (times * size) <= _TICKS + 1)
        first = math.ceil(self._low / step)
        return [step * at for at in range(first, math.floor(self._high / step) + 1)]


def _axis(scale: _Scale, height: float, one: Measure) -> str:
    return "".join(
        f'<line class="grid" x1="{scale(tick):.1f}" x2="{scale(tick):.1f}" y1="10" y2="{height - 34}"/>'
        f'<text class="soft" x="{scale(tick):.1f}" y="{height - 14}" text-anchor="middle">'
        f"{escape(figure(tick, one))}</text>"
        for tick in scale.ticks()
    )


def _ends(line: Line, at: int) -> tuple[float, float]:
    found = line.measured[at]
    if found.interval is None or math.isnan(found.interval.low):
        return found.value, found.value
    return found.interval.low, found.interval.high


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _short(text: str) -> str:
    return text if len(text) <= 32 else f"{text[:31]}…"
