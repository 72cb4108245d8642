"""Plots of an evaluation with matplotlib, which is an extra."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING

from batchframe.errors import ConfigurationError, InputError
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.views.overview import Line, overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot(findings: Findings, metric: str | None = None) -> Figure:
    """Values with their intervals, and beside them cost against quality. A notebook shows it by itself.

    Raises:
        ConfigurationError: matplotlib is not installed.
        InputError: there are no values yet.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigurationError("ev.plot() needs matplotlib: pip install 'batchframe[plot]'.") from None

    class Plot(Figure):  # type: ignore[misc, unused-ignore]
        """A figure without pyplot, whose state is the user's, that IPython can show all the same."""

        def _repr_png_(self) -> bytes:
            written = BytesIO()
            self.savefig(written, format="png", dpi=110)
            return written.getvalue()

    one = findings.measure_of(metric)
    seen = overview(findings, [one])
    lines = [line for line in seen.lines if line.measured and not math.isnan(line.measured[0].value)]
    if not lines:
        raise InputError(f"No cell has a value of {one.name!r} yet: wait for the answers, ev.wait().")
    figure = Plot(figsize=(11, 1.8 + 0.45 * len(lines)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _values(left, lines, one.name)
    _costs(right, lines, one.name)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    if one.share:
        from matplotlib.ticker import PercentFormatter

        left.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        right.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    return figure


def _values(axes: Axes, lines: list[Line], name: str) -> None:
    for at, line in enumerate(lines):
        value = line.measured[0].value
        axes.errorbar(value, at, xerr=_error(line), fmt="o", color="C0", capsize=4)
        if line.baseline:
            axes.axvline(value, linestyle="--", color="grey", linewidth=1)
    names = [f"{line.cell}{' (baseline)' * line.baseline}" for line in lines]
    axes.set_yticks(range(len(lines)), names, parse_math=False)  # a label may hold dollars
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel(name, parse_math=False)


def _costs(axes: Axes, lines: list[Line], name: str) -> None:
    known = [line for line in lines if line.per_1000]
    if not known:
        axes.text(0.5, 0.5, "no price is known", ha="center", va="center", transform=axes.transAxes)
        return
    known.sort(key=lambda line: line.per_1000 or 0.0)
    costs = [line.per_1000 or 0.0 for line in known]
    # Labels of the dearest third stand at the left, where there is room.
    dear = (min(costs) * max(costs) ** 2) ** (1 / 3)
    for at, (line, cost) in enumerate(zip(known, costs, strict=True)):
        axes.errorbar(cost, line.measured[0].value, yerr=_error(line), fmt="o", color="C0", capsize=4)
        side = -1 if cost > dear else 1
        axes.annotate(
            str(line.cell),
            (cost, line.measured[0].value),
            # One above, one below, so that neighbours at the same height can be told apart.
            xytext=(6 * side, 5 if at % 2 else -13),
            textcoords="offset points",
            parse_math=False,
            ha="right" if side < 0 else "left",
            fontsize=8,
        )
    if max(costs) > 5 * min(costs):
        from matplotlib.ticker import LogLocator, NullFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter("${x:g}")
    axes.margins(x=0.2)
    axes.set_xlabel("US dollars for 1,000 answers")
    axes.set_ylabel(name, parse_math=False)


def _error(line: Line) -> list[list[float]] | None:
    found = line.measured[0]
    if found.interval is None or math.isnan(found.interval.low):
        return None
    return [[max(0.0, found.value - found.interval.low)], [max(0.0, found.interval.high - found.value)]]
