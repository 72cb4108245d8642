"""The lines of one batch being answered: in a shuffled order, in slices, straight into its output and error files.

A run knows lines, answers and files. How far it should get, and by when, is said by `life.py`, which commits what a
slice returns. Lines are found by offset in a memory map, so a batch costs memory for its offsets only.
"""

from __future__ import annotations

import mmap
import random
import time
from array import array
from pathlib import Path
from typing import BinaryIO

import msgspec

from batchframe.simulator.answering import Answered, Answerer
from batchframe.simulator.batches import Batch
from batchframe.simulator.files import Files
from batchframe.simulator.ledger import Entry
from batchframe.simulator.responders import Request
from batchframe.simulator.shapes import LineError, LineResponse, OutputLine
from batchframe.wire import jsontext


class Slice(msgspec.Struct):
    """What answering a few lines came to."""

    billed: list[Entry]
    failed: int


class Run:
    """The execution of one batch. Used by one thread."""

    def __init__(
        self,
        batch: Batch,
        answerer: Answerer,
        ends: array[int],
        input_path: Path,
        files: Files,
        seed: int,
    ) -> None:
        self.done = 0
        self._batch = batch
        self._answerer = answerer
        self._ends = ends
        order = list(range(len(ends)))
        random.Random(f"{seed} {batch.number}").shuffle(order)  # noqa: S311 (an order, not a secret)
        self._order = array("I", order)
        with input_path.open("rb") as content:
            self._lines = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)
        self.output = ResultFile(files.new_path())
        self.errors = ResultFile(files.new_path())
        self._to_drop = batch.fault.drop_lines
        self._to_duplicate = batch.fault.duplicate_lines

    def answer(self, upto: int, seconds: float) -> Slice:
        """Answer lines until so many are done or the time is over."""
        until = time.monotonic() + seconds
        billed: list[Entry] = []
        answers: list[bytes] = []
        failures: list[bytes] = []
        for at in self._order[self.done : upto]:
            if time.monotonic() > until:
                break
            self.done += 1
            request = self._request(at)
            answered = self._answerer.answer(request)
            text = self._line(request, answered)
            if answered.failure is not None:
                failures.append(text)
                continue
            answers.extend(self._copies(text))
            billed.append(
                Entry(answered.digest, self._batch.id, request.custom_id, answered.input_tokens, answered.output_tokens)
            )
        self.output.write(answers)
        self.errors.write(failures)
        return Slice(billed, len(failures))

    def abandon(self, code: str, message: str) -> None:
        """Give every line that has not run its entry in the error file."""
        error = LineError(code, message)
        rest = self._order[self.done :]
        self.errors.write([self._unanswered(self._request(at).custom_id, error) for at in rest])

    def close(self) -> None:
        """Finish both files."""
        foreign = [
            OutputLine(self._answerer.new_id("batch_req_"), f"not-yours-{number}", LineResponse(200, "foreign", {}))
            for number in range(self._batch.fault.foreign_lines)
        ]
        self.output.write([jsontext.encode(line) + b"\n" for line in foreign])
        self.output.close()
        self.errors.close()
        self._lines.close()

    def _request(self, at: int) -> Request:
        start = self._ends[at - 1] if at else 0
        line = jsontext.decode(self._lines[start : self._ends[at]])
        return Request(self._batch.endpoint, line["body"]["model"], line["body"], line["custom_id"])

    def _line(self, request: Request, answered: Answered) -> bytes:
        assert request.custom_id is not None
        failure = answered.failure
        if failure is not None and answered.status is None:
            return self._unanswered(request.custom_id, LineError(failure.code or "request_timeout", failure.message))
        response = LineResponse(answered.status or 200, self._answerer.new_id("req_"), answered.body)
        return jsontext.encode(OutputLine(self._answerer.new_id("batch_req_"), request.custom_id, response)) + b"\n"

    def _unanswered(self, custom_id: str | None, error: LineError) -> bytes:
        line = OutputLine(self._answerer.new_id("batch_req_"), custom_id or "", None, error)
        return jsontext.encode(line) + b"\n"

    def _copies(self, text: bytes) -> list[bytes]:
        """A line as often as it is to stand in the output file: once, but for a fault."""
        if self._to_drop > 0:
            self._to_drop -= 1
            return []
        if self._to_duplicate > 0:
            self._to_duplicate -= 1
            return [text, text]
        return [text]


class ResultFile:
    """A file that exists once it has a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exists = False
        self._file: BinaryIO | None = None

    def write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if self._file is None:
            self._file = self.path.open("wb")
            self.exists = True
        self._file.write(b"".join(lines))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
