"""Images out of columns: web addresses as they are, files and bytes as data URLs, each checked before it is sent.

Files are read when their row is rendered, one at a time, so that no more than the bodies themselves is in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batchframe.core.images import (
    LARGEST_IMAGE,
    MOST_IMAGES,
    TOKENS,
    TOKENS_ELSE,
    NotAnImageError,
    checked_url,
    data_url,
    image_part,
)
from batchframe.errors import TemplateError

Source = str | bytes | os.PathLike[str]
"""A URL, the bytes of an image, or the path of a file."""


def sources(column: pd.Series[Any]) -> list[list[Source] | None]:
    """The images of each row of a column, None where there is no value; of a list, those of its entries that have one.

    Raises:
        TemplateError: a value that is neither a URL, a path, bytes nor a list of these; its row is named.
    """
    found: list[list[Source] | None] = []
    for at, value in enumerate(column.tolist()):
        entries = list(value) if _is_list(value) else [value]
        images: list[Source] = []
        for entry in entries:
            if isinstance(entry, bytearray | memoryview):
                entry = bytes(entry)
            if isinstance(entry, str | bytes | os.PathLike):
                images.append(entry)
            elif not (pd.api.types.is_scalar(entry) and pd.isna(entry)):
                row = column.index[at : at + 1].tolist()[0]
                raise TemplateError(
                    f"Column {column.name!r} holds a value of type {type(entry).__name__} in row {row!r}. "
                    "An image is a URL, the path of a file, or the bytes of one; several are a list of these."
                )
        found.append(images if images or _is_list(value) else None)
    return found


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


class ImageParts:
    """The parts of the messages that hold a row's images, and what is learned while they are made.

    Attributes:
        characters: of each row that was made so far the characters of its URLs.
        tokens: of each row so far the estimated tokens of its images.
        unreadable: the positions of rows with an image that cannot be read, where that is no error.
    """

    def __init__(self, endpoint: str, details: Mapping[str, str], *, unreadable_ok: bool) -> None:
        """Args:
        details: the columns, and the detail of each.
        unreadable_ok: whether an image that cannot be read makes its row unreadable instead of raising.
        """
        self._endpoint = endpoint
        self._details = details
        self._unreadable_ok = unreadable_ok
        self.characters: list[int] = []
        self.tokens: list[int] = []
        self.unreadable: set[int] = set()

    def of_rows(self, images: Mapping[str, Sequence[list[Source] | None]], labels: Sequence[object]) -> Iterator[bytes]:
        """Yield of each row its parts as JSON, with commas between them.

        Raises:
            TemplateError: names the row and the column of an image that cannot be sent.
        """
        for at, (label, row) in enumerate(zip(labels, zip(*images.values(), strict=True), strict=True)):
            try:
                parts = self._row(dict(zip(images, row, strict=True)), label)
            except TemplateError:
                if not self._unreadable_ok:
                    raise
                self.unreadable.add(at)
                self._note(0, 0)
                parts = b""
            yield parts

    def _row(self, images: Mapping[str, list[Source] | None], label: object) -> bytes:
        parts, characters, tokens = [], 0, 0
        for column, found in images.items():
            detail = self._details[column]
            for source in found or ():
                try:
                    url = _url(source)
                except NotAnImageError as error:
                    raise TemplateError(
                        f"Column {column!r}, row {label!r}: the image{_called(source)} {error}."
                    ) from None
                parts.append(image_part(self._endpoint, url, detail))
                characters += len(url)
                tokens += TOKENS.get(detail, TOKENS_ELSE)
        if len(parts) > MOST_IMAGES:
            raise TemplateError(f"Row {label!r} has {len(parts):,} images, and a request may have {MOST_IMAGES}.")
        self._note(characters, tokens)
        return b",".join(parts)

    def _note(self, characters: int, tokens: int) -> None:
        self.characters.append(characters)
        self.tokens.append(tokens)


def _url(source: Source) -> str:
    if isinstance(source, bytes):
        return data_url(source)
    if isinstance(source, str) and (source[:5].lower() == "data:" or "://" in source):
        return checked_url(str.__str__(source))
    return data_url(_read(Path(source)))


def _read(path: Path) -> bytes:
    try:
        path = path.expanduser()
        if not path.is_file():  # a device or a pipe could be read for ever
            raise NotAnImageError(f"is not there{_from_where(path)}" if not path.exists() else "is no file")
        with path.open("rb") as file:
            return file.read(LARGEST_IMAGE + 1)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, NotAnImageError):
            raise
        raise NotAnImageError(f"cannot be read: {error}") from None


def _from_where(path: Path) -> str:
    return "" if path.is_absolute() else f" (looked for in {Path.cwd()})"


def _called(source: Source) -> str:
    if isinstance(source, bytes):
        return ""
    name = os.fspath(source)
    return f" {name!r}" if len(name) <= 200 else f" {name[:60]!r}…"
