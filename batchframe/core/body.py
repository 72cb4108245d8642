"""Bodies: the JSON of a request with holes where templates stand, rendered for many rows at once.

Everything around the holes is encoded once; a row costs one string join. What comes out is compact UTF-8 JSON
without control characters, which the store relies on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import Any

import msgspec

from batchframe.core.jinja import BoundJinja
from batchframe.core.template import Template
from batchframe.errors import ParameterError

_encode = msgspec.json.Encoder().encode


def encode_json(value: Any) -> bytes:
    """Compact UTF-8 JSON.

    A lone surrogate has no UTF-8 form, so a value that holds one is written with `\\u` escapes instead.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Given:
    """A hole for JSON that is made elsewhere, a row at a time: items of a list, of which it is the last, or a value.

    Attributes:
        name: under which `BodyTemplate.render` is given it.
    """

    name: str


class BodyTemplate:
    """A request body in which some strings are templates, and some values are given."""

    def __init__(self, body: Any) -> None:
        """Args:
        body: the body, with a template wherever a row's text goes.

        Raises:
            ParameterError: a value that JSON cannot express; the message names the parameter.
        """
        self._literals = [bytearray()]
        self._holes: list[Template | BoundJinja | _Led | Given] = []
        self._walk(body, "")

    @property
    def columns(self) -> list[str]:
        """The columns whose texts it needs, each once, in order of first use."""
        return _each_once(hole.columns for hole in self._holes if isinstance(hole, Template))

    @property
    def value_columns(self) -> list[str]:
        """The columns whose values it needs, which are those of its Jinja templates."""
        return _each_once(hole.columns for hole in self._holes if isinstance(hole, BoundJinja))

    def render(
        self,
        texts: Mapping[str, Sequence[str]],
        n_rows: int,
        *,
        values: Mapping[str, Sequence[Any]] | None = None,
        given: Mapping[str, Iterable[bytes]] | None = None,
    ) -> Iterator[bytes]:
        """Yield `n_rows` bodies.

        Args:
            texts: of each of `columns` its `n_rows` texts.
            values: of each of `value_columns` its `n_rows` values.
            given: of each `Given` its `n_rows` pieces of JSON; in a list, items with commas between them, or nothing.

        Raises:
            TemplateError: a Jinja template that cannot be rendered, for the first row that was not yielded.
        """
        literals = [bytes(literal) for literal in self._literals]
        filled = [_fill(hole, texts, n_rows, values or {}, given or {}) for hole in self._holes]
        if not filled:
            yield from [literals[0]] * n_rows
            return
        first, *rest = literals
        if len(rest) == 1:  # the common case, at half the cost
            (last,) = rest
            for piece in filled[0]:
                yield first + piece + last
            return
        for row in zip(*filled, strict=True):
            yield first + b"".join([piece + literal for piece, literal in zip(row, rest, strict=True)])

    def _walk(self, value: Any, path: str) -> None:
        if isinstance(value, Template | BoundJinja | Given | _Led):
            self._holes.append(value)
            self._literals.append(bytearray())
        elif isinstance(value, Mapping):
            self._literals[-1] += b"{"
            for position, (key, item) in enumerate(value.items()):
                self._literals[-1] += (b"," if position else b"") + encode_json(str(key)) + b":"
                self._walk(item, f"{path}.{key}" if path else str(key))
            self._literals[-1] += b"}"
        elif isinstance(value, list | tuple):
            self._literals[-1] += b"["
            for position, item in enumerate(value):
                if position and isinstance(item, Given):
                    item = _Led(item.name)
                elif position:
                    self._literals[-1] += b","
                self._walk(item, f"{path}[{position}]")
            self._literals[-1] += b"]"
        elif value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value)):
            self._literals[-1] += encode_json(
                str.__str__(value) if isinstance(value, str) else value
            )  # also an enum's, or numpy's
        else:
            # NaN would be sent as null, a Decimal as text, a set in an order that changes with every process.
            raise ParameterError(
                f"{path}: {value!r} has no JSON form. Pass text, numbers, true, false, None, or lists."
            )


@dataclass(frozen=True, slots=True)
class _Led:
    """Given items that follow others in a list, so that a comma comes first when there are any."""

    name: str


def _fill(
    hole: Template | BoundJinja | _Led | Given,
    texts: Mapping[str, Sequence[str]],
    n_rows: int,
    values: Mapping[str, Sequence[Any]],
    given: Mapping[str, Iterable[bytes]],
) -> Iterator[bytes]:
    match hole:
        case Template():
            return map(encode_json, hole.render(texts) if hole.columns else repeat(hole.literals[0], n_rows))
        case BoundJinja():
            return map(encode_json, hole.render(values, n_rows))
        case _Led():
            return (b"," + items if items else b"" for items in given[hole.name])
    return iter(given[hole.name])


def _each_once(groups: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(column for group in groups for column in group))
