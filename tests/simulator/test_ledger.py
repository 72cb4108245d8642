"""The ledger: exactly what was answered, told apart by content and by batch."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from batchframe.simulator import request_digest

CHAT = "/v1/chat/completions"


def test_every_answer_is_billed_once_with_its_batch(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """The judge of "paid for once" knows the road of each request."""
    batch = customer.run(chat_lines(3), metadata={"batchframe": "uid"})
    client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "now"}])
    ledger = sim.ledger
    assert ledger.requests == 4
    assert sorted((entry.batch_id, entry.custom_id) for entry in list(ledger.entries())[:3]) == [
        (batch.id, f"r{at}") for at in range(3)
    ]
    last = list(ledger.entries())[3]
    assert (last.batch_id, last.custom_id) == (None, None)
    assert [(made.id, made.metadata) for made in ledger.batches] == [(batch.id, {"batchframe": "uid"})]
    assert ledger.by_custom_id == {"r0": 1, "r1": 1, "r2": 1}


def test_a_request_is_its_endpoint_and_its_body(sim: Any, customer: Any, client: Any, chat_line: Any) -> None:
    """The same request under another custom id, or in real time, is the same; another temperature is another."""
    body = chat_line("a")["body"]
    customer.run([chat_line("a"), chat_line("b"), chat_line("c", temperature=0.5)])
    client.chat.completions.create(messages=body["messages"], model=body["model"])
    digest = request_digest(CHAT, body)
    assert sim.ledger.billed() == {digest: 3, request_digest(CHAT, body | {"temperature": 0.5}): 1}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256((CHAT + canonical).encode()).hexdigest()


def test_tokens_are_the_bytes_of_the_texts_by_four(sim: Any, customer: Any, client: Any, chat_line: Any) -> None:
    """The documented estimate: all messages of the prompt, instructions, and the answer; each text rounded up."""
    line = chat_line("a", "x" * 40)
    line["body"]["messages"].insert(0, {"role": "system", "content": "y" * 9})
    batch = customer.run([line])
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (13, 10, 23)
    ledger = sim.ledger
    assert (ledger.input_tokens, ledger.output_tokens, ledger.tokens) == (13, 10, 23)
    (entry,) = ledger.entries()
    assert (entry.input_tokens, entry.output_tokens) == (13, 10)
    client.responses.create(model="gpt-5-mini", input="é" * 4, instructions="z" * 8)
    assert (ledger.input_tokens, ledger.output_tokens) == (13 + 4, 10 + 2)


def test_calls_are_counted_by_operation(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """Tests assert how often an engine polls, and that a finished job polls no more."""
    batch = customer.run(chat_lines(1))
    client.files.content(batch.output_file_id)
    client.batches.list()
    assert sim.ledger.calls == {
        "files.create": 1,
        "batches.create": 1,
        "batches.retrieve": 1,
        "files.content": 1,
        "batches.list": 1,
    }


def test_strange_custom_ids_are_kept(sim: Any, customer: Any, chat_line: Any) -> None:
    """Ids are kept end to end in one buffer; none may run into its neighbour."""
    ids = ["", "é", "\ud800", "a" * 1_000, "b"]
    customer.run([chat_line(each) for each in ids])
    assert sim.ledger.by_custom_id == dict.fromkeys(ids, 1)
