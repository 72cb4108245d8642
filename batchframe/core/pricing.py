"""Prices: what tokens cost in US dollars, by what the user says or by genai-prices' table, which knows batch rates."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batchframe.model import Mode, Price, Usage

_LONG_PROMPT = 100_000
"""Input tokens from which a prompt is priced by itself: above some threshold (272,000 for GPT-6 Astra, facts §3) all of
its tokens cost more. No table has a threshold below this."""

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per token; `cached` is for input tokens read from the provider's cache."""

    input: Decimal
    cached: Decimal
    output: Decimal

    def cost(self, usage: Usage) -> Decimal:
        """What this usage costs."""
        return (
            (usage.input - usage.cached) * self.input + usage.cached * self.cached + usage.output * self.output
        ).normalize()


def rates(model: str, price: Price | None, mode: Mode = Mode.BATCH, *, prompt_tokens: int = 1) -> Rates | None:
    """What a token of a model costs; None when nobody knows.

    Args:
        price: what the user says it costs at the batch rate; None asks the table. In real time it is twice that.
        prompt_tokens: how long the prompts are, since above some length all of their tokens cost more.
    """
    if price is None:
        return _listed(model, mode, prompt_tokens if prompt_tokens > _LONG_PROMPT else 1)
    times = 2 if mode is Mode.REALTIME else 1
    return Rates(price.input * times / _MILLION, price.input * times / _MILLION, price.output * times / _MILLION)


def bill(model: str, price: Price | None, mode: Mode, answers: Iterable[Usage]) -> Decimal | None:
    """What answers cost together; None when the model's price is not known."""
    known = rates(model, price, mode)
    if known is None:
        return None
    short, long = Usage(), Decimal(0)
    for usage in answers:
        if usage.input > _LONG_PROMPT and price is None:
            long += _calculated(model, usage, mode) or 0
        else:
            short += usage
    return known.cost(short) + long


@functools.lru_cache(1024)
def _listed(model: str, mode: Mode, length: int) -> Rates | None:
    prompt = _calculated(model, Usage(input=length), mode)
    if prompt is None:
        return None
    cached = _calculated(model, Usage(input=length, cached=length), mode)
    both = _calculated(model, Usage(input=length, output=1), mode)
    return Rates(
        prompt / length,
        (prompt if cached is None else cached) / length,
        Decimal(0) if both is None else both - prompt,
    )


def _calculated(model: str, usage: Usage, mode: Mode) -> Decimal | None:
    """The table's price for one answer."""
    import genai_prices  # here, because its table is large and few calls need it

    tokens = genai_prices.Usage(input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output)

    def price(**context: Any) -> Decimal:
        return genai_prices.calc_price(tokens, model_ref=model, provider_id="openai", **context).total_price

    try:
        standard = price()
        if mode is Mode.REALTIME:
            return standard
        batch = price(price_context={"processing": "batch"})
    except LookupError:
        return None
    # For a model whose batch rates it lacks, the table answers with the standard ones; a batch costs half (facts §2.1).
    return batch if batch != standard else standard / 2
