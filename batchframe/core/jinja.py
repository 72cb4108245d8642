"""Jinja2 templates: sandboxed, strict, and checked against the columns before a single row is rendered.

A template sees its row's values as plain Python values, under the columns' names; a column whose name is no identifier
is `row["its name"]`. It cannot load other templates, and nothing in it is random, so that the same row is always the
same request. `JinjaTemplate` is what a user passes; `bind` makes of it what renders rows.
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from batchframe.core.template import unknown_column
from batchframe.errors import TemplateError

MOST_CHARACTERS = 10_000_000
"""The longest text a template may write: far above any model's context, far below what hurts a notebook."""


class JinjaRowError(TemplateError):
    """A row a template cannot be rendered for; which one, is said by whoever knows the rows' labels."""


@dataclass(frozen=True, slots=True)
class JinjaTemplate:
    """The source of a Jinja2 template, free of syntax errors.

    Raises:
        TemplateError: a syntax error, whose line is named, or something a prompt may not do.
    """

    source: str

    def __post_init__(self) -> None:
        _parse(self.source)

    def bind(self, columns: Sequence[str]) -> BoundJinja:
        """The template, checked against the columns.

        Raises:
            TemplateError: it names something that is no column; the nearest is offered.
        """
        named, through_row = _parse(self.source)
        for name in [*named, *through_row]:
            if name not in columns and (name in through_row or name not in _ENVIRONMENT.globals):
                raise TemplateError(
                    unknown_column(
                        name, columns, _reference, "A column whose name is no identifier is row['its name']."
                    )
                )
        used = [name for name in dict.fromkeys([*named, *through_row]) if name in columns]
        return BoundJinja(self.source, tuple(used))


@dataclass(frozen=True, slots=True)
class BoundJinja:
    """A template and the columns it uses, each once, in order."""

    source: str
    columns: tuple[str, ...]

    def render(self, values: Mapping[str, Sequence[Any]], n_rows: int) -> Iterator[str]:
        """Yield one text a row.

        Args:
            values: of each used column its `n_rows` plain values, None where one is missing.

        Raises:
            JinjaRowError: a row it cannot be rendered for: the first whose text is not yielded.
        """
        template = _compile(self.source)
        for row in zip(*(values[column] for column in self.columns), strict=True) if self.columns else [()] * n_rows:
            given = dict(zip(self.columns, row, strict=True))
            yield _write(template, {**given, "row": given})


def _reference(column: str) -> str:
    return f"{{{{ {column} }}}}" if column.isidentifier() else f"row[{column!r}]"


def _write(template: jinja2.Template, variables: dict[str, Any]) -> str:
    pieces, size = [], 0
    try:
        for piece in template.root_render_func(template.new_context(variables)):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_CHARACTERS:
                raise SecurityError(f"it writes more than {MOST_CHARACTERS:,} characters")
    except Exception as error:  # a filter or a value's own method may raise anything
        raise JinjaRowError(f"the Jinja template cannot be rendered: {error}") from error
    return "".join(pieces)


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox without what is random or loads files, and with a limit on what one multiplication can make."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, autoescape=False, finalize=_written)
        self.globals = {name: self.globals[name] for name in ("range", "namespace")}
        self.filters["tojson"] = _json  # Jinja's own escapes <, >, & and ' for HTML
        del self.filters["random"]

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not (abs(left) <= 2**64 and abs(right) <= 64):
            raise SecurityError("a power this large is not computed in a template")
        for sequence, times in ((left, right), (right, left)):
            repeats = isinstance(sequence, str | list | tuple) and isinstance(times, int)
            if repeats and len(sequence) * times > MOST_CHARACTERS:
                raise SecurityError(f"it makes more than {MOST_CHARACTERS:,} characters")
        return super().call_binop(context, operator, left, right)


def _written(value: Any) -> Any:
    """A value as `{column}` would have it: nothing for a missing one, JSON for a list or a dictionary."""
    if value is None:
        return ""
    if isinstance(value, dict | list | tuple | bytes):
        return _json(value)
    if isinstance(value, _PRINTABLE):
        return value
    # A method without its parentheses, or what `map` makes without `| list`: their text is an address in memory.
    raise TypeError(f"a {type(value).__name__} has no text: are parentheses missing, or | list?")


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_text)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        raise TypeError("a template needs text, and this value is bytes: decode the column first")
    return str(value)


_PRINTABLE = (str, int, float, dt.date, dt.time, dt.timedelta, decimal.Decimal, jinja2.Undefined)

_ENVIRONMENT = _Environment()
_WITHOUT_GLOBALS = _Environment()
_WITHOUT_GLOBALS.globals = {}  # so that a column may be called "range": what a template names is found in here


@functools.lru_cache(maxsize=256)
def _compile(source: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(_Rows().visit(_ENVIRONMENT.parse(source)))


@functools.lru_cache(maxsize=256)
def _parse(source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a template names by itself, and what through `row`."""
    if not isinstance(source, str):
        raise TemplateError(f"A Jinja template is a text, not {type(source).__name__}.")
    try:
        tree = _WITHOUT_GLOBALS.parse(source)
        if any(True for _ in meta.find_referenced_templates(tree)):
            raise TemplateError("A Jinja template cannot include, import or extend another one: pass one text.")
        rows = _Rows()
        tree = rows.visit(tree)
        found = meta.find_undeclared_variables(tree)
        _compile(source)  # finds unknown filters and tests too
    except jinja2.TemplateSyntaxError as error:
        lines = source.split("\n")
        shown = lines[error.lineno - 1].strip()[:80] if 0 < error.lineno <= len(lines) else ""
        raise TemplateError(f"The Jinja template is wrong in line {error.lineno}, {shown!r}: {error.message}") from None
    except RecursionError:
        raise TemplateError("The Jinja template is nested too deeply.") from None
    order = [node.name for node in tree.find_all((nodes.Name, nodes.NSRef))]
    return tuple(sorted(found - {"row"}, key=order.index)), tuple(dict.fromkeys(rows.columns))


class _Rows(NodeTransformer):
    """Finds the columns in `row["x"]` and `row.x`; the latter becomes the former, or `row.items` would be a method."""

    def __init__(self) -> None:
        self.columns: list[str] = []

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802 (Jinja's name)
        return self._of_row(node, node.attr) or self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        column = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return self._of_row(node, column) or self.generic_visit(node)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        if node.name == "row":
            raise TemplateError(
                f"Line {node.lineno} of the Jinja template uses row in a way that does not say which column is meant. "
                "Write row['column'] with the name in quotes, and give loops and variables another name than row."
            )
        return node

    def _of_row(self, node: nodes.Getattr | nodes.Getitem, column: Any) -> nodes.Node | None:
        if not (isinstance(node.node, nodes.Name) and node.node.name == "row" and isinstance(column, str)):
            return None
        self.columns.append(column)
        return nodes.Getitem(node.node, nodes.Const(column), "load", lineno=node.lineno, environment=node.environment)
