"""Submitting a data set: twice through its rows, a chunk at a time, so that memory does not grow with them.

The first pass finds everything that can be wrong, and whether the job exists already; only the second one writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from batchframe.core.identity import job_digest
from batchframe.errors import InputError
from batchframe.frame import snapshot
from batchframe.frame.call import Call
from batchframe.frame.dataset import Dataset, asked_of, in_pandas
from batchframe.frame.job import JobHandle
from batchframe.frame.requests import Asked, call_head
from batchframe.frame.session import Session
from batchframe.frame.sources import DatasetSource
from batchframe.frame.submit import Size, known_or_new
from batchframe.store import jobs


def submit_dataset(session: Session, dataset: Dataset, call: Call) -> JobHandle[None]:
    """Store the call as a job and start on it; as `submit`."""
    survey = _Pass(session, dataset, call)
    size = survey.size()

    def write(draft: jobs.Draft) -> None:
        again = _Pass(session, dataset, call, lambda table, asked: _write_chunk(draft, table, asked))
        if again.digest != survey.digest:
            raise InputError("The data set has changed while it was read. Nothing was stored; submit it again.")

    job = known_or_new(session, call, survey.digest, dataset.schema.names, size, write)
    source = DatasetSource(dataset, call.spec, call.route, session.settings.batch_max_bytes, call.function)
    return JobHandle(session, job, source, call.function)


class _Pass:
    """One time through the rows: how many there are, and the identity of the call."""

    def __init__(
        self,
        session: Session,
        dataset: Dataset,
        call: Call,
        visit: Callable[[pa.Table, Asked], None] = lambda table, asked: None,
    ) -> None:
        self._n_rows = self._n_skipped = 0
        self._asks = False
        limit = session.settings.batch_max_bytes
        self._chunks = asked_of(dataset, call.spec, call.route, limit, call.function, whole=False)
        self._visit = visit
        self.digest = job_digest(call_head(call.spec, call.route, call.name), self._hashes())

    def size(self) -> Size:
        """What was counted."""
        return Size(self._n_rows, self._n_skipped, self._asks)

    def _hashes(self) -> Iterator[bytes | None]:
        for table, asked in self._chunks:
            self._n_rows += len(asked.skipped)
            self._n_skipped += sum(column is not None for column in asked.skipped)
            self._asks = self._asks or bool(asked.bodies)
            self._visit(table, asked)
            for sample in asked.hashes:
                yield from sample


def _write_chunk(draft: jobs.Draft, table: pa.Table, asked: Asked) -> None:
    """Write the requests of a chunk that are not in the job already, and its rows."""
    numbers = draft.numbers_of(asked.bodies)
    new = [hash_ for hash_ in asked.bodies if hash_ not in numbers]
    numbers |= {hash_: draft.n_requests + at for at, hash_ in enumerate(new)}
    draft.add_requests(asked.request(hash_, numbers[hash_]) for hash_ in new)
    start = draft.n_rows
    frame = in_pandas(table, start)[asked.columns]
    for part in snapshot.pack(snapshot.Snapshot(frame, asked.numbers(numbers), asked.skipped)):
        draft.add_part(part)
    draft.n_rows += table.num_rows
