"""From a frame to distinct requests: which rows are asked, what each asks, and which rows ask the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.core.identity import job_digest, request_hasher
from batchframe.core.packing import line_overhead
from batchframe.core.spec import IMAGES, PROMPT, JobSpec, left_out_by
from batchframe.core.tokens import estimate
from batchframe.errors import ParameterError, RequestTooLargeError, TemplateError
from batchframe.frame.functions import Columns, Own, RowFunction, call
from batchframe.frame.images import ImageParts
from batchframe.frame.rows import read_rows, render, row_label
from batchframe.model import EMBEDDINGS, Request, Route

_LARGEST_JOB_ID = 10**18


@dataclass(frozen=True, slots=True)
class Asked:
    """What a frame asks.

    Attributes:
        columns: labels of the columns the templates use, or the function reads.
        skipped: of each row the missing column it is skipped for, or `left_out_by` its function, or None.
        hashes: of each sample the hash of each row's request, None for a skipped row.
        bodies: the distinct bodies by hash, in the order of first appearance.
        tokens: the estimated tokens of bodies with images.
    """

    columns: list[Hashable]
    skipped: list[str | None]
    hashes: list[list[bytes | None]]
    bodies: dict[bytes, bytes]
    tokens: dict[bytes, int]

    def digest(self, spec: JobSpec, route: Route, name: str | None) -> UUID:
        """The identity of the call."""
        return job_digest(call_head(spec, route, name), (hash_ for sample in self.hashes for hash_ in sample))

    def requests(self) -> Iterator[Request]:
        """The distinct requests, numbered."""
        return (self.request(hash_, row_no) for row_no, hash_ in enumerate(self.bodies))

    def request(self, hash_: bytes, row_no: int) -> Request:
        """One of the distinct requests, by its hash, with this number."""
        body = self.bodies[hash_]
        return Request(row_no, hash_, body, self.tokens.get(hash_) or estimate(len(body)))

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


def ask(
    frame: pd.DataFrame | pd.Series[Any],
    spec: JobSpec,
    route: Route,
    max_bytes: int,
    function: RowFunction | None = None,
    *,
    unreadable_ok: bool = False,
) -> Asked:
    """Render every row of a frame.

    Args:
        max_bytes: the provider's limit for a file, which one line alone must not exceed.
        function: what makes the prompts, when the specification says that a function does.
        unreadable_ok: whether a row with an image that cannot be read asks nothing: it has no hash, and is not skipped.

    Raises:
        ParameterError: a function where the specification knows of none.
        TemplateError: a template does not fit the columns or a row; a value is missing and `spec.missing` is "raise".
        RequestTooLargeError: a row's request is over the limit.
    """
    if spec.function is not None and function is None:
        raise TemplateError(
            f"The prompts of this job were made by the function {spec.function}, which only you have: pass it as "
            f"template=, or take the frame the job keeps, job.frame()."
        )
    if spec.function is None and function is not None:
        raise ParameterError("The template of this job is no function, and is kept with it: leave template= out.")
    labels = column_names(frame)
    table = as_frame(frame)
    body = spec.body(route, list(labels))
    rows = read_rows(body, table, labels, spec.images)
    skipped = _skipped(rows.first_missing(len(table)), spec, table)
    columns = Columns(table, is_series=isinstance(frame, pd.Series))
    said = [] if function is None else _call(function, columns, spec, route.endpoint, skipped, table)
    kept = [column is None for column in skipped]
    where = list(compress(table.index.tolist(), kept)) if spec.images or said else []
    parts = ImageParts(route.endpoint, spec.images, unreadable_ok=unreadable_ok)
    pictures = parts.of_rows({name: list(compress(column, kept)) for name, column in rows.images.items()}, where)
    given = {IMAGES: pictures, PROMPT: _own_prompts(said, spec, route.endpoint, pictures, where)}
    rendered = render(body, rows, kept, table, given)
    _check_sizes(rendered, kept, table, max_bytes - line_overhead(_LARGEST_JOB_ID, route.endpoint))
    readable = [at not in parts.unreadable for at in range(len(rendered))]
    hashes: list[list[bytes | None]] = []
    bodies: dict[bytes, bytes] = {}
    tokens: dict[bytes, int] = {}
    for sample in range(spec.samples):
        hashed = list(map(request_hasher(route, sample), rendered))
        bodies.update(compress(zip(hashed, rendered, strict=True), readable))
        if spec.images:
            tokens.update(zip(hashed, map(_estimate, rendered, parts.characters, parts.tokens), strict=True))
        following = (hash_ if there else None for hash_, there in zip(hashed, readable, strict=True))
        hashes.append([next(following) if keep else None for keep in kept])
    used = list(dict.fromkeys([*(labels[name] for name in rows.columns), *columns.used]))
    return Asked(used, skipped, hashes, bodies, tokens)


def as_frame(frame: pd.DataFrame | pd.Series[Any]) -> pd.DataFrame:
    """The frame itself, or a series as a frame of one column."""
    if isinstance(frame, pd.Series):
        return frame.to_frame("value" if frame.name is None else frame.name)
    return frame


def column_names(frame: pd.DataFrame | pd.Series[Any]) -> dict[str, Hashable]:
    """What a template may name, and the label it stands for; in a series, `{value}` is the series."""
    table = as_frame(frame)
    names: dict[str, Hashable] = {}
    for label in table.columns:
        names.setdefault(str(label), label)
    if isinstance(frame, pd.Series):
        names.setdefault("value", table.columns[0])
    return names


def _skipped(missing: list[str | None], spec: JobSpec, table: pd.DataFrame) -> list[str | None]:
    """Of each row the missing column it is skipped for; all None when missing values are rendered."""
    if spec.missing == "render":
        return [None] * len(table)
    if spec.missing == "raise":
        for position, absent in enumerate(missing):
            if absent is not None:
                raise TemplateError(
                    f"Column {absent!r} has no value in row {row_label(table, position)!r}. "
                    'Fill it, or pass missing="skip" to leave such rows out or missing="render" to send an empty text.'
                )
    return missing


def _call(
    function: RowFunction,
    columns: Columns,
    spec: JobSpec,
    endpoint: str,
    skipped: list[str | None],
    table: pd.DataFrame,
) -> list[Own]:
    """What a function says of the rows that are not skipped; those it leaves out are skipped from now on."""
    said = []
    for position, label in enumerate(table.index.tolist()):
        if skipped[position] is None:
            own = call(function, columns, position, label, endpoint)
            if own is None:
                skipped[position] = left_out_by(spec.function or "")
            else:
                said.append(own)
    return said


def _own_prompts(
    said: list[Own], spec: JobSpec, endpoint: str, pictures: Iterable[bytes], where: list[object]
) -> Iterator[bytes]:
    """Yield what a function said of each row, with the row's images, as it goes into the bodies."""
    for own, images, label in zip(said, pictures if spec.images else repeat(b""), where, strict=False):
        try:
            (prompt,) = spec.own_prompt(endpoint, own).render({}, 1, given={IMAGES: [images]})
        except ParameterError as error:
            raise TemplateError(f"{spec.function} returned for row {label!r} what cannot be sent: {error}") from None
        yield prompt if endpoint == EMBEDDINGS else prompt[1:-1]  # the items of the list, without its brackets


def _check_sizes(rendered: list[bytes], kept: list[bool], table: pd.DataFrame, limit: int) -> None:
    if not rendered or max(map(len, rendered)) <= limit:
        return
    size, position = next(
        (len(body), position)
        for body, position in zip(rendered, compress(range(len(table)), kept), strict=True)
        if len(body) > limit
    )
    raise RequestTooLargeError(
        f"The request of row {row_label(table, position)!r} has {size:,} bytes; the provider takes {limit:,} in a "
        "file. Shorten that row."
    )


def _estimate(body: bytes, image_characters: int, image_tokens: int) -> int:
    """Estimated tokens of a body with images, whose data URLs are no text to the model."""
    return estimate(len(body) - image_characters) + image_tokens
