"""Keys as text."""

from batchframe.proxy import keymaking


def test_what_is_shown_of_a_key_does_not_give_it_away() -> None:
    """A key somebody chose may be short; its first seven characters could be all of it."""
    made = keymaking.make()
    assert made.startswith(keymaking.shown(made)[:-1])
    assert keymaking.shown("secret12") == "…"
    assert len(made) - len(keymaking.shown(made)) > 30


def test_any_text_a_header_can_hold_has_a_hash() -> None:
    """A key with broken bytes in it is an unknown key, not a failure of the server."""
    assert keymaking.digest("sk-\udcff") != keymaking.digest("sk-")
    assert keymaking.digest("a") == keymaking.digest("a")
