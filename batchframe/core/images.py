"""Images as the endpoints want them: what counts as one, how bytes become a data URL, what a part of a message is.

The limits are OpenAI's. Its published schema gives the `image_url` of a part at most 20,971,520 characters, which
leaves 15.7 MB of image; its guide allows PNG, JPEG, WEBP and GIF that is not animated, and 500 images a request.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Literal

from batchframe.core.body import encode_json
from batchframe.model import CHAT

Detail = Literal["auto", "low", "high", "original"]

DETAILS = ("auto", "low", "high", "original")

LARGEST_URL = 20_971_520
"""Characters of an image's URL, a data URL included."""

LARGEST_IMAGE = (LARGEST_URL - len("data:image/jpeg;base64,")) // 4 * 3
"""Bytes of an image that is sent as a data URL."""

MOST_IMAGES = 500
"""Images of one request."""

TOKENS = {"low": 100}
TOKENS_ELSE = 1_600
"""Estimated tokens of an image, for the enqueued-token limit and budgets: what a model charges depends on the size in
pixels and on the model, from 85 to some thousands; it is never what the text of the data URL would be."""

_SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}

_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


class NotAnImageError(ValueError):
    """What an endpoint would not take for an image; the message says why, as the end of a sentence."""


def data_url(image: bytes) -> str:
    """The data URL of an image; its type is told by its first bytes, whatever a file is called.

    Raises:
        NotAnImageError: neither PNG, JPEG, WEBP nor GIF, an animated GIF, or too large.
    """
    if len(image) > LARGEST_IMAGE:
        raise NotAnImageError(f"has {len(image):,} bytes, and an image may have {LARGEST_IMAGE:,}: make it smaller")
    kind = next((kind for kind, signature in _SIGNATURES.items() if signature.match(image)), None)
    if kind is None:
        raise NotAnImageError("is not a PNG, JPEG, WEBP or GIF: convert it")
    if kind == "image/gif" and _n_frames(image) > 1:
        raise NotAnImageError("is an animated GIF, which is not taken: choose one frame of it")
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def checked_url(url: str) -> str:
    """A URL an endpoint can take: of the web as it is, a data URL as `data_url` writes it.

    Raises:
        NotAnImageError: another scheme, no host, too long, or a data URL that holds no image.
    """
    if url[:5].lower() == "data:":
        head = _DATA_URL.match(url)
        if head is None:
            raise NotAnImageError("is a data URL that is not base64: write data:image/png;base64,…")
        try:
            return data_url(base64.b64decode(url[head.end() :], validate=True))
        except binascii.Error as error:
            raise NotAnImageError(f"is a data URL whose base64 is broken: {error}") from None
    if not re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        raise NotAnImageError("is a URL no provider can open: pass http:// or https://, or the path of a file")
    if len(url) > LARGEST_URL:
        raise NotAnImageError(f"is a URL of {len(url):,} characters, and {LARGEST_URL:,} are allowed")
    return url


def image_part(endpoint: str, url: str, detail: str) -> bytes:
    """The part of a message's content that holds an image, as JSON."""
    if endpoint == CHAT:
        return encode_json({"type": "image_url", "image_url": {"url": url, "detail": detail}})
    return encode_json({"type": "input_image", "image_url": url, "detail": detail})


def _n_frames(gif: bytes) -> int:
    """How many images a GIF holds, as far as it can be read."""
    frames, at = 0, 13
    try:
        at += _color_table(gif[10])
        while gif[at] != 0x3B:  # the trailer
            if gif[at] == 0x2C:
                frames += 1
                at += 11 + _color_table(gif[at + 9])  # the descriptor, and the code size of what follows
            else:
                at += 2  # an extension and its label
            while gif[at]:
                at += gif[at] + 1
            at += 1
    except IndexError:  # cut off: whoever opens it will say so
        pass
    return frames


def _color_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
