"""A batch as the provider keeps it: its statuses, what leads from one to the next, and how the API shows it.

What happens in a status is elsewhere (`life.py`); here is only what is true of a batch. Sources: facts §2, §2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from batchframe.simulator.faults import BatchFault
from batchframe.simulator.settings import Settings

NEXT = {
    "validating": {"failed", "in_progress", "cancelling"},
    "in_progress": {"finalizing", "cancelling"},
    "finalizing": {"completed", "expired"},
    "cancelling": {"cancelled"},
    "completed": set(),
    "failed": set(),
    "expired": set(),
    "cancelled": set(),
}
"""The statuses and what may follow each. That an expired batch passes through `finalizing` is seen, not documented."""

TERMINAL = frozenset(status for status, following in NEXT.items() if not following)


@dataclass(slots=True)
class Batch:
    """One batch.

    Attributes:
        number: how many batches the account had before it; with the seed it decides the order of its results.
        input_bytes: the size of its input file; 0 if there is no such file.
        total: its lines, known once it is validated.
        tokens: prompt tokens it holds of its model's queue while it is under way.
        entered: unix seconds of each status it has had, in order.
    """

    id: str
    endpoint: str
    input_file_id: str
    metadata: dict[str, str] | None
    created_at: float
    fault: BatchFault
    number: int = 0
    input_bytes: int = 0
    output_seconds: float | None = None
    status: str = "validating"
    model: str | None = None
    resolved_model: str | None = None
    tokens: int = 0
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    errors: list[dict[str, Any]] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    entered: dict[str, float] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Another word for `total`."""
        return self.total

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in TERMINAL

    def enter(self, status: str, now: float) -> None:
        """Go on to a status."""
        if status not in NEXT[self.status]:
            raise ValueError(f"A batch does not go from {self.status} to {status}.")
        self.status = status
        self.entered[status] = now

    def since(self) -> float:
        """When it entered its present status."""
        return self.entered.get(self.status, self.created_at)

    def expires_at(self, settings: Settings) -> float:
        """When its window closes."""
        return self.created_at + settings.window

    def view(self, settings: Settings) -> dict[str, Any]:
        """The batch as the API shows it; looking uses up a fault of the status text."""
        status = self.status
        if self.fault.status is not None and self.fault.polls > 0:
            self.fault.polls -= 1
            status = self.fault.status
        shown = status == self.status and self.ended
        empty = settings.empty_error_file_id or self.fault.empty_error_file_id
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.resolved_model,
            "errors": None if self.errors is None else {"object": "list", "data": self.errors},
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": status,
            "output_file_id": self.output_file_id if shown else None,
            "error_file_id": (self.error_file_id or ("" if empty else None)) if shown else None,
            "created_at": int(self.created_at),
            "in_progress_at": self._at("in_progress"),
            "expires_at": int(self.expires_at(settings)),
            "finalizing_at": self._at("finalizing"),
            "completed_at": self._at("completed"),
            "failed_at": self._at("failed"),
            "expired_at": self._at("expired"),
            "cancelling_at": self._at("cancelling"),
            "cancelled_at": self._at("cancelled"),
            "request_counts": {"total": self.total, "completed": self.completed, "failed": self.failed},
            "usage": self._usage() if shown and self.status != "failed" else None,
            "metadata": None if settings.strip_metadata else self.metadata,
        }

    def _at(self, status: str) -> int | None:
        moment = self.entered.get(status)
        return None if moment is None else int(moment)

    def _usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.input_tokens + self.output_tokens,
        }
