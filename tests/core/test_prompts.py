"""What a request body says, to people and to tokenizers."""

import json
from typing import Any

import pytest

from batchframe.core.prompts import countable, readable
from batchframe.model import CHAT, EMBEDDINGS, RESPONSES

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {}}]},
]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": [{"role": "user", "content": "Hello"}]}, "Hello"),
        ({"messages": TURNS}, "system: Be brief.\n\nuser: What is this?\n[image_url]"),
        ({"input": "Hello"}, "Hello"),
        ({"input": "Hello", "instructions": "Be brief."}, "system: Be brief.\n\nuser: Hello"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]}, "Hi"),
        ({"messages": [{"role": "user", "content": ""}]}, ""),
        ({"messages": [{"role": "user", "content": "lone \ud800"}]}, "lone \ufffd"),
    ],
)
def test_a_prompt_is_shown_as_it_will_be_read(fields: dict[str, Any], said: str) -> None:
    """A user judges a template by what comes out of it, not by JSON."""
    assert readable(body(**fields)) == said


def test_everything_said_is_counted_with_the_tokens_around_it() -> None:
    """A system prompt that is left out is half of many bills."""
    chat = countable(body(messages=[{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]), CHAT)
    assert (chat.texts, chat.framing, chat.whole) == (["a", "b"], 4 + 4 + 3, True)
    responses = countable(body(instructions="a", input="b"), RESPONSES)
    assert (responses.texts, responses.framing, responses.whole) == (["a", "b"], 4 + 4 + 3, True)
    embedding = countable(body(input="b"), EMBEDDINGS)
    assert (embedding.texts, embedding.framing, embedding.whole) == (["b"], 0, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": TURNS},
        {"messages": [{"role": "user", "content": "a"}], "response_format": {"type": "json_schema"}},
        {"messages": [{"role": "user", "content": "a"}], "tools": []},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
    ],
)
def test_what_is_billed_by_unpublished_rules_is_not_called_exact(fields: dict[str, Any]) -> None:
    """An exact number that is wrong is worse than an estimate."""
    assert not countable(body(**fields), CHAT).whole
