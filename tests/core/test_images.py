"""What counts as an image, and how it is written for an endpoint."""

import base64
import json

import pytest

from batchframe.core.images import LARGEST_IMAGE, LARGEST_URL, NotAnImageError, checked_url, data_url, image_part
from batchframe.model import CHAT, RESPONSES

FRAME = b"\x2c" + bytes(8) + b"\x00\x02\x02\x4c\x01\x00"
STILL = b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + b"\x21\xf9\x04\x00\x00\x00\x00\x00" + FRAME + b"\x3b"
ANIMATED = STILL[:-1] + FRAME + b"\x3b"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    ("image", "kind"),
    [(PNG, "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (STILL, "gif"), (b"RIFF\n\n\n\nWEBPVP8 ", "webp")],
)
def test_the_type_is_told_by_the_first_bytes(image: bytes, kind: str) -> None:
    """A file's name may lie, and bytes have none."""
    assert data_url(image) == f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


@pytest.mark.parametrize("image", [b"", b"BM1234", b"<svg/>", b"%PDF-1.7", b"II*\x00", b"root:x:0:0"])
def test_anything_else_is_refused(image: bytes) -> None:
    """The provider would refuse it a day later; and a file that is no image must not leave the machine."""
    with pytest.raises(NotAnImageError, match="is not a PNG"):
        data_url(image)


def test_an_animated_gif_is_refused() -> None:
    """OpenAI takes those that are not animated; one that is cut off is left to the provider."""
    with pytest.raises(NotAnImageError, match="animated"):
        data_url(ANIMATED)
    assert data_url(ANIMATED[:30])


def test_the_largest_image_fits_and_one_byte_more_does_not() -> None:
    """The limit is of the URL, in characters."""
    assert len(data_url(b"\xff\xd8\xff" + bytes(LARGEST_IMAGE - 3))) <= LARGEST_URL
    with pytest.raises(NotAnImageError, match="make it smaller"):
        data_url(b"\xff\xd8\xff" + bytes(LARGEST_IMAGE - 2))


def test_urls_of_the_web_stay_as_they_are() -> None:
    """The provider fetches them."""
    assert checked_url("HTTPS://host/a b.png?x=1") == "HTTPS://host/a b.png?x=1"


def test_a_data_url_is_held_to_what_it_holds() -> None:
    """Its label is written anew: image/jpg is a common mistake."""
    written = base64.b64encode(PNG).decode()
    assert checked_url(f"data:image/jpg;base64,{written}") == data_url(PNG)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "file:///etc/passwd", "https://", "data:text/plain,hi", "data:;base64,!", "data:;base64,aGk="],
)
def test_other_urls_are_refused(url: str) -> None:
    """Nobody could open them."""
    with pytest.raises(NotAnImageError):
        checked_url(url)


def test_each_endpoint_has_its_own_part() -> None:
    """As OpenAI's schema has them."""
    assert json.loads(image_part(CHAT, "u", "low")) == {"type": "image_url", "image_url": {"url": "u", "detail": "low"}}
    assert json.loads(image_part(RESPONSES, "u", "auto")) == {
        "type": "input_image",
        "image_url": "u",
        "detail": "auto",
    }
