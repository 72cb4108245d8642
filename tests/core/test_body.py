"""Request bodies."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.body import BodyTemplate, encode_json
from batchframe.core.template import parse
from batchframe.errors import ParameterError

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
"""Every code point, lone surrogates included."""


def test_each_row_gets_its_own_body() -> None:
    """Holes in several places are filled from the same row."""
    hole, other = parse("<{a}>", ["a", "b"]), parse("{b}{a}", ["a", "b"])
    body = BodyTemplate({"m": "x", "messages": [{"content": hole}, {"content": [other]}], "n": 1})
    rows = list(body.render({"a": ["1", "2"], "b": ["3", "4"]}, 2))
    assert [json.loads(row) for row in rows] == [
        {"m": "x", "messages": [{"content": "<1>"}, {"content": ["31"]}], "n": 1},
        {"m": "x", "messages": [{"content": "<2>"}, {"content": ["42"]}], "n": 1},
    ]
    assert body.columns == ["a", "b"]


def test_a_body_without_holes_is_made_for_every_row() -> None:
    """A prompt that names no column still asks once a row (and is then deduplicated)."""
    assert list(BodyTemplate({"a": 1}).render({}, 3)) == [b'{"a":1}'] * 3


@given(ANY_TEXT)
def test_any_text_becomes_valid_json_without_control_characters(text: str) -> None:
    """NUL, U+2028, U+0085, lone surrogates: none may break a line of the file or a row of the COPY."""
    body = BodyTemplate({"t": parse("{a}", ["a"])})
    (row,) = body.render({"a": [text]}, 1)
    assert json.loads(row) == {"t": text}
    assert min(row) >= 32


@given(st.dictionaries(ANY_TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | ANY_TEXT))
def test_any_parameters_are_encoded_as_json_encodes_them(params: dict[str, object]) -> None:
    """The skeleton around the holes must be what the user passed."""
    assert json.loads(next(BodyTemplate(params).render({}, 1))) == params


def test_a_value_json_cannot_express_is_named() -> None:
    """Better an error with the parameter's name than a TypeError from a codec."""
    with pytest.raises(ParameterError, match=r"extra\.x"):
        BodyTemplate({"extra": {"x": object()}})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("0.5"), b"x", {"a", "b"}, object()])
def test_a_value_that_would_change_its_meaning_is_refused(value: object) -> None:
    """NaN would go out as null, a set in another order after each restart, which is another request."""
    with pytest.raises(ParameterError, match=r"^p: .* has no JSON form"):
        BodyTemplate({"p": value})


def test_lone_surrogates_are_escaped() -> None:
    """UTF-8 has no form for them; the escape is what JSON offers."""
    assert encode_json("a\ud800") == rb'"a\ud800"'
