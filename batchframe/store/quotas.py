"""Quotas: the enqueued tokens a provider allows for a model, learnt from refusals, spent under the row's lock.

Providers raise limits without a word, so what was learnt is believed for a day; then a refusal tells again.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from batchframe.model import Batch, Route

_ALLOWED = """
    SELECT CASE WHEN learnt_at > now() - interval '1 day' THEN tokens END FROM quota
    WHERE provider = :provider AND model = :model
"""


def allowed_tokens(connection: Connection, route: Route) -> int | None:
    """The enqueued-token limit of a model as far as it is known; None when it is not."""
    tokens: int | None = connection.execute(text(_ALLOWED), {"provider": route.provider, "model": route.model}).scalar()
    return tokens


def running_tokens(connection: Connection, route: Route) -> int:
    """Estimated tokens of the batches of this model that are, or may be, in the provider's queue."""
    return int(
        connection.execute(
            text("""
                SELECT COALESCE(sum(tokens), 0) FROM batch
                WHERE provider = :provider AND model = :model AND state IN ('creating', 'unsure', 'submitted')
            """),
            {"provider": route.provider, "model": route.model},
        ).scalar_one()
    )


def admits(connection: Connection, batch: Batch) -> bool:
    """Whether the batch may be created now; the quota row stays locked until the transaction ends.

    A batch that would run alone is always let through: if it is too large, the provider's word is needed for it.
    """
    allowed = connection.execute(
        text(f"{_ALLOWED} FOR UPDATE"),
        {"provider": batch.route.provider, "model": batch.route.model},
    ).scalar()
    if allowed is None:
        return True
    running = running_tokens(connection, batch.route)
    return running == 0 or running + batch.tokens <= allowed


def learn(connection: Connection, route: Route, tokens: int) -> None:
    """Keep what the provider was seen to allow."""
    connection.execute(
        text("""
            INSERT INTO quota (provider, model, tokens) VALUES (:provider, :model, :tokens)
            ON CONFLICT (provider, model) DO UPDATE SET tokens = EXCLUDED.tokens, learnt_at = now()
        """),
        {"provider": route.provider, "model": route.model, "tokens": max(1, tokens)},
    )
