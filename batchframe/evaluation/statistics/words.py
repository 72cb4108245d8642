"""Words: what a comparison says, in a sentence that claims no more than it may."""

from __future__ import annotations

import math
from typing import Literal

from batchframe.evaluation.statistics.comparing import Compared

POINTS = 0.03
"""The difference of shares that is taken to matter when the user has not said which does: three points."""

Verdict = Literal["better", "worse", "tied", "not told apart"]


def verdict(
    compared: Compared, p_adjusted: float, *, better: Literal["higher", "lower"], share: bool, by: float | None = None
) -> Verdict:
    """Whether the cell is better or worse than the baseline, as good, or nobody knows.

    "tied" is said only where the interval leaves no room for a difference that matters; a wide interval tells nothing.

    Args:
        p_adjusted: the p value, adjusted for all comparisons made: `holm`.
        better: whether more or less of the metric is better.
        share: whether the metric is a share of 1.
        by: the smallest difference that matters, in the metric's own unit (0.03 for 3 points); None for 3 points of a
            share and for nobody knows else.
    """
    # Not p < 1 - level: 1 - 0.95 is a little more than 0.05.
    if 1 - p_adjusted > compared.level and compared.difference:
        return "better" if (compared.difference > 0) == (better == "higher") else "worse"
    by = POINTS if by is None and share else by
    found = compared.interval
    if found is not None and found.low == found.high == 0:
        return "tied"  # the same in every pair
    if by is not None and found is not None and -by < found.low and found.high < by:
        return "tied"
    return "not told apart"


def sentence(
    compared: Compared, p_adjusted: float, *, better: Literal["higher", "lower"], share: bool, by: float | None = None
) -> str:
    """The comparison in a sentence, such as "better: +6.2 points, 95 % from +3.1 to +9.4 (p = 0.0004)".

    Shares are in percentage points, other metrics in their own unit. Where the two are not told apart it says how many
    rows would show a difference that matters, if that is more than there are: `by`, else 3 points of a share, else the
    difference seen. The arguments are `verdict`'s.
    """
    if math.isnan(compared.difference):
        return (
            "not told apart: there is nothing to compare" if not compared.n else "not told apart: no value to compare"
        )
    said = verdict(compared, p_adjusted, better=better, share=share, by=by)
    unit = " points" if share else ""
    scale = 100 if share else 1
    found = compared.interval
    width = abs(compared.difference) if found is None else found.high - found.low
    places = 1 if share else _places(width or abs(compared.difference))
    text = f"{said}: {_signed(compared.difference * scale, places)}{unit}"
    if found is None:
        text += ", how sure cannot be said"
    else:
        low, high = _signed(found.low * scale, places), _signed(found.high * scale, places)
        text += f", {level_of(found.level)} from {low} to {high}"
    if said in ("better", "worse"):
        return f"{text} ({_p(p_adjusted)})"
    if said == "tied":
        return text
    if found is not None and not found.low <= 0 <= found.high:
        text += f" ({_p(p_adjusted)}, adjusted for all comparisons)"
    shown = by if by is not None else POINTS if share else abs(compared.difference)
    rows = compared.needs.rows(shown, compared.level, compared.power)
    if rows is None or rows * compared.needs.per_row <= compared.n:
        return text
    shown_text = f"{_plain(shown * scale, 2)} {'point' if math.isclose(shown, 0.01) else 'points'}" if share else ""
    return f"{text}; about {_rounded(rows):,} rows would show {shown_text or _plain(shown, places)}"


def number(value: float, *, share: bool, signed: bool) -> str:
    """A figure in words: a difference of shares in points, as "+1.3 points", else in the metric's own unit."""
    scaled = value * 100 if share else value
    places = 1 if share else _places(abs(value))
    return (_signed(scaled, places) if signed else _plain(scaled, places)) + (" points" if share else "")


def level_of(level: float) -> str:
    """A confidence level, such as "95 %"."""
    return f"{100 * level:g} %"


def _signed(number: float, places: int) -> str:
    text = f"{number:+,.{places}f}"
    if not float(text.replace(",", "")):
        return text[1:]
    return text.replace("-", "\N{MINUS SIGN}")


def _plain(number: float, places: int) -> str:
    """Without zeros at the end."""
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _places(width: float) -> int:
    """As many decimals as show a width with two figures."""
    return max(0, 1 - math.floor(math.log10(width))) if width else 0


def _p(p: float) -> str:
    """A p value with two figures, at most four decimals."""
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {_plain(p, min(4, _places(p)))}"


def _rounded(rows: int) -> int:
    """Two figures, upwards: more would claim a knowledge that nobody has."""
    step = int(10 ** max(0, len(str(rows)) - 2))
    return -(-rows // step) * step
