"""Backup and restore of the embedded server, by the pg_dump and pg_restore that come with it.

A backup is older than the world it is restored into: what it has as not yet sent may have been sent since. So after a
restore such batches are in doubt, and the provider's list decides, as after a lost create call.
"""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
from psycopg import sql

from batchframe.errors import DatabaseError
from batchframe.store import embedded
from batchframe.store.database import Database
from batchframe.store.embedded_binaries import Account, programs, server_account
from batchframe.store.embedded_errors import explained

_SCHEMA = "batchframe"
_REPLACED = "batchframe_replaced"


def back_up(home: Path, file: Path) -> int:
    """Write the home's database to a file, in pg_dump's custom format, while work goes on; its size in bytes.

    The file holds prompts and answers, so only its owner may read it.

    Raises:
        DatabaseError: it could not be written; an earlier file of that name is as it was.
    """
    url = embedded.start(home)
    part = file.absolute().with_name(f".{file.name}.part")
    try:
        options = ["--format=custom", f"--schema={_SCHEMA}", "--no-owner", "--no-privileges"]
        _run("pg_dump", *options, f"--file={part}", f"--dbname={url}", failed=f"The backup {file} was not written:")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def restore(home: Path, file: Path, *, force: bool) -> None:
    """Make the home's database what a file holds, and bring it up to date.

    Args:
        force: whether to replace a database that holds jobs, and not to mind others who are connected.

    Raises:
        DatabaseError: it holds jobs or is in use, or the file cannot be restored; the database is as it was.
    """
    if not file.is_file():
        raise DatabaseError(f"There is no file {file}.")
    url = embedded.start(home)
    with psycopg.connect(url, autocommit=True) as connection:
        if not force:
            _refuse_if_used(connection, home)
        # What was there is set aside, and comes back should the file be no good.
        _drop(connection, _REPLACED)
        there = _exists(connection, _SCHEMA)
        if there:
            _rename(connection, _SCHEMA, _REPLACED)
        try:
            options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
            _run("pg_restore", *options, f"--dbname={url}", str(file.absolute()), failed=f"{file} cannot be restored:")
            Database(url).close()
            connection.execute(_IN_DOUBT)
        except BaseException:
            _drop(connection, _SCHEMA)
            if there:
                _rename(connection, _REPLACED, _SCHEMA)
            raise
        _drop(connection, _REPLACED)


_IN_DOUBT = """
    UPDATE batchframe.batch
    SET state = 'unsure', intent_at = COALESCE(intent_at, created_at), input_file_id = COALESCE(input_file_id, ''),
        step_at = now(), owner = NULL, lease_until = NULL, token = token + 1
    WHERE state IN ('planned', 'uploaded', 'creating', 'unsure')
"""
"""The one place beside the engine that writes states: the engine's table tells of what it did, not of a lost past.

The mark is kept until the first create call with it was refused, so a batch made since the backup is found by it. An
empty file id is that of no batch.
"""


def _refuse_if_used(connection: psycopg.Connection, home: Path) -> None:
    if _exists(connection, _SCHEMA):
        counted = connection.execute("SELECT count(*) FROM batchframe.job").fetchone()
        if counted is not None and counted[0]:
            raise DatabaseError(
                f"The database in {home} holds {counted[0]:,} jobs, which a restore replaces. Back it up, then pass "
                "--force; or restore into another BATCHFRAME_HOME."
            )
    others = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    ).fetchone()
    if others is not None and others[0]:
        raise DatabaseError(f"{others[0]:,} connections of workers or notebooks are open: close these first.")


def _exists(connection: psycopg.Connection, schema: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s)", [f"{schema}.job"]).fetchone()
    return found is not None and found[0] is not None


def _rename(connection: psycopg.Connection, schema: str, to: str) -> None:
    connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(schema), sql.Identifier(to)))


def _drop(connection: psycopg.Connection, schema: str) -> None:
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _run(program: str, *arguments: str, failed: str) -> None:
    """Run a client program as the caller, whom the server lets in, in an environment without PG… variables."""
    account = server_account()
    caller = Account(account.owner, os.geteuid(), os.getegid(), account.owner)
    ended = caller.run([str(programs(account) / program), *arguments], capture_output=True)
    if ended.returncode:
        raise explained(failed, ended.stderr)
