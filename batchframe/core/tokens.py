"""Tokens: an estimate of a request's input tokens, for the enqueued-token limit.

English text runs near four bytes a token and JSON around it is cheap, so bytes divided by four errs on the high side
for prose and may run low for scripts with many tokens a byte. The provider's own count rules: a batch it refuses is
queued, not lost.
"""

from __future__ import annotations

BYTES_PER_TOKEN = 4


def estimate(n_bytes: int) -> int:
    """Estimated input tokens of a body of `n_bytes` encoded bytes."""
    return max(1, n_bytes // BYTES_PER_TOKEN)
