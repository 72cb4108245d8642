"""The state machine's table."""

from pathlib import Path

import pytest

from batchframe.core.states import MEANING, TRANSITIONS, Event, IllegalMoveError, after, as_markdown
from batchframe.model import BatchState as S

DOCS = Path(__file__).parents[2] / "docs" / "states.md"


def test_every_state_is_in_the_table_and_every_event_is_used_and_explained() -> None:
    """A state without a row would strand a batch."""
    assert set(TRANSITIONS) == set(S)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event) == set(MEANING)


def test_every_state_leads_to_an_end() -> None:
    """A batch that cannot end keeps its job open for ever."""
    ends = {state for state, row in TRANSITIONS.items() if not row}
    assert ends == {S.DONE, S.FAILED}
    reaching = set(ends)
    for _ in S:
        reaching |= {state for state, row in TRANSITIONS.items() if reaching & set(row.values())}
    assert reaching == set(S)


def test_money_is_spent_by_one_move_only() -> None:
    """Rule 1: nothing but `creating` may lead to the call, and only from a committed intent."""
    assert [state for state, row in TRANSITIONS.items() if Event.ACCEPTED in row] == [S.CREATING]
    assert [state for state, row in TRANSITIONS.items() if S.CREATING in row.values()] == [S.UPLOADED]


def test_doubt_never_leads_back_to_the_call_without_a_search() -> None:
    """Rule 2: from `creating` only a refusal goes back; from `unsure` the way to a new call has a new file."""
    back = {event for event, to in TRANSITIONS[S.CREATING].items() if to in (S.UPLOADED, S.PLANNED)}
    assert back == {Event.REFUSED, Event.QUEUE_FULL}
    assert TRANSITIONS[S.UNSURE] == {Event.FOUND: S.SUBMITTED, Event.ABSENT: S.PLANNED, Event.GIVEN_UP: S.FAILED}


def test_what_was_asked_in_real_time_is_never_asked_again_by_itself() -> None:
    """Rule 3: no list tells what became of such a call, so the only way on is to write down what is known."""
    assert [state for state, row in TRANSITIONS.items() if S.ASKING in row.values()] == [S.PLANNED]
    assert TRANSITIONS[S.ASKING] == {Event.ANSWERED: S.DONE}


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (S.DONE, Event.INTENT),
        (S.FAILED, Event.UPLOADED),
        (S.UNSURE, Event.ACCEPTED),
        (S.UNSURE, Event.REFUSED),
        (S.SUBMITTED, Event.INTENT),
        (S.PLANNED, Event.INTENT),
        (S.ENDED, Event.GIVEN_UP),
        (S.ASKING, Event.GIVEN_UP),
        (S.UPLOADED, Event.ASKED),
    ],
)
def test_illegal_moves_are_refused(state: S, event: Event) -> None:
    """A mistake in the engine must stop it, not the money."""
    with pytest.raises(IllegalMoveError):
        after(state, event)


def test_the_picture_in_the_docs_is_the_table() -> None:
    """A drawing that lags behind the code misleads whoever has to repair it at night."""
    assert as_markdown() in DOCS.read_text()
