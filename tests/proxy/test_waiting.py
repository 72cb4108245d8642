"""Waiting: one request, one answer, however the connection between them goes."""

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from sqlalchemy import text

from batchframe.proxy import keymaking
from batchframe.simulator import Simulator
from batchframe.store import keys
from batchframe.store.database import Database
from tests.judging import paid_once
from tests.proxy.conftest import KEY, Running

BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
SLOW = 3.0
"""Seconds a batch takes that is waited for by a client in a hurry."""


def kept(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text("SELECT count(*) FROM request")).scalar_one())


def test_an_answer_is_the_providers_own(served: Running, simulator: Simulator) -> None:
    """A client must not be able to tell the difference, but by the bill."""
    answer = served.client().chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "Hello"
    assert answer._request_id.startswith("req_")
    assert paid_once(simulator, 1)


def test_calls_that_come_together_go_in_one_batch(serve: Callable[..., Running], simulator: Simulator) -> None:
    """That is where the half price comes from."""
    served = serve(window_seconds=0.5)
    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(
                served.client().chat.completions.create,
                model="gpt-5-mini", messages=[{"role": "user", "content": f"number {n}"}],
            )
            for n in range(20)
        ]  # fmt: skip
        assert [one.result().choices[0].message.content for one in asked] == [f"number {n}" for n in range(20)]
    assert simulator.ledger.calls["batches.create"] <= 2
    assert paid_once(simulator, 20)


def test_a_window_that_is_full_closes_early(serve: Callable[..., Running], simulator: Simulator) -> None:
    """Nobody waits an hour beside a full batch."""
    served = serve(window_seconds=3600, window_requests=2)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(served.post, "/v1/chat/completions", {**BODY, "seed": n}, timeout=60.0) for n in range(2)]
        assert [one.result().status_code for one in asked] == [200, 200]


def test_a_client_in_a_hurry_comes_again_to_its_own_request(
    serve: Callable[..., Running], simulator: Simulator, database: Database
) -> None:
    """The SDK gives up after half a second, again and again, and each time joins what it has asked already."""
    simulator.settings.duration = SLOW
    client = serve().client(timeout=0.5, max_retries=20)
    assert client.chat.completions.create(**BODY).choices[0].message.content == "Hello"  # type: ignore[call-overload]
    assert kept(database) == 1
    assert paid_once(simulator, 1)


def test_a_hold_that_is_over_is_said_in_a_way_the_sdk_understands(
    serve: Callable[..., Running], simulator: Simulator, database: Database
) -> None:
    """408 with `x-should-retry`: its own retry goes on waiting."""
    simulator.settings.duration = SLOW
    served = serve(hold_seconds=0.3)
    said = served.post("/v1/chat/completions", BODY)
    assert (said.status_code, said.headers["x-should-retry"]) == (408, "true")
    assert said.json()["error"]["code"] == "still_waiting"
    answer = served.client(max_retries=20).chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "Hello"
    assert kept(database) == 1
    assert paid_once(simulator, 1)


def test_two_live_calls_that_ask_the_same_are_two_requests(served: Running, simulator: Simulator) -> None:
    """Whoever asks twice at once wants two samples."""
    simulator.settings.duration = 0.5
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(served.post, "/v1/chat/completions", BODY) for _ in range(2)]:
            assert one.result().status_code == 200
    assert sum(simulator.ledger.billed().values()) == 2


def test_an_answer_that_was_delivered_is_not_given_to_the_next_call(served: Running, simulator: Simulator) -> None:
    """The same question an hour later is a new question."""
    for _ in range(2):
        assert served.post("/v1/chat/completions", BODY).status_code == 200
    assert sum(simulator.ledger.billed().values()) == 2


def test_an_idempotency_key_gives_the_same_answer_for_ever(served: Running, simulator: Simulator) -> None:
    """Also after it was delivered, and to two at once."""
    said = [served.post("/v1/chat/completions", BODY, idempotency_key="order 7") for _ in range(2)]
    assert said[0].json() == said[1].json()
    assert said[0].headers["x-request-id"] == said[1].headers["x-request-id"]
    assert paid_once(simulator, 1)
    other = served.post("/v1/chat/completions", {**BODY, "seed": 1}, idempotency_key="order 7")
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_in_use")


def test_live_calls_with_one_idempotency_key_are_one_request(
    serve: Callable[..., Running], simulator: Simulator
) -> None:
    """At two instances at once: the database decides."""
    simulator.settings.duration = 0.5
    instances = [serve(), serve()]
    with ThreadPoolExecutor(8) as pool:
        said = [
            pool.submit(instances[n % 2].post, "/v1/chat/completions", BODY, idempotency_key="order 8")
            for n in range(8)
        ]
        assert len({one.result().json()["id"] for one in said}) == 1
    assert paid_once(simulator, 1)


def test_a_client_that_has_gone_finds_its_answer_when_it_comes_back(
    serve: Callable[..., Running], simulator: Simulator, database: Database
) -> None:
    """At another instance, too, and without saying that it was here before."""
    simulator.settings.duration = 0.5
    first, second = serve(), serve()
    with pytest.raises(httpx2.ReadTimeout):
        first.post("/v1/chat/completions", BODY, timeout=0.3)
    with database.transaction() as connection:
        waits = text("SELECT count(*) FROM proxied WHERE waiter IS NOT NULL")
        while connection.execute(waits).scalar_one():
            connection.execute(text("SELECT pg_sleep(0.01)"))
    assert second.post("/v1/chat/completions", BODY).status_code == 200
    assert kept(database) == 1
    assert paid_once(simulator, 1)


def test_a_stopping_proxy_sends_its_clients_on(
    serve: Callable[..., Running], simulator: Simulator, database: Database
) -> None:
    """A roll-out must not cost an answer: the call that waits is told to come again, and joins at the next instance."""
    simulator.settings.duration = SLOW
    first = serve()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(first.post, "/v1/chat/completions", BODY)
        while not (first.app.proxy and first.proxy.waiting.count):
            threading.Event().wait(0.01)
        first.stop()
        assert waiting.result().status_code == 408
    answer = serve().client().chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "Hello"
    assert kept(database) == 1
    assert paid_once(simulator, 1)


def test_a_stream_is_kept_alive_and_ends_with_the_answer(served: Running, simulator: Simulator) -> None:
    """The client's half second of patience begins anew with every comment."""
    simulator.settings.duration = 2.0
    chunks = list(served.client(timeout=0.9).chat.completions.create(**BODY, stream=True))  # type: ignore[call-overload]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert paid_once(simulator, 1)


def test_blanks_keep_a_patient_client_waiting(served: Running, simulator: Simulator) -> None:
    """`Prefer: wait=N`: JSON may begin with blanks, and both SDKs read it."""
    simulator.settings.duration = 2.0
    client = served.client(timeout=0.9, default_headers={"Prefer": "wait=30"})
    assert client.chat.completions.create(**BODY).choices[0].message.content == "Hello"  # type: ignore[call-overload]


def test_a_receipt_is_given_for_the_asking(served: Running, simulator: Simulator) -> None:
    """`Prefer: respond-async`: 202 and where the answer will be, with its real status."""
    simulator.settings.duration = 0.5
    said = served.post("/v1/chat/completions", BODY, prefer="respond-async")
    assert said.status_code == 202
    where = said.headers["location"]
    answer = served.get(where)
    assert answer.status_code in (200, 202)
    while answer.status_code == 202:
        answer = served.get(where)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"


def test_a_row_that_fails_says_so_with_its_own_status_and_words(served: Running, simulator: Simulator) -> None:
    """The client's error handling must not know that there was a batch."""
    simulator.faults.row("Hello", status=400, code="context_length_exceeded", message="Too long.")
    with pytest.raises(openai.BadRequestError) as raised:
        served.client(max_retries=3).chat.completions.create(**BODY)  # type: ignore[call-overload]
    assert raised.value.code == "context_length_exceeded"


def test_a_call_can_be_asked_in_real_time(served: Running, simulator: Simulator) -> None:
    """By a header of its own, for the one that cannot wait."""
    simulator.settings.duration = 3600.0
    said = served.post("/v1/chat/completions", BODY, x_batchframe_mode="realtime")
    assert said.status_code == 200
    assert simulator.ledger.calls["chat.completions"] == 1
    assert paid_once(simulator, 1)


def test_a_deadline_ends_the_wait_for_a_batch(served: Running, simulator: Simulator) -> None:
    """What is unanswered by then is asked in real time, once."""
    simulator.settings.duration = 3600.0
    said = served.post("/v1/chat/completions", BODY, x_batchframe_deadline="1.5s", timeout=60.0)
    assert said.status_code == 200
    assert simulator.ledger.calls["batches.create"] == 1
    assert paid_once(simulator, 1)


def test_a_response_in_the_background_is_polled_by_its_id(served: Running, simulator: Simulator) -> None:
    """As OpenAI does it: queued, then completed."""
    simulator.settings.duration = 0.5
    client = served.client()
    response = client.responses.create(model="gpt-5-mini", input="Hello", background=True)
    assert response.status == "queued"
    while response.status in ("queued", "in_progress"):
        response = client.responses.retrieve(response.id)
    assert (response.status, response.output_text, response.background) == ("completed", "Hello", True)


def test_a_response_that_is_called_off_in_time_is_never_asked(
    serve: Callable[..., Running], simulator: Simulator, database: Database
) -> None:
    """Nothing is paid for it."""
    client = serve(window_seconds=1.0).client()
    response = client.responses.create(model="gpt-5-mini", input="Hello", background=True)
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.retrieve(response.id).status == "cancelled"
    other = client.responses.create(model="gpt-5-mini", input="Something else")
    assert other.output_text == "Something else"
    assert paid_once(simulator, 1)


def test_another_key_sees_nothing(served: Running, database: Database) -> None:
    """Not even that there is something."""
    where = served.post("/v1/chat/completions", BODY, prefer="respond-async").headers["location"]
    with database.transaction() as connection:
        keys.create(connection, "other", keymaking.digest("bf-other"), keymaking.shown("bf-other"))
    foreign = httpx2.get(served.url + where, headers={"authorization": "Bearer bf-other"})
    unknown = served.get("/v1/requests/req_" + "0" * 32)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()


def test_embeddings_and_models_go_through(served: Running) -> None:
    """Everything a client asks of the provider it can ask here."""
    client = served.client()
    vector = client.embeddings.create(model="text-embedding-3-small", input="Hello", encoding_format="float")
    assert len(vector.data[0].embedding) > 100
    assert "gpt-5-mini" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-5-mini").id == "gpt-5-mini"


async def _many(url: str, n: int) -> list[int]:
    async with httpx2.AsyncClient(timeout=120, limits=httpx2.Limits(max_connections=None)) as client:
        asked = [
            client.post(
                url + "/v1/chat/completions",
                headers={"authorization": f"Bearer {KEY}"},
                json={**BODY, "messages": [{"role": "user", "content": f"number {at}"}]},
            )
            for at in range(n)
        ]
        answers: list[Any] = await asyncio.gather(*asked)
    said = [json.loads(answer.content)["choices"][0]["message"]["content"] for answer in answers]
    assert said == [f"number {at}" for at in range(n)]
    return [answer.status_code for answer in answers]


def test_many_wait_at_once(serve: Callable[..., Running], simulator: Simulator) -> None:
    """Each gets its own answer."""
    served = serve(window_seconds=0.5)
    assert asyncio.run(_many(served.url, 300)) == [200] * 300
    assert paid_once(simulator, 300)
