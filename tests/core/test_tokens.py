"""Input tokens, counted or estimated, and how far the estimate is believed."""

import json
import re
from random import Random

from batchframe.core import tokens
from batchframe.core.budget import Seen
from batchframe.model import CHAT


def body(text: str) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()


def words(texts: list[str]) -> list[int]:
    """A tokenizer with a token a word."""
    return [len(text.split()) for text in texts]


def test_few_requests_are_counted_exactly() -> None:
    """What can be known is not guessed."""
    count = tokens.count([body("one two three"), body("four")], CHAT, "words", words, Random(0))
    assert (count.tokens, count.exact, count.note) == (3 + 7 + 1 + 7, True, "exact, counted with words")


def test_of_many_requests_a_sample_is_counted_and_its_error_told() -> None:
    """Counting a gigabyte takes minutes; the error stated must hold."""
    random = Random(1)
    bodies = [body("word " * random.randrange(100, 1000)) for _ in range(5_000)]
    true = sum(words([json.loads(one)["messages"][0]["content"] for one in bodies])) + 7 * len(bodies)
    within = 0
    for seed in range(40):
        count = tokens.count(bodies, CHAT, "words", words, Random(seed))
        assert not count.exact
        said = re.fullmatch(r"estimate, ±(\S+) %: ([\d,]+) of 5,000 requests counted with words", count.note)
        assert said, count.note
        assert 50 <= int(said[2].replace(",", "")) < 5_000
        within += abs(count.tokens / true - 1) <= 1.3 * float(said[1]) / 100  # rounded to one digit
    assert within >= 34, "two standard errors hold 19 times in 20"


def test_a_few_giants_are_a_sample_of_their_own() -> None:
    """Ten requests of a megabyte must not be one of which the error is told."""
    count = tokens.count([body("w " * 500_000)] * 10, CHAT, "words", words, Random(0))
    assert count.tokens == 10 * 500_007


def test_a_schema_is_counted_but_not_called_exact() -> None:
    """The provider shows it to the model in a form of its own."""
    said = json.dumps({"messages": [], "response_format": {"a": "b"}}).encode()
    count = tokens.count([said], CHAT, "words", words, Random(0))
    assert not count.exact
    assert "not published" in count.note
    assert count.tokens > 3


def test_an_estimate_is_corrected_by_bills_both_ways() -> None:
    """Bills of the same prompt know more than any rule."""
    bodies = [b"x" * 400] * 10
    assert tokens.guess(bodies, Seen(), same_prompt=False).tokens == 1_000
    low = tokens.guess(bodies, Seen(1_234, 100, 50, 1), same_prompt=True)
    assert (low.tokens, low.note) == (500, "estimate, calibrated on 1,234 billed requests of this prompt")
    assert tokens.guess(bodies, Seen(2, 100, 150, 1), same_prompt=False).tokens == 1_500
