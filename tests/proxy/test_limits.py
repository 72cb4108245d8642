"""Bad input, a database that is away, and clients that mean no good or have no time."""

import json
import socket
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from sqlalchemy import text

from batchframe.proxy import keymaking, protocol
from batchframe.simulator import Simulator
from batchframe.store import embedded, keys
from batchframe.store.database import Database
from tests.judging import paid_once
from tests.proxy.conftest import KEY, Running

BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
CHAT = "/v1/chat/completions"


def error(response: httpx2.Response) -> dict[str, Any]:
    """OpenAI's error object, whole."""
    said: dict[str, Any] = response.json()["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    return said


def key(database: Database, name: str = "team", **limits: Any) -> str:
    """A new key."""
    made = keymaking.make()
    with database.transaction() as connection:
        keys.create(connection, name, keymaking.digest(made), keymaking.shown(made), **limits)
    return made


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nobody", "Basic abc", "Bearer \u00e9"])
def test_a_stranger_is_turned_away(served: Running, authorization: str | None) -> None:
    """With 401, which no SDK repeats."""
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    for answer in (
        httpx2.get(served.url + "/v1/models", headers=headers),
        httpx2.post(served.url + CHAT, headers=headers),
    ):
        assert (answer.status_code, error(answer)["code"]) == (401, "invalid_api_key")


def test_a_revoked_key_opens_nothing(served: Running, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once what is believed of it is out of date."""
    monkeypatch.setattr("batchframe.proxy.keys._BELIEVED_SECONDS", 0.0)
    client = served.client(key(database))
    assert client.models.list().data
    with database.transaction() as connection:
        assert keys.revoke(connection, "team")
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


@pytest.mark.parametrize("path", [CHAT, "/v1/batches"])
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
def test_json_of_endless_depth_is_the_callers_mistake(served: Running, path: str, body: bytes) -> None:
    """A hundred thousand brackets are a small body, and more than a reader's stack."""
    assert error(served.post(path, body))["type"] == "invalid_request_error"


def test_a_batch_that_is_too_large_to_be_one_is_not_read(serve: Callable[..., Running]) -> None:
    """The limit of a body holds for every call but an upload."""
    served = serve(body_max_bytes=1_000)
    assert served.post("/v1/batches", {"input_file_id": "x" * 2_000}).status_code == 413


def test_a_query_that_no_database_can_hold_is_refused(served: Running) -> None:
    """A zero byte is legal in an address, and in no text of Postgres."""
    for name in ("purpose", "after", "order", "limit"):
        answer = served.get(f"/v1/files?{name}=%00")
        assert (answer.status_code, error(answer)["param"]) == (400, name)


@pytest.mark.parametrize("limits", [{"queue_limit": 1}, {"rate_limit": 1}, {"budget_usd": Decimal("0.000001")}])
@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "row-1"}])
def test_a_call_that_comes_again_for_its_answer_is_no_new_request(
    serve: Callable[..., Running],
    simulator: Simulator,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, Any],
    headers: dict[str, str],
) -> None:
    """Else a queue full of waiting calls would turn its own callers away when their holds are over."""
    monkeypatch.setattr("batchframe.proxy.keys._BELIEVED_SECONDS", 0.0)
    simulator.settings.duration = 3600
    served = serve(hold_seconds=0.2)
    headers = {"authorization": f"Bearer {key(database, **limits)}", **headers}
    first = httpx2.post(served.url + CHAT, headers=headers, json=BODY)
    with database.transaction() as connection:  # what a first answer may have cost, for the budget
        connection.execute(
            text("""
                INSERT INTO batch (job_id, provider, endpoint, model, n_requests, tokens, state, cost_usd)
                SELECT id, 'nobody', endpoint, model, 1, 1, 'done', 1 FROM job
            """)
        )
    again = httpx2.post(served.url + CHAT, headers=headers, json=BODY)
    other = httpx2.post(served.url + CHAT, headers={**headers, "idempotency-key": "another"}, json={**BODY, "seed": 1})
    assert [one.status_code for one in (first, again, other)] == [408, 408, 429]
    assert again.headers["x-request-id"] == first.headers["x-request-id"]


def test_a_key_that_asks_too_often_is_told_when_to_come_again(served: Running, database: Database) -> None:
    """429 with Retry-After; what was refused is not kept."""
    mine = key(database, rate_limit=2)
    said = [
        httpx2.post(
            served.url + CHAT, headers={"authorization": f"Bearer {mine}", "prefer": "respond-async"}, json=BODY
        )
        for _ in range(3)
    ]
    assert [one.status_code for one in said] == [202, 202, 429]
    assert error(said[2])["code"] == "rate_limit_exceeded"
    assert 1 <= int(said[2].headers["retry-after"]) <= 30


def test_a_key_whose_queue_is_full_waits(served: Running, simulator: Simulator, database: Database) -> None:
    """A back end that runs wild fills its own queue only."""
    simulator.settings.duration = 3600.0
    head = {"authorization": f"Bearer {key(database, queue_limit=2)}", "prefer": "respond-async"}
    said = [httpx2.post(served.url + CHAT, headers=head, json={**BODY, "seed": n}) for n in range(3)]
    assert [one.status_code for one in said] == [202, 202, 429]
    assert error(said[2])["code"] == "queue_full"
    assert served.post(CHAT, BODY, prefer="respond-async").status_code == 202


def test_a_key_spends_no_more_than_its_budget(
    served: Running, simulator: Simulator, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would go past it is not sent; when it is used up, nothing is taken in any more."""
    monkeypatch.setattr("batchframe.proxy.keys._BELIEVED_SECONDS", 0.0)
    mine = key(database, budget_usd=Decimal("0.000001"))
    head = {"authorization": f"Bearer {mine}", "prefer": "respond-async"}
    capped = {**BODY, "max_completion_tokens": 1000}
    where = httpx2.post(served.url + CHAT, headers=head, json=capped).headers["location"]
    with database.transaction() as connection:
        while not (why := connection.execute(text("SELECT paused FROM job")).scalar()):
            connection.execute(text("SELECT pg_sleep(0.02)"))
    assert "budget of the key 'team'" in why
    assert httpx2.get(served.url + where, headers=head).status_code == 202
    assert not simulator.ledger.billed()
    with database.transaction() as connection:
        assert keys.set_budget(connection, "team", Decimal(1))
    answer = httpx2.get(served.url + where, headers=head)
    while answer.status_code == 202:
        answer = httpx2.get(served.url + where, headers=head)
    assert answer.status_code == 200
    assert paid_once(simulator, 1)
    with database.transaction() as connection:
        assert keys.set_budget(connection, "team", Decimal("0.000001"))
    refused = httpx2.post(served.url + CHAT, headers=head, json=capped)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
    assert error(refused)["type"] == "insufficient_quota"


def test_a_body_that_is_too_large_is_refused(serve: Callable[..., Running]) -> None:
    """Said by its length, or found while it comes."""
    served = serve(body_max_bytes=1000)
    large = {**BODY, "messages": [{"role": "user", "content": "x" * 2000}]}
    assert served.post(CHAT, large).status_code == 413

    def chunks() -> Any:
        for _ in range(100):
            yield b" " * 100

    said = httpx2.post(served.url + CHAT, headers={"authorization": f"Bearer {KEY}"}, content=chunks())
    assert said.status_code == 413


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/chat", "/v2/models", "/nothing"])
def test_an_unknown_address_says_so(served: Running, path: str) -> None:
    """In OpenAI's form, so that an SDK can show it."""
    answer = served.post(path, BODY)
    assert (answer.status_code, error(answer)["type"]) == (404, "invalid_request_error")


def test_a_wrong_method_is_said_in_the_same_form(served: Running) -> None:
    """With the one that is right."""
    answer = served.get(CHAT)
    assert (answer.status_code, error(answer)["code"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


def test_a_database_that_is_away_is_503_and_nothing_is_half_kept(
    serve: Callable[..., Running], simulator: Simulator, tmp_path: Path
) -> None:
    """The SDK comes again by itself, and is served once the database is back."""
    home = tmp_path / "embedded"
    url = embedded.start(home)
    try:
        served = serve(database_url=url)
        assert served.post(CHAT, BODY).status_code == 200
        embedded.stop(home)
        answer = served.post(CHAT, BODY)
        assert (answer.status_code, error(answer)["type"]) == (503, "server_error")
        assert int(answer.headers["retry-after"]) > 0
        assert served.get("/readyz").status_code == 503
        assert served.get("/healthz").status_code == 200
        embedded.start(home)
        assert served.client(max_retries=10).chat.completions.create(**BODY)  # type: ignore[call-overload]
        assert sum(simulator.ledger.billed().values()) == 2
        served.stop()
    finally:
        embedded.stop(home)


def test_a_head_that_never_ends_is_cut_off(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slowloris: a thousand such connections would cost nothing to hold and everything to keep."""
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 0.3)
    host, port = served.url.removeprefix("http://").split(":")
    for start in (b"", b"GET /v1/models HTTP/1.1\r\nx-slow: "):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(start)
            assert connection.recv(100) == b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        said = b""
        while not said.endswith(b'{"status":"ok"}'):
            said += connection.recv(1000)
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert connection.recv(100) == b"", "the second head of a connection, too"


def test_a_head_that_is_too_large_is_cut_off(served: Running) -> None:
    """It would be kept in memory until it ends."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\n")
        said = b""
        try:
            for _ in range(200):
                connection.sendall(b"x-long: " + b"a" * 2000 + b"\r\n")
            said = connection.recv(100)
        except ConnectionError:
            return
        assert said.startswith(b"HTTP/1.1 400") or said == b""


def test_a_thousand_idle_connections_keep_nobody_out(served: Running) -> None:
    """They cost a little memory each, and no thread."""
    host, port = served.url.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(1000)]
    try:
        assert served.get("/readyz").json() == {"status": "ready"}
        assert served.post(CHAT, BODY).status_code == 200
    finally:
        for connection in idle:
            connection.close()


def test_metrics_count_calls(served: Running) -> None:
    """By route, never by what the client put into the path."""
    served.post(CHAT, BODY)
    served.get("/v1/requests/req_" + "f" * 32)
    said = served.get("/metrics").text
    assert 'batchframe_proxy_calls_total{route="/v1/chat/completions",status="200"} 1.0' in said
    assert 'route="/v1/requests/{request_id}",status="404"' in said
    assert "batchframe_proxy_waiting 0.0" in said
    assert 'batchframe_requests{outcome="ok"} 1.0' in said


def test_no_answer_repeats_a_key(served: Running) -> None:
    """Neither one's own nor the provider's."""
    for answer in (served.get("/metrics"), served.post(CHAT, {"model": KEY}), served.get("/v1/models/" + KEY)):
        assert "sk-test" not in answer.text
    assert KEY not in json.dumps(served.post("/v1/nothing", BODY).json())
