"""What the provider would bill: every answered request with its batch, custom id, digest and tokens.

The ledger is the judge of "a row is paid for once", so it trusts nothing but what was really answered: failed rows and
rows that never ran are not in it. A million rows stay near 80 MB, because columns are kept, not objects.
"""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from batchframe.wire import jsontext

_DIGEST_BYTES = 32


def request_digest(endpoint: str, body: dict[str, Any]) -> str:
    """The identity of a request: SHA-256 over the endpoint and the body as canonical JSON."""
    return hashlib.sha256(endpoint.encode() + jsontext.canonical(body)).hexdigest()


class CreatedBatch(NamedTuple):
    """A batch that was really created, whether the client heard of it or not."""

    id: str
    metadata: dict[str, str] | None


class Entry(msgspec.Struct, frozen=True):
    """One billed request."""

    digest: bytes
    batch_id: str | None
    custom_id: str | None
    input_tokens: int
    output_tokens: int


class Ledger:
    """Billed requests, created batches and calls, counted. Reads are consistent: they share the account's lock."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self.calls: Counter[str] = Counter()
        self.batches: list[CreatedBatch] = []
        self.input_tokens = 0
        self.output_tokens = 0
        self._digests = bytearray()
        self._custom_ids = bytearray()
        self._custom_id_ends = array("Q")
        self._batch_numbers = array("I")
        self._batch_ids: list[str | None] = [None]
        self._number_of: dict[str | None, int] = {None: 0}
        self._input_tokens = array("I")
        self._output_tokens = array("I")

    @property
    def requests(self) -> int:
        """How many answers were billed."""
        return len(self._batch_numbers)

    @property
    def tokens(self) -> int:
        """Billed tokens, input and output."""
        return self.input_tokens + self.output_tokens

    def billed(self) -> Counter[str]:
        """How often each distinct request was billed, by its digest."""
        return Counter({digest.hex(): times for digest, times in self._times().items()})

    @property
    def by_custom_id(self) -> Counter[str]:
        """How often each custom id was billed; requests in real time have none."""
        return Counter(entry.custom_id for entry in self.entries() if entry.custom_id is not None)

    def entries(self) -> Iterator[Entry]:
        """Every billed request in the order of its answer."""
        start = 0
        for at in range(self.requests):
            end = self._custom_id_ends[at]
            number = self._batch_numbers[at]
            custom_id = self._custom_ids[start:end].decode("utf-8", "surrogatepass") if number else None
            start = end
            yield Entry(
                bytes(self._digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES]),
                self._batch_ids[number],
                custom_id,
                self._input_tokens[at],
                self._output_tokens[at],
            )

    def bill(self, entries: list[Entry]) -> None:
        """Record answered requests. The caller holds the account's lock, so progress and bill move together."""
        for entry in entries:
            self._digests += entry.digest
            if entry.custom_id is not None:
                self._custom_ids += entry.custom_id.encode("utf-8", "surrogatepass")
            self._custom_id_ends.append(len(self._custom_ids))
            self._batch_numbers.append(self._number(entry.batch_id))
            self._input_tokens.append(entry.input_tokens)
            self._output_tokens.append(entry.output_tokens)
            self.input_tokens += entry.input_tokens
            self.output_tokens += entry.output_tokens

    def summary(self, *, detail: bool = False) -> dict[str, Any]:
        """The ledger as JSON; with detail also how often each digest was billed."""
        billed = self._times()
        shown: dict[str, Any] = {
            "requests": billed.total(),
            "distinct": len(billed),
            "billed_more_than_once": sum(times > 1 for times in billed.values()),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tokens": self.tokens,
            "batches": [batch._asdict() for batch in list(self.batches)],
            "calls": dict(self.calls),
        }
        if detail:
            shown["billed"] = {digest.hex(): times for digest, times in billed.items()}
        return shown

    def _times(self) -> Counter[bytes]:
        with self._lock:
            digests = bytes(self._digests)
        step = _DIGEST_BYTES
        return Counter(digests[at : at + step] for at in range(0, len(digests), step))

    def _number(self, batch_id: str | None) -> int:
        number = self._number_of.setdefault(batch_id, len(self._batch_ids))
        if number == len(self._batch_ids):
            self._batch_ids.append(batch_id)
        return number
