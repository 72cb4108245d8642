"""The states of a batch, as one table.

Three rules:

1. A batch is paid for by one move only, `creating → submitted`; the intent (`uploaded → creating`) is committed before
   the call that makes it.
2. A call without a clear answer leads to `unsure`, and from there only what the provider lists decides. Nothing
   leads from `creating` back to a state that would call again, except a definite refusal.
3. Rows asked in real time leave no trace at the provider to look for. The intent (`planned → asking`) is committed
   before the calls, and from `asking` nothing leads back: a row without a clear answer is reported, not asked again.

The engine writes a state only through `after`, so a move that is not in the table cannot happen; `docs/states.md`
is made from the same table.
"""

from __future__ import annotations

import enum

from batchframe.model import BatchState

__all__ = ["TRANSITIONS", "Event", "IllegalMoveError", "after", "as_markdown"]


class Event(enum.StrEnum):
    """What can happen to a batch."""

    UPLOADED = "uploaded"
    INTENT = "intent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DOUBT = "doubt"
    FOUND = "found"
    ABSENT = "absent"
    QUEUE_FULL = "queue full"
    ENDED = "ended"
    FETCHED = "fetched"
    ASKED = "asked"
    ANSWERED = "answered"
    GIVEN_UP = "given up"


MEANING: dict[Event, str] = {
    Event.UPLOADED: "the input file is at the provider",
    Event.INTENT: "the intent to create is committed; the call follows",
    Event.ACCEPTED: "the provider answered with a batch",
    Event.REFUSED: "a definite no that may turn to yes: a rate limit, a connection that never opened",
    Event.DOUBT: "timeout, reset, 5xx, 408, 409, or the engine died in the call",
    Event.FOUND: "the provider lists a batch with our mark; it is adopted",
    Event.ABSENT: "clean lists for the whole grace period; it is made anew with a new file",
    Event.QUEUE_FULL: "the enqueued-token limit; it waits until running batches end",
    Event.ENDED: "completed, expired or cancelled at the provider",
    Event.FETCHED: "every row has its outcome, in the same transaction",
    Event.ASKED: "the intent to ask its rows in real time is committed; the calls follow",
    Event.ANSWERED: "every row asked in real time has its outcome, lost answers included",
    Event.GIVEN_UP: "it never ran: its rows are settled or planned anew, in the same transaction",
}

_S = BatchState
TRANSITIONS: dict[BatchState, dict[Event, BatchState]] = {
    _S.PLANNED: {
        Event.UPLOADED: _S.UPLOADED,
        Event.ASKED: _S.ASKING,
        Event.GIVEN_UP: _S.FAILED,
    },
    _S.UPLOADED: {
        Event.INTENT: _S.CREATING,
        Event.GIVEN_UP: _S.FAILED,
    },
    _S.CREATING: {
        Event.ACCEPTED: _S.SUBMITTED,
        Event.REFUSED: _S.UPLOADED,
        Event.QUEUE_FULL: _S.UPLOADED,
        Event.DOUBT: _S.UNSURE,
        Event.GIVEN_UP: _S.FAILED,
    },
    _S.UNSURE: {
        Event.FOUND: _S.SUBMITTED,
        Event.ABSENT: _S.PLANNED,
        Event.GIVEN_UP: _S.FAILED,
    },
    _S.SUBMITTED: {
        Event.ENDED: _S.ENDED,
        Event.QUEUE_FULL: _S.PLANNED,
        Event.GIVEN_UP: _S.FAILED,
    },
    _S.ENDED: {
        Event.FETCHED: _S.DONE,
    },
    _S.ASKING: {
        Event.ANSWERED: _S.DONE,
    },
    _S.DONE: {},
    _S.FAILED: {},
}


class IllegalMoveError(AssertionError):
    """An event in a state that has no move for it: a mistake in the engine, never in its input."""


def after(state: BatchState, event: Event) -> BatchState:
    """The state that follows.

    Raises:
        IllegalMoveError: the table has no such move.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalMoveError(f"a batch that is {state} cannot take {event.value!r}") from None


def as_markdown() -> str:
    """The table as a picture and a list, for `docs/states.md`."""
    moves = [(state, event, to) for state, row in TRANSITIONS.items() for event, to in row.items()]
    lines = ["stateDiagram-v2", f"    [*] --> {_S.PLANNED}"]
    lines += [f"    {state} --> {to}: {event.value}" for state, event, to in moves]
    lines += [f"    {state} --> [*]" for state, row in TRANSITIONS.items() if not row]
    events = "\n".join(f"| {event.value} | {meaning} |" for event, meaning in MEANING.items())
    return "```mermaid\n" + "\n".join(lines) + "\n```\n\n| event | what happened |\n|---|---|\n" + events + "\n"
