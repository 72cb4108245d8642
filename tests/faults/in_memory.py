"""The rules of `core/` alone, against the model of a provider.

What is pure decides here as it does in the engine: the table of states, packing, the judging of lines and of failed
batches, the queue. Around it stands the least a store and an engine can be: guarded writes, an intent before each call.
Nothing waits and nothing is read from a disk, so the machine tries a hundred times as many orders as over Postgres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from batchframe.core.poison import judge_invalid
from batchframe.core.quota import split_at, stated_limit
from batchframe.core.results import ANSWER_LOST, MISSING, Rules, decode_line, failure, judge, line_of_reply, not_run
from batchframe.core.states import Event
from batchframe.errors import DoubtfulError, RefusedError
from batchframe.model import CHAT, Attempt, BatchState, Mode, Outcome
from batchframe.providers.base import Phase, RemoteBatch
from batchframe.store.batches import LeaseLostError
from tests.faults.in_memory_store import Kept, Store
from tests.faults.remote import DiedError, Mood, Remote

_TOKEN_LIMIT = "token_limit_exceeded"
_LOOKS = 3


@dataclass
class FrozenCall:
    """A create call that has not been sent."""

    batch_id: int
    batch: Kept


class Memory(Store):
    """A `World` without a database."""

    def __init__(self) -> None:
        super().__init__()
        self.remote = Remote()
        self._steps: dict[BatchState, Callable[[Kept], Kept | FrozenCall | None]] = {
            BatchState.PLANNED: self._send,
            BatchState.UPLOADED: self._create,
            BatchState.CREATING: lambda batch: self._advance(batch, Event.DOUBT),
            BatchState.UNSURE: self._look_for,
            BatchState.SUBMITTED: self._poll,
            BatchState.ENDED: self._fetch,
            BatchState.ASKING: self._report_lost,
        }

    # Steps

    def step(self, claimed: Kept) -> Kept | FrozenCall | None:
        return self._steps[claimed.state](claimed)

    def _stopped(self, batch: Kept) -> bool:
        job = self._jobs[batch.job]
        if job.reason:
            return True
        return (batch.mode is Mode.BATCH or job.at_deadline == "give_up") if job.late else batch.mode is Mode.REALTIME

    def _send(self, batch: Kept) -> Kept | None:
        if self._stopped(batch):
            return self._give_back(batch)
        if batch.mode is Mode.REALTIME:
            return self._ask(batch)
        try:
            file = self.remote.upload([attempt.custom_id for attempt in batch.rows])
        except RefusedError as error:
            return self._later(batch) if error.retryable else self._refused(batch, "refused")
        except DoubtfulError:
            return self._later(batch)
        return self._advance(batch, Event.UPLOADED, file=file)

    def _create(self, batch: Kept) -> Kept | FrozenCall | None:
        if self._stopped(batch):
            return self._give_back(batch)
        running = self._running_tokens()
        if self._allowed is not None and running and running + len(batch.rows) > self._allowed:
            return self._later(batch)
        intended = self._advance(batch, Event.INTENT)
        if self.remote.mood is Mood.FREEZES:
            return FrozenCall(batch.id, intended)
        return self._call(intended)

    def wake(self, frozen: FrozenCall) -> Kept | None:
        return self._call(frozen.batch)

    def _call(self, batch: Kept) -> Kept | None:
        assert batch.file is not None
        try:
            made = self.remote.create(batch.file, str(batch.uid))
        except RefusedError as error:
            if error.code == _TOKEN_LIMIT:
                return self._queue_full(batch, str(error))
            if error.retryable:
                return self._later(self._advance(batch, Event.REFUSED))
            return self._refused(batch, "refused")
        except DoubtfulError:
            return self._advance(batch, Event.DOUBT)
        try:
            return self._advance(batch, Event.ACCEPTED, provider_id=made.id)
        except LeaseLostError:
            kept = self._batches[batch.id]
            if kept.uid != batch.uid and kept.provider_id != made.id:
                self.remote.cancel(made.id)
            raise

    def _look_for(self, batch: Kept) -> Kept | None:
        try:
            found = self.remote.find(str(batch.uid))
        except DoubtfulError:
            return self._later(batch)
        if found:
            ours, *extra = found
            for made in extra:
                self.remote.cancel(made.id)
            return self._advance(batch, Event.FOUND, provider_id=ours.id)
        if not batch.grace_over:
            return self._later(batch)
        return self._give_back(batch) if self._stopped(batch) else self._advance(batch, Event.ABSENT)

    def _poll(self, batch: Kept) -> Kept | None:
        assert batch.provider_id is not None
        try:
            seen = self.remote.poll(batch.provider_id)
        except DoubtfulError:
            return self._later(batch)
        if seen.phase is Phase.RUNNING:
            if self._stopped(batch):
                self.remote.cancel(batch.provider_id)
            return self._later(batch)
        if seen.phase is Phase.ENDED:
            return self._advance(batch, Event.ENDED, output=seen.output_file_id, n_answered=seen.completed)
        full = [problem.message for problem in seen.problems if problem.code == _TOKEN_LIMIT]
        if full and not self._stopped(batch):
            return self._queue_full(batch, full[0])
        return self._invalid(batch, seen)

    def _fetch(self, batch: Kept) -> None:
        patient = not (batch.polls >= _LOOKS and batch.grace_over)
        try:
            lines = self.remote.fetch(batch.output) if batch.output else []
        except DoubtfulError:
            return self._later(batch)
        owed = {attempt.custom_id: (attempt, tries) for attempt, tries in self._owed(batch)}
        rules = self._rules(batch)
        found = [judge(line, *owed.pop(line.custom_id), rules) for line in map(decode_line, lines) if line]
        if patient and len(found) < min(batch.n_answered, len(batch.rows)):
            return self._later(batch)
        missing = [
            failure(attempt, tries + 1, rules, passing=True, code=MISSING, message="It is in neither file.")
            for attempt, tries in owed.values()
        ]
        return self._settle(batch, Event.FETCHED, [*found, *missing])

    def _invalid(self, batch: Kept, seen: RemoteBatch) -> None:
        said = [(problem.line, problem.code, problem.message) for problem in seen.problems]
        n_parts = sum(batch.root is not None and other.root == batch.root for other in self._batches.values())
        verdict = judge_invalid(self._owed(batch), said, self._rules(batch), n_parts)
        self._settle(batch, Event.GIVEN_UP, verdict.outcomes)
        for part in verdict.parts:
            self._place(batch.job, batch.mode, part, batch.root or batch.id)
        if verdict.end:
            self._jobs[batch.job].reason = self._jobs[batch.job].reason or verdict.end

    def _queue_full(self, batch: Kept, message: str) -> None:
        alone = self._running_tokens(but=batch.id) == 0
        smaller = split_at(len(batch.rows), stated_limit(message), batch.polls) if alone else None
        if smaller is None:
            return self._later(self._advance(batch, Event.QUEUE_FULL))
        if len(batch.rows) == 1:
            return self._refused(batch, _TOKEN_LIMIT)
        self._give_back(batch)
        self._allowed = smaller
        return None

    def _running_tokens(self, but: int | None = None) -> int:
        at_work = (BatchState.CREATING, BatchState.UNSURE, BatchState.SUBMITTED)
        return sum(len(each.rows) for each in self._batches.values() if each.state in at_work and each.id != but)

    # Real time

    def _ask(self, batch: Kept) -> None:
        rules = self._rules(batch)
        rows = self._owed(batch)
        intended = self._advance(batch, Event.ASKED)
        died = None
        for attempt, tries in rows:
            try:
                outcome = self._asked(attempt, tries, rules)
            except DiedError as error:
                died = error
                continue
            self._guarded(intended)
            self._write(outcome)
        if died:
            raise died
        self._advance(intended, Event.ANSWERED)

    def _asked(self, attempt: Attempt, tries: int, rules: Rules) -> Outcome:
        try:
            reply = self.remote.ask((attempt.job_id, attempt.row_no))
        except RefusedError:
            return not_run(attempt, tries)
        except DoubtfulError:
            return _lost(attempt, tries, rules)
        if reply.status >= 500:
            return _lost(attempt, tries, rules)
        if reply.status == 429:
            return not_run(attempt, tries)
        return judge(line_of_reply(attempt.custom_id, reply.status, reply.body), attempt, tries, rules)

    def _report_lost(self, batch: Kept) -> None:
        rules = self._rules(batch)
        owed = [(attempt, tries) for attempt, tries in self._owed(batch) if not self._has_outcome(attempt)]
        self._settle(batch, Event.ANSWERED, [_lost(*row, rules) for row in owed])

    # Settling

    def _rules(self, batch: Kept) -> Rules:
        job = self._jobs[batch.job]
        return Rules(CHAT, row_attempts=3, retry_wait=lambda tries: 0.0, stop=job.stop, late=job.late)

    def _give_back(self, batch: Kept) -> None:
        rules = self._rules(batch)
        if rules.stop is None:
            return self._settle(batch, Event.GIVEN_UP, [not_run(*row) for row in self._owed(batch)])
        return self._end_all(batch, rules, rules.stop.code, passing=True)

    def _refused(self, batch: Kept, code: str) -> None:
        self._end_all(batch, self._rules(batch), code, passing=False)

    def _end_all(self, batch: Kept, rules: Rules, code: str, *, passing: bool) -> None:
        ends = [failure(*row, rules, passing=passing, code=code, message="Not run.") for row in self._owed(batch)]
        self._settle(batch, Event.GIVEN_UP, ends)

    def _settle(self, batch: Kept, event: Event, outcomes: Iterable[Outcome]) -> None:
        self._advance(batch, event)
        for outcome in outcomes:
            self._write(outcome)


def _lost(attempt: Attempt, tries: int, rules: Rules) -> Outcome:
    return failure(
        attempt, tries + 1, rules, passing=False, code=ANSWER_LOST, message="Nobody knows what became of it."
    )
