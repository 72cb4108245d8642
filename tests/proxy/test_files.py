"""`/v1/files` of the proxy."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from sqlalchemy import text

from batchframe.simulator import Simulator
from batchframe.store import client_files
from batchframe.store.database import Database
from tests import published
from tests.proxy.batch_service import Service, chat_line, jsonl


@pytest.fixture
def service(database_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[Service]:
    """Files alone: nothing is loaded and nothing asked."""
    with Service(database_url, simulator.base_url, tmp_path / "home", file_max_bytes=3_000_000) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with service.client() as opened:
        yield opened


def test_a_file_comes_back_as_it_was(service: Service, client: openai.OpenAI, tmp_path: Path) -> None:
    """In several parts, byte by byte, and nothing of it stays on disk."""
    content = jsonl(chat_line(f"r{at}", "x" * 1_000) for at in range(2_500))
    assert len(content) > 2 * client_files.PART_BYTES
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    assert client.files.content(file.id).read() == content
    published.assert_published("OpenAIFile", file.model_dump())
    assert (file.bytes, file.filename, file.purpose, file.status) == (len(content), "in.jsonl", "batch", "processed")
    assert file.expires_at == file.created_at + 30 * 86_400
    assert client.files.retrieve(file.id) == file
    assert list((service.settings.home / "spool").iterdir()) == []


def test_a_file_lives_as_long_as_was_asked(client: openai.OpenAI, database: Database) -> None:
    """Then it is as good as deleted, and its content goes."""
    asked = {"anchor": "created_at", "seconds": 3_600}
    file = client.files.create(
        file=("in.jsonl", jsonl([chat_line("a")])),
        purpose="batch",
        expires_after=asked,  # type: ignore[arg-type]
    )
    assert file.expires_at == file.created_at + 3_600
    with database.transaction() as connection:
        connection.execute(text("UPDATE client_file SET expires_at = now()"))
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert client.files.list().data == []
    with database.transaction() as connection:
        assert client_files.drop_expired(connection, 10) == 1
        assert connection.execute(text("SELECT count(*) FROM client_file_part")).scalar() == 0
        assert client_files.drop_expired(connection, 10) == 0


@pytest.mark.parametrize(
    ("name", "content", "purpose", "status", "said"),
    [
        ("in.jsonl", b'{"a":1}\n', "fine-tune", 400, "Invalid value: 'fine-tune'. Supported values are: 'batch'."),
        ("in.txt", b'{"a":1}\n', "batch", 400, "Must be .jsonl"),
        ("in.jsonl", b"hello\n", "batch", 400, "Must be .jsonl"),
        ("in.jsonl", b"", "batch", 400, "Must be .jsonl"),
        ("in.jsonl", b'{"body":{"model":"m"}}\n' + b" " * 3_000_000, "batch", 413, "3000000 maximum for the m model"),
        ("in.jsonl", b'{"body":7}\n' + b" " * 3_000_000, "batch", 413, "3000000 maximum for the None model"),
    ],
)
def test_what_is_no_input_of_a_batch_is_refused(
    service: Service, client: openai.OpenAI, name: str, content: bytes, purpose: str, status: int, said: str
) -> None:
    """At once and in OpenAI's words; later it would be a batch that fails."""
    with pytest.raises(openai.APIStatusError, match=said) as refused:
        client.files.create(file=(name, content), purpose=purpose)  # type: ignore[arg-type]
    assert refused.value.status_code == status
    assert client.files.list().data == []
    assert list((service.settings.home / "spool").iterdir()) == []


def test_files_are_listed_in_pages(client: openai.OpenAI) -> None:
    """Newest first, or oldest first, each once."""
    made = [client.files.create(file=(f"{at}.jsonl", b"{}\n"), purpose="batch").id for at in range(5)]
    assert [file.id for file in client.files.list(limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == made
    page = client.files.list(limit=2)
    published.assert_published("ListFilesResponse", page.model_dump() | {"object": "list"})
    assert (page.has_more, page.first_id, page.last_id) == (True, made[4], made[3])  # type: ignore[attr-defined]
    assert client.files.list(purpose="batch_output").data == []
    for query in ({"limit": 0}, {"after": "file-none"}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError):
            client.files.list(**query)  # type: ignore[arg-type]


def test_a_deleted_file_is_gone(client: openai.OpenAI, database: Database) -> None:
    """Also its parts."""
    file = client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
    assert client.files.delete(file.id).deleted
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            call(file.id)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM client_file_part")).scalar() == 0


def test_another_key_sees_nothing(service: Service, client: openai.OpenAI) -> None:
    """Not even that there is something."""
    file = client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
    with service.client("key-2") as other:
        assert other.files.list().data == []
        for call in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError, match="No such File object"):
                call(file.id)
        with pytest.raises(openai.BadRequestError):
            other.files.list(after=file.id)
    assert client.files.retrieve(file.id) == file


def test_an_upload_that_breaks_off_leaves_nothing(service: Service, client: openai.OpenAI, database: Database) -> None:
    """A client that goes away in the middle has uploaded nothing."""
    host, port = service.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.putrequest("POST", "/v1/files")
    connection.putheader("authorization", "Bearer key-1")
    connection.putheader("content-type", "multipart/form-data; boundary=x")
    connection.putheader("content-length", "1000000")
    connection.endheaders()
    head = '--x\r\ncontent-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n'
    connection.send(head.encode() + json.dumps(chat_line("a")).encode())
    connection.close()
    assert client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
    assert len(client.files.list().data) == 1
    with database.transaction() as opened:
        assert opened.execute(text("SELECT count(*) FROM client_file_part")).scalar() == 1
