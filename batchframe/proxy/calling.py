"""What every handler of the proxy is given: the proxy itself and who calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from batchframe.proxy.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Caller:
    """The key a call came with. It sees what came with it, and nothing else.

    Attributes:
        budget_usd: what its requests may cost together; None: no limit.
        rate_limit: requests a minute; None: no limit.
        queue_limit: unanswered requests at once; None: no limit.
    """

    id: int
    name: str
    budget_usd: Decimal | None = None
    rate_limit: int | None = None
    queue_limit: int | None = None


Handler = Callable[["Proxy", Caller, Request], Awaitable[Response]]
