"""Waits."""

from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.pacing import poll_wait, row_wait


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_the_longest_and_jitter_stays_within_a_fifth(polls: int, random: float) -> None:
    """Neither a storm of polls nor a batch that is never looked at again."""
    wait = poll_wait(polls, 10, 60, random)
    assert 8 <= wait <= 72
    assert poll_wait(polls + 1, 10, 60, random) >= wait
    assert 5 <= row_wait(polls + 1, 5, 600) <= 600
