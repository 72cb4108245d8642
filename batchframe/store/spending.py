"""Spending: what jobs and their batches have cost, summed from the rows of `batch`, of which there are few."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from batchframe.core.budget import Seen
from batchframe.core.pricing import Rates
from batchframe.model import NO_USAGE, Job, Route, Usage

IN_FLIGHT = "('creating', 'unsure', 'submitted', 'ended', 'asking')"
"""States in which a batch's answers are being made, or may be: its reservation counts."""

RESERVED = f"""
    COALESCE(sum(GREATEST(reserved_usd - COALESCE(cost_usd, 0), 0)) FILTER (WHERE state IN {IN_FLIGHT}), 0)
"""
"""What batches under way are still expected to cost: one asked in real time has cost some of it already."""


_SEEN = """
    COALESCE(sum(n_paid), 0) AS answers,
    COALESCE(sum(tokens * n_paid / n_requests) FILTER (WHERE n_paid > 0), 0) AS estimated,
    COALESCE(sum(input_tokens), 0) AS input, COALESCE(sum(output_tokens), 0) AS output
"""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a job has spent by the provider's own count, and what is under way.

    Attributes:
        cached: those of the input tokens that were read from the provider's cache.
        priced_usd: what was paid for at a known price.
        unpriced: tokens whose price was not known when they were paid for.
        reserved_usd: what the batches under way are expected to cost beyond what they have cost already.
    """

    seen: Seen
    cached: int
    priced_usd: Decimal
    unpriced: Usage
    reserved_usd: Decimal

    def cost(self, rates: Rates | None) -> Decimal | None:
        """What it has cost in all; None when some of it has no known price, now either."""
        if self.unpriced == NO_USAGE:
            return self.priced_usd
        return None if rates is None else self.priced_usd + rates.cost(self.unpriced)


def spending(connection: Connection, job_id: int) -> Spending:
    """What a job has spent so far."""
    row = connection.execute(
        text(f"""
            SELECT {_SEEN}, COALESCE(sum(cached_tokens), 0) AS cached, COALESCE(sum(cost_usd), 0) AS cost,
                COALESCE(sum(input_tokens) FILTER (WHERE cost_usd IS NULL), 0) AS unpriced_input,
                COALESCE(sum(cached_tokens) FILTER (WHERE cost_usd IS NULL), 0) AS unpriced_cached,
                COALESCE(sum(output_tokens) FILTER (WHERE cost_usd IS NULL), 0) AS unpriced_output,
                {RESERVED} AS reserved
            FROM batch WHERE job_id = :job
        """),
        {"job": job_id},
    ).one()
    seen = _seen(row)
    unpriced = Usage(int(row.unpriced_input), int(row.unpriced_cached), int(row.unpriced_output))
    return Spending(seen, int(row.cached), row.cost, unpriced, row.reserved)


def seen_of(connection: Connection, route: Route) -> Seen:
    """What the answers of a route show, of all jobs; those that came without a count of tokens are left out."""
    return _seen(
        connection.execute(
            text(f"""
                SELECT {_SEEN} FROM batch
                WHERE provider = :provider AND endpoint = :endpoint AND model = :model AND input_tokens > 0
            """),
            {"provider": route.provider, "endpoint": route.endpoint, "model": route.model},
        ).one()
    )


def seen_of_prompt(connection: Connection, job: Job) -> Seen:
    """What the answers to the same prompt show, in earlier jobs: `plan.sample(20).run()` makes such a one."""
    return _seen(
        connection.execute(
            text(f"""
                SELECT {_SEEN} FROM batch
                WHERE input_tokens > 0 AND job_id IN (
                    SELECT id FROM job
                    WHERE kind = :kind AND provider = :provider AND endpoint = :endpoint AND model = :model
                      AND spec = :spec AND id < :job
                )
            """),
            {
                "kind": job.kind,
                "provider": job.route.provider,
                "endpoint": job.route.endpoint,
                "model": job.route.model,
                "spec": job.spec,
                "job": job.id,
            },
        ).one()
    )


def _seen(row: Row[Any]) -> Seen:
    return Seen(int(row.answers), int(row.estimated), int(row.input), int(row.output))


def by_model(connection: Connection) -> dict[str, float]:
    """US dollars spent on each model, as far as prices are known."""
    rows = connection.execute(
        text("SELECT model, sum(cost_usd) AS cost FROM batch WHERE cost_usd IS NOT NULL GROUP BY model ORDER BY model")
    )
    return {row.model: float(row.cost) for row in rows}


@dataclass(frozen=True, slots=True)
class BatchSpending:
    """One batch of a job, as its owner is shown it.

    Attributes:
        answered: rows the provider says it has worked off.
        reserved_usd, cost_usd: what it was expected to cost, and what it did.
        error: what keeps it from going on, or None.
    """

    id: int
    mode: str
    state: str
    provider_id: str | None
    n_requests: int
    answered: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reserved_usd: Decimal | None
    cost_usd: Decimal | None
    created_at: datetime
    ended_at: datetime | None
    error: str | None


def batches_of(connection: Connection, job_id: int) -> list[BatchSpending]:
    """The batches of a job, the oldest first."""
    rows = connection.execute(
        text("""
            SELECT id, mode, state, provider_id, n_requests,
                GREATEST(provider_completed + provider_failed, n_paid) AS answered, input_tokens, cached_tokens,
                output_tokens, reserved_usd, cost_usd, created_at, ended_at, error
            FROM batch WHERE job_id = :job ORDER BY id
        """),
        {"job": job_id},
    )
    return [BatchSpending(**row._mapping) for row in rows]
