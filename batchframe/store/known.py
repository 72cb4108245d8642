"""Known requests: which of the requests a call would make are answered or being asked already.

It reads by the same terms as `loans.take` does when the job is stored, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from batchframe.model import Route, Usage
from batchframe.store.loans import ANSWERED, LENDERS


@dataclass(frozen=True, slots=True)
class Known:
    """Requests by their hash.

    Attributes:
        answered: those with an answer, and what was paid for it; zeros when nobody counted.
        in_batches: those without, which an open job asks in a batch.
        in_real_time: those without, which an open job asks in real time.
    """

    answered: dict[bytes, Usage] = field(default_factory=dict)
    in_batches: set[bytes] = field(default_factory=set)
    in_real_time: set[bytes] = field(default_factory=set)


def known(connection: Connection, route: Route, hashes: Iterable[bytes]) -> Known:
    """What is known of these requests of a route."""
    found = Known()
    others = connection.execute(
        text("SELECT 1 FROM job WHERE provider = :provider AND endpoint = :endpoint AND model = :model LIMIT 1"),
        {"provider": route.provider, "endpoint": route.endpoint, "model": route.model},
    ).first()
    if others is None:
        return found
    # One text for all hashes: an array of 200,000 parameters takes seconds to write.
    rows = connection.execute(
        text(f"""
            SELECT r.hash, a.input_tokens, a.output_tokens, l.real_time
            FROM unnest(CAST(:hashes AS uuid[])) AS r(hash)
            LEFT JOIN LATERAL (
                SELECT o.input_tokens, o.output_tokens {ANSWERED} ORDER BY o.input_tokens DESC LIMIT 1
            ) a ON true
            LEFT JOIN LATERAL (
                SELECT COALESCE(j.deadline_at <= now() AND j.at_deadline = 'realtime', false) AS real_time
                {LENDERS} AND a.input_tokens IS NULL LIMIT 1
            ) l ON true
            WHERE a.input_tokens IS NOT NULL OR l.real_time IS NOT NULL
        """),
        {"hashes": "{" + ",".join(map(bytes.hex, hashes)) + "}"},
    )
    for hash_, input_tokens, output_tokens, real_time in rows:
        if input_tokens is not None:
            found.answered[hash_.bytes] = Usage(input=input_tokens, output=output_tokens)
        else:
            (found.in_real_time if real_time else found.in_batches).add(hash_.bytes)
    return found
