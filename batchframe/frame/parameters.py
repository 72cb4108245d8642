"""The arguments of a call, checked against what the endpoint knows before anything else happens."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from batchframe.errors import ParameterError
from batchframe.model import CHAT, EMBEDDINGS, RESPONSES

_ENDPOINTS = {"chat": CHAT, "responses": RESPONSES, "embeddings": EMBEDDINGS}

_NOT_IN_A_BATCH = {
    "stream": "A batch cannot stream: leave stream= out.",
    "stream_options": "A batch cannot stream: leave stream_options= out.",
    "background": "A batch runs in the background by itself: leave background= out.",
    "background_options": "A batch runs in the background by itself: leave background_options= out.",
    "n": "Ask for several answers a row with samples=, which keeps each as a request of its own.",
    "messages": "Pass the messages as the template.",
    "input": "Pass the input as the template.",
    "instructions": "Pass the instructions as system=.",
}


def endpoint_path(endpoint: str) -> str:
    """The path of an endpoint given by its short name or its path.

    Raises:
        ParameterError: batches of it are not supported here.
    """
    path = _ENDPOINTS.get(endpoint, endpoint)
    if path not in _ENDPOINTS.values():
        known = ", ".join(f"{name!r}" for name in _ENDPOINTS)
        raise ParameterError(f"endpoint={endpoint!r} is not one batchframe can ask. Choose from {known}.")
    return path


def body_parameters(endpoint: str, params: Mapping[str, Any], *, has_schema: bool) -> dict[str, Any]:
    """The body parameters of a call; `extra_body` is merged in unchecked, as the SDK does it.

    Raises:
        ParameterError: one the endpoint does not know, or one that makes no sense in a batch.
    """
    from batchframe.providers.openai import parameters  # imports the SDK, which takes 0.6 s

    extra = params.get("extra_body") or {}
    if not isinstance(extra, Mapping):
        raise ParameterError("extra_body= takes a dictionary of body parameters.")
    given = {name: value for name, value in params.items() if name != "extra_body"}
    known = parameters(endpoint)
    for name in [*given, *extra]:
        if name in _NOT_IN_A_BATCH:
            raise ParameterError(_NOT_IN_A_BATCH[name])
        if name == "response_format" and has_schema:
            raise ParameterError("schema= sets the response format: pass one of schema= and response_format=.")
        if name == "encoding_format":
            raise ParameterError("Embeddings come back as a column of vectors: leave encoding_format= out.")
        if name in given and name not in known:
            raise ParameterError(_unknown(name, endpoint, known))
    text = given.get("text")
    if has_schema and isinstance(text, Mapping) and "format" in text:
        raise ParameterError("schema= sets the text format: leave format out of text=.")
    return {**given, **extra}


def _unknown(name: str, endpoint: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{endpoint} knows no parameter {name!r}.{hint} One that only your server knows goes into extra_body={{…}}."
