"""Pacing: how long to wait before the next look, with back-off and jitter. Randomness is passed in."""

from __future__ import annotations


def poll_wait(polls: int, first: float, longest: float, random: float) -> float:
    """Seconds until a batch is looked at again.

    Args:
        polls: looks since it last changed state.
        first: the first wait, seconds.
        longest: the longest wait, seconds.
        random: uniform in [0, 1); spreads the wait by ±20 %, so that engines do not fall into step.
    """
    return min(longest, first * 1.5 ** min(polls, 64)) * (0.8 + 0.4 * random)


def row_wait(tries: int, first: float, longest: float) -> float:
    """Seconds until a row that failed for a passing reason is asked again: doubling with each try."""
    return min(longest, first * 2.0 ** min(tries - 1, 64))
