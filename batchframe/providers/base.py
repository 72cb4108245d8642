"""The seam to a provider: a Protocol of six verbs for batches, one for real time, two for housekeeping, and the records
that cross it.

A verb either has its effect and returns, or raises `RefusedError` (it had none) or `DoubtfulError` (nobody knows).
Which of the two is all the engine needs to keep a request from being paid for twice.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from batchframe.core.packing import Limits

MARK = "batchframe"
"""The metadata key under which a batch carries its uid."""


class Phase(enum.Enum):
    """What a provider's status means to us; an unknown status is RUNNING."""

    RUNNING = "it will change by itself"
    INVALID = "it never ran"
    ENDED = "it will not change again; its files hold what it answered"


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of a failed validation: the line is 1-based, None when no line is to blame."""

    code: str
    message: str
    line: int | None


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the provider describes it.

    Attributes:
        status: the provider's own word.
        mark: our uid out of its metadata, None when it carries none.
        output_file_id, error_file_id: None when there is no such file.
        created_at, total: when it was made and how many requests it holds; None where the provider does not say.
    """

    id: str
    phase: Phase
    status: str
    mark: str | None
    input_file_id: str | None
    output_file_id: str | None
    error_file_id: str | None
    completed: int
    failed: int
    problems: tuple[Problem, ...]
    created_at: datetime | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer to a request asked in real time, good or not.

    Attributes:
        retry_after: seconds the provider asks to wait before the next try; None when it does not say.
    """

    status: int
    body: bytes
    retry_after: float | None


class Provider(Protocol):
    """A Batch API."""

    @property
    def id(self) -> str:
        """Name and address, as in `openai:https://api.openai.com/v1`."""

    @property
    def limits(self) -> Limits:
        """What one batch may hold."""

    async def check(self) -> datetime | None:
        """Reach the provider once: fails when it is down or refuses the key. The provider's time, where it tells it."""

    async def upload(self, path: Path, name: str) -> str:
        """Send an input file; returns its id."""

    async def create(self, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        """Create a batch: the one call that spends money. One HTTP request, never repeated inside."""

    async def find(self, mark: str, input_file_id: str, since: datetime) -> list[RemoteBatch]:
        """The batches created since about `since` that carry the mark, or came from this file."""

    async def marked(self, since: datetime) -> list[RemoteBatch]:
        """The batches created since about `since` that carry any mark of ours."""

    async def poll(self, batch_id: str) -> RemoteBatch:
        """Look at a batch."""

    async def fetch(self, file_id: str, to: Path) -> None:
        """Stream a result file to disk; the file is there whole or not at all."""

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask a batch to stop; one that has ended already is returned as it is."""

    async def ask(self, endpoint: str, body: bytes) -> Reply:
        """Ask one request in real time, at the full price. One HTTP request, never repeated inside."""

    async def delete(self, file_id: str) -> None:
        """Delete a file; one that is gone already is no error."""

    async def close(self) -> None:
        """Close connections."""
