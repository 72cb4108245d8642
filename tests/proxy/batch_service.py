"""A proxy with two keys, and a customer of its files and batches."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import openai
from openai.types import Batch

from batchframe.config import load_settings
from batchframe.proxy import keymaking
from batchframe.store import keys
from batchframe.store.database import Database
from tests.conftest import FAST
from tests.proxy.conftest import Running

CHAT = "/v1/chat/completions"


def chat_line(custom_id: str, prompt: str = "Hello", **more: Any) -> dict[str, Any]:
    """A line of an input file."""
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": prompt}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: Iterable[Any]) -> bytes:
    """Lines, each as JSON, or the text it is."""
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()


class Service:
    """A proxy that knows two keys, while the `with` block runs."""

    def __init__(self, database_url: str, base_url: str, home: Path, **settings: Any) -> None:
        account = {"database_url": database_url, "openai_base_url": base_url, "home": home, "api_key": "key-1"}
        self.settings = load_settings(**{**FAST, **account, **settings})
        self._given = {**FAST, **account, **settings}
        self._running: Running

    @property
    def base_url(self) -> str:
        return f"{self._running.url}/v1"

    @property
    def database(self) -> Database:
        return self._running.proxy.database

    def client(self, key: str = "key-1") -> openai.OpenAI:
        """An SDK client without retries of its own."""
        return openai.OpenAI(base_url=self.base_url, api_key=key, max_retries=0, timeout=30)

    def __enter__(self) -> Self:
        self._running = Running(dict(self._given))
        with self.database.transaction() as connection:
            keys.ensure(connection, "two", keymaking.digest("key-2"), "…")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.stop()


class Customer:
    """Somebody who uses the service through the SDK."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = client

    def upload(self, lines: bytes | Iterable[Any], name: str = "input.jsonl") -> str:
        """Upload lines and return the file's id."""
        content = lines if isinstance(lines, bytes) else jsonl(lines)
        return self.client.files.create(file=(name, content), purpose="batch").id

    def create(self, lines: bytes | Iterable[Any], endpoint: str = CHAT, **more: Any) -> Batch:
        """Upload lines and create their batch."""
        return self.client.batches.create(
            input_file_id=self.upload(lines),
            endpoint=endpoint,  # type: ignore[arg-type]
            completion_window="24h",
            **more,
        )

    def until(self, batch: Batch, *statuses: str, condition: Callable[[Batch], object] = lambda _: True) -> Batch:
        """Look at a batch until it has one of these statuses; by default until it has come to its end."""
        ends = statuses or ("completed", "failed", "cancelled")
        until = time.monotonic() + 30
        while (found := self.client.batches.retrieve(batch.id)).status not in ends or not condition(found):
            assert time.monotonic() < until, found
        return found

    def run(self, lines: bytes | Iterable[Any], endpoint: str = CHAT, **more: Any) -> Batch:
        """Create a batch and wait for its end."""
        return self.until(self.create(lines, endpoint, **more))

    def lines_of(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of a result file; none if there is no file."""
        if not file_id:
            return []
        content = self.client.files.content(file_id).read()
        assert len(content) == self.client.files.retrieve(file_id).bytes
        return [json.loads(line) for line in content.split(b"\n")[:-1]]
