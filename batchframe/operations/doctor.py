"""The doctor: every check, one after the other, each with what to do next. It looks, and changes nothing.

But for what any command does: it starts the embedded server and brings the tables up to date.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from batchframe.errors import DatabaseError
from batchframe.frame.session import Session
from batchframe.operations.finding import Finding, Level
from batchframe.operations.local_checks import check_database, check_disk, check_work
from batchframe.operations.provider_checks import check_provider


async def examine(session: Session, *, probe: bool) -> AsyncIterator[Finding]:
    """What is found, check by check.

    Args:
        probe: whether to make a batch that cannot run, to see whether the provider gives its mark back.
    """
    settings, database = session.settings, session.database
    yield check_disk(settings)
    try:
        for finding in [*check_database(database, settings), *check_work(database, settings)]:
            yield finding
    except DatabaseError as error:
        yield unreachable(error)
        return
    if settings.openai_api_key is None:
        yield Finding("provider", Level.FAIL, "there is no API key", "Set OPENAI_API_KEY; without it nothing is sent.")
        return
    for provider in session.providers():
        try:
            async for finding in check_provider(provider, settings.openai_address, database, probe=probe):
                yield finding
        finally:
            await provider.close()


def unreachable(error: DatabaseError) -> Finding:
    """The database cannot be had: nothing else can be looked at."""
    return Finding("database", Level.FAIL, str(error), "Mend this first; the other checks need it.")
