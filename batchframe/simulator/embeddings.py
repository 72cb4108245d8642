"""Embeddings from a hash: the same input always gives the same unit vector, and different inputs different ones.

The numbers mean nothing, so nearness means nothing; shapes, dimensions and encodings are what the endpoint promises.
"""

from __future__ import annotations

import base64
import hashlib
import math
import sys
from array import array
from typing import Any

from batchframe.simulator.shapes import Embedding, EmbeddingList, EmbeddingUsage
from batchframe.simulator.tokens import count_tokens
from batchframe.wire import jsontext

_DIMENSIONS = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS = 1536


def inputs_of(given: Any) -> list[Any]:
    """The inputs of one request: a text, a list of token numbers, or a list of either."""
    if isinstance(given, list) and not (given and isinstance(given[0], int)):
        return given
    return [given]


def embed(body: dict[str, Any], model: str) -> EmbeddingList:
    """The answer to one embeddings request."""
    asked = body.get("dimensions")
    dimensions = asked if isinstance(asked, int) and asked > 0 else _DIMENSIONS.get(model, _DEFAULT_DIMENSIONS)
    as_text = body.get("encoding_format") == "base64"
    inputs = inputs_of(body.get("input"))
    tokens = sum(_tokens(given) for given in inputs)
    return EmbeddingList(
        model=model,
        data=[Embedding(at, _encoded(_vector(given, dimensions), as_text)) for at, given in enumerate(inputs)],
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _vector(given: Any, dimensions: int) -> array[float]:
    """A unit vector in single precision, as the service itself sends."""
    noise = array("h", hashlib.shake_256(jsontext.canonical(given)).digest(2 * dimensions))
    length = math.hypot(*noise) or 1.0
    return array("f", [number / length for number in noise])


def _encoded(vector: array[float], as_text: bool) -> list[float] | str:
    if not as_text:
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()
    return base64.b64encode(vector).decode()


def _tokens(given: Any) -> int:
    return len(given) if isinstance(given, list) else count_tokens(str(given))
