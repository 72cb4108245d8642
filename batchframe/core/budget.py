"""Budgets: what requests are expected to cost before they are sent, and whether a batch may still go.

An estimate is only as good as what is known of the answers' length. With a cap in the call (`max_completion_tokens` and
the like) it is an upper bound but for the input tokens, which are counted from bytes; without one it is the mean of the
answers that are there, and a guess before the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from batchframe.core.pricing import Rates

GUESSED_ANSWER_TOKENS = 1_000
"""Output tokens of an answer before any has been seen, when the call caps none. Reasoning counts as output."""

LARGEST_PART = 4
"""No batch of a job with a budget may be expected to cost more than the budget divided by this, so that its last part
can be spent, and so that estimates meet real bills before most of the money is gone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the batches of a job that are done show of its answers: numbers and sums of tokens."""

    answers: int = 0
    estimated_input: int = 0
    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What requests are expected to cost: US dollars per estimated input token and per request."""

    per_token: Decimal
    per_request: Decimal

    def cost(self, requests: int, tokens: int) -> Decimal:
        """The expected cost of so many requests with so many estimated input tokens, in US dollars."""
        return self.per_token * tokens + self.per_request * requests


def forecast(rates: Rates, answer_tokens: int | None, seen: Seen) -> Forecast:
    """What requests of a job are expected to cost.

    Args:
        answer_tokens: the most output tokens of one answer; None when there is no cap.
        seen: what its answers so far have shown.
    """
    # Input estimates are corrected upwards only: a first batch of short prompts must not make the rest look cheap.
    correction = max(Decimal(1), Decimal(seen.input) / seen.estimated_input) if seen.estimated_input else Decimal(1)
    if answer_tokens is None:
        output = Decimal(seen.output) / seen.answers if seen.answers else Decimal(GUESSED_ANSWER_TOKENS)
    else:
        output = Decimal(answer_tokens)
    return Forecast(rates.input * correction, rates.output * output)


@dataclass(frozen=True, slots=True)
class Account:
    """A budget and what stands against it, in US dollars.

    Attributes:
        whose: whose budget it is, in words for the user.
        spent: what answers have cost.
        reserved: what batches under way are expected to cost.
        remedy: what the user can do when it is used up.
    """

    whose: str
    budget: Decimal
    spent: Decimal
    reserved: Decimal
    remedy: str

    def refusal(self, cost: Decimal, requests: int) -> str | None:
        """Why a batch that is expected to cost so much may not be sent now; None when it may."""
        if self.spent + self.reserved + cost <= self.budget:
            return None
        under_way = f" and about {dollars(self.reserved)} is under way" if self.reserved else ""
        following = f"the next {requests:,} requests" if requests > 1 else "the next request"
        if not self.spent and not self.reserved:
            said = f"is too small: {following} would cost about {dollars(cost)}"
        else:
            said = f"is used up: {dollars(self.spent)} is spent{under_way}, and {following} would cost about "
            said += dollars(cost)
        return f"{self.whose} of {dollars(self.budget)} {said}. {self.remedy}"


def dollars(amount: Decimal) -> str:
    """An amount as people read it: cents, and as many places as a small one needs."""
    places = 2
    while places < 8 and amount and abs(amount) < Decimal(10) ** (1 - places):
        places += 1
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{places}f}"
