"""The simulator's idea of a token: four bytes of UTF-8. An estimate for bills and quotas, not a tokenizer."""

from __future__ import annotations

from typing import Any

from batchframe.simulator.responders import prompt_of, text_of

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
    turns = prompt_of(body)
    if isinstance(turns, str):
        total = count_tokens(turns)
    else:
        texts = (
            turn if isinstance(turn, str) else _content(turn) for turn in (turns if isinstance(turns, list) else ())
        )
        total = sum(map(count_tokens, texts))
    instructions = body.get("instructions")
    return total + count_tokens(instructions) if isinstance(instructions, str) else total


def _content(turn: Any) -> str:
    return text_of(turn.get("content")) if isinstance(turn, dict) else ""
