"""The status page, for people: what came with a key, how far it is, what it has cost. Signed in by the key itself.

Made on the server, without scripts and without anything from elsewhere, and the browser is told to accept nothing else.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchframe.core.budget import dollars
from batchframe.errors import DatabaseError
from batchframe.proxy import keymaking, sessions
from batchframe.proxy.asking import read_body
from batchframe.proxy.proxy import Proxy
from batchframe.store import keys, overviews
from batchframe.store.keys import Key
from batchframe.store.overviews import Overview
from batchframe.wire.refusals import Refusal

COOKIE = "batchframe_session"
_JOBS = 20
"""Open ones, and as many closed ones."""
_BATCHES = 20
"""Of a job; one may have thousands when a bad row is being looked for."""
_FORM_BYTES = 4096
_REFRESH_SECONDS = 10


async def home(proxy: Proxy, request: Request) -> Response:
    """The jobs of the key that is signed in, or the form to sign in."""
    try:
        key = await asyncio.to_thread(_signed_in, proxy, request.cookies.get(COOKIE, ""))
        if key is None:
            return _page("signin.html")
        overview = await asyncio.to_thread(_overview, proxy, key)
    except DatabaseError:
        return _page("away.html", 503)
    refresh = _REFRESH_SECONDS if overview.n_open else None
    return _page("jobs.html", key=key, overview=overview, n_batches=_BATCHES, refresh=refresh)


async def sign_in(proxy: Proxy, request: Request) -> Response:
    """Set the cookie, if the key is one that opens."""
    _refuse_other_sites(request)
    form = parse_qs((await read_body(request, _FORM_BYTES)).decode("utf-8", "replace"), max_num_fields=10)
    given = form.get("key", [""])[0].strip()
    try:
        caller = await proxy.keys.caller(f"Bearer {given}")
    except Refusal:
        return _page("signin.html", 401, wrong=True)
    except DatabaseError:
        return _page("away.html", 503)
    response = RedirectResponse("/", 303, _HEADERS)
    value = sessions.cookie(caller.id, keymaking.digest(given), time.time())
    response.set_cookie(
        COOKIE, value, sessions.SECONDS, httponly=True, samesite="strict", secure=_is_encrypted(request)
    )
    return response


async def sign_out(proxy: Proxy, request: Request) -> Response:
    """Take the cookie away."""
    _refuse_other_sites(request)
    response = RedirectResponse("/", 303, _HEADERS)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_encrypted(request))
    return response


ROUTES: tuple[tuple[str, str, Callable[[Proxy, Request], Awaitable[Response]]], ...] = (
    ("GET", "/", home),
    ("POST", "/signin", sign_in),
    ("POST", "/signout", sign_out),
)


def _signed_in(proxy: Proxy, cookie: str) -> Key | None:
    session = sessions.read(cookie)
    if session is None:
        return None
    with proxy.database.transaction() as connection:
        key = keys.by_id(connection, session.key_id)
    if key is None or key.revoked_at is not None or not session.is_of(key.sha256, time.time()):
        return None
    return key


def _overview(proxy: Proxy, key: Key) -> Overview:
    with proxy.database.transaction() as connection:
        return overviews.of_key(connection, key.id, limit=_JOBS)


def _refuse_other_sites(request: Request) -> None:
    """A form on another site must not sign anybody in or out. Every browser of today says where a form was."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refusal(403, "This form was sent from another site.")


def _is_encrypted(request: Request) -> bool:
    """Whether the browser came by https, which ends at a proxy before this one more often than not."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))


_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def _page(template: str, status: int = 200, **shown: Any) -> Response:
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    html = _TEMPLATES.get_template(template).render(nonce=nonce, **shown)
    return Response(html, status, {**_HEADERS, "content-security-policy": policy}, media_type="text/html")


def _money(amount: Decimal | None) -> str:
    return "price not known" if amount is None else dollars(amount)


def _count(number: int) -> str:
    return f"{number:,}"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


_TEMPLATES = Environment(
    loader=PackageLoader("batchframe.proxy"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"money": _money, "count": _count, "minute": _minute}
