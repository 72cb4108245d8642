"""Usage: what a job has cost, by the provider's own count, and what the rest of it is expected to cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd
from sqlalchemy import Connection

from batchframe.core.budget import dollars
from batchframe.core.pricing import rates
from batchframe.model import Job, Mode, Usage
from batchframe.store import budgets, spending


@dataclass(frozen=True, slots=True)
class JobUsage:
    """What a job has used so far, by the provider's own count, and what is expected of the rest.

    All amounts are US dollars, at the rate each request was asked at; None when the model's price is not known.

    Attributes:
        requests: answered requests that were paid for, all attempts counted.
        reused: requests whose answer another job had paid for.
        cost_usd: what the answers have cost.
        to_come_usd: what the requests that are still open are expected to cost, those under way included.
        saved_usd: what cancelled requests would have been expected to cost.
        budget_usd: the job's budget; None when it has none.
    """

    requests: int
    reused: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    to_come_usd: Decimal | None
    saved_usd: Decimal | None
    budget_usd: Decimal | None

    def __str__(self) -> str:
        if self.cost_usd is None:
            return f"{self.input_tokens:,} input and {self.output_tokens:,} output tokens; the price is not known"
        return ", ".join([f"{dollars(self.cost_usd)} spent", *self.outlook])

    @property
    def outlook(self) -> list[str]:
        """In words, what stands beside the cost so far: what is to come, what was saved, and the budget."""
        parts = []
        if self.to_come_usd:
            parts.append(f"about {dollars(self.to_come_usd)} to come")
        if self.saved_usd:
            parts.append(f"about {dollars(self.saved_usd)} saved by cancelling")
        if self.budget_usd is not None:
            parts.append(f"budget {dollars(self.budget_usd)}")
        return parts


def read_usage(connection: Connection, job: Job) -> JobUsage:
    """What the job has used, and what the rest of it is expected to cost."""
    spent = spending.spending(connection, job.id)
    tokens = Usage(spent.seen.input, spent.cached, spent.seen.output)
    expects = budgets.expected(connection, job, spent.seen, Mode.REALTIME if job.late else Mode.BATCH)
    known = rates(job.route.model, job.price)

    def share(requests: int) -> Decimal | None:
        return expects.cost(requests, job.tokens * requests // job.n_requests) if expects and requests else None

    return JobUsage(
        requests=spent.seen.answers,
        reused=job.n_reused,
        input_tokens=tokens.input,
        cached_tokens=tokens.cached,
        output_tokens=tokens.output,
        cost_usd=None if known is None else spent.cost(known),
        to_come_usd=share(job.n_requests - job.n_settled),
        saved_usd=share(job.n_cancelled),
        budget_usd=job.budget_usd,
    )


def amounts(values: Iterable[Decimal | None]) -> pd.api.extensions.ExtensionArray:
    """Amounts as a nullable column of floats."""
    return pd.array([None if value is None else float(value) for value in values], dtype="Float64")


def read_batches(connection: Connection, job: Job) -> pd.DataFrame:
    """The batches of a job, one row each, indexed by `id`."""
    found = spending.batches_of(connection, job.id)
    return pd.DataFrame(
        {
            "mode": pd.array([one.mode for one in found], dtype="string"),
            "state": pd.array([one.state for one in found], dtype="string"),
            "provider_id": pd.array([one.provider_id for one in found], dtype="string"),
            "requests": pd.array([one.n_requests for one in found], dtype="Int64"),
            "answered": pd.array([one.answered for one in found], dtype="Int64"),
            "input_tokens": pd.array([one.input_tokens for one in found], dtype="Int64"),
            "cached_tokens": pd.array([one.cached_tokens for one in found], dtype="Int64"),
            "output_tokens": pd.array([one.output_tokens for one in found], dtype="Int64"),
            "cost_usd": amounts([one.cost_usd for one in found]),
            "expected_usd": amounts([one.reserved_usd for one in found]),
            "created": pd.to_datetime([one.created_at for one in found], utc=True),
            "ended": pd.to_datetime(pd.Series([one.ended_at for one in found], dtype="object"), utc=True).array,
            "trouble": pd.array([one.error for one in found], dtype="string"),
        },
        index=pd.Index([one.id for one in found], name="id", dtype="int64"),
    )
