"""A database as batchframe wrote it at migration 0001: jobs closed and open, batches in every state.

Plain SQL and literal texts on purpose: written by today's code it would show nothing about yesterday's.
"""

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from batchframe.config import load_settings
from batchframe.providers.base import Phase, RemoteBatch
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator

FRAME = [base64.b64decode(part) for part in json.loads(Path(__file__).with_name("frame_0001.json").read_text())]
ROWS = 4
CHAT = "/v1/chat/completions"
MODEL = "gpt-5-mini"
SPEC = (
    '{"prompt":"{text}","into":"response","system":null,"schema":null,"schema_name":null,"params":{},'
    '"missing":"skip","samples":1,"reuse":true}'
)
OPEN = (
    *("unplanned", "half planned", "planned", "uploaded", "creating", "unsure, lost", "unsure, made", "submitted"),
    *("ended", "given up", "to be retried", "borrowing"),
)
"""The open jobs, by how they stand."""


def prompts(job: str) -> list[str]:
    """What the requests of a job ask; the borrowing job asks what a lender asks."""
    return [f"{'submitted' if job == 'borrowing' else job} {row}" for row in range(ROWS)]


def body(prompt: str) -> str:
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": prompt}]}, separators=(",", ":"))


def answer(prompt: str) -> str:
    return (
        '{"id":"chatcmpl-1","created":1795499397,"model":"gpt-5-mini-2025-08-07","choices":[{"message":{"content":'
        f'{json.dumps(prompt)},"refusal":null,"role":"assistant"}},"finish_reason":"stop","index":0}}],'
        '"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10},"object":"chat.completion"}'
    )


@dataclass
class Writer:
    """Writes jobs into a database at migration 0001, and what they have at the provider into the simulator."""

    connection: Connection
    simulator: Simulator
    folder: Path
    jobs: dict[str, int] = field(default_factory=dict)

    def write(self) -> None:
        """All jobs."""
        self._closed()
        for name in OPEN:
            self._job(name, next_row={"unplanned": 0, "half planned": 2}.get(name, ROWS))
        self._half_planned()
        for name in ("planned", "uploaded", "creating", "unsure, lost", "unsure, made", "submitted", "ended"):
            self._at_work(name)
        self._given_up("given up", tries=0, code="not_run")
        self._given_up("to be retried", tries=1, code="server_error", status=500)
        for row in range(ROWS):
            self._insert(
                "loan",
                job_id=self.jobs["borrowing"],
                row_no=row,
                lender_job_id=self.jobs["submitted"],
                lender_row_no=row,
            )

    def _closed(self) -> None:
        self._job("closed", next_row=ROWS, n_ok=2, n_failed=1, n_cancelled=1)
        self.connection.execute(text("UPDATE job SET closed_at = now(), step_at = 'infinity'"))
        batch = self._batch("closed", "done", range(ROWS), input_file_id="file-a", provider_id="batch_a")
        for row in (0, 1):
            self._outcome("closed", row, ok=True, tries=1, status=200, body=answer(prompts("closed")[row]))
            self.connection.execute(
                text("UPDATE outcome SET input_tokens = 7, cached_tokens = 1, output_tokens = 3 WHERE row_no = :row"),
                {"row": row},
            )
        self._outcome("closed", 2, ok=False, tries=1, status=400, code="bad", message="It is bad.", body='{"error":1}')
        self._outcome("closed", 3, ok=False, tries=0, code="cancelled", message="The job was cancelled.")
        assert batch == 1

    def _half_planned(self) -> None:
        self._batch("half planned", "done", range(2), input_file_id="file-b", provider_id="batch_b")
        for row in range(2):
            self._outcome("half planned", row, ok=True, tries=1, status=200, body=answer(prompts("half planned")[row]))
        self.connection.execute(text("UPDATE job SET n_ok = 2 WHERE name = 'half planned'"))

    def _at_work(self, name: str) -> None:
        """A job whose one batch is in the state it is called after."""
        state = name.partition(",")[0]
        uid = uuid.uuid4()
        columns: dict[str, Any] = {"uid": uid}
        if state != "planned":
            file_id, remote = asyncio.run(
                self._send(name, str(uid), made=state in ("submitted", "ended") or "made" in name)
            )
            columns["input_file_id"] = file_id
            if state in ("submitted", "ended"):
                columns |= {"provider_id": remote.id, "provider_status": remote.status} if remote else {}
            if state == "ended" and remote:
                columns |= {"output_file_id": remote.output_file_id, "provider_completed": ROWS}
        batch = self._batch(name, state, range(ROWS), **columns)
        if state in ("creating", "unsure", "submitted", "ended"):
            self.connection.execute(
                text("UPDATE batch SET intent_at = now() - interval '1 second' WHERE id = :id"), {"id": batch}
            )
        if state == "creating":  # by an engine that is dead, and whose lease has run out
            self.connection.execute(
                text("UPDATE batch SET owner = :owner, token = 1, lease_until = now() WHERE id = :id"),
                {"owner": uuid.uuid4(), "id": batch},
            )

    def _given_up(self, name: str, *, tries: int, code: str, status: int | None = None) -> None:
        self._batch(name, "failed" if status is None else "done", range(ROWS))
        for row in range(ROWS):
            self._outcome(name, row, final=False, ok=False, tries=tries, code=code, message="Later.", status=status)
        self.connection.execute(text("UPDATE outcome SET retry_at = now() WHERE NOT final"))

    async def _send(self, name: str, mark: str, *, made: bool) -> tuple[str, RemoteBatch | None]:
        provider = OpenAIProvider(load_settings(openai_api_key="sk-test", openai_base_url=self.simulator.base_url))
        path = self.folder / f"{mark}.jsonl"
        lines = [
            f'{{"custom_id":"bf-{self.jobs[name]}-{row}-1","method":"POST","url":"{CHAT}","body":{body(prompt)}}}\n'
            for row, prompt in enumerate(prompts(name))
        ]
        try:
            path.write_text("".join(lines))
            file_id = await provider.upload(path, f"batchframe-{mark}.jsonl")
            remote = await provider.create(file_id, CHAT, mark) if made else None
            if remote is not None:
                await asyncio.to_thread(self.simulator.wait_for, lambda seen: seen.batches[-1].ended)
                remote = await provider.poll(remote.id)
                assert remote.phase is Phase.ENDED
            return file_id, remote
        finally:
            path.unlink(missing_ok=True)
            await provider.close()

    def _job(self, name: str, **columns: object) -> None:
        self.jobs[name] = self._insert(
            "job",
            name=name,
            kind="frame",
            provider=f"openai:{self.simulator.base_url}",
            endpoint=CHAT,
            model=MODEL,
            spec=SPEC,
            digest=uuid.uuid4(),
            n_rows=ROWS,
            n_requests=ROWS,
            returning="id",
            **columns,
        )
        for row, prompt in enumerate(prompts(name)):
            digest = uuid.UUID(bytes=hashlib.md5(prompt.encode()).digest())
            self._insert("request", job_id=self.jobs[name], row_no=row, hash=digest, body=body(prompt), tokens=17)
        for part, data in enumerate(FRAME):
            self._insert("job_frame", job_id=self.jobs[name], part_no=part, data=data)

    def _batch(self, name: str, state: str, rows: Sequence[int], **columns: object) -> int:
        batch = self._insert(
            "batch",
            job_id=self.jobs[name],
            provider=f"openai:{self.simulator.base_url}",
            endpoint=CHAT,
            model=MODEL,
            n_requests=len(rows),
            tokens=17 * len(rows),
            state=state,
            returning="id",
            **columns,
        )
        for row in rows:
            self._insert("attempt", job_id=self.jobs[name], row_no=row, attempt_no=1, batch_id=batch)
        return batch

    def _outcome(self, name: str, row: int, *, final: bool = True, **columns: object) -> None:
        self._insert("outcome", job_id=self.jobs[name], row_no=row, attempt_no=1, final=final, **columns)

    def _insert(self, table: str, *, returning: str = "1", **columns: object) -> int:
        names, holes = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        statement = text(f"INSERT INTO {table} ({names}) VALUES ({holes}) RETURNING {returning}")
        return int(self.connection.execute(statement, columns).scalar_one())
