"""Prices."""

from decimal import Decimal

from batchframe.core.pricing import batch_cost
from batchframe.model import Usage


def test_batch_rates_are_half_of_the_real_time_ones() -> None:
    """gpt-5-mini: $0.25 and $2 a million in real time (facts §9), so $1.125 for a million of each in a batch."""
    assert batch_cost("gpt-5-mini", Usage(10**6, 0, 10**6)) == Decimal("1.125")


def test_an_unknown_model_has_no_price() -> None:
    """Better none than a wrong one."""
    assert batch_cost("no-such-model", Usage(1, 0, 1)) is None
