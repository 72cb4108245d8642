"""Packing under limits."""

from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.packing import LINE_SUFFIX, Limits, line_overhead, line_prefix, pack
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
