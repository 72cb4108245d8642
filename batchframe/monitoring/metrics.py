"""Metrics in Prometheus' form: what the database knows is read at each scrape, what happens in the process is counted.

Every worker on one database shows the same figures of that database, so take their maximum, not their sum; counters of
calls and of leases lost are the process' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from batchframe.engine.watching import tally
from batchframe.errors import DatabaseError
from batchframe.model import BatchState
from batchframe.monitoring.metered import CallMetrics
from batchframe.store import figures, spending
from batchframe.store.database import Database


class Metrics:
    """The metrics of a worker."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.calls = CallMetrics(self.registry)
        self.orphans = Gauge(
            "batchframe_orphan_batches",
            "Batches at the provider with our mark that are not in this database, at the last look",
            registry=self.registry,
        )
        self.registry.register(_DatabaseCollector(database))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def serve(self, port: int, address: str) -> tuple[int, Any]:
        """Answer `/metrics` in a thread; the port, and the server to shut down."""
        server, _ = start_http_server(port, address, self.registry)
        return server.server_port, server


class _DatabaseCollector(Collector):
    """Reads the database when asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        """Nothing is read at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("batchframe_database_up", "Whether the database answered this scrape")
        try:
            with self._database.transaction() as connection:
                now = figures.read(connection)
                spent = spending.by_model(connection)
        except DatabaseError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield _labelled("batchframe_jobs", "Jobs", "state", now.jobs)
        states = {state.value: now.batches.get(state.value, 0) for state in BatchState}
        yield _labelled("batchframe_batches", "Batches", "state", states)
        settled = {"ok": now.ok, "failed": now.failed, "cancelled": now.cancelled, "pending": now.pending}
        yield _labelled("batchframe_requests", "Requests, by what has become of them", "outcome", settled)
        yield _gauge("batchframe_requests_reused", "Those of ok whose answer another job had paid for", now.reused)
        yield _gauge("batchframe_leases", "Batches that an engine holds now", now.leases)
        yield _gauge("batchframe_engines", "Engines that hold a batch now", now.engines)
        yield _gauge("batchframe_overdue_seconds", "For how long work has been due that nobody took up", now.overdue)
        yield _labelled("batchframe_spend_usd", "Spent on the jobs in the database, by known prices", "model", spent)
        yield _counter("batchframe_leases_lost", "Leases lost to another engine", tally["leases lost"])
        yield _counter("batchframe_duplicates", "Batches found to be at the provider twice", tally["duplicates"])


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def _counter(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_, value=value)


def _labelled(name: str, help_: str, label: str, values: Any) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
