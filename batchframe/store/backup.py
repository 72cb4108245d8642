"""Backup and restore of the embedded server, by the programs that come with it; a restore is one transaction.

A backup is older than the world it is restored into: what it has as not yet sent may have been sent since. So after a
restore such batches are in doubt, and the provider's list decides, as after a lost create call.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psycopg

from batchframe.errors import DatabaseError
from batchframe.store import embedded
from batchframe.store.database import HEAD, Database
from batchframe.store.embedded_binaries import Account, programs, server_account
from batchframe.store.embedded_errors import explained

_SCHEMA = "batchframe"


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
    if not force:
        _refuse_if_used(url, home)
    # First as a script: a file that is cut or damaged is found out before anything is touched.
    with tempfile.TemporaryDirectory(dir=home, prefix="restore-") as folder:
        script = Path(folder) / "restore.sql"
        options = ["--no-owner", "--no-privileges", f"--file={script}", str(file.absolute())]
        failed = f"{file} cannot be restored:"
        _run("pg_restore", *options, failed=failed)
        steps = [f"--command={_DROP}", f"--file={script}", f"--command={_NOT_NEWER}", f"--command={_IN_DOUBT}"]
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--dbname={url}"]
        _run("psql", *options, *steps, failed=failed)
    Database(url).close()


_DROP = f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE"

_NOT_NEWER = f"""
    DO $$ BEGIN
        IF (SELECT version_num FROM {_SCHEMA}.alembic_version) > '{HEAD}' THEN
            RAISE EXCEPTION 'It was made by a newer batchframe: upgrade batchframe.';
        END IF;
    END $$
"""

_IN_DOUBT = """
    UPDATE batchframe.batch
    SET state = 'unsure', intent_at = COALESCE(intent_at, created_at), input_file_id = COALESCE(input_file_id, ''),
        step_at = now(), owner = NULL, lease_until = NULL, token = token + 1
    WHERE state IN ('planned', 'uploaded', 'creating', 'unsure')
      AND COALESCE(to_jsonb(batch) ->> 'mode', 'batch') = 'batch'
"""
"""The one place beside the engine that writes states: the engine's table tells of what it did, not of a lost past.

The mark is kept until the first create call with it was refused, so a batch made since the backup is found by it. An
empty file id is that of no batch. Calls in real time leave nothing to look for; a database of 0001 knows of none.
"""


def _refuse_if_used(url: str, home: Path) -> None:
    with psycopg.connect(url) as connection:
        there = connection.execute("SELECT to_regclass('batchframe.job')").fetchone()
        jobs = connection.execute("SELECT count(*) FROM batchframe.job").fetchone() if there and there[0] else None
        others = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
    if jobs and jobs[0]:
        raise DatabaseError(
            f"The database in {home} holds {jobs[0]:,} jobs, which a restore replaces. Back it up, then pass "
            "--force; or restore into another BATCHFRAME_HOME."
        )
    if others and others[0]:
        raise DatabaseError(f"{others[0]:,} connections of workers or notebooks are open: close these first.")


def _run(program: str, *arguments: str, failed: str) -> None:
    """Run a client program as the caller, whom the server lets in, in an environment without PG… variables."""
    account = server_account()
    caller = Account(account.owner, os.geteuid(), os.getegid(), account.owner)
    ended = caller.run([str(programs(account) / program), *arguments], capture_output=True)
    if ended.returncode:
        raise explained(failed, ended.stderr)
