"""The result files of a client's batch, made from outcomes: one line a request, in the order of the input file.

An answer of the model is in the output file, also when we would not call it a good one: it was paid for, and judging
it is the client's affair. Everything else is in the error file. A line is the join of texts that are JSON already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

from sqlalchemy import Connection

from batchframe.core.results import CANCELLED
from batchframe.store.client_files import Result
from batchframe.store.copying import copy_out

_ANSWERED = "COALESCE(o.status BETWEEN 200 AND 299, false)"
_OURS = {
    CANCELLED: ("batch_cancelled", "This request was not executed because the batch was cancelled."),
    "deadline": ("batch_expired", "This request could not be executed before the completion window expired."),
}
"""Ends that are ours to give a row, in OpenAI's words."""

_ROWS = """
    FROM client_line l JOIN outcome o ON o.job_id = l.job_id AND o.row_no = l.row_no AND o.final
    WHERE l.job_id = %s
"""

_KINDS = {Result.OUTPUT: _ANSWERED, Result.ERROR: f"NOT {_ANSWERED}"}


def _line() -> str:
    """The line of a row; the batch's id is to be bound twice."""
    number = "CAST(%s AS text), lpad(to_hex(l.row_no), 8, '0')"
    ends = " ".join(
        f"""WHEN o.code = '{ours}' THEN '{{"code":"{code}","message":"{message}"}}'"""
        for ours, (code, message) in _OURS.items()
    )
    codes = ", ".join(f"'{code}'" for code in _OURS)
    # A row that ended by our own hand has no response, though an earlier try of it may have left one.
    responded = f"{_ANSWERED} OR (o.status IS NOT NULL AND o.code NOT IN ({codes}))"
    return f"""
        concat('{{"id":"batch_req_', {number}, '","custom_id":', l.custom_id,
            CASE WHEN {responded}
            THEN concat(',"response":{{"status_code":', o.status, ',"request_id":"req_', {number}, '","body":',
                COALESCE(o.body, 'null'), '}},"error":null}}')
            ELSE concat(',"response":null,"error":', CASE {ends} ELSE
                concat('{{"code":', to_json(o.code), ',"message":', to_json(COALESCE(o.message, '')), '}}') END, '}}')
            END)
    """


def lines(
    connection: Connection, batch_id: UUID, job_id: int, result: Result, first: int, last: int
) -> Iterator[bytes]:
    """The lines of a result file for the rows from `first` up to `last`, without `last`."""
    values = (batch_id.hex, batch_id.hex, job_id, first, last)
    query = f"SELECT {_line()} {_ROWS} AND {_KINDS[result]} AND l.row_no >= %s AND l.row_no < %s ORDER BY l.row_no"
    with closing(copy_out(connection, query, values)) as copied:
        yield from copied


def sizes(connection: Connection, batch_id: UUID, job_id: int) -> dict[Result, int]:
    """The bytes of both result files."""
    # Not by `text`, which would take the colons of the JSON for parameters.
    row = connection.exec_driver_sql(
        f"""
        SELECT {_size(Result.OUTPUT)} AS output, {_size(Result.ERROR)} AS error {_ROWS}
        """,
        (*[batch_id.hex] * 4, job_id),
    ).one()
    return {Result.OUTPUT: int(row.output), Result.ERROR: int(row.error)}


def _size(result: Result) -> str:
    line = f"octet_length({_line()}) + 1"
    return f"COALESCE(sum({line}) FILTER (WHERE {_KINDS[result]}), 0)"
