"""What goes wrong, on order: faults of calls, of rows and of batches, each for so many times.

`on` spoils HTTP calls (`transport.py` says how), `row` fails requests, `batch` spoils the next batches. Faults queue up
in the order they were ordered: the first one of an operation, or of batches, is used up before the next one begins.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec

from batchframe.errors import ConfigurationError
from batchframe.simulator.responders import Failure, Request

Operation = Literal[
    "files.create",
    "files.list",
    "files.retrieve",
    "files.delete",
    "files.content",
    "batches.create",
    "batches.list",
    "batches.retrieve",
    "batches.cancel",
    "chat.completions",
    "responses",
    "completions",
    "embeddings",
    "moderations",
    "models.list",
    "models.retrieve",
]
Kind = Literal[
    "status",
    "status_after",
    "late",
    "late_effect",
    "reset",
    "reset_after",
    "truncate",
    "truncate_clean",
    "corrupt",
]


@dataclass
class CallFault:
    """A fault of one operation.

    Attributes:
        kind: "status": answered with an error, without effect · "status_after": takes effect, then an error ·
            "late": takes effect at once, answered after `seconds` · "late_effect": the connection drops at once, the
            effect comes after `seconds` · "reset": the connection is aborted without effect · "reset_after": takes
            effect, then the connection is aborted · "truncate": the body ends after `after_bytes` though
            content-length says more · "truncate_clean": it ends there and content-length agrees · "corrupt": bytes
            from `after_bytes` on are overwritten.
        times: how many calls it spoils; None for all.
        skip: how many calls it lets through first.
        hits: how many calls it has spoiled.
    """

    operation: Operation
    kind: Kind
    status: int = 500
    seconds: float = 0.0
    times: int | None = 1
    skip: int = 0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after_bytes: int = 0
    hits: int = 0


@dataclass
class RowFault:
    """A failure of every request that contains a text.

    Attributes:
        match: a substring, or a compiled regular expression, looked for in the custom id, in the prompt and in the
            body as canonical JSON; empty matches every request.
        times: how often each distinct request fails before it succeeds; None for always.
    """

    match: str | re.Pattern[str]
    failure: Failure
    times: int | None = None
    hits: Counter[bytes] = field(default_factory=Counter)

    def strikes(self, request: Request, digest: bytes, text: str) -> bool:
        """Whether the request fails; counts it."""
        if self.times is not None and self.hits[digest] >= self.times:
            return False
        places = (request.custom_id or "", request.prompt, text)
        if isinstance(self.match, str):
            found = any(self.match in place for place in places)
        else:
            found = any(self.match.search(place) for place in places)
        self.hits[digest] += found
        return found


class BatchFault(msgspec.Struct, forbid_unknown_fields=True):
    """What goes wrong with a batch.

    Attributes:
        expire_after: the fraction of its lines that are answered before it expires.
        validation_errors: entries of `errors.data` it fails with, each with `code`, `message`, `line`, `param`.
        if_contains: a text; a batch whose file does not hold it passes validation.
        drop_lines: billed answers that are missing from the output file.
        duplicate_lines: answers that stand in the output file twice.
        foreign_lines: lines of the output file with a custom id nobody sent.
        result_gone: the output file is answered with 404.
        empty_error_file_id: the batch says `""` where there is no error file.
        status, polls: an unknown status text, shown for so many calls that look at the batch.
    """

    expire_after: float | None = None
    validation_errors: list[dict[str, Any]] | None = None
    if_contains: str = ""
    drop_lines: int = 0
    duplicate_lines: int = 0
    foreign_lines: int = 0
    result_gone: bool = False
    empty_error_file_id: bool = False
    status: str | None = None
    polls: int = 1


@dataclass
class _Queued:
    fault: BatchFault
    times: int | None
    skip: int


class Faults:
    """The faults on order. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[CallFault] = []
        self._rows: list[RowFault] = []
        self._batches: list[_Queued] = []

    def on(
        self,
        operation: Operation,
        kind: Kind,
        *,
        status: int = 500,
        seconds: float = 0.0,
        times: int | None = 1,
        skip: int = 0,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        after_bytes: int = 0,
    ) -> CallFault:
        """Spoil calls of an operation; see `CallFault`. The fault is returned, so that its `hits` can be read."""
        if operation not in get_args(Operation):
            raise ConfigurationError(f"Unknown operation {operation!r}. Operations: {', '.join(get_args(Operation))}.")
        if kind not in get_args(Kind):
            raise ConfigurationError(f"Unknown kind {kind!r}. Kinds: {', '.join(get_args(Kind))}.")
        fault = CallFault(operation, kind, status, seconds, times, skip, body, dict(headers or {}), after_bytes)
        with self._lock:
            self._calls.append(fault)
        return fault

    def row(
        self,
        match: str | re.Pattern[str] = "",
        *,
        status: int | None = 400,
        code: str | None = None,
        message: str = "The simulator was told to fail this request.",
        times: int | None = None,
    ) -> RowFault:
        """Fail every request that matches; see `RowFault`. `status=None` fails it without any HTTP answer."""
        fault = RowFault(match, Failure(status, code, message), times)
        with self._lock:
            self._rows.append(fault)
        return fault

    def batch(self, *, times: int | None = 1, skip: int = 0, **what: Any) -> BatchFault:
        """Spoil the next `times` batches that are created; keywords are those of `BatchFault`."""
        try:
            fault = msgspec.convert(what, BatchFault)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"A batch fault cannot be used: {error}.") from None
        with self._lock:
            self._batches.append(_Queued(fault, times, skip))
        return fault

    def reset(self) -> None:
        """Take every fault back. Batches that exist keep theirs."""
        with self._lock:
            self._calls.clear()
            self._rows.clear()
            self._batches.clear()

    def of_call(self, operation: str) -> CallFault | None:
        """The fault of the call that is arriving, if any; used up by asking."""
        with self._lock:
            for fault in self._calls:
                if fault.operation != operation or fault.hits == fault.times:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.hits += 1
                return fault
        return None

    def of_row(self, request: Request, digest: bytes, text: bytes) -> Failure | None:
        """The failure of a request, if any; used up by asking."""
        if not self._rows:
            return None
        readable = text.decode()
        with self._lock:
            for fault in self._rows:
                if fault.strikes(request, digest, readable):
                    return fault.failure
        return None

    def of_batch(self) -> BatchFault:
        """The fault of the batch that is being created; used up by asking."""
        with self._lock:
            for queued in self._batches:
                if queued.times == 0:
                    continue
                if queued.skip > 0:
                    queued.skip -= 1
                    return BatchFault()
                if queued.times is not None:
                    queued.times -= 1
                return msgspec.structs.replace(queued.fault)
        return BatchFault()
