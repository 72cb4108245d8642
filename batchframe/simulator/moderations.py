"""Moderations: nothing is ever flagged, and the scores come from a hash, so the same input always has the same."""

from __future__ import annotations

import hashlib
from typing import Any

from batchframe.wire import jsontext

_CATEGORIES = (
    "hate",
    "hate/threatening",
    "harassment",
    "harassment/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def moderate(body: dict[str, Any], model: str, new_id: str) -> dict[str, Any]:
    """The answer to one moderations request: a result for each text, one for a list of parts."""
    given = body.get("input")
    texts = given if isinstance(given, list) and all(isinstance(each, str) for each in given) else [given]
    return {"id": new_id, "model": model, "results": [_result(each) for each in texts]}


def _result(given: Any) -> dict[str, Any]:
    noise = hashlib.sha256(jsontext.canonical(given)).digest()
    return {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": {name: byte / 25_600 for name, byte in zip(_CATEGORIES, noise, strict=False)},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
