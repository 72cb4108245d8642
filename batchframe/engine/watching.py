"""What can be seen of the engines of this process from outside: which batch the code is at, and what they have met.

The batch is a context variable, so that every log record made on its behalf can name it, also a library's.
"""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from typing import Literal

from batchframe.model import Batch

working_on: ContextVar[Batch | None] = ContextVar("working_on", default=None)
"""The batch whose step is being taken, in the task that takes it and in the threads it asks."""

tally: Counter[Literal["leases lost", "duplicates"]] = Counter()
"""Counts since the start of the process; raised in event loops alone."""
