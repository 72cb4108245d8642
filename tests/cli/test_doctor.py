"""`batchframe doctor`: what is wrong is found, named, and comes with what to do."""

import asyncio
import json
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.config import load_settings
from batchframe.model import CHAT
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.cli.conftest import Run

LINE = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "m", "messages": [{"role": "user", "content": "x"}]}}  # fmt: skip  # noqa: E501


def examine(run: Run, *options: str, status: int = 0, **variables: str) -> dict[str, dict[str, object]]:
    """The findings by check."""
    found = json.loads(run("doctor", "--json", *options, status=status, **variables).output)
    return {finding["check"]: finding for finding in found}


def stray_batch(simulator: Simulator) -> str:
    """A batch with our mark that no database knows; its id."""

    async def make() -> str:
        provider = OpenAIProvider(load_settings(openai_api_key="sk-test", openai_base_url=simulator.base_url))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "in.jsonl"
            path.write_text(json.dumps(LINE) + "\n")
            file_id = await provider.upload(path, "in.jsonl")
        made = await provider.create(file_id, CHAT, str(uuid.uuid4()))
        await provider.close()
        return made.id

    return asyncio.run(make())


def test_all_is_well(run: Run, session: bf.Session) -> None:
    """A doctor that warns of nothing in particular is not listened to."""
    pd.DataFrame({"text": ["t"]}).llm.batch("{text}", model="m").wait(30, progress=False)
    found = examine(run)
    checks = ["disk", "database", "migrations", "postgres", "clock", "engines", "batches"]
    assert list(found) == [*checks, "provider", "marks", "orphans"]
    assert {finding["level"] for finding in found.values()} == {"ok"}
    assert {finding["todo"] for finding in found.values()} == {None}
    assert "gives back" in str(found["marks"]["said"])
    shown = run("doctor").output
    assert shown.startswith("ok    disk ")


def test_a_database_that_cannot_be_reached_is_the_one_finding(run: Run) -> None:
    """Everything else hangs on it; and scripts see it by the status."""
    found = examine(run, status=1, BATCHFRAME_DATABASE_URL="postgresql://me:canary@127.0.0.1:1/x")
    assert list(found) == ["database"]
    assert found["database"]["level"] == "fail"
    assert "canary" not in str(found)


def test_a_refused_key_fails(run: Run, simulator: Simulator) -> None:
    """The most frequent reason that nothing goes on."""
    simulator.settings.keys = frozenset({"sk-another"})
    found = examine(run, status=1)
    assert found["provider"]["level"] == "fail"
    assert "OPENAI_API_KEY" in str(found["provider"]["todo"])
    assert "marks" not in found
    assert examine(run, status=1, OPENAI_API_KEY="")["provider"]["level"] == "fail"


@pytest.mark.parametrize(("hours", "level"), [(0, "ok"), (3, "warn"), (-3, "warn")])
def test_a_providers_clock_that_is_off_is_told(run: Run, simulator: Simulator, hours: int, level: str) -> None:
    """By more than two hours, the list would be cut before the batch that is looked for."""
    told = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    empty = {"object": "list", "data": [], "has_more": False}
    simulator.faults.on("batches.list", "status", status=200, body=empty, headers={"date": told})
    assert examine(run)["provider's clock"]["level"] == level


def test_a_provider_that_strips_marks_is_found_out(run: Run, session: bf.Session, simulator: Simulator) -> None:
    """There a lost create call is known by its file alone, and orphans cannot be found: better known beforehand."""
    simulator.settings.strip_metadata = True
    pd.DataFrame({"text": ["t"]}).llm.batch("{text}", model="m").wait(30, progress=False)
    found = examine(run)
    assert found["marks"]["level"] == "warn"
    assert "known by its file" in str(found["marks"]["todo"])


@pytest.mark.parametrize("strips", [False, True])
def test_a_probe_costs_nothing_and_leaves_nothing(run: Run, simulator: Simulator, strips: bool) -> None:
    """Before the first job is sent, on a server nobody knows."""
    simulator.settings.strip_metadata = strips
    found = examine(run, "--probe")
    assert found["marks"]["level"] == ("warn" if strips else "ok")
    assert "cost nothing" in str(found["marks"]["said"])
    assert [batch.status for batch in simulator.batches] == ["failed"]
    assert simulator.files == []
    assert simulator.ledger.requests == 0
    assert examine(run)["orphans"]["level"] == "ok"


def test_an_orphan_is_reported_and_left_alone(run: Run, session: bf.Session, simulator: Simulator) -> None:
    """It spends money nobody will see the answers of; but it may be another database's, so it is not ours to stop."""
    pd.DataFrame({"text": ["t"]}).llm.batch("{text}", model="m").wait(30, progress=False)
    ended = stray_batch(simulator)
    simulator.wait_for(lambda seen: all(batch.ended for batch in seen.batches))
    simulator.settings.duration = 3600
    running = stray_batch(simulator)
    simulator.wait_for(lambda seen: seen.batches[-1].status == "in_progress")
    orphans = examine(run)["orphans"]
    assert orphans["level"] == "warn"
    details = "\n".join(orphans["details"])  # type: ignore[arg-type]
    assert f"{ended}  completed, 1 of 1 answered, created " in details
    assert f"{running}  in_progress, 0 of 1 answered" in details
    assert "Another batchframe database on this account may own them" in details
    assert f"{simulator.base_url}/batches/{running}/cancel" in details
    assert f"{ended}/cancel" not in details
    assert "sk-test" not in details
    assert simulator.ledger.calls["batches.cancel"] == 0


def test_batches_that_do_not_go_on_are_named(
    run: Run, session: bf.Session, simulator: Simulator, database: Database
) -> None:
    """With what keeps them, as the provider said it."""
    simulator.settings.duration = 3600
    frame = pd.DataFrame({"text": ["t"]})
    frame.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    session.close()
    with database.transaction() as connection:
        connection.execute(
            text("""
                UPDATE batch SET state = 'unsure', intent_at = now() - interval '1 hour', error = 'The list is empty.',
                    step_at = now() - interval '30 minutes', lease_until = NULL
            """)
        )
    found = examine(run)
    assert found["batches"]["level"] == "warn"
    assert "batch 1 of job 1: in doubt for 3,6" in str(found["batches"]["details"])
    assert "batch 1 of job 1, unsure: The list is empty." in str(found["batches"]["details"])
    assert found["engines"]["level"] == "warn"
    assert "batchframe worker" in str(found["engines"]["todo"])
