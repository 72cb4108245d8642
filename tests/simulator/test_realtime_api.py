"""Answers in real time: the same answers as in a batch, and errors as the API gives them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from batchframe.simulator import Simulator

TURNS = [{"role": "user", "content": "Hello there, you"}]


def test_real_time_and_batch_give_the_same_answer(customer: Any, client: Any, chat_line: Any) -> None:
    """A sample of twenty rows in real time must be worth as much as the same rows in the big run."""
    batch = customer.run([chat_line("a", "Hello")])
    (line,) = customer.lines_of(batch.output_file_id)
    now = client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "Hello"}])
    then = line["response"]["body"]
    assert now.choices[0].model_dump(exclude_unset=True) == then["choices"][0]
    assert now.usage.model_dump(exclude_unset=True) == then["usage"]


def test_a_chat_can_be_streamed(client: Any, assert_published: Any) -> None:
    """Chunks put together are the answer; the last one brings the usage if it was asked for."""
    stream = client.chat.completions.create(
        model="gpt-5-mini", messages=TURNS, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    for chunk in chunks:
        assert_published("CreateChatCompletionStreamResponse", chunk.model_dump(exclude_unset=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TURNS[0]["content"]
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 8
    assert len(chunks) > 4


def test_a_missing_parameter_is_refused(client: Any) -> None:
    """As 400, with the name of the parameter."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-5-mini", messages=None)
    assert refused.value.param == "messages"
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="text-embedding-3-small", input=None)
    assert refused.value.param == "input"


def test_an_unknown_model_is_not_found(sim: Any, client: Any) -> None:
    """Where the models are given; by default any name will do."""
    assert client.chat.completions.create(model="my-own", messages=TURNS).model == "my-own"
    sim.settings.models = frozenset({"gpt-5-mini"})
    for call in (
        lambda: client.chat.completions.create(model="my-own", messages=TURNS),
        lambda: client.models.retrieve("my-own"),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            call()
        assert refused.value.code == "model_not_found"
    assert [model.id for model in client.models.list()] == ["gpt-5-mini"]


def test_a_body_that_is_not_json_is_refused(client: Any) -> None:
    """A broken proxy in between reads as a 400 and not as a defect of the server."""
    with pytest.raises(openai.BadRequestError, match="could not parse"):
        client.post("/chat/completions", cast_to=object, content=b"{broken", options={"headers": {}})


def test_slow_responders_do_not_wait_for_each_other(customer_of: Any) -> None:
    """All of them are in the responder at once, or the barrier breaks."""
    barrier = threading.Barrier(8, timeout=5)

    def respond(request: Any) -> str:
        barrier.wait()
        return "met"

    with Simulator(responder=respond) as sim, ThreadPoolExecutor(8) as pool:
        client = customer_of(sim).client
        calls = [pool.submit(client.chat.completions.create, model="m", messages=TURNS) for _ in range(8)]
        assert {call.result().choices[0].message.content for call in calls} == {"met"}
        assert client.batches.list().data == []
