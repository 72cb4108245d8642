"""Prices."""

from decimal import Decimal

import pytest

from batchframe.core.pricing import bill, rates
from batchframe.model import Mode, Price, Usage

MILLION = Usage(10**6, 0, 10**6)


def test_batch_rates_are_half_of_the_real_time_ones() -> None:
    """gpt-5-mini: $0.25 and $2 a million in real time (facts §9), so $1.125 for a million of each in a batch."""
    batch, realtime = rates("gpt-5-mini", None), rates("gpt-5-mini", None, Mode.REALTIME)
    assert batch is not None
    assert realtime is not None
    assert (batch.cost(MILLION), realtime.cost(MILLION)) == (Decimal("1.125"), Decimal("2.25"))


def test_a_model_whose_batch_rate_is_not_in_the_table_costs_half() -> None:
    """The table answers with the standard price for embeddings: $0.02 a million, of which a batch costs half."""
    batch = rates("text-embedding-3-small", None)
    assert batch is not None
    assert batch.input * 10**6 == Decimal("0.01")


def test_tokens_read_from_the_cache_cost_less() -> None:
    """They are part of the input and must not be counted twice."""
    known = rates("gpt-5-mini", None)
    assert known is not None
    assert known.cost(Usage(1000, 1000, 0)) == Decimal("0.0000125") < known.cost(Usage(1000, 0, 0))


def test_many_short_prompts_do_not_cost_what_a_long_one_does() -> None:
    """Above 272,000 tokens a prompt costs twice (facts §3); a thousand prompts of 300 tokens are not one of 300,000."""
    short = bill("gpt-6-astra", None, Mode.BATCH, [Usage(300, 0, 10)] * 1000)
    long = bill("gpt-6-astra", None, Mode.BATCH, [Usage(300_000, 0, 10_000)])
    assert short == Decimal("5") * 300_000 / 10**6 + Decimal("25") * 10_000 / 10**6
    assert long == Decimal("10") * 300_000 / 10**6 + Decimal("37.5") * 10_000 / 10**6


@pytest.mark.parametrize(("mode", "cost"), [(Mode.BATCH, Decimal(5)), (Mode.REALTIME, Decimal(10))])
def test_what_the_user_says_wins(mode: Mode, cost: Decimal) -> None:
    """A contract's price, or that of a server of one's own."""
    assert bill("gpt-5-mini", Price(Decimal(2), Decimal(3)), mode, [MILLION]) == cost


def test_an_unknown_model_has_no_price() -> None:
    """Better none than a wrong one."""
    assert rates("no-such-model", None) is None
    assert bill("no-such-model", None, Mode.BATCH, [MILLION]) is None


def test_long_prompts_are_expected_to_cost_what_they_will() -> None:
    """An estimate at the short rate would let a budget be passed by twice."""
    short, long = rates("gpt-6-astra", None), rates("gpt-6-astra", None, prompt_tokens=300_000)
    assert short is not None
    assert long is not None
    assert (long.input / short.input, long.output / short.output) == (2, Decimal("1.5"))
