"""The enqueued-token limit: what to do with a batch the provider's queue has no room for."""

from __future__ import annotations

import re

_LIMIT = re.compile(r"Limit: ([0-9][0-9,]*) enqueued tokens")


def stated_limit(message: str) -> int | None:
    """The limit a refusal names, in tokens (wording: facts §2.5); None when it names none."""
    match = _LIMIT.search(message)
    return int(match[1].replace(",", "")) if match else None


_WAITS_BEFORE_A_GUESS = 3


def split_at(tokens: int, limit: int | None, waits: int) -> int | None:
    """How many tokens a batch may have instead, when it was refused though nothing of ours was running.

    Args:
        tokens: our estimate of the batch's tokens, good to a factor of two.
        limit: what the refusal states, None when it states nothing.
        waits: how often the batch has been refused and waited already.

    Returns:
        None when waiting is right: somebody else's batches may fill the queue.
    """
    if limit is not None and tokens > limit:
        return limit
    if waits < _WAITS_BEFORE_A_GUESS or (limit is not None and tokens * 2 <= limit):
        return None
    return max(1, tokens // 2)
