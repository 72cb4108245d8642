"""A summary in words and as HTML. Nothing is read here and nothing is kept: the same summary is the same view.

The HTML stands alone: styles are inline, and colours are those of the page around it, by JupyterLab's variables with
fallbacks that can be read on light and on dark. Where a viewer drops the styles, what remains is plain text in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from html import escape

from batchframe.core.budget import dollars
from batchframe.frame.summary import Summary

_SHOWN_ERRORS = {"text": 3, "html": 5}
_EXAMPLE = 200
"""Characters of an error's example; `job.errors()` has all of it."""

_MUTED = "opacity:.65"
_RULE = "var(--jp-border-color2,rgba(128,128,128,.35))"
_GREY = "rgba(128,128,128,.25)"
_BLUE = "var(--jp-brand-color1,#2b7de9)"
_COLOURS = {
    "answered": "var(--jp-success-color1,#3c9a4b)",
    "failed": "var(--jp-error-color1,#d64545)",
    "cancelled": "rgba(128,128,128,.75)",
    "answered, not fetched yet": _BLUE,
    "at the provider": f"repeating-linear-gradient(135deg,{_BLUE} 0 4px,rgba(128,128,128,.35) 4px 8px)",
    "waiting": _GREY,
}
_STATUS = {
    "running": _BLUE,
    "paused": "var(--jp-warn-color1,#c77700)",
    "cancelling": "var(--jp-warn-color1,#c77700)",
    "done": _COLOURS["answered"],
    "failed": _COLOURS["failed"],
    "cancelled": "currentColor",
}


def as_text(summary: Summary) -> str:
    """The job in a few lines."""
    lines = [
        f"{summary.title} ({summary.model}, {summary.endpoint} at {summary.provider})",
        str(summary.progress),
        _time(summary),
    ]
    shown = summary.errors[: _SHOWN_ERRORS["text"]]
    width = max((len(f"{one.count:,}") for one in shown), default=0)
    lines += [f"  {one.count:>{width},} {one.code}: {_short(one.example)}" for one in shown]
    if more := len(summary.errors) - len(shown):
        lines.append(f"  {_more(more)}")
    return "\n".join(lines)


def as_html(summary: Summary, *, live: bool = False, mark: str = "") -> str:
    """The job as a card.

    Args:
        live: whether it is kept up to date, so that it need not say of when it is.
        mark: a class by which a stylesheet finds it.
    """
    blocks = [_head(summary), _bar(summary), _legend(summary), _tiles(summary)]
    if trouble := summary.progress.trouble:
        blocks.append(as_trouble(trouble, _STATUS["failed" if summary.progress.status == "failed" else "paused"]))
    if summary.errors:
        blocks.append(_errors(summary))
    if not (live or summary.closed):
        moment = summary.at.astimezone(UTC)
        blocks.append(_block(f"As of {moment:%Y-%m-%d %H:%M:%S} UTC", f"margin-top:8px;font-size:85%;{_MUTED}"))
    card = (
        f"max-width:720px;box-sizing:border-box;padding:12px 16px;border:1px solid {_RULE};border-radius:6px;"
        "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.5;"
        "color:var(--jp-ui-font-color1,inherit);text-align:left;overflow-wrap:anywhere"
    )
    # Two amounts in dollars would be typeset as a formula between them; pandas asks for the same by these two names.
    classes = f"batchframe-job tex2jax_ignore mathjax_ignore {escape(mark)}".rstrip()
    return f'<div class="{classes}" style="{card}">{"".join(blocks)}</div>'


def as_trouble(words: str, colour: str = _STATUS["paused"]) -> str:
    """What keeps a job from going on, or a view from moving."""
    return _block(escape(words), f"margin-top:8px;padding:2px 0 2px 10px;border-left:3px solid {colour}")


def duration(seconds: float) -> str:
    """Seconds as people say them: one unit, two where the second still matters."""
    whole = round(seconds)
    for unit, size, part, of in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            number, left = divmod(whole, size)
            rest = left // of
            return f"{number:,} {unit}" + (f" {rest} {part}" if rest and number < 10 else "")
    return f"{whole} s"


def _head(summary: Summary) -> str:
    status = summary.progress.status
    colour = _STATUS[status]
    pill = (
        f"display:inline-block;padding:0 8px;border:1px solid {colour};border-radius:10px;color:{colour};"
        "font-size:85%;font-weight:600;margin-left:8px"
    )
    where = f"{summary.model} · {summary.endpoint} · {summary.provider}"
    return (
        f'<div><b style="font-size:115%">{escape(summary.title)}</b> <span style="{pill}">{status}</span></div>'
        + _block(escape(where), _MUTED)
    )


def _bar(summary: Summary) -> str:
    shown = {part: count for part, count in summary.parts.items() if count}
    pieces = "".join(
        f'<div title="{count:,} {part}" style="flex:{count} 0 2px;background:{_COLOURS[part]}"></div>'
        for part, count in shown.items()
    )
    style = f"display:flex;height:10px;margin:10px 0 6px;border-radius:5px;overflow:hidden;background:{_GREY}"
    return f'<div role="img" aria-label="{summary.share:.0%} done" style="{style}">{pieces}</div>'


def _legend(summary: Summary) -> str:
    dot = "display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:5px;background:"
    entries = [
        f'<span style="display:inline-block;margin-right:14px"><span style="{dot}{_COLOURS[part]}"></span>'
        f"<b>{count:,}</b> {part}</span> "
        for part, count in summary.parts.items()
        if count or part == "answered"
    ]
    return _block("".join(entries), "")


def _tiles(summary: Summary) -> str:
    now, usage = summary.progress, summary.progress.usage
    rows = [f"{now.requests:,} requests for {now.rows:,} rows"]
    rows += [f"{count:,} {what}" for what, count in (("skipped", now.skipped), ("reused", now.reused)) if count]
    tiles = [
        ("answered", _percent(now.ok / now.requests if now.requests else 1.0), ", ".join(rows))
        if summary.closed
        else ("progress", _percent(summary.share), ", ".join(rows))
    ]
    if not summary.closed and summary.pace is not None:
        tiles.append(("pace", f"{_number(summary.pace)}/s", "requests, over the last minute"))
    tiles.append(("time", duration(summary.elapsed), _to_come(summary) if not summary.closed else ""))
    if usage.cost_usd is None:
        tokens = f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
        tiles.append(("cost", "not known", f"no price for this model; {tokens}"))
    else:
        tiles.append(("cost", dollars(usage.cost_usd), ", ".join(usage.outlook)))
    cells = "".join(
        f'<div style="flex:1 1 120px;margin-right:12px"><div style="font-size:85%;{_MUTED}">{name}</div>'
        f'<div style="font-size:135%;font-weight:600;font-variant-numeric:tabular-nums">{escape(value)}</div>'
        f'<div style="font-size:85%;{_MUTED}">{escape(note)}</div></div>'
        for name, value, note in tiles
    )
    return f'<div style="display:flex;flex-wrap:wrap;margin-top:10px">{cells}</div>'


def _errors(summary: Summary) -> str:
    shown = summary.errors[: _SHOWN_ERRORS["html"]]
    lines = [
        _block(
            f'<b>{one.count:,} {escape(one.code)}</b> <span style="{_MUTED}">{escape(_short(one.example))}</span>',
            "margin-top:2px",
        )
        for one in shown
    ]
    if more := len(summary.errors) - len(shown):
        lines.append(_block(escape(_more(more)), _MUTED))
    return _block("".join(lines), f"margin-top:10px;padding-top:6px;border-top:1px solid {_RULE}")


def _block(content: str, style: str) -> str:
    return f'<div style="{style}">{content}</div>' if style else f"<div>{content}</div>"


def _time(summary: Summary) -> str:
    if summary.closed:
        return f"took {duration(summary.elapsed)}"
    pace = [] if summary.pace is None else [f"{_number(summary.pace)} requests/s over the last minute"]
    return ", ".join([f"{duration(summary.elapsed)} so far", *pace, *_some(_to_come(summary))])


def _to_come(summary: Summary) -> str:
    if (span := summary.to_come) is None:
        return ""
    shortest, longest = (duration(_rough(seconds)) for seconds in span)
    if shortest == longest:
        return f"about {longest} more at this pace"
    return f"about {shortest} to {longest} more at this pace"


def _rough(seconds: float) -> float:
    """Rounded up to what an estimate can claim to know."""
    step = 10 if seconds < 60 else 60 if seconds < 3_600 else 1_800
    return -(-seconds // step) * step


def _percent(share: float) -> str:
    # 100 % only when it is: of a million requests the last few take the longest.
    return f"{share:.0%}" if share == 1 else f"{min(share, 0.99):.0%}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _short(example: str) -> str:
    words = " ".join(example.split())
    return words if len(words) <= _EXAMPLE else f"{words[: _EXAMPLE - 1]}…"


def _more(kinds: int) -> str:
    return f"and {kinds:,} more kind{'s' if kinds > 1 else ''} of error: job.errors()"


def _some(words: str) -> Iterable[str]:
    return [words] if words else []
