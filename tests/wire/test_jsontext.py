"""Texts that msgspec refuses and clients send anyway."""

from __future__ import annotations

import json

import pytest

from batchframe.wire import jsontext


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": "a"}, ["a\u2028b", "\u0000", "😀"], {"é": 1.5}])
def test_what_is_written_is_read_back(value: object) -> None:
    """A prompt with half an emoji would otherwise break the whole file it is in."""
    assert jsontext.decode(jsontext.encode(value)) == value
    assert json.loads(jsontext.encode(value)) == value
    assert json.loads(jsontext.canonical(value)) == value


@pytest.mark.parametrize(
    "text", [b'{"a":', b"\xef\xbb\xbf{}", b'"\xff"', b'"\xed\xa0\x80"', b"NaN", b"[-Infinity]", b"", b'{"a":1}{"b":2}']
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """The standard library is more lenient than JSON; a provider is not."""
    with pytest.raises(ValueError):
        jsontext.decode(text)


def test_the_canonical_form_does_not_depend_on_the_order_or_the_spelling() -> None:
    """The digest of a request must be the same however its client wrote it."""
    one = jsontext.decode(b'{"b": 1, "a": {"d": "\\u00e9", "c": "\\ud800"}}')
    other = jsontext.decode('{"a":{"c":"\\ud800","d":"é"},"b":1}'.encode())
    assert jsontext.canonical(one) == jsontext.canonical(other)
