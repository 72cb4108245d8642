"""`make bench-proxy`: how many requests a second the proxy accepts durably, and what a waiting connection weighs.

`batchframe serve` on a new embedded Postgres (which syncs every commit) before a simulator whose batches never end.
First, N connections send calls with `Prefer: respond-async` one after the other: each 202 says that the request is
committed, and the database is asked whether that is so. Then M connections each hold a call that waits, and the
resident memory of the server is read from /proc before and after; at last the batches end, and all must be answered.
The generator speaks HTTP/1.1 over raw sockets in a process of its own, so that it costs little beside the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg

from batchframe.simulator import Simulator
from batchframe.store import embedded
from tests.serving import KEY, Served

OPEN_AT_ONCE = 200
"""Connections that are being opened at a time, so that the listener's queue is not what is measured."""

PATIENCE_SECONDS = 300.0


def call(port: int, prompt: str, *, wait: bool) -> bytes:
    """A request, ready to be sent."""
    body = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": prompt}]}).encode()
    prefer = "" if wait else "Prefer: respond-async\r\n"
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{prefer}\r\n"
    )
    return head.encode() + body


class Caller(asyncio.Protocol):
    """One connection: sends a request and gives the status of its answer when all of it is there."""

    def __init__(self) -> None:
        self._seen = b""
        self._answer: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if found and _is_whole(head.lower(), body) and self._answer and not self._answer.done():
            self._seen = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the server hung up"))

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request."""
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer


def _is_whole(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, _, rest = head.partition(b"content-length:")
    return len(body) >= int(rest.partition(b"\r\n")[0])


async def connect(port: int, number: int) -> list[Caller]:
    """Open so many connections."""
    loop = asyncio.get_running_loop()
    callers: list[Caller] = []
    while len(callers) < number:
        group = min(OPEN_AT_ONCE, number - len(callers))
        opened = await asyncio.gather(*(loop.create_connection(Caller, "127.0.0.1", port) for _ in range(group)))
        callers += [caller for _, caller in opened]
    return callers


async def accept(port: int, connections: int, warm_up: float, seconds: float) -> dict[str, Any]:
    """Send calls from every connection, one after the other; only those after the warm-up are counted."""
    callers = await connect(port, connections)
    starts = time.perf_counter() + warm_up
    ends = starts + seconds
    took: list[float] = []
    statuses: dict[int, int] = {}

    async def send(number: int, caller: Caller) -> None:
        sent = 0
        while (begun := time.perf_counter()) < ends:
            status = await caller.ask(call(port, f"load {number} {sent}", wait=False))
            sent += 1
            statuses[status] = statuses.get(status, 0) + 1
            if begun >= starts:
                took.append(time.perf_counter() - begun)

    await asyncio.gather(*(send(number, caller) for number, caller in enumerate(callers)))
    counted = time.perf_counter() - starts
    cuts = statistics.quantiles(took, n=100)
    return {"statuses": statuses, "per_second": len(took) / counted, "p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}


async def hold(port: int, connections: int, control: Connection) -> dict[int, int]:
    """Hold a waiting call on every connection, and count the statuses of their answers when they come."""
    callers = await connect(port, connections)
    waiting = [caller.ask(call(port, f"wait {number}", wait=True)) for number, caller in enumerate(callers)]
    control.send("sent")
    statuses: dict[int, int] = {}
    for status in await asyncio.gather(*waiting):
        statuses[status] = statuses.get(status, 0) + 1
    return statuses


def generate(control: Connection, port: int) -> None:
    """The generator's process: does what it is told, and tells what it saw."""
    _raise_file_limit()
    while (order := control.recv()) is not None:
        kind, *arguments = order
        task = accept(port, *arguments) if kind == "accept" else hold(port, *arguments, control)
        control.send(asyncio.run(task))


def resident(pid: int) -> int:
    """Bytes of memory of a process and its children."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(resident(int(child)) for child in children)


def count(database: str, query: str) -> int:
    """What a query counts."""
    with psycopg.connect(database) as connection:
        row = connection.execute(f"SELECT count(*) FROM batchframe.{query}").fetchone()
    assert row
    return int(row[0])


def wait_for(database: str, query: str, number: int) -> None:
    """Wait until a query counts so many."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while (found := count(database, query)) < number:
        assert time.monotonic() < ends, f"{found} of {number}: {query}"
        time.sleep(0.5)


def measure(served: Served, database: str, simulator: Simulator, arguments: argparse.Namespace) -> None:
    """Print both tables."""
    context = multiprocessing.get_context("spawn")
    control, far_end = context.Pipe()
    generator = context.Process(target=generate, args=(far_end, served.port), daemon=True)
    generator.start()
    far_end.close()
    print("| connections | accepted | durable requests/s | p50 ms | p99 ms |\n|---:|---:|---:|---:|---:|", flush=True)
    stored = 0
    for connections in arguments.connections:
        control.send(("accept", connections, arguments.warm_up, arguments.seconds))
        seen = control.recv()
        accepted = seen["statuses"].pop(202, 0)
        assert not seen["statuses"], f"not all were accepted: {seen['statuses']}"
        stored += accepted
        assert count(database, "proxied") == stored, "what was accepted is not what was stored"
        figures = f"{seen['per_second']:,.0f} | {seen['p50_ms']:.1f} | {seen['p99_ms']:.1f}"
        print(f"| {connections} | {accepted:,} | {figures} |", flush=True)
    before = resident(served.pid)
    control.send(("hold", arguments.waiting))
    assert control.recv() == "sent"
    wait_for(database, "proxied", stored + arguments.waiting)
    held = resident(served.pid)
    each = (held - before) / arguments.waiting / 1024
    print("\n| waiting connections | server before, MiB | while they wait, MiB | KiB each |\n|---:|---:|---:|---:|")
    print(f"| {arguments.waiting:,} | {before / 2**20:.0f} | {held / 2**20:.0f} | {each:.1f} |", flush=True)
    simulator.settings.duration = 0.0
    statuses = control.recv()
    print(f"\nAnswered when the batches ended: {statuses}")
    assert statuses == {200: arguments.waiting}
    control.send(None)
    generator.join()


def _raise_file_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Set the stage and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    _raise_file_limit()  # the server inherits it
    with tempfile.TemporaryDirectory(prefix="bf-bench-") as folder, Simulator(duration=10**9) as simulator:
        home = Path(folder)
        try:
            database = embedded.start(home)
            environment = {
                "OPENAI_API_KEY": "sk-bench",
                "OPENAI_BASE_URL": simulator.base_url,
                "BATCHFRAME_DATABASE_URL": database,
                "BATCHFRAME_HOME": folder,
                "BATCHFRAME_POLL_SECONDS": "1",
                "BATCHFRAME_POLL_MAX_SECONDS": "2",
                "BATCHFRAME_WINDOW_SECONDS": "2",
            }
            with Served(environment, "--workers", str(arguments.workers)) as served:
                measure(served, database, simulator, arguments)
        finally:
            embedded.stop(home)


if __name__ == "__main__":
    main()
