"""Tokens: a request's input tokens, estimated from its bytes, or counted by a tokenizer when there is one.

The estimate is for the enqueued-token limit. English text runs near four bytes a token and JSON around it is cheap, so
bytes divided by four errs on the high side for prose and may run low for scripts with many tokens a byte. The
provider's own count rules: a batch it refuses is queued, not lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from batchframe.core.budget import Seen
from batchframe.core.prompts import countable

BYTES_PER_TOKEN = 4

_COUNTED_BYTES = 2_000_000
"""Up to so many bytes every request is counted, of more a sample; a tokenizer takes about half a second for them."""
_COUNTED_REQUESTS = 50
"""The fewest of a sample: of fewer its error could not be told."""


def estimate(n_bytes: int) -> int:
    """Estimated input tokens of a body of `n_bytes` encoded bytes."""
    return max(1, n_bytes // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Count:
    """Input tokens of many requests.

    Attributes:
        exact: whether every request was counted, and by rules that are published.
        note: how they were counted, and how far off that may be, in words for the user.
    """

    tokens: int
    exact: bool
    note: str


def guess(bodies: Sequence[bytes], seen: Seen, *, same_prompt: bool) -> Count:
    """Tokens estimated from bytes, corrected by what earlier requests were billed.

    Args:
        seen: what earlier requests show.
        same_prompt: whether those are requests of the same call.
    """
    estimated = sum(estimate(len(body)) for body in bodies)
    if not seen.input or not seen.estimated_input:
        # Measured against o200k_base: Debian's package descriptions 1.23 times the count, their titles 1.69, German
        # 1.14, Russian 1.8, Hindi 2.3, Chinese 0.9, columns of numbers 0.5.
        note = "estimate, a quarter of the bytes: English prose often up to 25 % too high, else from half to twice"
        return Count(estimated, exact=False, note=note)
    whose = "of this prompt" if same_prompt else "of other prompts"
    return Count(
        round(estimated * seen.input / seen.estimated_input),
        exact=False,
        note=f"estimate, calibrated on {seen.answers:,} billed requests {whose}",
    )


def count(
    bodies: Sequence[bytes], endpoint: str, encoding: str, lengths: Callable[[list[str]], list[int]], random: Random
) -> Count:
    """Tokens counted by a tokenizer: of all requests when they are few, else of a sample, with its error.

    Args:
        encoding: the tokenizer's name.
        lengths: the number of tokens of each text.
        random: draws the sample.
    """
    n_bytes = sum(map(len, bodies))
    most = len(bodies) if n_bytes <= _COUNTED_BYTES else _COUNTED_BYTES * len(bodies) // n_bytes
    n = min(len(bodies), max(most, _COUNTED_REQUESTS))
    sample = bodies if n == len(bodies) else random.sample(bodies, n)
    said = [countable(body, endpoint) for body in sample]
    each = iter(lengths([text for one in said for text in one.texts]))
    tokens = [one.framing + sum(next(each) for _ in one.texts) for one in said]
    whole = all(one.whole for one in said)
    unsure = "" if whole else "; schemas, tools and images are billed by rules that are not published"
    if n == len(bodies):
        return Count(sum(tokens), whole, f"{'exact' if whole else 'estimate'}, counted with {encoding}{unsure}")
    total, error = _extrapolated([len(body) for body in sample], tokens, n_bytes, len(bodies))
    note = f"estimate, ±{100 * error:.1g} %: {n:,} of {len(bodies):,} requests counted with {encoding}{unsure}"
    return Count(total, exact=False, note=note)


def _extrapolated(sizes: list[int], tokens: list[int], n_bytes: int, n_requests: int) -> tuple[int, float]:
    """The tokens of all requests by the ratio of tokens to bytes in a sample, and two standard errors of that."""
    ratio = sum(tokens) / sum(sizes)
    n = len(sizes)
    spread = sum((some - ratio * size) ** 2 for some, size in zip(tokens, sizes, strict=True)) / (n - 1)
    error = math.sqrt((1 - n / n_requests) * spread / n) / (sum(tokens) / n)
    return round(ratio * n_bytes), 2 * error
