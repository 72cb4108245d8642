"""Cases that run a few at a time, because most of their time is waiting; each test waits for its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

_AT_ONCE = 8

Case = TypeVar("Case")


@contextmanager
def under_way(
    request: pytest.FixtureRequest, kind: type[Case], play: Callable[[Case], Any]
) -> Iterator[dict[Case, Future[Any]]]:
    """Play all cases of a kind that this run of pytest has selected as the parameter `case` of a test."""
    parameters = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        yield {case: pool.submit(play, case) for case in parameters if isinstance(case, kind)}
    finally:
        pool.shutdown(cancel_futures=True)
