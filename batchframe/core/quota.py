"""The enqueued-token limit: what to do with a batch the provider's queue has no room for."""

from __future__ import annotations

import re

_LIMIT = re.compile(r"Limit: ([0-9][0-9,]*) enqueued tokens")


def stated_limit(message: str) -> int | None:
    """The limit a refusal names, in tokens (wording: facts §2.5); None when it names none."""
    match = _LIMIT.search(message)
    return int(match[1].replace(",", "")) if match else None


def split_at(tokens: int, n_requests: int, limit: int | None) -> int | None:
    """How many tokens a batch may have instead, when it was refused though nothing of ours was running.

    Returns:
        None when waiting is right: it holds one request, or it is so far under the stated limit that somebody else's
        batches must fill the queue. Our counts are estimates, good to a factor of two.
    """
    if n_requests == 1 or (limit is not None and tokens * 2 <= limit):
        return None
    if limit is not None and tokens > limit:
        return limit
    return max(1, tokens // 2)
