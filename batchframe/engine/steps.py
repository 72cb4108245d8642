"""Steps: what each state of a batch asks for, one command to the provider each, and the guarded write after it.

A step returns the batch as it now is, to go on with, or None when it has been given back or has come to its end. No
transaction is open while the provider is being called.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from batchframe.config import Settings
from batchframe.core.pacing import poll_wait
from batchframe.core.poison import NO_MODEL
from batchframe.core.quota import split_at, stated_limit
from batchframe.core.states import Event
from batchframe.engine.asking import Asking
from batchframe.engine.insisting import insist
from batchframe.engine.own_thread import OwnThread
from batchframe.engine.settling import IncompleteResultsError, Settling
from batchframe.engine.watching import tally, working_on
from batchframe.errors import ConfigurationError, DoubtfulError, ProviderError, RefusedError
from batchframe.model import Batch, BatchState, Mode
from batchframe.providers.base import Phase, Provider, RemoteBatch
from batchframe.store import batches, budgets, outcomes, quotas
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_LOOKS_BEFORE_GONE = 3
"""How often, beside the grace period, a file or batch must be missing before it is taken for gone."""

_DAY = 86_400.0
_UPLOADS_AT_ONCE = 1
"""One after the other: the first batch is at the provider, and at work, while the next is on its way."""

TOKEN_LIMIT = "token_limit_exceeded"  # noqa: S105 - a provider's error code


class Steps:
    """The engine's dealings with one batch at a time."""

    def __init__(self, database: Database, providers: Mapping[str, Provider], settings: Settings) -> None:
        self._database = database
        self._providers = providers
        self._settings = settings
        self._settling = Settling(database, settings)
        self._asking = Asking(database, settings)
        self._spool = settings.home / "spool"
        try:
            self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sweep(self._spool)
        except OSError as error:
            raise ConfigurationError(f"BATCHFRAME_HOME={settings.home} cannot be written to: {error}.") from None
        self._uploading = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self.reading = OwnThread("batchframe-results")
        self._steps: dict[BatchState, Callable[[Batch, Provider], Awaitable[Batch | None]]] = {
            BatchState.PLANNED: self._send,
            BatchState.UPLOADED: self._create,
            BatchState.CREATING: self._doubt,
            BatchState.UNSURE: self._look_for,
            BatchState.SUBMITTED: self._poll,
            BatchState.ENDED: self._fetch,
            BatchState.ASKING: self._report_lost,
        }

    async def take(self, batch: Batch) -> Batch | None:
        """Take the one step the batch's state asks for.

        Raises:
            LeaseLostError: another engine holds it now.
        """
        working_on.set(batch)
        try:
            return await self._steps[batch.state](batch, self._providers[batch.route.provider])
        except batches.LeaseLostError:
            tally["leases lost"] += 1
            raise
        except OSError as error:
            logger.warning("batch %s: %s", batch.id, said := self._unwritable(error))
            return await self._later(batch, error=said)

    def _unwritable(self, error: OSError) -> str:
        return (
            f"BATCHFRAME_HOME={self._settings.home} cannot be written to: {error.strerror or error}. "
            "Free some space; it goes on by itself."
        )

    async def _send(self, batch: Batch, provider: Provider) -> Batch | None:
        if batch.stopped:
            return await self._end(self._settling.give_back, batch)
        if batch.mode is Mode.REALTIME:
            return await self._ask(batch, provider)
        if not await asyncio.to_thread(self._affords, batch):
            return None
        return await self._upload(batch, provider)

    async def _ask(self, batch: Batch, provider: Provider) -> Batch | None:
        job = await asyncio.to_thread(self._settling.job, batch)
        rules = self._settling.rules(job)
        rows = await asyncio.to_thread(self._asking.read, batch)
        started = time.time()
        intended = await asyncio.to_thread(self._intend, batch, Event.ASKED)
        if intended is None:
            return None
        if self._slept_since(started):
            await asyncio.to_thread(self._asking.not_asked, intended, rows)
        else:
            await self._asking.ask(intended, job, rules, rows, provider)
        return None

    def _slept_since(self, started: float) -> bool:
        """Whether this process was frozen for so long that another engine may hold its batch by now."""
        return time.time() - started > self._settings.lease_seconds / 2

    async def _report_lost(self, batch: Batch, _: Provider) -> Batch | None:
        """Claimed while being asked in real time: whoever asked is gone, and with it the answers."""
        logger.error("batch %s: the process that asked its rows in real time ended in the middle", batch.id)
        rules = self._settling.rules(await asyncio.to_thread(self._settling.job, batch))
        await asyncio.to_thread(self._asking.lost, batch, rules)
        return None

    async def _upload(self, batch: Batch, provider: Provider) -> Batch | None:
        path = self._spool / f"{batch.uid}.in.jsonl"
        try:
            async with self._uploading:
                await asyncio.to_thread(self._write_input, batch, path)
                file_id = await provider.upload(path, f"batchframe-{batch.uid}.jsonl")
        except ProviderError as error:
            return await self._refused_or_later(batch, error)
        finally:
            path.unlink(missing_ok=True)
        return await self._advance(batch, Event.UPLOADED, input_file_id=file_id)

    async def _create(self, batch: Batch, provider: Provider) -> Batch | None:
        if batch.stopped:
            return await self._end(self._settling.give_back, batch)
        started = time.time()
        intended = await asyncio.to_thread(self._intend, batch, Event.INTENT)
        if intended is None:
            return None
        batch = intended
        assert batch.input_file_id is not None
        if self._slept_since(started):
            return await self._advance(batch, Event.DOUBT)
        try:
            remote = await provider.create(batch.input_file_id, batch.route.endpoint, str(batch.uid))
        except RefusedError as error:
            if TOKEN_LIMIT in (error.code or "") or TOKEN_LIMIT in str(error):
                return await asyncio.to_thread(self._queue_full, batch, str(error))
            if _may_pass(error) and error.code != NO_MODEL:
                batch = await self._advance(batch, Event.REFUSED)
                return await self._later(batch, error=str(error))
            return await self._end(self._settling.refused, batch, error.code or "refused", str(error))
        except DoubtfulError as error:
            logger.warning("batch %s: %s It is looked for before anything else happens.", batch.id, error)
            return await self._advance(batch, Event.DOUBT, error=str(error))
        try:
            return await self._advance(batch, Event.ACCEPTED, provider_id=remote.id, provider_status=remote.status)
        except batches.LeaseLostError:
            await self._cancel_if_orphaned(batch, provider, remote)
            raise

    async def _doubt(self, batch: Batch, _: Provider) -> Batch | None:
        """Claimed in the middle of a create call: whoever made it is gone, and with it the answer."""
        return await self._advance(batch, Event.DOUBT)

    async def _look_for(self, batch: Batch, provider: Provider) -> Batch | None:
        assert batch.input_file_id is not None
        assert batch.intent_at is not None
        assert batch.intent_age is not None
        try:
            found = await provider.find(str(batch.uid), batch.input_file_id, batch.intent_at)
        except ProviderError as error:
            return await self._later(batch, error=str(error))
        if found:
            ours, *extra = sorted(found, key=_best_first)
            for remote in extra:
                await self._cancel_extra(batch, provider, remote)
            return await self._advance(batch, Event.FOUND, provider_id=ours.id, provider_status=ours.status)
        left = self._settings.grace_seconds - batch.intent_age
        if left > 0:
            return await self._later(batch, at_most=left)
        if batch.stopped:
            return await self._end(self._settling.give_back, batch)
        return await self._advance(batch, Event.ABSENT)

    async def _poll(self, batch: Batch, provider: Provider) -> Batch | None:
        assert batch.provider_id is not None
        try:
            remote = await provider.poll(batch.provider_id)
            if batch.stopped and remote.phase is Phase.RUNNING and remote.status != "cancelling":
                remote = await provider.cancel(batch.provider_id)
        except ProviderError as error:
            if error.status == 404 and batch.polls >= _LOOKS_BEFORE_GONE and self._is_past_grace(batch.intent_age):
                logger.error("batch %s: the provider no longer knows %s", batch.id, batch.provider_id)
                return await self._end(self._settling.lost, batch)
            return await self._later(batch, error=str(error))
        seen: dict[str, Any] = {
            "provider_status": remote.status,
            "provider_completed": remote.completed,
            "provider_failed": remote.failed,
        }
        if remote.phase is Phase.RUNNING:
            return await self._later(batch, **seen)
        if remote.phase is Phase.ENDED:
            return await self._advance(
                batch, Event.ENDED, output_file_id=remote.output_file_id, error_file_id=remote.error_file_id, **seen
            )
        full = next((problem for problem in remote.problems if problem.code == TOKEN_LIMIT), None)
        if full and not batch.stopped:
            return await asyncio.to_thread(self._queue_full, batch, full.message)
        return await self._end(self._settling.invalid, batch, remote.problems)

    async def _fetch(self, batch: Batch, provider: Provider) -> Batch | None:
        patient = not (batch.polls >= _LOOKS_BEFORE_GONE and self._is_past_grace(batch.ended_age))
        wanted = {"out": batch.output_file_id, "err": batch.error_file_id}
        paths = {kind: self._spool / f"{batch.uid}.{batch.token}.{kind}.jsonl" for kind, id_ in wanted.items() if id_}
        gone = False
        try:
            for kind, path in list(paths.items()):
                try:
                    await provider.fetch(wanted[kind] or "", path)
                except RefusedError as error:
                    if error.status != 404 or patient:
                        return await self._later(batch, error=str(error))
                    del paths[kind]
                    gone = True
                except ProviderError as error:
                    return await self._later(batch, error=str(error))
            await self.reading.run(
                self._settling.results, batch, list(paths.values()), gone=gone, must_be_whole=patient
            )
        except IncompleteResultsError as error:
            return await self._look_again(batch, provider, str(error))
        finally:
            for path in paths.values():
                path.unlink(missing_ok=True)
        return None

    async def _look_again(self, batch: Batch, provider: Provider, why: str) -> Batch | None:
        """Results fell short: perhaps the file was cut on its way, perhaps the provider has named it only now."""
        assert batch.provider_id is not None
        logger.warning("batch %s: %s", batch.id, why)
        try:
            remote = await provider.poll(batch.provider_id)
        except ProviderError:
            return await self._later(batch, error=why)
        seen: dict[str, Any] = {
            "output_file_id": remote.output_file_id,
            "error_file_id": remote.error_file_id,
            "provider_completed": remote.completed,
            "provider_failed": remote.failed,
        }
        return await self._later(batch, error=why, **seen)

    def _is_past_grace(self, age: float | None) -> bool:
        return age is not None and age > self._settings.grace_seconds

    def _write_input(self, batch: Batch, path: Path) -> None:
        with (
            self._database.transaction() as connection,
            path.open("wb") as file,
            closing(outcomes.input_lines(connection, batch)) as lines,
        ):
            file.writelines(lines)

    def _affords(self, batch: Batch) -> bool:
        """Whether the budgets have room, before the work of an upload; what counts is asked again with the intent."""
        with self._database.transaction() as connection:
            admission = budgets.admit(connection, batch)
            if admission.refusal:
                self._hold(connection, batch, admission)
            return admission.refusal is None

    def _intend(self, batch: Batch, event: Event) -> Batch | None:
        """Commit the intent, if queue and budgets have room; else give the batch back to wait."""
        with self._database.transaction() as connection:
            if batch.mode is Mode.BATCH and not quotas.admits(connection, batch):
                batches.release(connection, batch, self._wait(batch), error="Waiting for the enqueued-token limit.")
                return None
            admission = budgets.admit(connection, batch)
            if admission.refusal:
                self._hold(connection, batch, admission)
                return None
            budgets.pause(connection, batch.job_id, None)
            return batches.advance(connection, batch, event, reserved_usd=admission.cost)

    def _hold(self, connection: Connection, batch: Batch, admission: budgets.Admission) -> None:
        """Wait for batches under way, which may turn out cheaper than expected; pause the job when there are none."""
        if admission.nothing_under_way:
            budgets.pause(connection, batch.job_id, admission.refusal)
        batches.release(connection, batch, self._settings.poll_max_seconds, error=admission.refusal)

    def _queue_full(self, batch: Batch, message: str) -> Batch | None:
        """The model's queue has no room: wait for running batches, or split one that can never fit."""
        with self._database.transaction() as connection:
            limit = stated_limit(message)
            running = quotas.running_tokens(connection, batch.route) - batch.tokens
            smaller = split_at(batch.tokens, limit, batch.polls) if running <= 0 else None
            hopeless = smaller is not None and batch.n_requests == 1
            if not hopeless and (allowed := smaller or limit or running) > 0:
                quotas.learn(connection, batch.route, allowed)
            if smaller is None:
                batch = batches.advance(connection, batch, Event.QUEUE_FULL, error=message)
                batches.release(connection, batch, self._wait(batch), error=message)
        if hopeless:
            self._settling.refused(batch, TOKEN_LIMIT, message)
        elif smaller is not None:
            logger.info("batch %s is larger than the model's queue; it is packed anew in smaller ones", batch.id)
            self._settling.give_back(batch)
        return None

    async def _refused_or_later(self, batch: Batch, error: ProviderError) -> Batch | None:
        if isinstance(error, RefusedError) and not _may_pass(error):
            return await self._end(self._settling.refused, batch, error.code or "refused", str(error))
        return await self._later(batch, error=str(error))

    async def _cancel_if_orphaned(self, batch: Batch, provider: Provider, remote: RemoteBatch) -> None:
        """Another engine has taken over in the middle of the call. If it has given the call up, nobody will find it."""

        def read(_again: bool) -> tuple[UUID, str | None]:
            with self._database.transaction() as connection:
                return batches.current_mark(connection, batch.id)

        mark, provider_id = await insist(read, self._settings, f"batch {batch.id}")
        if mark != batch.uid and provider_id != remote.id:
            await self._cancel_extra(batch, provider, remote)

    async def _cancel_extra(self, batch: Batch, provider: Provider, remote: RemoteBatch) -> None:
        tally["duplicates"] += 1
        logger.error(
            "batch %s is at the provider twice; %s is being cancelled. What it answered until then is paid for twice.",
            batch.id,
            remote.id,
        )
        if remote.phase is Phase.RUNNING:
            try:
                await provider.cancel(remote.id)
            except ProviderError as error:
                logger.error("batch %s: %s", batch.id, error)

    async def _advance(self, batch: Batch, event: Event, **columns: Any) -> Batch:
        def write() -> Batch:
            with self._database.transaction() as connection:
                return batches.advance(connection, batch, event, **columns)

        return await asyncio.to_thread(write)

    async def _later(self, batch: Batch, *, at_most: float = float("inf"), **columns: Any) -> Batch | None:
        """Give the batch back until its next look."""

        def write() -> None:
            with self._database.transaction() as connection:
                batches.release(connection, batch, min(self._wait(batch), at_most), **{"error": None, **columns})

        await asyncio.to_thread(write)
        return None

    async def _end(self, settle: Callable[..., None], batch: Batch, *reason: Any) -> Batch | None:
        await asyncio.to_thread(settle, batch, *reason)
        return None

    def _wait(self, batch: Batch) -> float:
        return poll_wait(
            batch.polls,
            self._settings.poll_seconds,
            self._settings.poll_max_seconds,
            random.random(),  # noqa: S311 - jitter
        )


def _sweep(spool: Path) -> None:
    """Remove what killed processes left behind; nothing is in transit for a day."""
    for path in spool.iterdir():
        with suppress(FileNotFoundError):  # another engine may sweep beside us
            if time.time() - path.stat().st_mtime > _DAY:
                path.unlink()


def _may_pass(error: RefusedError) -> bool:
    """Whether the refusal is about the moment or the key, not about the rows."""
    return error.retryable or error.status in (401, 403, 404)


def _best_first(remote: RemoteBatch) -> tuple[bool, bool]:
    """Of several batches that carry our mark: one that can still answer, and rather one that is surely ours."""
    return (remote.phase is Phase.INVALID, remote.mark is None)
