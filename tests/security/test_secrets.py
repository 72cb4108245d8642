"""The provider's key and the database's password: used through a whole life, and found nowhere."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest
from sqlalchemy import text

import batchframe as bf
from batchframe.cli import main
from batchframe.config import load_settings
from batchframe.errors import BatchframeError, ProviderError
from batchframe.model import CHAT
from batchframe.monitoring.metrics import Metrics
from batchframe.providers.base import Reply
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.security.canary import KEY, PASSWORD, leaks, leaks_in_database, leaks_in_files, leaks_of

FRAME = pd.DataFrame({"text": [f"row {n}" for n in range(20)]})
TALKATIVE = {
    "error": {"message": f"Incorrect API key provided: {KEY}. Bearer {KEY} is not for you.", "code": "bad_key"}
}
CALLS = ("files.create", "batches.create", "batches.retrieve", "files.content", "batches.list")


def spoil(simulator: Simulator) -> None:
    """Failures of every kind on every call, in words that repeat the key, as some gateways do."""
    for call in CALLS:
        for status in (401, 403, 429, 500, 503):
            simulator.faults.on(call, "status", status=status, body=TALKATIVE)  # type: ignore[arg-type]
        simulator.faults.on(call, "reset")  # type: ignore[arg-type]


def test_after_a_whole_life_the_secrets_are_nowhere(
    secretly: Callable[..., bf.Session], simulator: Simulator, database: Database, tmp_path: Path, logged: list[str]
) -> None:
    """A key in a log or a table is a key in every backup, bug report and dashboard."""
    session = secretly(grace_seconds=0.2)
    metrics = Metrics(session.database)
    job = FRAME.llm.batch("{text}", model="gpt-5-mini", name="secret")
    spoil(simulator)
    simulator.faults.row("row 3", status=401, message="You are not allowed.", times=1)
    simulator.faults.on("batches.create", "reset_after", skip=5)
    shown: list[object] = []
    steps = 0
    while (now := job.progress()).pending:
        shown += [now, job.errors().to_dict(), repr(session), session._repr_html_()]
        steps = session.background.wait_for_change(steps, 5)
    assert job.frame()["response__status"].notna().all()
    shown += [job, job._repr_html_(), job.errors().to_dict(), job.usage(), bf.jobs().to_dict(), job.frame().to_dict()]
    shown += [
        session.settings,
        str(session.settings),
        session.settings.model_dump(),
        session.database,
        session.provider_id,
    ]
    shown += [session.database.place, *session.providers(), generate_latest(metrics.registry), dict(os.environ)]
    assert len(logged) > 100
    assert any("openai" in line for line in logged)
    assert any("httpcore2" in line or "httpx2" in line for line in logged)
    assert [line for line in logged if leaks(line)] == []
    assert [one for one in shown if leaks(one)] == []
    assert leaks_in_database(database) == []
    assert leaks_in_files(tmp_path) == []


def test_the_search_finds_what_is_there(database: Database, tmp_path: Path) -> None:
    """A search that cannot find proves nothing."""
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO quota VALUES ('p', :key, 1)"), {"key": f"x{KEY}y"})
        connection.execute(text("INSERT INTO job_frame VALUES (1, 1, :data)"), {"data": b"\x00" + KEY.encode()})
    assert leaks_in_database(database) == ["job_frame.data", "quota.model"]
    (tmp_path / "a").write_bytes(b"\xff" + PASSWORD.encode())
    assert leaks_in_files(tmp_path) == [str(tmp_path / "a")]
    error = ValueError("fine")
    error.request = {"headers": [("authorization", f"Bearer {KEY}")]}  # type: ignore[attr-defined]
    assert leaks_of(error) == ["ValueError.request.headers.0.1"]


def failing(work: Callable[[], Any]) -> BaseException:
    try:
        work()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 500])
@pytest.mark.parametrize("verb", ["check", "upload", "create", "find", "marked", "poll", "fetch", "cancel", "delete"])
def test_a_providers_failure_does_not_lead_back_to_the_key(
    simulator: Simulator, tmp_path: Path, verb: str, status: int
) -> None:
    """The SDK's exceptions hold the request with its header; error trackers send all of it away."""
    path = tmp_path / "in.jsonl"
    path.write_text("{}")
    operation = {
        "upload": "files.create",
        "fetch": "files.content",
        "delete": "files.delete",
        "create": "batches.create",
    }
    operation |= {"poll": "batches.retrieve", "cancel": "batches.cancel"}
    for call in {operation.get(verb, "batches.list"), "batches.retrieve"}:
        simulator.faults.on(call, "status", status=status, body=TALKATIVE, times=None)  # type: ignore[arg-type]
    if (verb, status) == ("delete", 404):
        return
    error = _call(simulator.base_url, verb, path)
    assert isinstance(error, ProviderError)
    assert leaks_of(error) == []


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_reply_in_real_time_does_not_repeat_the_key(simulator: Simulator, status: int) -> None:
    """An error is an answer there, and is kept in the database as one."""
    simulator.faults.on("chat.completions", "status", status=status, body=TALKATIVE)

    async def ask() -> Reply:
        provider = OpenAIProvider(load_settings(openai_api_key=KEY, openai_base_url=simulator.base_url))
        try:
            return await provider.ask(CHAT, b'{"model":"m","messages":[]}')
        finally:
            await provider.close()

    reply = asyncio.run(ask())
    assert reply.status == status
    assert b"Bearer ***" in reply.body
    assert not leaks(reply)


@pytest.mark.parametrize("where", ["nobody", "reset", "cut", "late"])
def test_a_failed_connection_does_not_lead_back_to_the_key(
    simulator: Simulator, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every kind there is: nobody listens, reset, cut short, a timeout."""
    path = tmp_path / "in.jsonl"
    path.write_text("{}")
    base_url = simulator.base_url
    if where == "nobody":
        base_url = "http://127.0.0.1:1/v1"
    elif where == "reset":
        simulator.faults.on("batches.list", "reset")
    elif where == "late":
        monkeypatch.setattr("batchframe.providers.openai._TIMEOUT", 0.1)
        simulator.faults.on("batches.list", "late", seconds=1)
    else:
        simulator.faults.on("batches.list", "truncate", after_bytes=5)
    error = _call(base_url, "check", path)
    assert leaks_of(error) == []


def _call(base_url: str, verb: str, path: Path) -> BaseException:
    async def call() -> None:
        provider = OpenAIProvider(load_settings(openai_api_key=KEY, openai_base_url=base_url))
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "check": provider.check,
            "upload": lambda: provider.upload(path, "in.jsonl"),
            "create": lambda: provider.create("file-x", CHAT, "mark"),
            "find": lambda: provider.find("mark", "file-x", datetime.now(UTC)),
            "marked": lambda: provider.marked(datetime.now(UTC)),
            "poll": lambda: provider.poll("batch_x"),
            "fetch": lambda: provider.fetch("file-x", path.with_suffix(".out")),
            "cancel": lambda: provider.cancel("batch_x"),
            "delete": lambda: provider.delete("file-x"),
        }
        try:
            await calls[verb]()
        finally:
            await provider.close()

    return failing(lambda: asyncio.run(call()))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://me@127.0.0.1:1/x?password={PASSWORD}",
        f"postgresql://me:{PASSWORD}@127.0.0.1:port/x",
        f"postgres//me:{PASSWORD}@host/x",
        f"mysql://me:{PASSWORD}@host/x",
        f"postgresql://me:{PASSWORD}@no-such-host.invalid/x",
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/x?connect_timeout=soon",
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/x?no_such_option=1",
    ],
)
def test_a_database_that_cannot_be_had_does_not_lead_back_to_the_password(url: str, tmp_path: Path) -> None:
    """psycopg's exception holds the connection it tried, with the password; and so do arguments on the way there."""
    error = failing(lambda: bf.connect(database_url=url, openai_api_key=KEY, home=tmp_path))
    assert isinstance(error, BatchframeError)
    assert leaks_of(error) == []


def test_a_database_that_goes_away_does_not_lead_back_to_the_password(
    secretly: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """In the middle of a transaction, and when the next one begins."""
    session = secretly()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = pg_backend_pid()"

    def lose() -> None:
        with session.database.transaction() as connection:
            connection.execute(text(kill))

    error = failing(lose)
    assert isinstance(error, bf.DatabaseError)
    assert leaks_of(error) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"lease_seconds": "soon"},
        {"no_such_setting": 1},
        {"openai_api_key": 5},
        {"openai_api_key": {"key": KEY}},
        {"database_url": [PASSWORD]},
    ],
)
def test_a_wrong_setting_does_not_show_the_others(settings: dict[str, Any]) -> None:
    """pydantic's errors know all of the input; and so do the arguments of every function on the way."""
    given = {"openai_api_key": KEY, "database_url": f"postgresql://me:{PASSWORD}@host/x", **settings}
    error = failing(lambda: bf.connect(**given))
    assert isinstance(error, bf.ConfigurationError)
    assert leaks_of(error) == []


def test_a_refused_key_in_a_notebook_is_not_shown(secretly: Callable[..., bf.Session], simulator: Simulator) -> None:
    """The first thing that goes wrong for many, and what they paste into a chat."""
    secretly()
    simulator.faults.on("batches.list", "status", status=401, body=TALKATIVE, times=None)
    error = failing(lambda: FRAME.llm.batch("{text}", model="m"))
    assert isinstance(error, ProviderError)
    assert leaks_of(error) == []


@pytest.fixture
def environment(secret_url: str, simulator: Simulator, tmp_path: Path) -> dict[str, str]:
    return {
        "BATCHFRAME_DATABASE_URL": secret_url,
        "BATCHFRAME_HOME": str(tmp_path / "home"),
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": simulator.base_url,
    }


def test_commands_do_not_show_the_secrets(
    environment: dict[str, str], secretly: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """Their output is pasted into tickets; the doctor's above all."""
    secretly()
    simulator.settings.duration = 3600
    FRAME.llm.batch("{text}", model="m", name="open")
    for status in (200, 401, 500):
        if status != 200:
            simulator.faults.on("batches.list", "status", status=status, body=TALKATIVE, times=None)
        for command in (["doctor"], ["doctor", "--json"], ["jobs"], ["job", "show", "1"], ["job", "show", "none"]):
            shown = CliRunner().invoke(main, command, env=environment)
            assert not leaks(shown.output), command
    simulator.faults.reset()
    shown = CliRunner().invoke(main, ["db", "url"], env=environment)
    assert not leaks(shown.output)


CRASH = """
import sys
from batchframe.engine.engine import Engine
from batchframe.cli import main
async def run(self, *, until_idle=False):
    await next(iter(self._providers.values())).check()
    raise RuntimeError("crashed on purpose")
Engine.run = run
main(["worker", "--log-format", "json"])
"""


def test_a_worker_that_crashes_does_not_show_the_secrets(environment: dict[str, str]) -> None:
    """A traceback of the worker ends in the journal of the machine."""
    ended = subprocess.run(
        [sys.executable, "-c", CRASH], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert "crashed on purpose" in ended.stderr
    assert not leaks(ended.stdout + ended.stderr)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads /proc")
def test_a_worker_shows_no_secret_in_the_process_list_and_dumps_no_core(environment: dict[str, str]) -> None:
    """Every user of a machine reads the arguments of all processes; a core dump is all secrets in one file."""
    command = [sys.executable, "-m", "batchframe", "worker"]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "jobs" not in running.stdout.readline():
            assert running.poll() is None
        limits = Path(f"/proc/{running.pid}/limits").read_text().splitlines()
        arguments = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _is_there(path)]
        running.terminate()
    assert next(line for line in limits if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    assert any(b"batchframe" in argument for argument in arguments)
    assert not any(leaks(argument) for argument in arguments)


def _is_there(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_a_password_in_the_providers_address_is_not_shown(tmp_path: Path, secret_url: str) -> None:
    """Some gateways are addressed with a user and a password."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"http://me:{PASSWORD}@127.0.0.1:{unused.getsockname()[1]}/v1"
    session = bf.connect(database_url=secret_url, openai_base_url=address, openai_api_key=KEY, home=tmp_path)
    shown = [repr(session), session._repr_html_(), session.provider_id, *map(repr, session.providers())]
    session.close()
    assert not leaks(shown)
