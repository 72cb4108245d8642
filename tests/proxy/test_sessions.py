"""The cookie of the status page, without a server."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.proxy import sessions

SHA = hashlib.sha256(b"a key").digest()
NOW = 1_800_000_000.5


def opens(cookie: str, sha256: bytes = SHA, now: float = NOW) -> bool:
    session = sessions.read(cookie)
    return session is not None and session.is_of(sha256, now)


def test_a_session_is_of_its_key_for_twelve_hours() -> None:
    """One who signs in in the morning is not asked again that day, and is by the next."""
    cookie = sessions.cookie(7, SHA, NOW)
    session = sessions.read(cookie)
    assert session is not None
    assert session.key_id == 7
    assert opens(cookie)
    assert opens(cookie, now=NOW + 12 * 3600 - 1)
    assert not opens(cookie, now=NOW + 12 * 3600)
    assert not opens(cookie, hashlib.sha256(b"another key").digest())


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_cookie_that_was_changed_opens_nothing(part: int) -> None:
    """Neither another's key, nor a longer time, nor a guess."""
    parts = sessions.cookie(7, SHA, NOW).split(".")
    last = parts[part][-1]
    parts[part] = parts[part][:-1] + ("1" if last != "1" else "2")
    assert not opens(".".join(parts))


def test_a_cookie_does_not_hold_what_it_is_signed_with() -> None:
    """A hash in the browser would be one more place to keep."""
    cookie = sessions.cookie(7, SHA, NOW)
    assert SHA.hex() not in cookie


@given(st.text() | st.from_regex(r"\A[0-9]{1,30}\.[0-9]{1,30}\..{0,80}\Z"))
def test_whatever_a_browser_sends_is_read_or_is_none_of_ours(text: str) -> None:
    """A cookie is anybody's to write: it must not become an error of the server, or a number Postgres cannot hold."""
    session = sessions.read(text)
    if session is not None:
        assert 0 <= session.key_id < 2**63
        assert not session.is_of(SHA, NOW)
