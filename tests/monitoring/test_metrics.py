"""Metrics: what they say is so, and a scrape neither fails nor lies when the database is away."""

import asyncio
import inspect
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

import batchframe as bf
from batchframe.config import load_settings
from batchframe.engine.watching import tally
from batchframe.errors import DoubtfulError, RefusedError
from batchframe.model import CHAT
from batchframe.monitoring.metered import CallMetrics, MeteredProvider
from batchframe.monitoring.metrics import Metrics
from batchframe.providers.base import Provider, RemoteBatch
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator
from batchframe.store.database import Database

FRAME = pd.DataFrame({"text": [f"row {n}" for n in range(20)]})


def test_spend_and_counts_follow_the_jobs(session: bf.Session, database: Database, simulator: Simulator) -> None:
    """An alert on money is worth what the figure is worth."""
    metrics = Metrics(database)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("batchframe_spend_usd", model="gpt-5-mini") is None
    job = FRAME.llm.batch("{text}", model="gpt-5-mini")
    job.wait(30, progress=False)
    assert value("batchframe_requests", outcome="ok") == 20
    assert value("batchframe_spend_usd", model="gpt-5-mini") == pytest.approx(float(job.usage().cost_usd or 0))
    simulator.faults.row("again row 3", status=400)
    again = FRAME.llm.batch("again {text}", model="gpt-5-mini")
    again.wait(30, progress=False)
    assert value("batchframe_requests", outcome="failed") == 1
    both = float(job.usage().cost_usd or 0) + float(again.usage().cost_usd or 0)
    assert value("batchframe_spend_usd", model="gpt-5-mini") == pytest.approx(both)
    assert value("batchframe_requests", outcome="pending") == value("batchframe_overdue_seconds") == 0


def test_a_scrape_without_a_database_says_so(database: Database, server_url: str) -> None:
    """A worker that cannot be scraped looks like one that is down; one that shows old figures like one that is well."""
    registry = Metrics(database).registry
    assert registry.get_sample_value("batchframe_database_up") == 1
    database.close()
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database.url.database} ALLOW_CONNECTIONS false".encode())
    assert registry.get_sample_value("batchframe_database_up") == 0
    assert registry.get_sample_value("batchframe_jobs", {"state": "open"}) is None


def test_a_duplicate_and_a_lost_lease_are_counted(
    session: bf.Session, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one window that costs money twice: nobody reads logs, an alert on a counter is heard."""
    original, before = OpenAIProvider.create, tally.copy()
    frozen: list[str] = []

    async def create(self: OpenAIProvider, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        if not frozen:
            frozen.append(mark)
            with session.database.transaction() as connection:
                # Another engine takes over, finds nothing, and gives the call up.
                connection.execute(
                    text("""
                        UPDATE batch SET token = token + 1, uid = gen_random_uuid(), state = 'planned', owner = NULL,
                            lease_until = NULL, input_file_id = NULL
                    """)
                )
        return await original(self, input_file_id, endpoint, mark)

    monkeypatch.setattr(OpenAIProvider, "create", create)
    FRAME.llm.batch("{text}", model="m").wait(30, progress=False)
    assert tally["leases lost"] - before["leases lost"] == 1
    assert tally["duplicates"] - before["duplicates"] == 1


def test_every_verb_of_a_provider_is_there_and_counted(simulator: Simulator, tmp_path: Path) -> None:
    """A verb that is missing fails in production alone; one that is not counted is believed never to fail."""
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    verbs = {name for name, member in vars(Provider).items() if inspect.iscoroutinefunction(member) and name != "close"}
    path = tmp_path / "in.jsonl"
    path.write_text('{"custom_id":"a"}\n')

    async def call_all() -> None:
        provider = MeteredProvider(
            OpenAIProvider(load_settings(openai_api_key="sk", openai_base_url=simulator.base_url)), metrics
        )
        assert provider.id.startswith("openai:")
        assert provider.limits.requests == 50_000
        await provider.check()
        file_id = await provider.upload(path, "in.jsonl")
        made = await provider.create(file_id, CHAT, "mark")
        since = made.created_at
        assert since is not None
        assert await provider.find("mark", file_id, since)
        assert await provider.marked(since)
        await provider.poll(made.id)
        await provider.fetch(file_id, tmp_path / "out.jsonl")
        await provider.cancel(made.id)
        assert (await provider.ask(CHAT, b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')).status == 200
        await provider.delete(file_id)
        with pytest.raises(RefusedError):
            await provider.poll("none")
        simulator.faults.on("batches.retrieve", "reset")
        with pytest.raises(DoubtfulError):
            await provider.poll(made.id)
        await provider.close()

    asyncio.run(call_all())

    def counted(verb: str, result: str) -> float | None:
        return registry.get_sample_value("batchframe_provider_calls_total", {"verb": verb, "result": result})

    assert {verb: counted(verb, "ok") for verb in verbs} == dict.fromkeys(verbs, 1.0)
    assert counted("poll", "refused") == counted("poll", "doubtful") == 1
