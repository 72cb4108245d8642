"""How clients name the embedded server's socket: a path of any length and spelling, in a URL any program takes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import stat
import struct
import time
from pathlib import Path
from urllib.parse import quote

from batchframe.errors import DatabaseError

ROLE = "batchframe"
DATABASE = "postgres"
PORT = 5432  # of no network: the end of the socket's name
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST = 100  # bytes; the system's struct sockaddr_un takes 104 on macOS, 108 on Linux, with a final zero
REPLY_SECONDS = 2.0
PROTOCOL_3 = 3 << 16
GREETING = f"user\0{ROLE}\0database\0{DATABASE}\0\0".encode()
TERMINATE = b"X" + struct.pack("!i", 4)
CANNOT_CONNECT_NOW = b"\0C57P03\0"  # the SQLSTATE of a server that starts, recovers or stops


def url(folder: Path, server_user: str) -> str:
    """The address for clients. By `requirepeer`, libpq refuses another user's server, should one ever sit there."""
    where = f"host={reachable(folder)}&port={PORT}&requirepeer={quote(server_user)}"
    return f"postgresql://{ROLE}@/{DATABASE}?{where}"


def reachable(folder: Path) -> Path:
    """The socket's folder, or a short plain name for it.

    Plain, because libpq splits hosts at commas, Alembic's configuration trips over the `%` of a quoted URL, and
    SQLAlchemy reads paths as UTF-8. The socket itself never lies in the temporary folder: when that is cleaned,
    only the name is lost, and the next call makes it anew.
    """
    if re.fullmatch(r"[A-Za-z0-9/._-]+", str(folder)) and len(str(folder / SOCKET_NAME)) <= LONGEST:
        return folder
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    for number in range(16):  # a name that another user took is passed over; all lead to the same socket
        # not TMPDIR, which may be long, and differs between processes
        private = Path(f"/tmp/batchframe-{os.geteuid()}-{digest}-{number}")  # noqa: S108
        with contextlib.suppress(FileExistsError):
            private.mkdir(mode=0o700)
        if _is_ours_alone(private):
            return _linked(private / "socket", folder)
    raise DatabaseError(
        f"Other users have taken all names like {private}. Remove them, or choose a home with a path "
        f"of at most {LONGEST - len('/postgres/socket/' + SOCKET_NAME)} plain letters: set BATCHFRAME_HOME."
    )


def is_ready(folder: Path) -> bool:
    """Whether the server takes connections, asked in its own protocol: while it recovers it listens, and refuses."""
    reply = _reply(folder)
    return bool(reply) and CANNOT_CONNECT_NOW not in (reply or b"")


def listens(folder: Path) -> bool:
    """Whether the postmaster lives, be it ready or not."""
    return _reply(folder) is not None


def _reply(folder: Path) -> bytes | None:
    """What the server says to a client that greets and leaves; None when nobody listens.

    Not psycopg's: libpq takes what is not in the URL from PG… variables, which may be meant for another server.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(REPLY_SECONDS)
        try:
            client.connect(str(reachable(folder) / SOCKET_NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        reply = b""
        with contextlib.suppress(OSError):  # it ends meanwhile, or is too busy to speak
            client.sendall(struct.pack("!ii", 8 + len(GREETING), PROTOCOL_3) + GREETING + TERMINATE)
            while received := client.recv(4096):
                reply += received
        return reply


def _is_ours_alone(private: Path) -> bool:
    found = private.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _linked(link: Path, target: Path) -> Path:
    """In a folder of its own: Linux lets not even root follow another user's link in a shared folder."""
    if not link.is_symlink() or link.readlink() != target:
        fresh = link.with_name(f"{os.getpid()}-{time.monotonic_ns()}")
        fresh.symlink_to(target)
        fresh.replace(link)
    return link
