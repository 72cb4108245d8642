"""COPY in and out without escaping.

JSON text as batchframe keeps it holds no control characters. So CSV with two of them as delimiter and quote moves
bodies verbatim in both directions: a row is a join of bytes on the way in, a line is a line on the way out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import islice
from typing import Any

import psycopg
from sqlalchemy import Connection

DELIMITER = b"\x01"
_FORMAT = r"(FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')"
_ROWS_PER_WRITE = 500


def copy_in(connection: Connection, table: str, columns: str, rows: Iterable[bytes]) -> None:
    """Write rows inside the connection's transaction.

    Args:
        table, columns: names from this package, never from outside: they are put into the statement as they are.
        rows: one line each, fields joined by `DELIMITER`, ending in a newline; an empty field is NULL.
    """
    lines = iter(rows)
    with _cursor(connection).copy(f"COPY {table} ({columns}) FROM STDIN {_FORMAT}") as copy:
        while block := b"".join(islice(lines, _ROWS_PER_WRITE)):
            copy.write(block)


def copy_out(connection: Connection, query: str, values: tuple[object, ...]) -> Generator[bytes, None, None]:
    """Stream the rows of a query, each as its line with the newline.

    Close the generator when it is not read to its end: while a COPY is open, not even a rollback gets through.
    """
    with _cursor(connection).copy(f"COPY ({query}) TO STDOUT {_FORMAT}", values) as copy:
        for line in copy:
            yield bytes(line)


def _cursor(connection: Connection) -> psycopg.Cursor[Any]:
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw.cursor()
