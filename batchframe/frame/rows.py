"""What the rows of a frame give to a body: texts for `{column}`, values for Jinja, images; and what they lack."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import pandas as pd

from batchframe.core.body import BodyTemplate
from batchframe.core.jinja import JinjaRowError
from batchframe.core.template import unknown_column
from batchframe.errors import TemplateError
from batchframe.frame import images
from batchframe.frame.texts import texts
from batchframe.frame.values import values


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns by name, each with an entry a row, None where the value is missing."""

    texts: dict[str, list[str | None]]
    values: dict[str, list[Any]]
    images: dict[str, list[list[images.Source] | None]]

    @property
    def columns(self) -> list[str]:
        """The names of the columns, each once."""
        return list(dict.fromkeys([*self.texts, *self.values, *self.images]))

    def first_missing(self, n_rows: int) -> list[str | None]:
        """Of each row the first column whose value is missing, None where there is none."""
        missing: list[str | None] = [None] * n_rows
        for name, column in reversed([*self.texts.items(), *self.values.items(), *self.images.items()]):
            for position, value in enumerate(column) if None in column else ():
                if value is None:
                    missing[position] = name
        return missing


def read_rows(
    body: BodyTemplate, table: pd.DataFrame, labels: Mapping[str, Hashable], image_columns: Iterable[str] = ()
) -> Rows:
    """Read the columns a body needs.

    Args:
        labels: the label of each column a template may name.

    Raises:
        TemplateError: a column that is not there, or twice, or holds what cannot be sent.
    """
    columns = {name: _column(table, labels, name) for name in [*body.columns, *body.value_columns, *image_columns]}
    return Rows(
        {name: texts(columns[name]) for name in body.columns},
        {name: values(columns[name]) for name in body.value_columns},
        {name: images.sources(columns[name]) for name in image_columns},
    )


def render(
    body: BodyTemplate,
    rows: Rows,
    kept: Sequence[bool],
    table: pd.DataFrame,
    given: Mapping[str, Iterable[bytes]] | None = None,
) -> list[bytes]:
    """The bodies of the rows that are kept.

    Args:
        given: of each `Given` of the body a piece of JSON for each of those rows.

    Raises:
        TemplateError: a Jinja template cannot be rendered; the row is named.
    """
    asked = {name: [text or "" for text in compress(column, kept)] for name, column in rows.texts.items()}
    values_ = {name: list(compress(column, kept)) for name, column in rows.values.items()}
    rendered: list[bytes] = []
    try:
        rendered.extend(body.render(asked, sum(kept), values=values_, given=given))
    except JinjaRowError as error:  # what was yielded before it has been kept
        position = list(compress(range(len(kept)), kept))[len(rendered)]
        raise TemplateError(f"Row {row_label(table, position)!r}: {error}") from error.__cause__
    return rendered


def row_label(table: pd.DataFrame, position: int) -> object:
    """A row's label as Python writes it, not as numpy does."""
    return table.index[position : position + 1].tolist()[0]


def _column(table: pd.DataFrame, labels: Mapping[str, Hashable], name: str) -> pd.Series[Any]:
    if name not in labels:
        raise TemplateError(unknown_column(name, list(labels), "images={!r}".format, "Or leave images= out."))
    same = [str(label) for label in table.columns].count(name)
    if same > 1:
        raise TemplateError(f"The template names {{{name}}}, and {same} columns have that name. Rename one of them.")
    column = table[labels[name]]
    assert isinstance(column, pd.Series)
    return column
