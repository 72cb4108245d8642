"""Calls that go wrong: every kind of fault, told apart by what took effect and what the client saw."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from batchframe.errors import ConfigurationError

CHAT = "/v1/chat/completions"


@pytest.fixture
def arguments(customer: Any, chat_lines: Any) -> dict[str, Any]:
    """Arguments of a create call that is in order."""
    return {"input_file_id": customer.upload(chat_lines(3)), "endpoint": CHAT, "completion_window": "24h"}


def test_an_error_before_the_effect_leaves_nothing(sim: Any, client: Any, arguments: Any) -> None:
    """A definite refusal: the body and the headers are as ordered."""
    sim.faults.on(
        "batches.create",
        "status",
        status=429,
        headers={"retry-after": "7"},
        body={"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    )
    with pytest.raises(openai.RateLimitError) as refused:
        client.batches.create(**arguments)
    assert (refused.value.code, refused.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "7")
    assert sim.batches == []
    assert sim.ledger.calls["batches.create"] == 1


def test_an_error_after_the_effect_hides_it(sim: Any, client: Any, arguments: Any) -> None:
    """A 500 that lies: the batch exists and will be billed."""
    sim.faults.on("batches.create", "status_after", status=500)
    with pytest.raises(openai.InternalServerError):
        client.batches.create(**arguments)
    assert [batch.input_file_id for batch in sim.batches] == [arguments["input_file_id"]]


def test_a_reset_before_the_effect_leaves_nothing(sim: Any, client: Any, arguments: Any) -> None:
    """The client cannot tell it from the next one; only the listing can."""
    sim.faults.on("batches.create", "reset")
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(**arguments)
    assert sim.batches == []


def test_a_reset_after_the_effect_hides_it(sim: Any, client: Any, arguments: Any) -> None:
    """The case that pays twice when it is retried blindly."""
    sim.faults.on("batches.create", "reset_after")
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(**arguments)
    assert len(sim.batches) == 1
    assert len(client.batches.list().data) == 1


def test_the_sdks_own_retries_buy_several_batches(sim: Any, client: Any, arguments: Any) -> None:
    """Measured in the design: retries on, one lost answer each, three batches. The simulator must show it."""
    sim.faults.on("batches.create", "reset_after", times=2)
    client.with_options(max_retries=2).batches.create(**arguments)
    assert len(sim.batches) == 3
    assert sim.ledger.calls["batches.create"] == 3
    sim.wait_for(lambda sim: all(batch.ended for batch in sim.batches))
    assert set(sim.ledger.billed().values()) == {3}


def test_a_late_answer_comes_after_its_effect(sim: Any, client: Any, arguments: Any) -> None:
    """A client with a short timeout gives up on a batch that exists."""
    fault = sim.faults.on("batches.create", "late", seconds=0.3)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.1).batches.create(**arguments)
    assert (len(sim.batches), fault.hits) == (1, 1)
    sim.faults.on("batches.create", "late", seconds=0.2)
    started = time.monotonic()
    assert client.batches.create(**arguments).id == sim.batches[1].id
    assert time.monotonic() - started >= 0.2


def test_a_late_effect_comes_after_the_connection_is_lost(sim: Any, client: Any, arguments: Any) -> None:
    """The POST that lands late: a clean listing right after it proves nothing."""
    sim.faults.on("batches.create", "late_effect", seconds=0.3)
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(**arguments)
    assert client.batches.list().data == []
    sim.wait_for(lambda sim: len(sim.batches) == 1)
    assert sim.batches[0].input_file_id == arguments["input_file_id"]


def test_an_upload_can_land_late(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """The body is kept, however large, although its connection is gone."""
    sim.faults.on("files.create", "late_effect", seconds=0.05)
    with pytest.raises(openai.APIConnectionError):
        customer.upload(chat_lines(20_000))
    assert sim.files == []
    sim.wait_for(lambda sim: sim.files)
    assert sim.files[0].bytes == len("".join(json.dumps(line) + "\n" for line in chat_lines(20_000)))


@pytest.mark.parametrize("after_bytes", [0, 1, 700, 100_000])
def test_a_download_can_be_cut(sim: Any, customer: Any, client: Any, chat_lines: Any, after_bytes: int) -> None:
    """Content-length says more than came: the client notices, wherever the cut is, and the next download is whole."""
    batch = customer.run(chat_lines(1_000))
    whole = client.files.content(batch.output_file_id).read()
    sim.faults.on("files.content", "truncate", after_bytes=after_bytes)
    with pytest.raises((openai.APIConnectionError, *_transport_errors())):
        client.files.content(batch.output_file_id).read()
    assert client.files.content(batch.output_file_id).read() == whole


@pytest.mark.parametrize("after_bytes", [0, 700, 100_000])
def test_a_download_can_be_cut_so_that_nobody_notices(
    sim: Any, customer: Any, client: Any, chat_lines: Any, after_bytes: int
) -> None:
    """Only counting lines against the batch reveals it."""
    batch = customer.run(chat_lines(1_000))
    whole = client.files.content(batch.output_file_id).read()
    sim.faults.on("files.content", "truncate_clean", after_bytes=after_bytes)
    assert client.files.content(batch.output_file_id).read() == whole[:after_bytes]


def test_a_cut_longer_than_the_body_cuts_nothing(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """A fault ordered too far out must not close the connection under the client's next call."""
    batch = customer.run(chat_lines(3))
    whole = client.files.content(batch.output_file_id).read()
    for kind in ("truncate", "truncate_clean"):
        sim.faults.on("files.content", kind, after_bytes=len(whole), times=20)
        for _ in range(20):
            assert client.files.content(batch.output_file_id).read() == whole


def test_a_download_can_be_corrupted(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """As long as promised, but not what was sent."""
    batch = customer.run(chat_lines(1_000))
    whole = client.files.content(batch.output_file_id).read()
    sim.faults.on("files.content", "corrupt", after_bytes=300_000)
    spoiled = client.files.content(batch.output_file_id).read()
    assert spoiled == whole[:300_000] + b"#" * 64 + whole[300_064:]


def test_faults_wait_for_their_turn(sim: Any, client: Any) -> None:
    """`skip` lets calls through first, `times` ends it, and the next fault on order follows."""
    sim.faults.on("batches.list", "status", status=503, skip=1, times=2)
    sim.faults.on("batches.list", "status", status=502)
    sim.faults.on("files.list", "status", status=501, times=None)
    statuses = [client.batches.with_raw_response.list().http_response.status_code]
    for _ in range(3):
        with pytest.raises(openai.APIStatusError) as refused:
            client.batches.list()
        statuses.append(refused.value.status_code)
    statuses.append(client.batches.with_raw_response.list().http_response.status_code)
    assert statuses == [200, 503, 503, 502, 200]
    for _ in range(5):
        with pytest.raises(openai.APIStatusError):
            client.files.list()


def test_faults_can_be_taken_back(sim: Any, client: Any) -> None:
    """A test that orders faults for a phase ends the phase itself."""
    sim.faults.on("batches.list", "status", times=None)
    with pytest.raises(openai.InternalServerError):
        client.batches.list()
    sim.faults.reset()
    assert client.batches.list().data == []


def test_a_fault_nobody_knows_is_refused(sim: Any) -> None:
    """A typing error would otherwise make a test that proves nothing."""
    with pytest.raises(ConfigurationError, match=r"batches\.create"):
        sim.faults.on("batch.create", "reset")
    with pytest.raises(ConfigurationError, match="reset_after"):
        sim.faults.on("batches.create", "explode")
    with pytest.raises(ConfigurationError, match="expire"):
        sim.faults.batch(expire=0.5)


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the SDK lets through when a body ends early: the errors of its own HTTP library."""
    import httpx2

    return (httpx2.TransportError,)
