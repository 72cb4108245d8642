"""What is counted of the calls of a proxy."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ProxyMetrics:
    """The calls of one process."""

    def __init__(self, registry: CollectorRegistry, waiting: Callable[[], float]) -> None:
        """Args:
        waiting: how many calls wait now.
        """
        self.calls = Counter(
            "batchframe_proxy_calls", "Calls, by route and status", ["route", "status"], registry=registry
        )
        self.accepting = Histogram(
            "batchframe_proxy_accept_seconds",
            "From a call's arrival until it is kept",
            buckets=_SECONDS,
            registry=registry,
        )
        gauge = Gauge("batchframe_proxy_waiting", "Calls that wait for their answer now", registry=registry)
        gauge.set_function(waiting)
