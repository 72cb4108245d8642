"""Prompts: what a request body says, for a person to read and for a tokenizer to count."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from batchframe.core.answers import decode_json
from batchframe.model import EMBEDDINGS

_decoder = msgspec.json.Decoder(dict[str, Any])

_PER_TURN = 4
_PER_REQUEST = 3
"""Tokens around the texts: three and the role for each message, three that open the answer (OpenAI cookbook, "How to
count tokens with tiktoken")."""

_BESIDE = ("tools", "functions", "response_format", "text", "prompt")
"""Parameters the model is shown, in a form that is not published."""


@dataclass(frozen=True, slots=True)
class Countable:
    """What a tokenizer has to count of a body.

    Attributes:
        texts: what is said, each to be counted by itself.
        framing: tokens around the texts.
        whole: whether that is all; a schema, a tool or an image is counted by other rules, which are not published.
    """

    texts: list[str]
    framing: int
    whole: bool


def readable(body: bytes) -> str:
    """A body's prompt as text: the one text alone, or each turn after its role; what is no text as `[its kind]`."""
    turns = [
        (role, "\n".join(f"[{kind}]" if text is None else text for kind, text in parts))
        for role, parts in _turns(_decode(body))
    ]
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in turns)


def countable(body: bytes, endpoint: str) -> Countable:
    """What there is to count in a body."""
    decoded = _decode(body)
    turns = _turns(decoded)
    texts = [text for _, parts in turns for _, text in parts if text is not None]
    whole = all(text is not None for _, parts in turns for _, text in parts)
    if endpoint == EMBEDDINGS:
        return Countable(texts, 0, whole)
    beside = [json.dumps(decoded[name]) for name in _BESIDE if name in decoded]
    return Countable(texts + beside, _PER_TURN * len(turns) + _PER_REQUEST, whole and not beside)


def _decode(body: bytes) -> dict[str, Any]:
    return decode_json(body, _decoder)


def _turns(body: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Each turn's role and parts; a part is its kind and, if it is one, its text."""
    said = body.get("messages", body.get("input", body.get("prompt", "")))
    turns = said if isinstance(said, list) else [{"role": "user", "content": said}]
    if isinstance(instructions := body.get("instructions"), str):
        turns = [{"role": "system", "content": instructions}, *turns]
    return [(str(turn.get("role", "user")), list(_parts(turn))) for turn in turns if isinstance(turn, Mapping)]


def _parts(turn: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    content = turn.get("content")
    if isinstance(content, str):
        yield "text", content
    else:
        for part in content if isinstance(content, list) else ():
            text = part.get("text") if isinstance(part, Mapping) else part
            kind = part.get("type", "part") if isinstance(part, Mapping) else "text"
            yield str(kind), text if isinstance(text, str) else None
    for name in turn:
        if name not in ("role", "content", "type"):
            yield name, None
