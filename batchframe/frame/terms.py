"""Terms: what a job may cost and how long it may take, as the caller says it and as the store keeps it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from batchframe.core.pricing import rates
from batchframe.errors import InputError, ParameterError
from batchframe.model import EMBEDDINGS, Price
from batchframe.store.jobs import Terms

Money = float | int | Decimal
Deadline = str | dt.timedelta | dt.datetime
AtDeadline = Literal["realtime", "give_up"]

_CAPS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_PERIOD = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|sec|m|min|h|d)\s*")
_LONGEST = 366 * 86_400
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def check_terms(
    *,
    model: str,
    endpoint: str,
    params: Mapping[str, Any],
    budget_usd: Money | None,
    price: tuple[Money, Money] | None,
    deadline: Deadline | None,
    at_deadline: AtDeadline,
) -> Terms:
    """The terms of a call.

    Args:
        price: US dollars a million input and output tokens at the batch rate.

    Raises:
        InputError: a value that cannot be used.
        ParameterError: there is a budget, and nobody knows what the model costs.
    """
    if at_deadline not in ("realtime", "give_up"):
        raise InputError(f"at_deadline={at_deadline!r}: choose 'realtime' or 'give_up'.")
    said = None if price is None else _price(price)
    budget = None if budget_usd is None else check_budget(budget_usd)
    if budget is not None and rates(model, said) is None:
        raise ParameterError(
            f"What {model!r} costs is not known, so budget_usd={budget_usd} cannot be kept. Say it with "
            "price=(input, output), US dollars a million tokens at the batch rate, or leave budget_usd out."
        )
    caps = [params[name] for name in _CAPS if isinstance(params.get(name), int)]
    return Terms(
        answer_tokens=0 if endpoint == EMBEDDINGS else min(caps, default=None),
        price=said,
        budget_usd=budget,
        deadline=None if deadline is None else _seconds(deadline),
        at_deadline=None if deadline is None else at_deadline,
    )


def check_budget(budget_usd: Money) -> Decimal:
    """A budget as the store keeps it.

    Raises:
        InputError: not an amount above zero.
    """
    amount = _amount(budget_usd)
    if amount is None or amount <= 0:
        raise InputError(f"budget_usd={budget_usd!r}: pass an amount of US dollars above zero.")
    return amount


def _price(price: tuple[Money, Money]) -> Price:
    amounts = [_amount(one) for one in price] if isinstance(price, tuple | list) and len(price) == 2 else []
    if len(amounts) != 2 or any(amount is None or amount < 0 for amount in amounts):
        raise InputError(
            f"price={price!r}: pass (input, output), US dollars a million tokens at the batch rate; (0, 0) is free."
        )
    return Price(*(amount for amount in amounts if amount is not None))


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _seconds(deadline: Deadline) -> float:
    """Seconds from now."""
    if isinstance(deadline, dt.datetime):
        if deadline.tzinfo is None:
            raise InputError(f"deadline={deadline!r}: give it a time zone, or pass a period such as '6h'.")
        seconds = (deadline - dt.datetime.now(dt.UTC)).total_seconds()
    elif isinstance(deadline, dt.timedelta):
        seconds = deadline.total_seconds()
    else:
        period = _PERIOD.fullmatch(deadline) if isinstance(deadline, str) else None
        if period is None:
            raise InputError(
                f"deadline={deadline!r}: pass a period such as '6h', '90m' or '2d', a timedelta, or a datetime."
            )
        seconds = float(period[1]) * _SECONDS[period[2]]
    if seconds <= 0:
        raise InputError(f"deadline={deadline!r} is over already.")
    if seconds > _LONGEST:
        raise InputError(f"deadline={deadline!r} is more than a year away; a batch takes a day at the most.")
    return seconds
