"""A simulator and an SDK client for each test, and the few lines every batch test needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types import Batch

from batchframe.simulator import Simulator
from tests import published

CHAT = "/v1/chat/completions"


class Customer:
    """Somebody who uses the simulator through the SDK, without the SDK's own retries."""

    def __init__(self, sim: Simulator, client: openai.OpenAI) -> None:
        self.sim = sim
        self.client = client

    def upload(self, lines: bytes | list[Any], name: str = "input.jsonl") -> str:
        """Upload lines (text as it is, or values to be written as JSON) and return the file's id."""
        if not isinstance(lines, bytes):
            lines = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()
        return self.client.files.create(file=(name, lines), purpose="batch").id

    def create(self, lines: bytes | list[Any], endpoint: str = CHAT, **more: Any) -> Batch:
        """Upload lines and create their batch."""
        file_id = self.upload(lines)
        return self.client.batches.create(
            input_file_id=file_id,
            endpoint=endpoint,
            completion_window="24h",
            **more,  # type: ignore[arg-type]
        )

    def wait(self, batch: Batch) -> Batch:
        """Wait until a batch has ended and look at it."""
        self.sim.wait_for(lambda sim: all(known.ended for known in sim.batches if known.id == batch.id))
        return self.client.batches.retrieve(batch.id)

    def run(self, lines: bytes | list[Any], endpoint: str = CHAT, **more: Any) -> Batch:
        """Create a batch and wait until it has ended."""
        return self.wait(self.create(lines, endpoint, **more))

    def lines_of(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of an output or error file; none if there is no file."""
        if not file_id:
            return []
        return [json.loads(line) for line in self.client.files.content(file_id).read().splitlines()]


def chat_line(custom_id: str, prompt: str = "Hello", model: str = "gpt-5-mini", **more: Any) -> dict[str, Any]:
    """A line of an input file."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


@pytest.fixture(name="chat_line")
def chat_line_fixture() -> Callable[..., dict[str, Any]]:
    return chat_line


@pytest.fixture
def chat_lines() -> Callable[..., list[dict[str, Any]]]:
    """So many lines: custom ids `r0`, `r1` … with the prompts `prompt 0`, `prompt 1` …"""
    return lambda count, **more: [chat_line(f"r{at}", f"prompt {at}", **more) for at in range(count)]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """uvicorn says in its log, and nowhere else, when the app behind it has broken the rules."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.name.startswith("uvicorn")] == []


@pytest.fixture
def client(sim: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=20) as opened:
        yield opened


@pytest.fixture
def customer(sim: Simulator, client: openai.OpenAI) -> Customer:
    return Customer(sim, client)


@pytest.fixture
def customer_of() -> Iterator[Callable[[Simulator], Customer]]:
    """For tests that start a simulator of their own."""
    opened: list[openai.OpenAI] = []

    def make(sim: Simulator) -> Customer:
        opened.append(openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=20))
        return Customer(sim, opened[-1])

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def assert_published() -> Callable[[str, Any], None]:
    """Assert that a value is what OpenAI's published schema of that name says."""
    return published.check
