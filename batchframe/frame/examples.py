"""Few-shot examples: rows of a frame whose answers are known, as messages that go before each row's own."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from batchframe.core.body import encode_json
from batchframe.core.spec import JobSpec
from batchframe.errors import InputError, ParameterError, TemplateError
from batchframe.frame.functions import Columns
from batchframe.frame.requests import column_names
from batchframe.frame.rows import read_rows, render, row_label
from batchframe.frame.texts import texts

Examples = tuple[pd.DataFrame, str]
"""A frame with the columns of the template, and the name of its column of answers."""

MOST = 100


def render_examples(examples: Examples, spec: JobSpec) -> list[tuple[str, str]]:
    """Each example as the user's message, by the specification's own template, and the answer to it.

    Raises:
        InputError: no frame with a column of answers, no examples or too many of them, or no place for them.
        TemplateError: a column is not there, or has no value in a row.
    """
    if not (isinstance(examples, tuple) and len(examples) == 2 and isinstance(examples[0], pd.DataFrame)):
        raise InputError("examples= takes a frame and the name of its column of answers: examples=(frame, 'label').")
    frame, answer = examples
    if spec.function is not None or not isinstance(spec.prompt, str):
        raise ParameterError("examples= go with a template that is a text: write them among your messages instead.")
    if spec.images:
        raise ParameterError("examples= have no images: with images=, write the examples among your messages.")
    if not 1 <= len(frame) <= MOST:
        raise InputError(
            f"examples= has {len(frame):,} rows: pass 1 to {MOST}. All of them are sent, and paid for, with every row."
        )
    if answer not in frame.columns:
        raise TemplateError(
            f"examples= has no column {answer!r}. Its columns are: {', '.join(map(str, frame.columns))}."
        )
    names = column_names(frame)
    try:
        body = spec.prompt_alone(list(names))
        read = read_rows(body, frame, names)
        for at, column in enumerate(read.first_missing(len(frame))):
            if column is not None:
                raise TemplateError(f"column {column!r} has no value in row {row_label(frame, at)!r}.")
        asked = [json.loads(text) for text in render(body, read, [True] * len(frame), frame)]
    except TemplateError as error:
        raise TemplateError(f"In examples=: {error}") from error.__cause__
    return list(zip(asked, _answers(frame, answer), strict=True))


def _answers(frame: pd.DataFrame, answer: str) -> list[str]:
    """The answers as the model would write them: text as it is, anything nested as JSON without spaces."""
    columns = Columns(frame, is_series=False)
    try:
        plain, written = columns.read(answer), None
    except KeyError as error:
        raise TemplateError(f"In examples=: {error}") from None
    answers = []
    for at, value in enumerate(plain):
        if value is None:
            raise TemplateError(f"In examples=: the answer {answer!r} has no value in row {row_label(frame, at)!r}.")
        if isinstance(value, dict | list):
            answers.append(_json(value))
        else:
            written = written or texts(frame[answer])
            answers.append(str(written[at]))
    return answers


def _json(value: Any) -> str:
    return encode_json(value).decode()
