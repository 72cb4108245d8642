"""Embeddings from a hash: what a client may rely on in shape, length and encoding."""

from __future__ import annotations

import base64
import math
from array import array
from typing import Any

import pytest

MODEL = "text-embedding-3-small"


@pytest.mark.parametrize(
    ("model", "dimensions", "length"), [(MODEL, None, 1536), ("text-embedding-3-large", None, 3072), (MODEL, 256, 256)]
)
def test_vectors_have_the_models_or_the_asked_length(client: Any, model: str, dimensions: Any, length: int) -> None:
    """A vector column has a fixed width."""
    more = {} if dimensions is None else {"dimensions": dimensions}
    (embedding,) = client.embeddings.create(model=model, input="words", **more).data
    assert len(embedding.embedding) == length
    assert math.hypot(*embedding.embedding) == pytest.approx(1.0)


def test_both_encodings_say_the_same(client: Any) -> None:
    """The SDK asks for base64 behind the user's back."""
    plain = client.embeddings.create(model=MODEL, input="words", encoding_format="float", dimensions=64)
    coded = client.embeddings.create(model=MODEL, input="words", encoding_format="base64", dimensions=64)
    unasked = client.embeddings.create(model=MODEL, input="words", dimensions=64)
    assert isinstance(coded.data[0].embedding, str)
    decoded = array("f", base64.b64decode(coded.data[0].embedding)).tolist()
    assert plain.data[0].embedding == decoded == list(unasked.data[0].embedding)


def test_the_same_input_has_the_same_vector_and_another_another(client: Any) -> None:
    """Joining by content, and every test that tells rows apart by their vectors, depends on it."""
    given = ["a", "b", "a", ""]
    vectors = [tuple(e.embedding) for e in client.embeddings.create(model=MODEL, input=given, dimensions=8).data]
    assert vectors[0] == vectors[2]
    assert len(set(vectors)) == 3


@pytest.mark.parametrize(
    ("given", "vectors", "tokens"),
    [("eightbyt", 1, 2), (["a", "b"], 2, 2), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), (["é" * 4], 1, 2)],
)
def test_every_form_of_input_is_counted(client: Any, given: Any, vectors: int, tokens: int) -> None:
    """One vector for each input, whether text or token numbers; tokens are bytes by four."""
    answer = client.embeddings.create(model=MODEL, input=given, dimensions=2)
    assert (len(answer.data), answer.usage.prompt_tokens, answer.usage.total_tokens) == (vectors, tokens, tokens)


def test_embeddings_run_in_batches(sim: Any, customer: Any) -> None:
    """The third endpoint takes the same road."""
    lines = [
        {
            "custom_id": f"e{at}",
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": MODEL, "input": f"text {at}", "dimensions": 4},
        }
        for at in range(5)
    ]
    batch = customer.run(lines, "/v1/embeddings")
    bodies = [line["response"]["body"] for line in customer.lines_of(batch.output_file_id)]
    assert [len(body["data"][0]["embedding"]) for body in bodies] == [4] * 5
    assert batch.usage.output_tokens == 0
    assert batch.usage.input_tokens == sim.ledger.tokens == 10
