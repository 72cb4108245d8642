"""The simulated account: files, batches, ledger, faults and settings under one lock.

The lock is a condition that is notified at every change, so that whoever waits for something (the worker for work, a
test for a status) sleeps until it is worth looking again. It is held for moments, never while lines are answered.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable

from batchframe.simulator.answering import Answerer
from batchframe.simulator.batches import Batch
from batchframe.simulator.faults import BatchFault, Faults
from batchframe.simulator.files import Files
from batchframe.simulator.ledger import CreatedBatch, Ledger
from batchframe.simulator.responders import Responder
from batchframe.simulator.settings import Settings
from batchframe.wire.refusals import Refusal

ORGANIZATION = "org-simulator"


class Account:
    """Everything the server and the worker share."""

    def __init__(
        self, settings: Settings, responder: Responder, seed: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.clock = clock
        self.changed = threading.Condition()
        self.faults = Faults()
        self.ledger = Ledger(self.changed)
        self.files = Files(clock)
        self.batches: list[Batch] = []
        self.answerer = Answerer(responder, self.faults)
        self._by_id: dict[str, Batch] = {}
        self._foreign: list[Batch] = []
        self._closing = asyncio.Event()

    async def pause(self, seconds: float) -> bool:
        """Wait, on the server's event loop; False if the server is closing before the time is over."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        """End every pause; called on the server's event loop."""
        self._closing.set()

    def count_call(self, operation: str) -> None:
        """Note that a call has arrived."""
        with self.changed:
            self.ledger.calls[operation] += 1
            self.changed.notify_all()

    def create_batch(
        self, endpoint: str, input_file_id: str, metadata: dict[str, str] | None, output_seconds: float | None
    ) -> Batch:
        """Create a batch; the worker takes it from here. The caller holds the lock."""
        file = self.files.find(input_file_id)
        batch = Batch(
            id=f"batch_{secrets.token_hex(16)}",
            endpoint=endpoint,
            input_file_id=input_file_id,
            metadata=metadata,
            created_at=self.clock(),
            fault=self.faults.of_batch(),
            number=len(self.batches),
            input_bytes=0 if file is None else file.bytes,
            output_seconds=output_seconds,
        )
        self.batches.append(batch)
        self._by_id[batch.id] = batch
        self.ledger.batches.append(CreatedBatch(batch.id, metadata))
        self.changed.notify_all()
        return batch

    def get_batch(self, batch_id: str) -> Batch:
        """The batch, or the API's refusal."""
        found = self._by_id.get(batch_id)
        if found is None:
            raise Refusal(404, f"No batch found with id '{batch_id}'.")
        return found

    def listed_batches(self) -> list[Batch]:
        """Batches newest first, as the listing shows them at this moment: late, and among those of other people."""
        horizon = self.clock() - self.settings.list_lag
        own = [batch for batch in reversed(self.batches) if batch.created_at <= horizon]
        while len(self._foreign) < self.settings.foreign_batches:
            self._foreign.append(self._someone_elses())
        return self._foreign[: self.settings.foreign_batches] + own

    def queued_tokens(self, model: str) -> int:
        """Prompt tokens of a model in batches under way."""
        return sum(batch.tokens for batch in self.batches if batch.model == model and not batch.ended)

    def quota_message(self, model: str, tokens: int) -> str | None:
        """Why so many more prompt tokens do not fit in a model's queue; None if they do."""
        limit = self.settings.token_limit(model)
        if limit is None or self.queued_tokens(model) + tokens <= limit:
            return None
        return (
            f"Enqueued token limit reached for {model} in organization {ORGANIZATION}. "
            f"Limit: {limit:,} enqueued tokens. "
            "Please try again once some in_progress batches have been completed."
        )

    def _someone_elses(self) -> Batch:
        now = self.clock()
        batch = Batch(
            id=f"batch_{secrets.token_hex(16)}",
            endpoint="/v1/chat/completions",
            input_file_id=f"file-{secrets.token_hex(12)}",
            metadata={"team": "somebody else"},
            created_at=now,
            fault=BatchFault(),
            status="completed",
            output_file_id=f"file-{secrets.token_hex(12)}",
            total=1,
            completed=1,
        )
        batch.entered["completed"] = now
        self._by_id[batch.id] = batch
        return batch
