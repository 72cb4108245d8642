"""The enqueued-token limit."""

from batchframe.core.quota import split_at, stated_limit

MESSAGE = (
    "Enqueued token limit reached for gpt-4o-mini in organization org-XXX. Limit: 2,000,000 enqueued tokens. "
    "Please try again once some in_progress batches have been completed."
)


def test_the_limit_is_read_out_of_the_refusal() -> None:
    """Knowing it, the next batches are made to fit."""
    assert stated_limit(MESSAGE) == 2_000_000
    assert stated_limit("quota exceeded") is None


def test_a_batch_that_can_never_fit_is_split() -> None:
    """Waiting for room that will never be there would wait for ever."""
    assert split_at(5_000_000, 2_000_000, waits=0) == 2_000_000
    assert split_at(1_900_000, 2_000_000, waits=5) == 950_000
    assert split_at(100, None, waits=5) == 50


def test_a_batch_that_should_fit_waits() -> None:
    """Others of the organisation may fill the queue: to split at once would end in thousands of small batches."""
    assert split_at(100_000, 2_000_000, waits=50) is None
    assert split_at(1_900_000, 2_000_000, waits=0) is None
    assert split_at(5_000_000, None, waits=0) is None
