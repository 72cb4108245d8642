"""The outlook: what requests not sent yet are expected to cost, and what that rests on, in words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from batchframe.core.budget import Seen
from batchframe.core.pricing import rates
from batchframe.frame.call import Call
from batchframe.model import EMBEDDINGS, Mode, Usage

PriceIs = Literal["at most", "about", "from"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Output tokens and US dollars of requests to be sent; `Plan` says what each is."""

    output_tokens: int | None
    batch_usd: Decimal | None
    realtime_usd: Decimal | None
    price_is: PriceIs
    note: str


def outlook(call: Call, requests: int, input_tokens: int, seen: Seen, *, same_prompt: bool) -> Outlook:
    """What so many requests are expected to cost.

    Args:
        seen: what answers so far show.
        same_prompt: whether those are of the same call.
    """
    each, price_is, note = _answer(call, seen, same_prompt=same_prompt)
    output_tokens = None if each is None else round(each * requests)
    usage = Usage(input_tokens, 0, output_tokens or 0)

    def price(mode: Mode) -> Decimal | None:
        if not requests:
            return Decimal(0)
        known = rates(call.route.model, call.terms.price, mode, prompt_tokens=input_tokens // requests)
        return None if known is None else known.cost(usage)

    batch, realtime = price(Mode.BATCH), price(Mode.REALTIME)
    if not requests:
        note = "nothing is to be sent"
    elif batch is None:
        note = (
            f"what {call.route.model!r} costs is not known: say it with price=(input, output), US dollars a million "
            "tokens at the batch rate"
        )
    return Outlook(output_tokens, batch, realtime, price_is, note)


def _answer(call: Call, seen: Seen, *, same_prompt: bool) -> tuple[Decimal | None, PriceIs, str]:
    """The output tokens of one answer, and how far to believe them."""
    cap = call.terms.answer_tokens
    if call.route.endpoint == EMBEDDINGS:
        return Decimal(0), "about", "embeddings have no output tokens"
    if cap is not None:
        return Decimal(cap), "at most", f"every answer as long as its cap, {cap:,} tokens"
    if seen.answers and seen.output:
        mean = Decimal(seen.output) / seen.answers
        whose = "to this prompt" if same_prompt else f"of {call.route.model} to other prompts"
        return mean, "about", f"answers of {mean:,.0f} tokens, the mean of {seen.answers:,} {whose}"
    return None, "from", "input alone: how long answers will be is not known before plan.sample(20).run()"
