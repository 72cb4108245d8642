"""Identity of requests and jobs."""

from batchframe.core.identity import job_digest, request_hasher
from batchframe.model import Route

ROUTE = Route("openai:https://api.openai.com/v1", "/v1/chat/completions", "m")


def test_equal_requests_have_equal_hashes_and_others_do_not() -> None:
    """Reuse and deduplication stand on this: too equal loses answers, too different pays twice."""
    base = request_hasher(ROUTE, 0)(b"{}")
    assert base == request_hasher(ROUTE, 0)(b"{}")
    others = [
        request_hasher(ROUTE, 0)(b"{ }"),
        request_hasher(ROUTE, 1)(b"{}"),
        request_hasher(Route("openai:http://localhost/v1", ROUTE.endpoint, "m"), 0)(b"{}"),
        request_hasher(Route(ROUTE.provider, "/v1/responses", "m"), 0)(b"{}"),
    ]
    assert len({base, *others}) == 5


def test_the_digest_of_a_job_sees_order_and_skipped_rows() -> None:
    """Two calls are the same only if every row asks the same in the same place."""
    a, b = bytes(15) + b"a", bytes(15) + b"b"
    digests = {job_digest(b"s", rows) for rows in ([a, b], [b, a], [a, b, None], [a, None, b])}
    assert len(digests) == 4
    assert job_digest(b"s", [a]) != job_digest(b"t", [a])
