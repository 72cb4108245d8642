"""Checks of the provider: the key, the clock, whether it gives our marks back, and batches nobody knows."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batchframe.errors import ProviderError
from batchframe.model import CHAT
from batchframe.operations import orphans
from batchframe.operations.finding import Finding, Level
from batchframe.operations.local_checks import clock
from batchframe.providers.base import Phase, Provider, RemoteBatch
from batchframe.store import marks
from batchframe.store.database import Database

_SKEW_SECONDS = 300.0
_PROBE_SECONDS = 60.0
_MARKS = "marks"
_ECHOED = "its list gives back the marks that batchframe puts on batches"
_STRIPPED = "its list does not give back the marks that batchframe puts on batches"
_KNOWN_BY_FILE = "A lost create call is then known by its file; orphans cannot be found."


async def check_provider(
    provider: Provider, address: str, database: Database, *, probe: bool
) -> AsyncIterator[Finding]:
    """All checks of a provider; the later ones only when it can be reached."""
    begun = time.perf_counter()
    try:
        told = await provider.check()
    except ProviderError as error:
        yield Finding("provider", Level.FAIL, str(error), "Check OPENAI_API_KEY, OPENAI_BASE_URL and the network.")
        return
    here = datetime.now(UTC)
    yield Finding(
        "provider", Level.OK, f"{provider.id}: the key is accepted; answers in {time.perf_counter() - begun:.2f} s"
    )
    if told is not None:
        yield clock("provider's clock", "the provider's", (told - here).total_seconds(), _SKEW_SECONDS)
    try:
        listed = await provider.marked(here - orphans.SWEEP)
        yield await (_probe_marks(provider) if probe else _look_for_marks(provider, database, listed))
    except ProviderError as error:
        yield Finding(_MARKS, Level.FAIL, str(error), "Try again; a lost create call can only be found in this list.")
        return
    yield await asyncio.to_thread(_check_orphans, database, listed, address)


async def _look_for_marks(provider: Provider, database: Database, listed: list[RemoteBatch]) -> Finding:
    """By what is there: a batch of ours must be among the marked ones."""

    def newest() -> marks.Accepted | None:
        with database.transaction() as connection:
            return marks.newest_accepted(connection, provider.id)

    ours = await asyncio.to_thread(newest)
    if ours is None or ours.created_at < datetime.now(UTC) - orphans.SWEEP:
        if listed:
            return Finding(_MARKS, Level.OK, _ECHOED)
        return Finding(_MARKS, Level.OK, "nothing to tell by yet; --probe finds out, at no cost")
    if any(remote.id == ours.provider_id for remote in listed):
        return Finding(_MARKS, Level.OK, _ECHOED)
    return Finding(_MARKS, Level.WARN, f"{_STRIPPED} (batch {ours.provider_id})", _KNOWN_BY_FILE)


async def _probe_marks(provider: Provider) -> Finding:
    """By a batch whose one line names no model and another endpoint: it fails its validation, and costs nothing."""
    mark = f"{orphans.PROBE}{uuid.uuid4()}"
    line = {"custom_id": "probe", "method": "POST", "url": "/v1/none", "body": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.jsonl"
        path.write_text(json.dumps(line) + "\n")
        file_id = await provider.upload(path, f"batchframe-{mark}.jsonl")
    try:
        made = await provider.create(file_id, CHAT, mark)
        ended = await _until_ended(provider, made)
        listed = await provider.marked(datetime.now(UTC) - timedelta(hours=1))
    finally:
        await provider.delete(file_id)
    said = f"probed by {made.id}, which ended as {ended.status!r} and cost nothing"
    if any(remote.mark == mark for remote in listed):
        return Finding(_MARKS, Level.OK, f"{_ECHOED}; {said}")
    return Finding(_MARKS, Level.WARN, f"{_STRIPPED}; {said}", _KNOWN_BY_FILE)


async def _until_ended(provider: Provider, remote: RemoteBatch) -> RemoteBatch:
    deadline = time.monotonic() + _PROBE_SECONDS
    wait = 0.05
    while remote.phase is Phase.RUNNING and time.monotonic() < deadline:
        await asyncio.sleep(wait)
        wait = min(2 * wait, 5.0)
        remote = await provider.poll(remote.id)
    if remote.phase is Phase.RUNNING:
        remote = await provider.cancel(remote.id)
    return remote


def _check_orphans(database: Database, listed: list[RemoteBatch], address: str) -> Finding:
    found = orphans.unknown(database, listed)
    if not found:
        return Finding("orphans", Level.OK, f"none among {len(listed):,} marked batches of the last 30 days")
    running = [remote for remote in found if remote.phase is Phase.RUNNING]
    details = [orphans.described(remote) for remote in found]
    details += ["Another batchframe database on this account may own them, or their job was removed by `clean`."]
    if running:
        details += ["If none does, stop those that run, with the key in the environment:"]
        key = '-H "Authorization: Bearer $OPENAI_API_KEY"'
        details += [f"  curl -X POST {key} {address.rstrip('/')}/batches/{remote.id}/cancel" for remote in running]
    return Finding(
        "orphans",
        Level.WARN,
        f"{len(found):,} batches carry our mark and are not in this database, {len(running):,} of them running",
        "See below whose they may be; batchframe never cancels them by itself.",
        tuple(details),
    )
