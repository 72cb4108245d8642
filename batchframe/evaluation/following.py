"""Following: the progress of all of an evaluation's jobs as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from batchframe.frame.progress import Progress
from batchframe.frame.usage import JobUsage


def together(jobs: Iterable[Progress], *, rows: int, to_submit: int) -> Progress:
    """Many jobs' progress as one.

    Args:
        rows: of the evaluation.
        to_submit: jobs that are still to come; while there are any it is not done.
    """
    every = list(jobs)
    open_ones = [one for one in every if one.status in ("running", "paused", "cancelling")]
    troubles = list(dict.fromkeys(one.trouble for one in every if one.trouble))
    states: Counter[str] = Counter()
    for one in every:
        states.update(one.batches)
    return Progress(
        status=_status(every, open_ones, to_submit),
        rows=rows,
        skipped=max((one.skipped for one in every), default=0),
        requests=sum(one.requests for one in every),
        ok=sum(one.ok for one in every),
        failed=sum(one.failed for one in every),
        cancelled=sum(one.cancelled for one in every),
        pending=sum(one.pending for one in every),
        reused=sum(one.reused for one in every),
        at_provider=sum(one.at_provider for one in every),
        answered_at_provider=sum(one.answered_at_provider for one in every),
        batches=dict(states),
        trouble="\n".join(troubles) or None,
        usage=_usage([one.usage for one in every]),
    )


def _status(every: list[Progress], open_ones: list[Progress], to_submit: int) -> str:
    states = {one.status for one in open_ones}
    if "running" in states:
        return "running"
    if states:
        return "cancelling" if "cancelling" in states else "paused"
    ended = {one.status for one in every}
    if "cancelled" in ended:
        return "cancelled"
    if to_submit:
        return "waiting"
    return "failed" if "failed" in ended else "done"


def _usage(every: list[JobUsage]) -> JobUsage:
    def total(name: str) -> Decimal | None:
        amounts = [getattr(one, name) for one in every]
        if name == "cost_usd":
            return None if None in amounts else sum(amounts, Decimal(0))
        known = [amount for amount in amounts if amount is not None]
        return sum(known, Decimal(0)) if known else None

    return JobUsage(
        requests=sum(one.requests for one in every),
        reused=sum(one.reused for one in every),
        input_tokens=sum(one.input_tokens for one in every),
        cached_tokens=sum(one.cached_tokens for one in every),
        output_tokens=sum(one.output_tokens for one in every),
        cost_usd=total("cost_usd"),
        to_come_usd=total("to_come_usd"),
        saved_usd=total("saved_usd"),
        budget_usd=None,
    )
