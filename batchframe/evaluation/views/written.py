"""Written: figures of an evaluation as people read them."""

from __future__ import annotations

import math
from decimal import Decimal

from batchframe.core.budget import dollars
from batchframe.evaluation.measures import Measure
from batchframe.evaluation.statistics.intervals import Interval

NOTHING = "\N{EN DASH}"
"""What stands where there is no figure."""


def figure(value: float, one: Measure, interval: Interval | None = None) -> str:
    """A value of a metric: a share in percent, anything else with two figures of what its interval leaves open.

    Without an interval it has three figures.
    """
    if math.isnan(value):
        return NOTHING
    return _of(value, one, _places(value, one, interval))


def between(interval: Interval | None, one: Measure) -> str:
    """An interval, such as "69.6 to 72.9"; empty when there is none."""
    if interval is None or math.isnan(interval.low) or math.isnan(interval.high):
        return ""
    places = _places(interval.low, one, interval)
    low, high = (_number(end * _scale(one), places) for end in (interval.low, interval.high))
    return f"{low} to {high}"


def with_interval(value: float, one: Measure, interval: Interval | None) -> str:
    """Both, such as "71.3 % (69.6 to 72.9)"."""
    inside = between(interval, one)
    return figure(value, one, interval) + (f" ({inside})" if inside else "")


def difference(value: float, one: Measure, interval: Interval | None) -> str:
    """A difference with its sign, of shares in points: "+6.2 points"."""
    if math.isnan(value):
        return NOTHING
    text = _number(value * _scale(one), _places(value, one, interval))
    sign = "+" if value > 0 and any(digit in text for digit in "123456789") else ""
    return sign + text + (" points" if one.share else "")


def probability(p: float) -> str:
    """A p value with two figures, and at most four decimals."""
    if math.isnan(p):
        return NOTHING
    return "< 0.0001" if p < 0.0001 else f"{p:.{min(4, max(2, 1 - math.floor(math.log10(p))))}f}"


def percent(share: float) -> str:
    """A share that is no metric."""
    return NOTHING if math.isnan(share) else f"{share:.0%}".replace("%", " %")


def money(amount: float | Decimal | None) -> str:
    """US dollars."""
    return NOTHING if amount is None or math.isnan(amount) else dollars(Decimal(str(amount)))


def cut(text: str, most: int) -> str:
    """A text in one line, cut short."""
    words = " ".join(text.split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _scale(one: Measure) -> int:
    return 100 if one.share else 1


def _of(value: float, one: Measure, places: int) -> str:
    if not one.share:
        return _number(value, places)
    text = f"{value * 100:.{places}f}"
    while 0 < value < 1 and float(text) in (0, 100) and places < 6:
        # All and none are said only of all and none.
        places += 1
        text = f"{value * 100:.{places}f}"
    return f"{text} %"


def _places(value: float, one: Measure, interval: Interval | None) -> int:
    if one.share:
        return 1
    width = 0.0 if interval is None else interval.high - interval.low
    if width > 0:
        return max(0, 1 - math.floor(math.log10(width)))
    return max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0


def _number(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    if text.startswith("-") and not any(digit in text for digit in "123456789"):
        text = text[1:]
    return text.replace("-", "\N{MINUS SIGN}")
