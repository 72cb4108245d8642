"""The worker: one thread that leads every batch through its statuses, whether anybody polls or not.

It sleeps on the account's condition and wakes for the batch that is due: to validate it, to answer a slice of its
lines, to finish it. Slices of all running batches take turns, and each is committed with its bill under the lock.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from batchframe.simulator import models
from batchframe.simulator.account import ORGANIZATION, Account
from batchframe.simulator.batches import Batch
from batchframe.simulator.execution import ResultFile, Run
from batchframe.simulator.validation import InputFile, check_file
from batchframe.wire.batch_lines import line_error, no_such_input

_SLICE_SECONDS = 0.02
_TICK = 0.02
"""Seconds between two looks at batches that run by the clock: settings may have changed."""


class Worker(threading.Thread):
    """Leads batches through their lives until it is stopped."""

    def __init__(self, account: Account) -> None:
        super().__init__(name="batchframe-simulator-worker", daemon=True)
        self._account = account
        self._runs: dict[str, Run] = {}
        self._live: list[Batch] = []
        self._known = 0
        self._stopping = False

    def stop(self) -> None:
        """Stop after the slice at hand and close every file."""
        with self._account.changed:
            self._stopping = True
            self._account.changed.notify_all()
        self.join()
        for run in self._runs.values():
            run.close()

    def run(self) -> None:
        """The thread's body."""
        while due := self._wait_for_due():
            for batch in due:
                self._step(batch)

    def _wait_for_due(self) -> list[Batch]:
        """The batches that have something to do now; none when stopping."""
        with self._account.changed:
            while not self._stopping:
                batches = self._account.batches
                self._live = [batch for batch in self._live if not batch.ended] + batches[self._known :]
                self._known = len(batches)
                due = [batch for batch in self._live if self._is_due(batch)]
                if due:
                    return due
                self._account.changed.wait(_TICK if self._live else None)
        return []

    def _is_due(self, batch: Batch) -> bool:
        if batch.status == "in_progress":
            target, ends = self._goal(batch)
            return ends or target > self._runs[batch.id].done
        held = self._account.settings.hold.get(batch.status, 0.0)
        return self._account.clock() >= batch.since() + held

    def _goal(self, batch: Batch) -> tuple[int, bool]:
        """How many lines should be done by now, and whether the batch ends there."""
        settings = self._account.settings
        elapsed = self._account.clock() - batch.created_at
        duration, window = settings.duration, settings.window
        last = 1.0 if duration <= window else window / duration
        if batch.fault.expire_after is not None:
            last = min(last, batch.fault.expire_after)
        fraction = 1.0 if duration <= 0 else elapsed / duration
        reached = min(fraction, last)
        target = int(reached * batch.total + 1e-9)
        return target, fraction >= last and self._runs[batch.id].done >= target

    def _step(self, batch: Batch) -> None:
        if batch.status == "validating":
            self._validate(batch)
        elif batch.status == "in_progress":
            self._answer(batch)
        elif batch.status == "finalizing":
            self._finish(batch, "expired" if self._runs[batch.id].done < batch.total else "completed")
        elif batch.status == "cancelling":
            self._finish(batch, "cancelled")

    def _validate(self, batch: Batch) -> None:
        account = self._account
        try:
            path = self._input_path(batch)
            checked = self._checked(batch, path)
            run = Run(batch, account.answerer, checked.ends, path, account.files, account.seed)
        except _Invalid as found:
            self._fail(batch, found.errors)
            return
        except FileNotFoundError:
            self._fail(batch, [no_such_input(batch.input_file_id, ORGANIZATION)])  # deleted since it was found
            return
        with account.changed:
            self._runs[batch.id] = run
            batch.model = checked.model
            batch.resolved_model = models.resolved(checked.model or "")
            batch.tokens = checked.tokens
            batch.total = len(checked.ends)
            if batch.status == "validating":  # else it was cancelled meanwhile
                self._enter(batch, "in_progress")

    def _input_path(self, batch: Batch) -> Path:
        with self._account.changed:
            file = self._account.files.find(batch.input_file_id)
        if file is None:
            raise _Invalid([no_such_input(batch.input_file_id, ORGANIZATION)])
        if file.purpose != "batch":
            message = f"File {file.id} has the purpose '{file.purpose}'; the input of a batch needs 'batch'."
            raise _Invalid([line_error("invalid_request", message, param="file_id")])
        return file.path

    def _checked(self, batch: Batch, path: Path) -> InputFile:
        checked = check_file(path, batch.endpoint, self._account.settings)
        ordered = batch.fault.validation_errors if _contains(path, batch.fault.if_contains) else None
        errors = ordered or checked.errors or self._over_quota(checked)
        if errors:
            raise _Invalid(errors)
        return checked

    def _over_quota(self, checked: InputFile) -> list[dict[str, Any]]:
        with self._account.changed:
            message = self._account.quota_message(checked.model or "", checked.tokens)
        return [] if message is None else [line_error("token_limit_exceeded", message)]

    def _fail(self, batch: Batch, errors: list[dict[str, Any]]) -> None:
        with self._account.changed:
            if batch.status == "validating":
                batch.errors = [dict.fromkeys(("code", "line", "message", "param")) | error for error in errors]
                self._enter(batch, "failed")

    def _answer(self, batch: Batch) -> None:
        run = self._runs[batch.id]
        target, _ = self._goal(batch)
        answered = run.answer(target, _SLICE_SECONDS)
        with self._account.changed:
            self._account.ledger.bill(answered.billed)
            batch.completed += len(answered.billed)
            batch.failed += answered.failed
            batch.input_tokens += sum(entry.input_tokens for entry in answered.billed)
            batch.output_tokens += sum(entry.output_tokens for entry in answered.billed)
            if batch.status == "in_progress" and self._goal(batch)[1]:
                self._enter(batch, "finalizing")
            self._account.changed.notify_all()

    def _finish(self, batch: Batch, status: str) -> None:
        """Give the batch its files and its last status."""
        run = self._runs.pop(batch.id, None)
        if run is not None and status in _NEVER_RAN:
            run.abandon(*_NEVER_RAN[status])
        if run is not None:
            run.close()
        with self._account.changed:
            if run is not None:
                batch.output_file_id = self._result_file(batch, run.output, "output")
                batch.error_file_id = self._result_file(batch, run.errors, "error")
            if batch.fault.result_gone and batch.output_file_id is not None:
                self._account.files.get(batch.output_file_id).gone = True
            self._enter(batch, status)

    def _result_file(self, batch: Batch, result: ResultFile, kind: str) -> str | None:
        if not result.exists:
            return None
        seconds = batch.output_seconds or self._account.settings.file_seconds
        return self._account.files.add(result.path, f"{batch.id}_{kind}.jsonl", "batch_output", seconds).id

    def _enter(self, batch: Batch, status: str) -> None:
        batch.enter(status, self._account.clock())
        self._account.changed.notify_all()


def _contains(path: Path, part: str) -> bool:
    if not part:
        return True
    with path.open("rb") as lines:
        return any(part.encode() in line for line in lines)


class _Invalid(Exception):  # noqa: N818 (a finding)
    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.errors = errors


_NEVER_RAN = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}
