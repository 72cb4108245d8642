"""Prices: what tokens cost in US dollars, by genai-prices' table, which knows the batch rates."""

from __future__ import annotations

from decimal import Decimal

from batchframe.model import Usage


def batch_cost(model: str, usage: Usage) -> Decimal | None:
    """What this usage costs at the batch rate, in US dollars; None for a model that is not in the table."""
    import genai_prices  # here, because its table is large and few calls need it

    tokens = genai_prices.Usage(input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output)
    try:
        price = genai_prices.calc_price(
            tokens, model_ref=model, provider_id="openai", price_context={"processing": "batch"}
        )
    except LookupError:
        return None
    return price.total_price
