"""The embedded PostgreSQL server: one per home, started on first use, shared by all processes of its user.

Everything lives under `<home>/postgres`. The idea to read the file by: the server holds a lock on the file
`alive`, inherited as an open file, so whether it runs is asked of the kernel. A process id that a crash left
behind, or that another process has by now, decides nothing.

There is no password to leak. The server listens on a Unix socket in a private folder and lets in, by the user
id that the kernel reports ("peer"), the owner of the home and root, and nobody else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from batchframe.errors import DatabaseError
from batchframe.store import embedded_address, embedded_data
from batchframe.store.embedded_binaries import Account, server_account, version
from batchframe.store.embedded_errors import ELSEWHERE, explained

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READY_SECONDS = 120.0  # recovery after a crash replays up to max_wal_size
STOP_SIGNALS = {
    "INT": 30.0,  # "fast": roll back, disconnect, write everything out; seconds it may take
    "QUIT": 30.0,  # "immediate", made good at the next start: 18.4 hangs if told to stop while it recovers
}
LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class EmbeddedStatus:
    """What is known of a home's server; `version` is that of the installed programs."""

    running: bool
    pid: int | None
    version: str
    data_directory: Path
    size_bytes: int
    log_file: Path


def start(home: Path) -> str:
    """Start the home's server unless it runs, wait until it answers, and return its URL.

    The first call makes the home and the database. Any number of processes and threads may call at once. The
    server outlives the process that started it, until `stop` or a reboot.

    The URL is libpq's, `postgresql://batchframe@/postgres?host=…&port=5432&requirepeer=…`, as psycopg takes it;
    for SQLAlchemy replace the scheme by `postgresql+psycopg://`. It holds no secret.

    Raises:
        DatabaseError: it cannot be started, with the last lines of its log and what to do next.
    """
    with _cluster(home) as cluster:
        cluster.make_folders()
        with cluster.changing():
            cluster.bring_up()
        return cluster.url()


def stop(home: Path) -> bool:
    """Shut the home's server down, ending its connections. Whether one was running."""
    with _cluster(home) as cluster:
        if not cluster.exists():
            return False
        with cluster.changing():
            return cluster.shut_down()


def status(home: Path) -> EmbeddedStatus:
    """Look, and change nothing."""
    with _cluster(home) as cluster:
        running = cluster.exists() and cluster.is_alive()
        return EmbeddedStatus(
            running=running,
            pid=cluster.pid() if running else None,
            version=version(),
            data_directory=cluster.data,
            size_bytes=_size(cluster.data),
            log_file=cluster.log,
        )


def url(home: Path) -> str:
    """The URL that `start` returned, also when the server is stopped."""
    with _cluster(home) as cluster:
        if not cluster.exists():
            raise DatabaseError(f"{home} holds no embedded database yet: bf.connect() makes it.")
        return cluster.url()


class Cluster:
    """The folder of one server, and what may be done to it."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.folder = self.home / "postgres"
        self.data = self.folder / "data"
        self.socket = self.folder / "socket"
        self.log = self.folder / "server.log"

    @cached_property
    def account(self) -> Account:
        return server_account()

    def exists(self) -> bool:
        if not self.folder.exists():
            return False
        if (owner := self.folder.stat().st_uid) != os.geteuid():
            raise DatabaseError(
                f"{self.folder} belongs to another user (id {owner}). Run as that user, or choose a home of "
                "your own: set BATCHFRAME_HOME."
            )
        return True

    def make_folders(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.exists()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One process and thread at a time may start or stop the server."""
        path = self.folder / "lock"
        with _open(path, os.O_RDWR | os.O_CREAT) as lock:
            if not _until(lambda: _locked(lock, fcntl.LOCK_EX), READY_SECONDS + sum(STOP_SIGNALS.values())):
                raise DatabaseError(f"Another process holds {path} for minutes. Find it with: fuser {path}")
            try:
                yield
            finally:  # in words, not by closing: a child forked meanwhile has a copy of the open file
                fcntl.flock(lock, fcntl.LOCK_UN)

    def is_alive(self) -> bool:
        """Whether any process of the server lives, be it starting, working or stopping."""
        try:
            with _open(self.folder / "alive", os.O_RDONLY) as alive:
                return not _locked(alive, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def is_ready(self) -> bool:
        """Asked only after the server noted that it is: each refusal would be a line in its log."""
        return self._noted()[-1:] == ["ready"] and embedded_address.is_ready(self.socket)

    def pid(self) -> int | None:
        """As the server noted it: to be believed while it listens, to be shown while it lives."""
        noted = self._noted()
        return int(noted[0]) if noted else None

    def bring_up(self) -> None:
        self._bound_log()
        mark = -1
        for _ in _moments(READY_SECONDS):
            if self.is_ready():
                return
            if not self.is_alive():
                if mark >= 0:
                    raise explained(f"The embedded Postgres ended at its start. {self.log}:", self._logged(mark))
                mark = self.log.stat().st_size if self.log.exists() else 0
                self._launch()
        # when a server was killed, its last processes finish their work first: no other may start until then
        raise explained(
            f"The embedded Postgres is not ready after {READY_SECONDS:.0f} s. Stop it, then try again; if "
            f"the home is shared with another machine, stop it there. {self.log}:",
            self._logged(max(mark, 0)),
        )

    def shut_down(self) -> bool:
        if not self.is_alive():
            return False
        for name, seconds in STOP_SIGNALS.items():
            pid = self.pid()
            if pid is not None and embedded_address.listens(self.socket):  # else the id may be another's by now
                # as the server's own user, so that no mistake about the id ends a process of root's
                self.account.run(["/bin/sh", "-c", 'kill -s "$1" "$2"', "sh", name, str(pid)], capture_output=True)
            if _until(lambda: not self.is_alive(), seconds):
                return True
        raise explained(f"The embedded Postgres did not stop. Try again. {self.log}:", self._logged(0))

    def url(self) -> str:
        return embedded_address.url(self.socket, self.account.name)

    def _launch(self) -> None:
        server = embedded_data.prepare(self.data, self.account)
        self._make_socket_folder()
        with (
            _open(self.folder / "alive", os.O_RDWR | os.O_CREAT) as alive,
            _open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as log,
        ):
            if not _until(lambda: _locked(alive, fcntl.LOCK_EX), READY_SECONDS):
                raise DatabaseError(f"Another program holds {self.folder / 'alive'}. Find it with fuser.")
            # The shell goes at once, so the server is nobody's child: it leaves no zombie in a notebook, and
            # is not ended with the notebook's children (ipykernel does so when it shuts down).
            self.account.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *server],
                cwd=self.data,
                pass_fds=(alive,),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _make_socket_folder(self) -> None:
        if self.account.is_lent:  # the server passes through to its own two folders, and sees nothing else
            os.chown(self.folder, -1, self.account.gid)
            self.folder.chmod(0o710)
        shutil.rmtree(self.socket, ignore_errors=True)  # with the socket and the lock file of a dead server
        self.socket.mkdir(mode=0o700)
        self.account.give(self.socket)

    def _noted(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(errors="replace").split()
        except FileNotFoundError:
            return []

    def _bound_log(self) -> None:
        """Keep two logs of bounded size; a running server goes on in the emptied one."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_name("server.log.1"))
            os.truncate(self.log, 0)

    def _logged(self, since: int) -> str:
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")


@contextlib.contextmanager
def _cluster(home: Path) -> Iterator[Cluster]:
    """The cluster of a home; what the system refuses becomes an error that says what to do."""
    if sys.platform == "win32":
        raise DatabaseError(f"The embedded server runs on Linux and macOS. Use WSL, or {ELSEWHERE}.")
    try:
        yield Cluster(home)
    except OSError as error:
        raise explained("The embedded Postgres cannot be used:", str(error)) from error


@contextlib.contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _moments(seconds: float) -> Iterator[None]:
    """Now, and again until the time is over: first after milliseconds, then ever more rarely."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        yield
        time.sleep(min(0.005 + passed / 20, 0.25))


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    return any(condition() for _ in _moments(seconds))


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the server works meanwhile
                total += os.lstat(f"{parent}/{name}").st_size
    return total
