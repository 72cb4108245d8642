"""Budgets: estimates and refusals."""

from decimal import Decimal

import pytest

from batchframe.core.budget import GUESSED_ANSWER_TOKENS, Account, Seen, dollars, forecast
from batchframe.core.pricing import Rates

RATES = Rates(Decimal("0.001"), Decimal("0.0001"), Decimal("0.01"))


def test_a_cap_makes_the_estimate_an_upper_bound_whatever_was_seen() -> None:
    """Short answers so far say nothing about the longest to come; the cap does."""
    seen = Seen(answers=100, estimated_input=1000, input=1000, output=100)
    assert forecast(RATES, 50, seen).cost(10, 100) == Decimal("0.1") + Decimal("0.5") * 10


def test_without_a_cap_the_mean_of_the_answers_so_far_counts_and_before_them_a_guess() -> None:
    """The first batch is estimated too."""
    assert forecast(RATES, None, Seen()).per_request == RATES.output * GUESSED_ANSWER_TOKENS
    seen = Seen(answers=100, estimated_input=1000, input=1000, output=700)
    assert forecast(RATES, None, seen).per_request == RATES.output * 7


@pytest.mark.parametrize(("real", "times"), [(3000, 3), (500, 1)])
def test_input_estimates_are_only_corrected_upwards(real: int, times: int) -> None:
    """A budget errs on the side of the money."""
    seen = Seen(answers=10, estimated_input=1000, input=real, output=10)
    assert forecast(RATES, 0, seen).per_token == RATES.input * times


def test_spent_and_under_way_both_count() -> None:
    """What is reserved is as good as spent until its bill is there; and the exact budget may be spent."""
    account = Account("budget_usd", Decimal(5), spent=Decimal(2), reserved=Decimal(2), remedy="Raise it.")
    assert account.refusal(Decimal(1), 10) is None
    why = account.refusal(Decimal("1.01"), 10)
    assert why == (
        "budget_usd of $5.00 is used up: $2.00 is spent and about $2.00 is under way, and the next 10 requests would "
        "cost about $1.01. Raise it."
    )


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "$0.00"), ("1234.5", "$1,234.50"), ("0.5", "$0.50"), ("0.0123", "$0.012"), ("0.00004", "$0.000040")],
)
def test_amounts_are_shown_so_that_small_ones_are_not_zero(amount: str, shown: str) -> None:
    """A batch of a few rows costs fractions of a cent."""
    assert dollars(Decimal(amount)) == shown
