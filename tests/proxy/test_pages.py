"""The status page, over HTTP, as a browser without scripts sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import httpx2
import openai
import pytest
from sqlalchemy import create_engine, make_url, text

from batchframe.proxy import keymaking
from batchframe.simulator import Simulator
from batchframe.store import keys
from batchframe.store.database import Database
from tests.proxy.conftest import KEY, Running

WAITING = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "<script>alert(1)</script>"}]}


def browser(served: Running) -> httpx2.Client:
    return httpx2.Client(base_url=served.url, follow_redirects=True)


def sign_in(client: httpx2.Client, key: str = KEY) -> httpx2.Response:
    return client.post("/signin", data={"key": key}, headers={"sec-fetch-site": "same-origin"})


def add_key(database: Database, name: str, **limits: Decimal | int) -> str:
    key = keymaking.make()
    with database.transaction() as connection:
        keys.create(connection, name, keymaking.digest(key), keymaking.shown(key), **limits)  # type: ignore[arg-type]
    return key


def test_whoever_is_not_signed_in_sees_a_form_and_nothing_else(served: Running) -> None:
    """How many jobs there are is a secret too."""
    served.client().chat.completions.create(**WAITING)  # type: ignore[call-overload]
    page = httpx2.get(served.url)
    assert page.status_code == 200
    assert 'type="password"' in page.text
    assert "gpt-5-mini" not in page.text
    assert "refresh" not in page.text


def test_a_key_signs_in_and_out(served: Running) -> None:
    """The cookie cannot be read by scripts, sent by other sites, or be kept after signing out."""
    with browser(served) as client:
        wrong = sign_in(client, "bf-wrong")
        assert wrong.status_code == 401
        assert "opens nothing" in wrong.text
        assert not client.cookies
        page = sign_in(client)
        assert "Sign out" in page.text
        cookie = page.history[0].headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "max-age=43200" in cookie
        assert "secure" not in cookie
        assert KEY not in page.text
        assert 'type="password"' in client.post("/signout").text
        assert 'type="password"' in client.get("/").text


def test_a_cookie_got_by_https_is_sent_by_https_alone(served: Running) -> None:
    """TLS mostly ends in front of the proxy."""
    page = httpx2.post(f"{served.url}/signin", data={"key": KEY}, headers={"x-forwarded-proto": "https"})
    assert page.status_code == 303
    assert "; secure" in page.headers["set-cookie"].lower()


@pytest.mark.parametrize("path", ["/signin", "/signout"])
def test_a_form_on_another_site_does_nothing(served: Running, path: str) -> None:
    """One could be signed in by a stranger as the stranger, and take the page for one's own."""
    page = httpx2.post(served.url + path, data={"key": KEY}, headers={"sec-fetch-site": "cross-site"})
    assert page.status_code == 403
    assert "set-cookie" not in page.headers


def test_pages_are_kept_nowhere_and_run_nothing(served: Running) -> None:
    """What a prompt or a provider's message could smuggle in finds no way to act."""
    with browser(served) as client:
        for page in (client.get("/"), sign_in(client)):
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script" not in policy + page.text
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["x-content-type-options"] == "nosniff"
            nonces = set(re.findall(r"nonce[=-][\"']?([\w-]+)", policy + page.text))
            assert len(nonces) == 1
            assert not re.search(r"https?://|style=|src=", page.text)
        assert len({client.get("/").headers["content-security-policy"] for _ in range(2)}) == 2


def test_revoking_a_key_ends_its_sessions(served: Running, database: Database) -> None:
    """The page of a key that leaked closes with it, not half a day later."""
    key = add_key(database, "ada")
    with browser(served) as client:
        assert "Sign out" in sign_in(client, key).text
        with database.transaction() as connection:
            keys.revoke(connection, "ada")
        assert 'type="password"' in client.get("/").text


def test_a_job_is_shown_with_its_batches_and_what_it_cost(served: Running) -> None:
    """The questions one has: is it done, what went wrong, what was it."""
    served.client().chat.completions.create(**WAITING)  # type: ignore[call-overload]
    with browser(served) as client:
        page = sign_in(client).text
    assert '<span class="state done">done</span>' in page
    assert "1 request:" in page
    assert "1 answered" in page
    assert re.search(r"\$0\.0+\d+ spent", page)
    assert "1 batch<" in page
    assert re.search(r"<code>batch_\w+</code>", page)
    assert "refresh" not in page


def test_an_open_job_moves_by_itself_and_says_what_is_expected(
    serve: Callable[..., Running], simulator: Simulator
) -> None:
    """A page left open on a second screen is not a picture of this morning."""
    simulator.settings.duration = 3600
    served = serve(hold_seconds=0.2)
    with pytest.raises(openai.APIStatusError) as raised:
        served.client().chat.completions.create(**WAITING)  # type: ignore[call-overload]
    assert raised.value.status_code == 408
    with browser(served) as client:
        page = sign_in(client).text
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "1 to come" in page
    assert re.search(r"about \$0\.\d+ to come", page)
    assert "<progress " in page


def test_a_job_shows_what_keeps_it_from_going_on_and_as_text(served: Running, database: Database) -> None:
    """The words come from a provider, so they are words and no markup."""
    served.client().chat.completions.create(**WAITING)  # type: ignore[call-overload]
    with database.transaction() as connection:
        connection.execute(text("UPDATE job SET closed_at = NULL, paused = 'Used <b>up</b>.', step_at = 'infinity'"))
    with browser(served) as client:
        page = sign_in(client).text
    assert '<span class="state paused">paused</span>' in page
    assert "Used &lt;b&gt;up&lt;/b&gt;." in page


def test_a_key_sees_its_own_jobs_and_no_others(served: Running, database: Database) -> None:
    """Two teams share a server, not their bills."""
    key = add_key(database, "ada", budget_usd=Decimal("2.5"))
    served.client().chat.completions.create(**WAITING)  # type: ignore[call-overload]
    with browser(served) as client:
        page = sign_in(client, key).text
        assert "gpt-5-mini" not in page
        assert "Nothing is open" in page
        assert "of $2.50" in page
        other = {**WAITING, "model": "gpt-5-nano"}
        served.client(key).chat.completions.create(**other)  # type: ignore[call-overload]
        page = client.get("/").text
        assert "gpt-5-nano" in page
        assert "gpt-5-mini" not in page


def test_long_lists_are_cut_and_say_so(served: Running, database: Database) -> None:
    """A day of windows is thousands of jobs, and a page of them is no overview."""
    with database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO job (kind, provider, endpoint, model, spec, digest, n_requests, api_key_id, step_at)
                SELECT 'proxy', 'nobody', '/v1/embeddings', 'm', '{}', gen_random_uuid(), 5, k.id, 'infinity'
                FROM api_key k, generate_series(1, 30)
            """)
        )
    with browser(served) as client:
        page = sign_in(client).text
    assert page.count("<article>") == 20
    assert "and 10 older ones" in page
    assert "price not known" in page
    assert ">150<" in page


def test_a_database_that_is_away_is_said_in_words(served: Running, server_url: str, database_url: str) -> None:
    """And the session holds when it is back."""
    name = make_url(database_url).database
    server = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with browser(served) as client, server.connect() as connection:
        sign_in(client)
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
        page = client.get("/")
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        assert page.status_code == 503
        assert "cannot be reached" in page.text
        assert "Sign out" in client.get("/").text
    server.dispose()


def test_the_description_is_served(served: Running) -> None:
    """Generators of clients ask for it without a key."""
    document = httpx2.get(f"{served.url}/openapi.json")
    assert document.status_code == 200
    assert document.json()["openapi"] == "3.1.0"
