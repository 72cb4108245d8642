"""Budgets of jobs and of models: what is spent and under way, and whether a batch may still go.

A budget is spent under the lock of the row that holds it (the model's in `quota` first, then the job's, then the
key's), so that engines at once do not spend the same money twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from batchframe.core.budget import Account, Forecast, Seen, forecast
from batchframe.core.pricing import rates
from batchframe.model import Batch, Job, Kind, Mode
from batchframe.store import jobs, keys
from batchframe.store.notices import notify
from batchframe.store.spending import RESERVED, seen_of_prompt, spending


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a batch may be sent, as far as money goes.

    Attributes:
        cost: what it is expected to cost; None when the price is not known.
        refusal: why it may not, in words for the user; None when it may.
        nothing_under_way: whether waiting alone cannot help.
    """

    cost: Decimal | None
    refusal: str | None = None
    nothing_under_way: bool = False


def expected(connection: Connection, job: Job, seen: Seen, mode: Mode) -> Forecast | None:
    """What a job's requests are expected to cost, asked in this way; None without a price.

    Args:
        seen: what its own answers show; before the first, those of earlier jobs with the same prompt are looked at,
            never those to other prompts: a budget would be kept by what has nothing to do with it.
    """
    if not seen.answers and job.answer_tokens is None and job.kind is Kind.FRAME:
        seen = seen_of_prompt(connection, job)
    known = rates(job.route.model, job.price, mode, prompt_tokens=job.tokens // max(1, job.n_requests))
    return forecast(known, job.answer_tokens, seen) if known else None


def admit(connection: Connection, batch: Batch) -> Admission:
    """Whether the budgets of the batch's job, model and key have room for it; their rows stay locked until the end."""
    route = {"provider": batch.route.provider, "model": batch.route.model}
    model = connection.execute(
        text("SELECT budget_usd, budget_since FROM quota WHERE provider = :provider AND model = :model FOR UPDATE"),
        route,
    ).first()
    # A job without a budget is not locked: its row is held for long by whoever writes its outcomes.
    connection.execute(
        text("SELECT 1 FROM job WHERE id = :job AND budget_usd IS NOT NULL FOR UPDATE"), {"job": batch.job_id}
    )
    job = jobs.find(connection, batch.job_id)
    assert job is not None, "a batch outlives its job"
    own = spending(connection, batch.job_id)
    expects = expected(connection, job, own.seen, batch.mode)
    cost = expects.cost(batch.n_requests, batch.tokens) if expects else None
    accounts = []
    if job.budget_usd is not None:
        remedy = "job.resume(budget_usd=…) goes on with more; job.fill() has the answers so far."
        spent = own.cost(rates(job.route.model, job.price))
        if spent is None:
            return _unpriced(job.route.model, "budget_usd")
        accounts.append(Account("budget_usd", job.budget_usd, spent, own.reserved_usd, remedy))
    if model is not None and model.budget_usd is not None:
        accounts.append(_of_model(connection, route, model.budget_usd, model.budget_since))
    if job.api_key_id is not None and (of_key := _of_key(connection, job.api_key_id)):
        accounts.append(of_key)
    for account in accounts:
        if cost is None:
            return _unpriced(job.route.model, account.whose)
        refusal = account.refusal(cost, batch.n_requests)
        if refusal:
            return Admission(cost, refusal, nothing_under_way=not account.reserved)
    return Admission(cost)


def _unpriced(model: str, whose: str) -> Admission:
    why = f"The price of {model!r} is not known, so {whose} cannot be kept. Start the job with price=(input, output)."
    return Admission(None, why, nothing_under_way=True)


def pause(connection: Connection, job_id: int, why: str | None) -> None:
    """Say why nothing more of a job is sent; None: it goes on."""
    changed = connection.execute(
        text("UPDATE job SET paused = :why WHERE id = :job AND paused IS DISTINCT FROM :why"),
        {"job": job_id, "why": why},
    ).rowcount
    if changed:
        notify(connection, job_id)


def set_for_model(connection: Connection, provider: str, model: str, budget: Decimal | None) -> None:
    """Set what all jobs may spend on a model together, counted from now; None lifts it."""
    connection.execute(
        text("""
            INSERT INTO quota (provider, model, budget_usd, budget_since)
            VALUES (:provider, :model, :budget, now())
            ON CONFLICT (provider, model) DO UPDATE
            SET budget_usd = EXCLUDED.budget_usd,
                budget_since = CASE
                    WHEN quota.budget_usd IS NULL OR EXCLUDED.budget_usd IS NULL THEN now() ELSE quota.budget_since
                END
        """),
        {"provider": provider, "model": model, "budget": budget},
    )
    # Whoever waits for a paused job would be told of the old budget until an engine came by.
    connection.execute(
        text("""
            UPDATE job SET paused = NULL WHERE id IN (
                SELECT id FROM job
                WHERE provider = :provider AND model = :model AND closed_at IS NULL AND paused IS NOT NULL
                ORDER BY id FOR NO KEY UPDATE
            )
        """),
        {"provider": provider, "model": model},
    )
    woken = connection.execute(
        text("""
            UPDATE batch SET step_at = now() WHERE id IN (
                SELECT id FROM batch WHERE provider = :provider AND model = :model AND state IN ('planned', 'uploaded')
                ORDER BY id FOR NO KEY UPDATE
            )
            RETURNING job_id
        """),
        {"provider": provider, "model": model},
    )
    for job_id in {row.job_id for row in woken}:
        notify(connection, job_id)


@dataclass(frozen=True, slots=True)
class ModelBudget:
    """What all jobs may spend on a model, and have."""

    provider: str
    model: str
    budget: Decimal
    spent: Decimal
    reserved: Decimal


def of_models(connection: Connection) -> list[ModelBudget]:
    """The budgets that are set."""
    rows = connection.execute(
        text("SELECT provider, model, budget_usd, budget_since FROM quota WHERE budget_usd IS NOT NULL ORDER BY 1, 2")
    ).all()
    found = []
    for row in rows:
        route = {"provider": row.provider, "model": row.model}
        account = _of_model(connection, route, row.budget_usd, row.budget_since)
        found.append(ModelBudget(row.provider, row.model, account.budget, account.spent, account.reserved))
    return found


def _of_model(connection: Connection, route: dict[str, str], budget: Decimal, since: object) -> Account:
    row = connection.execute(
        text(f"""
            SELECT COALESCE(sum(cost_usd) FILTER (WHERE ended_at IS NULL OR ended_at >= :since), 0) AS spent,
                {RESERVED} AS reserved
            FROM batch WHERE provider = :provider AND model = :model
        """),
        {**route, "since": since},
    ).one()
    remedy = f"Raise it with bf.set_budget({route['model']!r}, …)."
    return Account(f"The budget for {route['model']}", budget, row.spent, row.reserved, remedy)


def _of_key(connection: Connection, key_id: int) -> Account | None:
    """The budget of a proxy's key, locked; None when it has none."""
    key = connection.execute(
        text("SELECT name, budget_usd FROM api_key WHERE id = :key AND budget_usd IS NOT NULL FOR UPDATE"),
        {"key": key_id},
    ).first()
    if key is None:
        return None
    spent = keys.spent(connection, key_id)
    remedy = f"Raise it with `batchframe keys budget {key.name} USD`."
    return Account(f"The budget of the key {key.name!r}", key.budget_usd, spent.cost_usd, spent.reserved_usd, remedy)
