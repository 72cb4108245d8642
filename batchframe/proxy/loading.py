"""Loading: a client's batch becomes a job, in one transaction with all its requests, or gets its list of problems.

Whoever dies over it leaves nothing half done: the transaction is rolled back, its claim is free, and another loader
begins anew. The file is read part by part and written block by block, so memory does not grow with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from uuid import uuid4

import psycopg
import sqlalchemy
from sqlalchemy import Connection

from batchframe.config import Settings
from batchframe.core import tokens
from batchframe.core.identity import request_hasher
from batchframe.core.packing import line_overhead
from batchframe.errors import DatabaseError
from batchframe.model import Kind, Request, Route
from batchframe.proxy import public_ids
from batchframe.proxy.input_lines import Line, Reader, WrongLine, split
from batchframe.store import client_batches, client_files, jobs
from batchframe.store.arrivals import SPEC
from batchframe.store.client_batches import Unread
from batchframe.store.database import Database
from batchframe.wire.batch_lines import LineError, duplicate, line_error, no_such_input

logger = logging.getLogger(__name__)

MAX_PROBLEMS = 100
"""As many as the simulator lists; what OpenAI does is not known (facts §2.5)."""

_BLOCK_LINES = 2_000
_BLOCK_BYTES = 4_000_000
_EXPIRED_AT_ONCE = 20
_RETRY_SECONDS = 1.0
_LARGEST_ID = 2**63 - 1


class Loader:
    """Loads and ends the batches of clients, one at a time, until its task is cancelled."""

    def __init__(self, database: Database, provider_id: str, settings: Settings) -> None:
        self._database = database
        self._provider_id = provider_id
        self._settings = settings
        self._woken = asyncio.Event()
        self._stopping = threading.Event()

    def wake(self) -> None:
        """Look for work now: a batch was made, or the counts of a job have changed. Call it in the event loop."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled. What is being loaded then is given up, and whole for the next loader."""
        self._stopping.clear()
        while True:
            self._woken.clear()
            wait = self._settings.poll_max_seconds
            try:
                while await self._in_thread():
                    pass
            except DatabaseError as error:
                logger.warning("Batches of clients wait: %s", error)
                wait = min(wait, _RETRY_SECONDS)
            except Exception:  # a defect must not keep every other batch waiting for ever
                logger.exception("Loading the batches of clients failed.")
                wait = min(wait, _RETRY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def _in_thread(self) -> bool:
        """One piece of work; a cancellation waits until the thread has let go of its transaction."""
        working = asyncio.get_running_loop().run_in_executor(None, self.step)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._stopping.set()
            with suppress(Exception):
                await working
            raise

    def step(self) -> bool:
        """One piece of work; False when there is none."""
        with self._database.transaction() as connection:
            ended = client_batches.end_closed(connection)
        with suppress(_Stopped), self._database.transaction() as connection:
            batch = client_batches.claim_unread(connection)
            if batch is not None:
                self._settle(connection, batch)
                return True
        with self._database.transaction() as connection:
            return client_files.drop_expired(connection, _EXPIRED_AT_ONCE) > 0 or ended

    def _settle(self, connection: Connection, batch: Unread) -> None:
        """Load a batch, or end it."""
        try:
            with connection.begin_nested():  # so that the claim outlives what is taken back
                self._load(connection, batch)
            return
        except _Cancelled:
            client_batches.end_unread(connection, batch.id)
            return
        except _Invalid as found:
            problems = found.problems
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, _Stopped):
            raise
        except Exception:
            logger.exception("The file of batch %s cannot be loaded.", public_ids.show(public_ids.BATCH, batch.id))
            problems = [line_error("server_error", "The server could not read the file; its log says why.")]
        client_batches.fail(connection, batch.id, json.dumps(problems))

    def _load(self, connection: Connection, batch: Unread) -> None:
        """Write the job of a batch with all its requests.

        Raises:
            _Invalid: its file is not in order.
            _Cancelled: its client does not want it any more.
            _Stopped: the loader is to stop.
        """
        most = self._settings.batch_max_bytes - line_overhead(_LARGEST_ID, batch.endpoint)
        reader = Reader(batch.endpoint, most)
        problems: list[LineError] = []
        job: _Job | None = None
        lines = _checked(split(self._parts(connection, batch), most), reader, problems)
        while block := _block(lines):
            if self._stopping.is_set():
                raise _Stopped
            if client_batches.is_cancelled(connection, batch.id):
                raise _Cancelled
            if job is None:
                job = _Job(connection, batch, Route(self._provider_id, batch.endpoint, reader.model or ""))
            job.write(block, with_requests=not problems)
        if job is None:
            raise _Invalid(problems or [line_error("empty_file", "The input file has no requests.")])
        repeated = client_batches.repeated_lines(connection, job.id, MAX_PROBLEMS)
        problems += [duplicate(json.loads(custom_id), row_no + 1) for row_no, custom_id in repeated]
        if problems:
            raise _Invalid(sorted(problems, key=lambda problem: problem["line"])[:MAX_PROBLEMS])
        job.finish()
        if not client_batches.loaded(connection, batch.id, job.id, job.n_lines):
            raise _Cancelled

    @staticmethod
    def _parts(connection: Connection, batch: Unread) -> Iterator[bytes]:
        """The parts of the input file. It may be deleted while it is read, since nothing holds it."""
        file = client_files.find(connection, batch.input_file_id, batch.api_key_id)
        n_bytes = 0
        if file is not None:
            for part in client_files.parts(connection, file.id):
                n_bytes += len(part)
                yield part
        if file is None or n_bytes < file.n_bytes:
            shown = public_ids.show(public_ids.FILE, batch.input_file_id)
            raise _Invalid([no_such_input(shown, "of this key")])


def _checked(lines: Iterator[bytes | None], reader: Reader, problems: list[LineError]) -> Iterator[Line]:
    """The lines in order; what is wrong with the others goes to `problems`, until those are enough."""
    for number, text in enumerate(lines, 1):
        try:
            yield reader.read(text, number)
        except WrongLine as wrong:
            problems.append(wrong.error)
            if len(problems) >= MAX_PROBLEMS:
                return


def _block(lines: Iterator[Line]) -> list[Line]:
    """The next lines to be written together."""
    block: list[Line] = []
    n_bytes = 0
    for line in islice(lines, _BLOCK_LINES):
        block.append(line)
        n_bytes += len(line.body)
        if n_bytes >= _BLOCK_BYTES:
            break
    return block


class _Job:
    """The job as it is written."""

    def __init__(self, connection: Connection, batch: Unread, route: Route) -> None:
        draft = jobs.begin(
            connection,
            name=None,
            route=route,
            spec=SPEC,
            digest=uuid4(),
            n_rows=0,
            n_skipped=0,
            reuse=False,
            kind=Kind.UPLOAD,
            api_key_id=batch.api_key_id,
        )
        assert draft is not None, "nobody else has this digest"
        self._connection = connection
        self._draft = draft
        self._hash = request_hasher(route, 0)
        self.id = draft.job_id
        self.n_lines = 0

    def write(self, block: list[Line], *, with_requests: bool) -> None:
        """Write lines. Once one is wrong, only custom ids are, which are to be compared with each other."""
        if with_requests:
            self._draft.add_requests(
                Request(line.row_no, self._hash(line.body), line.body, tokens.estimate(len(line.body)))
                for line in block
            )
        client_batches.add_lines(self._connection, self.id, ((line.row_no, line.custom_id) for line in block))
        self.n_lines += len(block)

    def finish(self) -> None:
        self._draft.finish()


class _Invalid(Exception):  # noqa: N818 (a finding)
    def __init__(self, problems: list[LineError]) -> None:
        super().__init__(problems)
        self.problems = problems


class _Cancelled(Exception):  # noqa: N818 (a wish)
    pass


class _Stopped(Exception):  # noqa: N818 (a wish)
    pass
