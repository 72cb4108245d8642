"""Results: lines of a provider's output and error files → outcomes.

A line is taken apart just far enough to judge it; the response body stays the raw text it is. What a line may hold
(other people's ids, lone surrogates, broken JSON) decides only its own fate.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from batchframe.core.answers import decode_json, read_answer
from batchframe.model import Attempt, Outcome, Stop

NOT_RUN = "not_run"
MISSING = "missing_result"
CANCELLED = "cancelled"
INVALID_ANSWER = "invalid_answer"
UNREADABLE = "unreadable_result"
ANSWER_LOST = "answer_lost"

PASSING_STATUSES = frozenset({408, 409, 429})
NEVER_RAN = frozenset({"batch_expired", "batch_cancelled"})
PASSING_CODES = NEVER_RAN | {"request_timeout"}


class _Response(msgspec.Struct):
    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class Line(msgspec.Struct):
    """One line of a result file."""

    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error | None = None


_decoder = msgspec.json.Decoder(Line)
_error_decoder = msgspec.json.Decoder(_ErrorBody)


def decode_line(raw: bytes) -> Line | None:
    """Decode one line; None when it is not a result line at all (cut off, corrupt, not UTF-8)."""
    try:
        raw.decode()
        try:
            return _decoder.decode(raw)
        except msgspec.ValidationError:
            return None
        except msgspec.DecodeError:
            return _decode_with_lone_surrogates(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


class _LooseResponse(msgspec.Struct):
    status_code: int
    body: Any = None


class _LooseLine(msgspec.Struct):
    custom_id: str
    response: _LooseResponse | None = None
    error: _Error | None = None


def _decode_with_lone_surrogates(raw: bytes) -> Line:
    """The slow way for lines the strict decoder refuses; `json.dumps` keeps a lone surrogate as its escape."""
    line = msgspec.convert(json.loads(raw), type=_LooseLine)
    if line.response is None:
        return Line(line.custom_id, None, line.error)
    body = msgspec.Raw(json.dumps(line.response.body).encode())
    return Line(line.custom_id, _Response(line.response.status_code, body), line.error)


def line_of_reply(custom_id: str, status: int, body: bytes) -> Line:
    """A reply in real time as the line a batch would have had for it; a body that is no JSON, is null."""
    head = f'{{"custom_id":"{custom_id}","response":{{"status_code":{status},"body":'.encode()
    decoded = decode_line(head + body + b"}}") if body.strip() else None
    return decoded or Line(custom_id, _Response(status))


@dataclass(frozen=True, slots=True)
class Rules:
    """How a job judges its rows.

    Attributes:
        endpoint: which kind of answer to read.
        row_attempts: tries of a row before a passing failure is final.
        retry_wait: seconds before the next try, from the number of tries so far.
        stop: why nothing is asked again, None when it may be.
        late: the job's deadline is over: what a cancelled batch left unasked is asked at once.
        validate: the reason why an answer's text does not fit the job's schema, None when it does.
    """

    endpoint: str
    row_attempts: int
    retry_wait: Callable[[int], float]
    stop: Stop | None = None
    late: bool = False
    validate: Callable[[str], str | None] | None = None


def judge(line: Line, attempt: Attempt, tries: int, rules: Rules) -> Outcome:
    """The outcome of one line; never raises.

    Args:
        tries: tries of this row used up before this attempt.
    """
    try:
        return _judge(line, attempt, tries + 1, rules)
    except Exception as error:  # whatever a provider may write, it costs this row alone
        return Outcome(attempt, True, False, tries + 1, code=UNREADABLE, message=f"Its result cannot be read: {error}")


def _judge(line: Line, attempt: Attempt, tries: int, rules: Rules) -> Outcome:
    response = line.response
    if response is not None and not 100 <= response.status_code <= 999:
        raise ValueError(f"status {response.status_code}")
    if response is not None and 200 <= response.status_code < 300:
        return _judge_answer(compact(bytes(response.body)), response.status_code, attempt, tries, rules)
    if response is not None:
        body = compact(bytes(response.body))
        said = _error_in(body)
        passing = response.status_code in PASSING_STATUSES or response.status_code >= 500
        return failure(
            attempt,
            tries,
            rules,
            passing=passing,
            status=response.status_code,
            code=said.code or f"http_{response.status_code}",
            message=said.message or f"The provider answered with status {response.status_code}.",
            body=body,
        )
    error = line.error or _Error()
    if rules.late and not rules.stop and error.code in NEVER_RAN:
        return not_run(attempt, tries - 1)
    return failure(
        attempt,
        tries,
        rules,
        passing=error.code in PASSING_CODES or error.code is None,
        code=error.code or "unknown",
        message=error.message or "The provider gave neither a response nor a reason.",
    )


def failure(
    attempt: Attempt,
    tries: int,
    rules: Rules,
    *,
    passing: bool,
    code: str,
    message: str,
    status: int | None = None,
    body: bytes | None = None,
) -> Outcome:
    """An outcome that is not an answer: asked again when the reason may pass and tries are left, else final."""
    if rules.stop and passing:
        return Outcome(attempt, True, False, tries, status, rules.stop.code, rules.stop.message, body)
    again = passing and tries < rules.row_attempts
    if passing and not again:
        message = f"{message} (tried {tries} times)"
    wait = rules.retry_wait(max(tries, 1)) if again else None
    return Outcome(attempt, not again, False, tries, status, code, message, body, retry_after=wait)


def not_run(attempt: Attempt, tries: int) -> Outcome:
    """An attempt that never ran, through no fault of its row: planned anew at once, no try used up."""
    return Outcome(attempt, False, False, tries, code=NOT_RUN, message="Its batch never ran.", retry_after=0.0)


def _judge_answer(body: bytes, status: int, attempt: Attempt, tries: int, rules: Rules) -> Outcome:
    answer = read_answer(rules.endpoint, body)
    code, problem = answer.code, answer.problem
    if code is None and rules.validate is not None:
        problem = rules.validate(answer.text or "")
        if problem is not None:
            code = INVALID_ANSWER
            problem = "The answer was cut off at the token limit." if answer.truncated else problem
    # An answer that was paid for is final, good or not: asking again costs, so it is the user's to decide.
    return Outcome(attempt, True, code is None, tries, status, code, problem, body, answer.usage)


def compact(raw: bytes) -> bytes:
    """The same JSON without control characters, which the store's COPY relies on; nearly always `raw` itself.

    Args:
        raw: valid JSON: the only control characters it can hold are tabs, returns and newlines between tokens.
    """
    if b"\t" not in raw and b"\r" not in raw and b"\n" not in raw:
        return raw
    return json.dumps(json.loads(raw), separators=(",", ":")).encode()


def _error_in(body: bytes) -> _Error:
    try:
        return decode_json(body, _error_decoder).error or _Error()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Error()
