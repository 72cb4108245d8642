"""Templates: text with `{column}` holes, checked against the columns before a single row is rendered.

The only syntax is `{column}`, `{{` and `}}`. There is no attribute, index or format access, and a value put into a
hole is never scanned again, so a row's text cannot reach anything but its own place.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from batchframe.errors import TemplateError


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template.

    Attributes:
        literals: the text around the holes, one more than there are holes.
        columns: the column of each hole, in order; a column may come twice.
    """

    literals: tuple[str, ...]
    columns: tuple[str, ...]

    def render(self, texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Yield one text a row; `texts` holds equally long columns of ready texts."""
        pattern = "%s".join(literal.replace("%", "%%") for literal in self.literals)
        return (pattern % row for row in zip(*(texts[column] for column in self.columns), strict=True))


def parse(text: str, columns: Sequence[str]) -> Template:
    """Parse a template and check it against the columns.

    Raises:
        TemplateError: a hole that names no column (the nearest name is offered) or a stray brace.
    """
    literals, holes = [""], []
    at = 0
    while at < len(text):
        char = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            literals[-1] += char
            at += 2
        elif char == "{":
            end = text.find("}", at)
            name = text[at + 1 : end] if end >= 0 else None
            if name is None or "{" in name:
                raise TemplateError(_stray(text, at))
            if name not in columns:
                raise TemplateError(
                    unknown_column(name, columns, "{{{}}}".format, "For literal braces write {{ and }}.")
                )
            holes.append(name)
            literals.append("")
            at = end + 1
        elif char == "}":
            raise TemplateError(_stray(text, at))
        else:
            end = min((found for brace in "{}" if (found := text.find(brace, at)) >= 0), default=len(text))
            literals[-1] += text[at:end]
            at = end
    return Template(tuple(literals), tuple(holes))


def unknown_column(name: str, columns: Sequence[str], written: Callable[[str], str], advice: str) -> str:
    """The message for a name that is no column.

    Args:
        written: a column as the template would have it.
    """
    near = difflib.get_close_matches(name, columns, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean {written(near[0])}?"
    else:
        known = ", ".join(columns[:10]) + (", …" if len(columns) > 10 else "")
        hint = f"The columns are: {known or 'none'}."
    return f"The template names {written(name)}, which is no column. {hint} {advice}"


def _stray(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    around = text[max(0, at - 15) : at + 15].replace("\n", "⏎")
    return (
        f"Stray {text[at]!r} in the template, line {line}, near {around!r}. "
        "A hole is {column}; for a literal brace write {{ or }}."
    )
