"""Looking for a secret: in texts, in tracebacks that show local variables, in exceptions and in a database."""

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text

from batchframe.store.database import Database

KEY = "sk-canary-4f1c9e77a0b2"
PASSWORD = "pw-canary-8d30c5"
TESTS = str(Path(__file__).parents[1])


def leaks(shown: object) -> bool:
    """Whether a text or bytes hold one of the secrets."""
    said = shown if isinstance(shown, str) else repr(shown)
    return KEY in said or PASSWORD in said


def leaks_of(error: BaseException) -> list[str]:
    """Where an exception, or one it leads to, holds a secret: its words, its attributes, the locals of its frames.

    Frames of tests are left out: they hold the secret because they brought it.
    """
    found = []
    for one in _chain(error):
        name = type(one).__name__
        if leaks(str(one)) or leaks(repr(one)):
            found.append(f"{name}: its words")
        found += [f"{name}.{path}" for path in _inside(vars(one) | {"args": one.args}, 6, set())]
        summary = traceback.TracebackException.from_exception(one, capture_locals=True)
        for frame in summary.stack:
            if not frame.filename.startswith(TESTS):
                for local, shown in (frame.locals or {}).items():
                    if leaks(shown):
                        found.append(f"{name}: {local} in {frame.name} of {frame.filename}")
    return found


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    following: list[BaseException | None] = [error]
    while following:
        one = following.pop()
        if one is not None and one not in found:
            found.append(one)
            following += [one.__cause__, one.__context__]
            following += list(getattr(one, "exceptions", ()))
    return found


def _inside(value: Any, depth: int, seen: set[int]) -> Iterator[str]:
    """Paths to a secret in an object, through its attributes and items."""
    if isinstance(value, str | bytes):
        if leaks(value):
            yield ""
        return
    if depth == 0 or id(value) in seen or isinstance(value, type | int | float):
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        parts = dict(value)
    elif isinstance(value, list | tuple | set | frozenset):
        parts = dict(enumerate(value))
    else:
        parts = dict(getattr(value, "__dict__", {}))
        for kind in type(value).__mro__:
            slots = getattr(kind, "__slots__", ())
            parts |= {slot: getattr(value, slot, None) for slot in ([slots] if isinstance(slots, str) else slots)}
    for name, part in parts.items():
        for rest in _inside(part, depth - 1, seen):
            yield f"{name}.{rest}".rstrip(".")


def leaks_in_database(database: Database) -> list[str]:
    """Columns of any table of any schema of ours in which a secret stands."""
    with database.transaction() as connection:
        columns = connection.execute(
            text("""
                SELECT table_name, column_name, data_type FROM information_schema.columns
                WHERE table_schema = 'batchframe' ORDER BY table_name, ordinal_position
            """)
        ).all()
        assert len(columns) > 50
        found = []
        for table, column, kind in columns:
            for secret in (KEY, PASSWORD):
                place = (
                    f"position(convert_to(:secret, 'UTF8') IN {column})"
                    if kind == "bytea"
                    else f"strpos(CAST({column} AS text), :secret)"
                )
                query = text(f"SELECT count(*) FROM {table} WHERE {place} > 0")
                if connection.execute(query, {"secret": secret}).scalar_one():
                    found.append(f"{table}.{column}")
    return found


def leaks_in_files(folder: Path) -> list[str]:
    """Files below a folder, by name or content."""
    return [
        str(path)
        for path in folder.rglob("*")
        if leaks(path.name)
        or (path.is_file() and any(secret.encode() in path.read_bytes() for secret in (KEY, PASSWORD)))
    ]
