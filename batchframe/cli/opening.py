"""A session for a command: connected, and closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batchframe.config import load_settings
from batchframe.frame.session import Session


@contextmanager
def opened(*, works: bool = False) -> Iterator[Session]:
    """Connect by the environment's settings.

    Args:
        works: whether an engine may run here; without one, commands only look and write to the database.
    """
    session = Session(load_settings(), works=works)
    try:
        yield session
    finally:
        session.close()
