"""Packing: requests into batches under the provider's limits on requests, encoded bytes and enqueued tokens.

One pass in order, closing a batch when the next request would not fit. First-fit packing would save a file now and
then, but order keeps planning a cursor and a batch a range.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from batchframe.core.budget import Forecast
from batchframe.model import Attempt, Sized


@dataclass(frozen=True, slots=True)
class Limits:
    """What one batch may hold.

    Attributes:
        requests: lines of a file.
        n_bytes: encoded bytes of a file.
        tokens: estimated input tokens; None when the provider has not said.
        usd: what one batch may be expected to cost, with the forecast to tell; None without a budget.
    """

    requests: int
    n_bytes: int
    tokens: int | None = None
    usd: tuple[Decimal, Forecast] | None = None

    def admit(self, requests: int, n_bytes: int, tokens: int) -> bool:
        """Whether so much fits into one batch."""
        return (
            requests <= self.requests
            and n_bytes <= self.n_bytes
            and (self.tokens is None or tokens <= self.tokens)
            and (self.usd is None or self.usd[1].cost(requests, tokens) <= self.usd[0])
        )


def line_prefix(attempt: Attempt, endpoint: str) -> bytes:
    """What stands before the body in a line of the input file; `LINE_SUFFIX` follows it."""
    return f'{{"custom_id":"{attempt.custom_id}","method":"POST","url":"{endpoint}","body":'.encode()


LINE_SUFFIX = b"}\n"


def line_overhead(job_id: int, endpoint: str) -> int:
    """The most bytes a line of this job has beyond its body."""
    longest = Attempt(job_id, 10**9 - 1, 10**5 - 1)
    return len(line_prefix(longest, endpoint)) + len(LINE_SUFFIX)


def pack(requests: Iterable[Sized], limits: Limits, overhead: int) -> Iterator[list[Sized]]:
    """Yield the batches, in order; each holds at least one request.

    Args:
        requests: what is to be placed, in order.
        limits: what a batch may hold. A single request over a limit gets a batch of its own.
        overhead: bytes of a line beyond its body.
    """
    batch: list[Sized] = []
    n_bytes = tokens = 0
    for request in requests:
        n_bytes += request.n_bytes + overhead
        tokens += request.tokens
        if batch and not limits.admit(len(batch) + 1, n_bytes, tokens):
            yield batch
            batch = []
            n_bytes, tokens = request.n_bytes + overhead, request.tokens
        batch.append(request)
    if batch:
        yield batch


def count_batches(requests: Sequence[Sized], n_requests: int, limits: Limits, overhead: int) -> int:
    """How many batches planning makes of a job's first attempts: it takes a stretch of numbers at a time.

    Args:
        requests: those that are to be sent, in order.
        n_requests: all of the job; numbers that are not to be sent take up room in a stretch, too.
        overhead: bytes of a line beyond its body.
    """
    batches = first = 0
    while first < n_requests:
        last = min(first + limits.requests, n_requests) - 1
        start, end = (bisect_right(requests, number, key=_row_no) for number in (first - 1, last))
        stretch = requests[start:end]
        n_bytes = sum(request.n_bytes for request in stretch) + len(stretch) * overhead
        if limits.admit(len(stretch), n_bytes, sum(request.tokens for request in stretch)):
            batches += bool(stretch)
        else:
            packed = list(pack(stretch, limits, overhead))
            if len(packed) > 1:
                # What was cut off at the end is packed anew with what follows.
                last = packed.pop()[0].row_no - 1
            batches += len(packed)
        first = last + 1
    return batches


def _row_no(request: Sized) -> int:
    return request.row_no
