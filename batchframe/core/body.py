"""Bodies: the JSON of a request with holes where templates stand, rendered for many rows at once.

Everything around the holes is encoded once; a row costs one string join. What comes out is compact UTF-8 JSON
without control characters, which the store relies on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

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


class BodyTemplate:
    """A request body in which some strings are templates."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        """Args:
        body: the body, with a `Template` wherever a row's text goes.

        Raises:
            ParameterError: a value that JSON cannot express; the message names the parameter.
        """
        self._literals = [bytearray()]
        self._holes: list[Template] = []
        self._walk(body, "")

    @property
    def columns(self) -> list[str]:
        """The columns the templates use, each once, in order of first use."""
        return list(dict.fromkeys(column for hole in self._holes for column in hole.columns))

    def render(self, texts: Mapping[str, Sequence[str]], n_rows: int) -> Iterator[bytes]:
        """Yield `n_rows` bodies; `texts` maps each used column to its `n_rows` texts."""
        literals = [bytes(literal) for literal in self._literals]
        filled = [hole.render(texts) if hole.columns else iter([hole.literals[0]] * n_rows) for hole in self._holes]
        if not filled:
            yield from [literals[0]] * n_rows
            return
        first, *rest = literals
        if len(rest) == 1:  # the common case, at half the cost
            (last,) = rest
            for text in filled[0]:
                yield first + encode_json(text) + last
            return
        for row in zip(*filled, strict=True):
            yield first + b"".join([encode_json(text) + literal for text, literal in zip(row, rest, strict=True)])

    def _walk(self, value: Any, path: str) -> None:
        if isinstance(value, Template):
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
                self._literals[-1] += b"," if position else b""
                self._walk(item, f"{path}[{position}]")
            self._literals[-1] += b"]"
        elif value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value)):
            self._literals[-1] += encode_json(value)
        else:
            # NaN would be sent as null, a Decimal as text, a set in an order that changes with every process.
            raise ParameterError(
                f"{path}: {value!r} has no JSON form. Pass text, numbers, true, false, None, or lists."
            )
