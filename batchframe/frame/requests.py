"""From a frame to distinct requests: which rows are asked, what each asks, and which rows ask the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.core.identity import job_digest, request_hasher
from batchframe.core.packing import line_overhead
from batchframe.core.spec import JobSpec
from batchframe.core.tokens import estimate
from batchframe.errors import RequestTooLargeError, TemplateError
from batchframe.frame.texts import texts
from batchframe.model import Request, Route

_LARGEST_JOB_ID = 10**18


@dataclass(frozen=True, slots=True)
class Asked:
    """What a frame asks.

    Attributes:
        columns: labels of the columns the templates use.
        skipped: of each row the missing column it is skipped for, or None.
        hashes: of each sample the hash of each row's request, None for a skipped row.
        bodies: the distinct bodies by hash, in the order of first appearance.
    """

    columns: list[Hashable]
    skipped: list[str | None]
    hashes: list[list[bytes | None]]
    bodies: dict[bytes, bytes]

    def digest(self, spec: JobSpec, route: Route, name: str | None) -> UUID:
        """The identity of the call."""
        return job_digest(call_head(spec, route, name), (hash_ for sample in self.hashes for hash_ in sample))

    def requests(self) -> Iterator[Request]:
        """The distinct requests, numbered."""
        for row_no, (hash_, body) in enumerate(self.bodies.items()):
            yield Request(row_no, hash_, body, estimate(len(body)))

    def numbers(self, known: Mapping[bytes, int] | None = None) -> npt.NDArray[np.int32]:
        """The request of each row and sample, shape (n_rows, n_samples); -1 where there is none.

        Args:
            known: numbers by hash; by default those of `requests`.
        """
        if known is None:
            known = {hash_: row_no for row_no, hash_ in enumerate(self.bodies)}
        found = [[known.get(hash_, -1) if hash_ else -1 for hash_ in sample] for sample in self.hashes]
        return np.array(found, dtype=np.int32).T.reshape(len(self.skipped), len(self.hashes))


def call_head(spec: JobSpec, route: Route, name: str | None) -> bytes:
    """What, beside the requests of its rows, makes a call what it is."""
    return f"{route.provider}\n{route.endpoint}\n{route.model}\n{name or ''}\n".encode() + spec.to_json()


def ask(frame: pd.DataFrame | pd.Series[Any], spec: JobSpec, route: Route, max_bytes: int) -> Asked:
    """Render every row of a frame.

    Args:
        max_bytes: the provider's limit for a file, which one line alone must not exceed.

    Raises:
        TemplateError: a template does not fit the columns; a value is missing and `spec.missing` is "raise".
        RequestTooLargeError: a row's request is over the limit.
    """
    labels = _names(frame)
    body = spec.body(route, list(labels))
    table = as_frame(frame)
    used = {name: texts(_column(table, labels[name], name)) for name in body.columns}
    skipped = _missing(used, spec, table)
    kept = [column is None for column in skipped]
    asked = {name: [text or "" for text in compress(column, kept)] for name, column in used.items()}
    rendered = list(body.render(asked, sum(kept)))
    _check_sizes(rendered, kept, table, max_bytes - line_overhead(_LARGEST_JOB_ID, route.endpoint))
    hashes: list[list[bytes | None]] = []
    bodies: dict[bytes, bytes] = {}
    for sample in range(spec.samples):
        hashed = list(map(request_hasher(route, sample), rendered))
        bodies.update(zip(hashed, rendered, strict=True))
        following = iter(hashed)
        hashes.append([next(following) if keep else None for keep in kept])
    return Asked([labels[name] for name in body.columns], skipped, hashes, bodies)


def as_frame(frame: pd.DataFrame | pd.Series[Any]) -> pd.DataFrame:
    """The frame itself, or a series as a frame of one column."""
    if isinstance(frame, pd.Series):
        return frame.to_frame("value" if frame.name is None else frame.name)
    return frame


def _names(frame: pd.DataFrame | pd.Series[Any]) -> dict[str, Hashable]:
    """What a template may name, and the label it stands for; in a series, `{value}` is the series."""
    table = as_frame(frame)
    names: dict[str, Hashable] = {str(label): label for label in reversed(list(table.columns))}
    if isinstance(frame, pd.Series):
        names.setdefault("value", table.columns[0])
    return names


def _column(table: pd.DataFrame, label: Hashable, name: str) -> pd.Series[Any]:
    same = Counter(map(str, table.columns))[name]
    if same > 1:
        raise TemplateError(f"The template names {{{name}}}, and {same} columns have that name. Rename one of them.")
    column = table[label]
    assert isinstance(column, pd.Series)
    return column


def _missing(used: dict[str, list[str | None]], spec: JobSpec, table: pd.DataFrame) -> list[str | None]:
    """Of each row the first used column whose value is missing; all None when missing values are rendered."""
    missing: list[str | None] = [None] * len(table)
    if spec.missing == "render":
        return missing
    for name, column in reversed(used.items()):
        for position, text in enumerate(column) if None in column else ():
            if text is None:
                missing[position] = name
    if spec.missing == "raise":
        for position, absent in enumerate(missing):
            if absent is not None:
                raise TemplateError(
                    f"Column {absent!r} has no value in row {_label(table, position)!r}. "
                    'Fill it, or pass missing="skip" to leave such rows out or missing="render" to send an empty text.'
                )
    return missing


def _check_sizes(rendered: list[bytes], kept: list[bool], table: pd.DataFrame, limit: int) -> None:
    if not rendered or max(map(len, rendered)) <= limit:
        return
    size, position = next(
        (len(body), position)
        for body, position in zip(rendered, compress(range(len(table)), kept), strict=True)
        if len(body) > limit
    )
    raise RequestTooLargeError(
        f"The request of row {_label(table, position)!r} has {size:,} bytes; the provider takes {limit:,} in a file. "
        "Shorten that row."
    )


def _label(table: pd.DataFrame, position: int) -> object:
    """A row's label as Python writes it, not as numpy does."""
    return table.index[position : position + 1].tolist()[0]
