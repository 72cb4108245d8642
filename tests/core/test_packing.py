"""Packing under limits."""

from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.packing import LINE_SUFFIX, Limits, count_batches, line_overhead, line_prefix, pack
from batchframe.model import Attempt, Sized

SIZES = st.lists(st.builds(Sized, st.just(0), st.just(1), st.integers(1, 500), st.integers(1, 100)), max_size=60)


@given(SIZES, st.integers(1, 10), st.integers(50, 1500), st.none() | st.integers(10, 300), st.integers(0, 50))
def test_every_batch_fits_and_nothing_is_lost_or_reordered(
    requests: list[Sized], most: int, n_bytes: int, tokens: int | None, overhead: int
) -> None:
    """A batch over a limit is refused as a whole; a request packed twice would be paid twice."""
    batches = list(pack(requests, Limits(most, n_bytes, tokens), overhead))
    assert [request for batch in batches for request in batch] == requests
    for batch in batches:
        assert 1 <= len(batch) <= most
        if len(batch) > 1:
            assert sum(request.n_bytes + overhead for request in batch) <= n_bytes
            assert tokens is None or sum(request.tokens for request in batch) <= tokens


def test_a_batch_is_filled_to_the_limit() -> None:
    """120,000 rows are three batches, not four."""
    requests = [Sized(row, 1, 100, 1) for row in range(120_000)]
    assert [len(batch) for batch in pack(requests, Limits(50_000, 10**9), 10)] == [50_000, 50_000, 20_000]


def test_the_overhead_covers_the_longest_line() -> None:
    """The limit is in encoded bytes of the file, so the frame around a body counts."""
    longest = line_prefix(Attempt(123, 10**9 - 1, 99_999), "/v1/responses") + LINE_SUFFIX
    assert len(longest) == line_overhead(123, "/v1/responses")


def test_what_is_not_to_be_sent_takes_room_in_a_stretch() -> None:
    """Planning goes by numbers, so a frame half answered already makes as many batches as a whole one, smaller ones."""
    half = [Sized(row, 1, 100, 1) for row in range(0, 100_000, 2)]
    assert count_batches(half, 100_000, Limits(50_000, 10**9), 10) == 2
    assert count_batches(half[:10], 100_000, Limits(50_000, 10**9), 10) == 1
    assert count_batches([], 100_000, Limits(50_000, 10**9), 10) == 0


def test_what_is_cut_off_at_the_end_of_a_stretch_is_packed_with_what_follows() -> None:
    """By bytes, batches run across stretches."""
    requests = [Sized(row, 1, 90, 1) for row in range(30)]
    assert count_batches(requests, 30, Limits(10, 600), 10) == 5
