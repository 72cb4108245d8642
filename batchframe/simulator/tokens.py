"""The simulator's idea of a token: four bytes of UTF-8. An estimate for bills and quotas, not a tokenizer."""

from __future__ import annotations

from typing import Any

from batchframe.simulator.responders import text_of

_BYTES_PER_TOKEN = 4


def count_tokens(text: str) -> int:
    """Tokens of a text, rounded up."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return tokens_of_bytes(size)


def tokens_of_bytes(size: int) -> int:
    """Tokens of a text of so many bytes."""
    return -(-size // _BYTES_PER_TOKEN)


def prompt_tokens(body: dict[str, Any]) -> int:
    """Tokens of everything a chat or responses request says: instructions and the text of every message."""
    turns = body.get("messages", body.get("input"))
    if isinstance(turns, str):
        total = count_tokens(turns)
    else:
        total = sum(count_tokens(text_of(turn.get("content"))) for turn in turns or () if isinstance(turn, dict))
    instructions = body.get("instructions")
    return total + count_tokens(instructions) if isinstance(instructions, str) else total
