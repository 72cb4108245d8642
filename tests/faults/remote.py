"""A model of a provider: which batches it made and what it billed. It does what its mood says and keeps the truth."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from batchframe.core.results import decode_line
from batchframe.errors import DoubtfulError, RefusedError
from batchframe.providers.base import Phase, Problem, RemoteBatch, Reply

Row = tuple[int, int]
"""Job and number of a row."""

ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}


class Mood(enum.Enum):
    """What becomes of the next call."""

    WELL = "answered"
    BUSY = "refused for now"
    REFUSED = "refused for good"
    FULL = "no room in the queue"
    LOST = "it had its effect, and the answer is lost"
    FAILED = "it had no effect, and nobody knows"
    DIES = "it had its effect, and the engine dies"
    FREEZES = "the engine freezes before a create call is sent"


class Fate(enum.Enum):
    """What becomes of a row in a batch that ends."""

    OK = "answered"
    REFUSED = "400"
    BUSY = "429"
    MISSING = "in neither file"
    EXPIRED = "batch_expired"


class Invalid(enum.Enum):
    """Why a batch fails validation, so that nothing of it runs."""

    NAMED = "its first line"
    NAMELESS = "no line is named"
    NO_MODEL = "model_not_found"
    FULL = "token_limit_exceeded"


class DiedError(BaseException):
    """The engine's process ends here."""


@dataclass
class Made:
    """A batch at the provider."""

    id: str
    file: str
    mark: str
    rows: list[str]
    status: str = "in_progress"
    listed: bool = True
    problems: tuple[Problem, ...] = ()
    lines: list[bytes] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether it may still bill its rows."""
        return self.status in ("in_progress", "cancelling")

    def seen(self) -> RemoteBatch:
        """As the provider describes it."""
        phase = Phase.RUNNING if self.running else Phase.INVALID if self.status == "failed" else Phase.ENDED
        output = f"out-{self.id}" if self.lines else None
        return RemoteBatch(
            self.id, phase, self.status, self.mark, self.file, output, None, len(self.lines), 0, self.problems
        )


class Remote:
    """The provider."""

    def __init__(self) -> None:
        self.files: dict[str, list[str]] = {}
        self.batches: dict[str, Made] = {}
        self.billed: Counter[Row] = Counter()
        self.mood = Mood.WELL
        self.hides = False

    def upload(self, custom_ids: Sequence[str]) -> str:
        """Take an input file."""
        if self.mood in (Mood.BUSY, Mood.FULL):
            raise RefusedError("Too many requests.", status=429)
        if self.mood is Mood.REFUSED:
            raise RefusedError("Not this file.", status=400)
        if self.mood is Mood.FAILED:
            raise DoubtfulError("Timeout.")
        file = f"file-{len(self.files)}"
        self.files[file] = list(custom_ids)
        self._after_the_effect()
        return file

    def create(self, file: str, mark: str) -> RemoteBatch:
        """Make a batch: what costs money."""
        if self.mood is Mood.BUSY:
            raise RefusedError("Too many requests.", status=429)
        if self.mood is Mood.REFUSED:
            raise RefusedError("Not this batch.", status=400)
        if self.mood is Mood.FULL:
            raise RefusedError("The queue is full.", status=429, code="token_limit_exceeded")
        if self.mood is Mood.FAILED:
            raise DoubtfulError("Timeout.")
        made = Made(f"batch-{len(self.batches)}", file, mark, self.files[file], listed=not self.hides)
        self.batches[made.id] = made
        self._after_the_effect()
        return made.seen()

    def find(self, mark: str) -> list[RemoteBatch]:
        """What the list shows of a mark; a new batch may not be in it yet."""
        self._reads()
        return [made.seen() for made in self.batches.values() if made.mark == mark and made.listed]

    def poll(self, id_: str) -> RemoteBatch:
        """Look at a batch."""
        self._reads()
        return self.batches[id_].seen()

    def cancel(self, id_: str) -> RemoteBatch:
        """Begin to stop a batch."""
        made = self.batches[id_]
        if made.status == "in_progress":
            made.status = "cancelling"
        return made.seen()

    def fetch(self, file: str) -> list[bytes]:
        """The lines of a result file, or as many as arrived."""
        self._reads()
        lines = self.batches[file.removeprefix("out-")].lines
        return lines[: len(lines) // 2] if self.mood is Mood.LOST else lines

    def ask(self, row: Row) -> Reply:
        """Answer one row in real time."""
        if self.mood is Mood.FULL:
            raise RefusedError("Nobody listens.")
        if self.mood is Mood.FAILED:
            return Reply(500, b"", None)
        if self.mood in (Mood.REFUSED, Mood.BUSY):
            return Reply(400 if self.mood is Mood.REFUSED else 429, b"{}", None)
        self.billed[row] += 1
        self._after_the_effect()
        return Reply(200, json.dumps(ANSWER).encode(), None)

    def end(self, made: Made, fates: Sequence[Fate]) -> None:
        """A batch comes to its end, each row to its fate in turn; what it answers is billed."""
        stops = made.status == "cancelling"
        for number, custom_id in enumerate(made.rows):
            fate = fates[number % len(fates)]
            if fate is Fate.MISSING:
                continue
            result: dict[str, object] = {"custom_id": custom_id}
            if fate is Fate.OK:
                self.billed[row_of(custom_id)] += 1
                result["response"] = {"status_code": 200, "body": ANSWER}
            elif fate is Fate.EXPIRED:
                result["error"] = {"code": "batch_cancelled" if stops else "batch_expired"}
            else:
                result["response"] = {"status_code": 400 if fate is Fate.REFUSED else 429, "body": {}}
            made.lines.append(json.dumps(result).encode() + b"\n")
        assert all(map(decode_line, made.lines))
        made.status = "cancelled" if stops else "completed"

    def fail(self, made: Made, why: Invalid) -> None:
        """A batch fails validation."""
        codes = {Invalid.NO_MODEL: "model_not_found", Invalid.FULL: "token_limit_exceeded"}
        line = 1 if why is Invalid.NAMED else None
        made.problems = (Problem(codes.get(why, "invalid_request"), f"Invalid: {why.value}.", line),)
        made.status = "failed"

    def chargeable(self) -> Counter[Row]:
        """How often each row is billed, or may be by a batch that runs."""
        may = Counter(row_of(custom_id) for made in self.batches.values() if made.running for custom_id in made.rows)
        return self.billed + may

    def _reads(self) -> None:
        if self.mood in (Mood.BUSY, Mood.FAILED):
            raise DoubtfulError("Timeout.")

    def _after_the_effect(self) -> None:
        if self.mood is Mood.LOST:
            raise DoubtfulError("Connection reset.")
        if self.mood is Mood.DIES:
            raise DiedError


def row_of(custom_id: str) -> Row:
    """The row an attempt is of."""
    _, job, row, _ = custom_id.split("-")
    return int(job), int(row)
