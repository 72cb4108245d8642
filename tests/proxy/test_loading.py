"""Loading: what of a client's file becomes a job, and what is said of a file that does not."""

from __future__ import annotations

import asyncio
import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from batchframe.config import load_settings
from batchframe.core.spec import JobSpec
from batchframe.errors import DatabaseError
from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES, Kind
from batchframe.proxy.input_lines import split
from batchframe.proxy.loading import MAX_PROBLEMS, Loader
from batchframe.simulator import Simulator
from batchframe.store import client_batches, client_files, jobs
from batchframe.store.client_batches import ClientBatch
from batchframe.store.database import Database
from tests.proxy.batch_service import Customer, Service, chat_line, jsonl

KEY = 7
Put = Callable[..., UUID]


@pytest.fixture
def loader(database: Database, tmp_path: Path) -> Loader:
    """A loader whose provider takes files of a megabyte."""
    return Loader(database, "openai:here", load_settings(home=tmp_path / "home", batch_max_bytes=1_000_000))


@pytest.fixture
def put(database: Database, tmp_path: Path) -> Put:
    """Writes a batch that waits to be loaded."""

    def put(content: bytes, endpoint: str = CHAT) -> UUID:
        path = tmp_path / "upload"
        path.write_bytes(content)
        file_id, batch_id = uuid4(), uuid4()
        with database.transaction() as connection:
            client_files.add(connection, file_id, KEY, path, "in.jsonl", "batch", 3_600)
            client_batches.add(connection, batch_id, KEY, file_id, endpoint, None)
        return batch_id

    return put


def look(database: Database, batch_id: UUID) -> ClientBatch:
    with database.transaction() as connection:
        found = client_batches.find(connection, batch_id, KEY)
    assert found
    return found


def problems(database: Database, batch_id: UUID) -> list[tuple[str, int | None, str | None]]:
    """What a failed batch says: code, line and parameter."""
    batch = look(database, batch_id)
    assert batch.status == "failed"
    return [(each["code"], each["line"], each["param"]) for each in json.loads(batch.problems or "")]


def stored(database: Database) -> tuple[int, int, int]:
    """Rows of jobs, requests and lines."""
    with database.transaction() as connection:
        n = [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("job", "request", "client_line")
        ]
    return n[0], n[1], n[2]


def test_a_file_becomes_a_job(loader: Loader, put: Put, database: Database) -> None:
    """With every body as it was written, under the key it came with, and nothing shared with other jobs."""
    lines = [chat_line(f"r{at}", "ü" * at) for at in range(5_000)]
    batch_id = put("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
    assert loader.step()
    batch = look(database, batch_id)
    assert (batch.status, batch.total, batch.model) == ("in_progress", 5_000, "gpt-5-mini")
    with database.transaction() as connection:
        job = jobs.find(connection, batch.job_id or 0)
        rows = connection.execute(
            text("""
                SELECT r.row_no, r.body, r.tokens, l.custom_id FROM request r JOIN client_line l USING (job_id, row_no)
                ORDER BY row_no
            """)
        ).all()
    assert job
    assert (job.kind, job.api_key_id, job.n_requests, job.closed) == (Kind.UPLOAD, KEY, 5_000, False)
    assert (job.route.provider, job.route.endpoint) == ("openai:here", CHAT)
    assert JobSpec.from_json(job.spec).answer_schema is None
    assert [row.row_no for row in rows] == list(range(5_000))
    assert [json.loads(row.body) for row in rows] == [line["body"] for line in lines]
    assert [json.loads(row.custom_id) for row in rows] == [line["custom_id"] for line in lines]
    assert job.tokens == sum(row.tokens for row in rows) > 0
    assert not loader.step()


def line(**changes: Any) -> dict[str, Any]:
    """A line with something changed; None leaves it out."""
    found = {**chat_line("x"), **changes}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        ("{", "invalid_json_line", None),
        ("7", "invalid_json_line", None),
        ("", "invalid_json_line", None),
        (json.dumps(chat_line("x", temperature=float("nan"))), "invalid_json_line", None),
        ("[" * 100_000, "invalid_json_line", None),
        (line(custom_id=None), "missing_required_parameter", "custom_id"),
        (line(method=None), "missing_required_parameter", "method"),
        (line(url=None), "missing_required_parameter", "url"),
        (line(body=None), "missing_required_parameter", "body"),
        (line(custom_id=7), "invalid_type", "custom_id"),
        (line(method="GET"), "invalid_method", "method"),
        (line(url=RESPONSES), "invalid_url", "url"),
        (line(custom_id="first"), "duplicate_custom_id", "custom_id"),
        (chat_line("x", stream=True), "streaming_unsupported", "body.stream"),
        (chat_line("x", model=None), "invalid_request", "body.model"),
        (chat_line("x", messages=None), "invalid_request", "body.messages"),
        (chat_line("x", model="gpt-4o"), "mismatched_model", "body.model"),
        (chat_line("x", "y" * 1_000_000), "invalid_request", None),
    ],
)
def test_a_wrong_line_fails_the_batch(
    loader: Loader, put: Put, database: Database, wrong: Any, code: str, param: str | None
) -> None:
    """With the provider's own code and the line's number, before anything is sent; and nothing of it is kept."""
    batch_id = put(jsonl([chat_line("first"), wrong, chat_line("last")]))
    assert loader.step()
    assert problems(database, batch_id) == [(code, 2, param)]
    assert stored(database) == (0, 0, 0)
    assert not loader.step()


def test_every_wrong_line_is_named_up_to_a_number(loader: Loader, put: Put, database: Database) -> None:
    """In order, also when some are found only by comparing lines; a thousand messages help nobody."""
    mixed = put(jsonl([chat_line("a"), "{", chat_line("a"), chat_line("b"), line(method="PUT"), chat_line("b")]))
    many = put(b"{\n" * 500)
    while loader.step():
        pass
    assert problems(database, mixed) == [
        ("invalid_json_line", 2, None),
        ("duplicate_custom_id", 3, "custom_id"),
        ("invalid_method", 5, "method"),
        ("duplicate_custom_id", 6, "custom_id"),
    ]
    assert len(problems(database, many)) == MAX_PROBLEMS


def test_a_byte_order_mark_is_no_json(loader: Loader, put: Put, database: Database) -> None:
    """OpenAI says so of the first line; a proxy that let it pass would differ from it."""
    batch_id = put(b"\xef\xbb\xbf" + jsonl([chat_line("a"), chat_line("b")]))
    loader.step()
    assert problems(database, batch_id) == [("invalid_json_line", 1, None)]


@pytest.mark.parametrize(
    "content",
    [
        jsonl([chat_line("a"), chat_line("b")]).removesuffix(b"\n"),
        jsonl([chat_line("a"), chat_line("b")]) + b"\n\n\r\n\n",
        jsonl([chat_line("a"), chat_line("b")]).replace(b"\n", b"\r\n"),
        jsonl([chat_line("a"), chat_line("b")]).replace(b'": ', b'" :\t'),
        jsonl([chat_line("a", "\u2028\x85\x0c"), chat_line("b", "\ud800")]),
        (json.dumps(chat_line("a", "\u2028\x85"), ensure_ascii=False) + "\n" + json.dumps(chat_line("b"))).encode(),
    ],
)
def test_lines_end_where_a_newline_is(loader: Loader, put: Put, database: Database, content: bytes) -> None:
    """With or without one at the end, as Windows writes it, and not at what only looks like one."""
    batch_id = put(content)
    loader.step()
    assert (look(database, batch_id).status, look(database, batch_id).total) == ("in_progress", 2)
    with database.transaction() as connection:
        bodies = connection.execute(text("SELECT body FROM request")).scalars().all()
    assert not any(ord(char) < 0x20 for body in bodies for char in body)
    assert all(json.loads(body)["model"] == "gpt-5-mini" for body in bodies)


def test_text_that_is_not_utf_8_is_no_json(loader: Loader, put: Put, database: Database) -> None:
    """Postgres could not hold it, and no provider would read it."""
    broken = jsonl([chat_line("b", "?")]).replace(b"?", b"\xff")
    batch_id = put(jsonl([chat_line("a")]) + broken)
    loader.step()
    assert problems(database, batch_id) == [("invalid_json_line", 2, None)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_lines_are_the_same_however_the_parts_are_cut(size: int) -> None:
    """A part ends anywhere: in a line, between its two end characters, in the middle of a letter."""
    content = "a\r\n\nbü\r\ntoolong\nc\n\n\r\nd\n\n".encode()
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    assert list(split(parts, 5)) == [b"a", b"", "bü".encode(), None, b"c", b"", b"", b"d"]
    assert list(split([b"toolong"], 5)) == [None]
    assert list(split([], 5)) == []


def test_a_file_without_a_line_or_that_is_gone_fails_the_batch(loader: Loader, put: Put, database: Database) -> None:
    """A batch that can never end would be polled for ever."""
    empty = put(b"\n\n")
    gone = put(jsonl([chat_line("a")]))
    with database.transaction() as connection:
        assert client_files.delete(connection, look(database, gone).input_file_id, KEY)
    while loader.step():
        pass
    assert problems(database, empty) == [("empty_file", None, None)]
    assert problems(database, gone) == [("invalid_request", None, "file_id")]


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (RESPONSES, {"input": "a"}),
        (RESPONSES, {"previous_response_id": "resp_1"}),
        (EMBEDDINGS, {"input": ["a", "b"]}),
        (COMPLETIONS, {"prompt": "a"}),
        (MODERATIONS, {"input": "a"}),
    ],
)
def test_every_endpoint_has_its_own_prompt(
    loader: Loader, put: Put, database: Database, endpoint: str, body: dict[str, Any]
) -> None:
    """What one of them calls messages, another calls input or prompt."""
    right = {"custom_id": "a", "method": "POST", "url": endpoint, "body": {"model": "m", **body}}
    wrong = {"custom_id": "b", "method": "POST", "url": endpoint, "body": {"model": "m"}}
    good, bad = put(jsonl([right]), endpoint), put(jsonl([right, wrong]), endpoint)
    while loader.step():
        pass
    assert look(database, good).status == "in_progress"
    assert [code for code, *_ in problems(database, bad)] == ["invalid_request"]


def test_a_batch_cancelled_before_it_was_loaded_never_is(loader: Loader, put: Put, database: Database) -> None:
    """Nothing of it was asked, so nothing of it is kept or paid."""
    batch_id = put(jsonl([chat_line("a")]))
    with database.transaction() as connection:
        client_batches.cancel(connection, batch_id)
    assert look(database, batch_id).status == "cancelling"
    assert loader.step()
    assert look(database, batch_id).status == "cancelled"
    assert stored(database) == (0, 0, 0)


class Held:
    """A loader that is held up in the middle: requests are written, their custom ids cannot be."""

    def __init__(self, loader: Loader, database: Database) -> None:
        self._database = database
        self._lock = database.connect()
        self._lock.execute(text("LOCK TABLE client_line IN ACCESS EXCLUSIVE MODE"))
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(loader,))
        self._thread.start()
        while not self.pids():
            assert self._thread.is_alive(), self.failure

    def pids(self) -> list[int]:
        """The connections that wait for the lock."""
        with self._database.transaction() as connection:
            return list(
                connection.execute(
                    text("SELECT pid FROM pg_locks WHERE relation = 'client_line'::regclass AND NOT granted")
                ).scalars()
            )

    def kill(self) -> None:
        """End the connection, as the death of its process would."""
        with self._database.transaction() as connection:
            for pid in self.pids():
                connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
        self.let_go()

    def let_go(self) -> None:
        """Let the loader go on, to its end."""
        self._lock.close()
        self._thread.join()

    def _run(self, loader: Loader) -> None:
        try:
            loader.step()
        except DatabaseError as error:
            self.failure = error


@pytest.fixture
def held(loader: Loader, put: Put, database: Database) -> Iterator[tuple[Held, UUID]]:
    """A loader in the middle of a batch."""
    batch_id = put(jsonl(chat_line(f"r{at}") for at in range(10)))
    found = Held(loader, database)
    yield found, batch_id
    found.let_go()


def test_a_loader_killed_in_the_middle_leaves_nothing(
    held: tuple[Held, UUID], loader: Loader, database: Database
) -> None:
    """Half a job would be half a batch at the provider; another loader begins anew."""
    holding, batch_id = held
    holding.kill()
    assert isinstance(holding.failure, DatabaseError)
    assert stored(database) == (0, 0, 0)
    assert look(database, batch_id).status == "validating"
    assert loader.step()
    assert look(database, batch_id).status == "in_progress"
    assert stored(database) == (1, 10, 10)


def test_two_loaders_never_load_the_same_batch(
    held: tuple[Held, UUID], loader: Loader, put: Put, database: Database
) -> None:
    """And neither waits for the other."""
    holding, batch_id = held
    assert not loader.step()
    holding.let_go()
    assert holding.failure is None
    assert look(database, batch_id).status == "in_progress"
    assert not loader.step()
    assert stored(database) == (1, 10, 10)


def test_a_client_can_cancel_while_its_file_is_loaded(
    held: tuple[Held, UUID], loader: Loader, database: Database
) -> None:
    """A large file takes minutes; the client's call must not, and what was written is taken back."""
    holding, batch_id = held
    with database.transaction() as connection:
        client_batches.cancel(connection, batch_id)
    assert look(database, batch_id).status == "cancelling"
    holding.let_go()
    assert look(database, batch_id).status == "cancelled"
    assert stored(database) == (0, 0, 0)


def test_memory_does_not_grow_with_the_file(loader: Loader, put: Put, database: Database) -> None:
    """Files may be of any size, and a server has other things to do with its memory."""
    content = jsonl(chat_line(f"r{at}", "x" * 2_000) for at in range(20_000))
    batch_id = put(content)
    tracemalloc.start()
    try:
        loader.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert look(database, batch_id).total == 20_000
    assert peak < 25_000_000 < len(content)


def test_a_loader_is_woken_and_stops(loader: Loader, put: Put, database: Database) -> None:
    """It finds at once what it is told of, and lets go of what it holds when it is told to stop."""

    async def story() -> None:
        running = asyncio.create_task(loader.run())
        batch_id = await asyncio.to_thread(put, jsonl([chat_line("a")]))
        loader.wake()
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(look, database, batch_id)).status != "in_progress":
                pass
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(story())


def test_the_engine_answers_completions_and_moderations(database_url: str, tmp_path: Path) -> None:
    """The endpoints no frame asks go through the same engine."""
    with (
        Simulator() as simulator,
        Service(database_url, simulator.base_url, tmp_path / "home") as service,
        service.client() as client,
    ):
        customer = Customer(client)
        for endpoint, body in ((COMPLETIONS, {"prompt": "Say"}), (MODERATIONS, {"input": "Hello"})):
            asked = {"custom_id": "a", "method": "POST", "url": endpoint, "body": {"model": "m", **body}}
            batch = customer.run([asked], endpoint)
            assert batch.status == "completed"
            assert batch.request_counts
            assert (batch.request_counts.completed, batch.error_file_id) == (1, None)
            (answer,) = customer.lines_of(batch.output_file_id)
            assert answer["response"]["body"]["model"] == "m"
