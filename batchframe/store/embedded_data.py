"""The embedded server's data directory: made whole or not at all, checked, and given its settings anew at every start.

Nothing here runs while the server does: the caller sees to that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from batchframe.errors import DatabaseError
from batchframe.store.embedded_address import ROLE
from batchframe.store.embedded_binaries import MAJOR, Account, programs
from batchframe.store.embedded_errors import ELSEWHERE, explained
from batchframe.store.embedded_settings import SERVER_SETTINGS, SETTINGS_IF_BUILT_IN


def prepare(data: Path, account: Account) -> list[str]:
    """Make the data directory ready; the command that then serves it, to be run from inside it."""
    for leftover in data.parent.glob("*.new-*"):  # of a start that was killed
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
    if not data.exists():
        _make(data, account)
    _check_version(data)
    if data.stat().st_uid != account.uid:
        _take_over(data, account)
    _write_settings(data, account)
    (data / "postmaster.pid").unlink(missing_ok=True)  # Postgres would take a process id used again for a server
    return _command("postgres", data, account)


def _make(data: Path, account: Account) -> None:
    """Make it aside, then move it to its place: a crash leaves all of it or nothing."""
    # a name of its own: the initdb of a start that was killed may still be writing to an earlier one
    staging = Path(tempfile.mkdtemp(dir=data.parent, prefix="data.new-"))
    account.give(staging)
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = [f"--username={ROLE}", *locale, "--auth=peer", "--no-instructions"]
    made = account.run([*_command("initdb", staging, account), *options], cwd=staging, capture_output=True)
    if made.returncode:
        shutil.rmtree(staging, ignore_errors=True)
        raise explained(f"The embedded Postgres could not make {data}:", made.stdout + made.stderr)
    main = staging / "postgresql.conf"
    _write(main, f"{main.read_text()}\ninclude 'batchframe.conf'\n", account)
    staging.rename(data)
    _sync(data.parent)


def _check_version(data: Path) -> None:
    """Before Postgres does: its own refusal names neither the package nor the way out."""
    file = data / "PG_VERSION"
    made_by = file.read_text().strip() if file.exists() else ""
    if made_by != str(MAJOR):
        what = f"was made by PostgreSQL {made_by}" if made_by else "holds no PostgreSQL data"
        raise DatabaseError(
            f"{data} {what}; this batchframe brings PostgreSQL {MAJOR}. Use the batchframe that made it, "
            f"or move the folder away to begin anew (its jobs stay behind), or {ELSEWHERE}."
        )


def _take_over(data: Path, account: Account) -> None:
    """After a move to a container where the account has another number; no link in the data is followed."""
    for _, folders, files, parent in os.fwalk(data):
        for name in (*folders, *files):
            os.chown(name, account.uid, account.gid, dir_fd=parent, follow_symlinks=False)
    account.give(data)


def _write_settings(data: Path, account: Account) -> None:
    settings = SERVER_SETTINGS
    for name, value in SETTINGS_IF_BUILT_IN.items():
        question = [*_command("postgres", data, account), "-C", name, "-c", f"{name}={value}"]
        if account.run(question, cwd=data, capture_output=True).returncode == 0:
            settings += f"{name} = '{value}'\n"
    owners = ['"{}"'.format(name.replace('"', '""')) for name in sorted({account.owner, "root"})]
    _write(data / "batchframe.conf", settings, account)
    _write(data / "pg_hba.conf", "local all all peer map=owners\n", account)
    _write(data / "pg_ident.conf", "".join(f"owners {owner} {ROLE}\n" for owner in owners), account)


def _command(program: str, working_directory: Path, account: Account) -> list[str]:
    """A program and its data directory, which it is run from inside of.

    Root's home is closed to the server's account and stays so: /proc/self/cwd leads past the folders above. The
    wheel opens them to everyone; data kept elsewhere, as in /var/lib, would be lost with a container whose volume is
    the home.
    """
    name = "/proc/self/cwd" if account.is_lent else str(working_directory)
    return [str(programs(account) / program), "-D", name]


def _write(path: Path, text: str, account: Account) -> None:
    """Replace a file whole. A rename follows no link that the server's account could have laid for root."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent.parent, prefix=f"{path.name}.new-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    account.give(Path(fresh))
    Path(fresh).replace(path)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
