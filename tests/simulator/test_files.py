"""The files API: what goes in comes out, and what the provider would refuse is refused."""

from __future__ import annotations

import io
import os
from typing import Any

import openai
import pytest


def test_a_file_comes_back_byte_by_byte(client: Any) -> None:
    """Line separators, NUL and text that looks like a multipart boundary must survive the upload."""
    content = b'{"a":"\\u0000 \xe2\x80\xa8"}\n' + b"\r\n--boundary--\r\n" * 3 + os.urandom(700_000)
    made = client.files.create(file=("any.jsonl", content), purpose="batch")
    assert (made.bytes, made.filename, made.purpose, made.status) == (len(content), "any.jsonl", "batch", "processed")
    assert client.files.content(made.id).read() == content
    assert client.files.retrieve(made.id) == made


def test_a_file_of_the_limits_size_is_taken_and_one_byte_more_is_not(sim: Any, client: Any) -> None:
    """A client that packs to the limit must be able to trust it, to the byte."""
    sim.settings.max_file_bytes = 100_000
    line = b'{"body":{"model":"gpt-4.1-nano"}}\n'
    exact = line + b" " * (100_000 - len(line))
    assert client.files.create(file=("a.jsonl", exact), purpose="batch").bytes == 100_000
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("a.jsonl", exact + b" "), purpose="batch")
    assert refused.value.status_code == 413
    message = "The batch input file is larger than the 100000 maximum for the gpt-4.1-nano model"
    assert refused.value.body == {"message": message, "type": "invalid_request_error", "param": None, "code": None}


def test_the_limit_is_openais(sim: Any) -> None:
    """209,715,200 bytes, not 200,000,000: facts §1."""
    assert sim.settings.max_file_bytes == 209_715_200


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", b""), ("a.jsonl", b"custom_id,body\n"), ("a.jsonl", b"[1]\n"), ("a.csv", b"{}\n")]
)
def test_a_file_that_is_not_jsonl_is_refused_at_once(client: Any, name: str, content: bytes) -> None:
    """This refusal comes with the upload, not with the batch."""
    with pytest.raises(openai.BadRequestError, match=r"Invalid file format for Batch API\. Must be \.jsonl"):
        client.files.create(file=(name, content), purpose="batch")
    assert client.files.list().data == []


def test_an_unknown_purpose_is_refused(client: Any) -> None:
    """A typing error must not become a file that no batch accepts."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("a.jsonl", b"{}\n"), purpose="batches")
    assert (refused.value.param, refused.value.code) == ("purpose", "invalid_value")


def test_listing_pages_through_all_files(client: Any) -> None:
    """A client that looks for its files finds all of them, however small the pages."""
    made = [client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch").id for _ in range(5)]
    client.files.create(file=("a.txt", b"words"), purpose="user_data")
    assert [file.id for file in client.files.list(purpose="batch", limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(purpose="batch", limit=2, order="asc")] == made
    first = client.files.list(purpose="batch", limit=2)
    assert (first.has_more, first.first_id, first.last_id) == (True, made[4], made[3])


def test_a_deleted_file_is_gone(client: Any) -> None:
    """Cleaning up must be visible."""
    made = client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    assert client.files.delete(made.id).deleted
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            call(made.id)


def test_files_of_batches_expire(sim: Any, client: Any) -> None:
    """Results that are fetched too late are gone; only files of other purposes stay."""
    kept = client.files.create(file=("a.txt", b"words"), purpose="user_data")
    month = client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    hour = client.files.create(
        file=("a.jsonl", b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert kept.expires_at is None
    assert month.expires_at - month.created_at == pytest.approx(30 * 86_400, abs=1)
    assert hour.expires_at - hour.created_at == pytest.approx(3_600, abs=1)
    sim.settings.file_seconds = 0
    gone = client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    with pytest.raises(openai.NotFoundError):
        client.files.content(gone.id)
    assert {file.id for file in client.files.list()} == {kept.id, month.id, hour.id}


def test_an_expiry_outside_its_range_is_refused(client: Any) -> None:
    """A real account refuses it, so a client should learn it here."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(
            file=("a.jsonl", b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 60}
        )
    assert refused.value.param == "expires_after.seconds"


def test_a_file_like_object_can_be_uploaded(client: Any) -> None:
    """The SDK streams file objects with another framing than bytes."""
    opened = io.BytesIO(b'{"a": 1}\n' * 50_000)
    opened.name = "stream.jsonl"
    made = client.files.create(file=opened, purpose="batch")
    assert (made.bytes, made.filename) == (450_000, "stream.jsonl")
