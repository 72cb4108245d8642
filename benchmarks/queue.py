"""`make bench-queue`: whether the queue stays as fast when it grows, and whether its hot rows leave rubbish behind.

The store's own functions, one transaction each, on a new embedded Postgres: a step of planning (1,000 requests into a
batch), a claim of eight batches, the question when something is due, and settling a batch of 1,000 answers. Each size
once in an otherwise empty database and once beside a million finished rows, all of them open at the same time and
measured in turn. Figures are medians of single transactions in milliseconds, commit included; in brackets, the median
ratio to the smallest queue in the same round.

A claim reads every open batch of its provider, about 0.3 µs each. An index by time would save that, and cost an index
entry with every poll: the life below then left 9,531 dead rows instead of 500, and a table of 296 KiB instead of 40.
"""

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy import Connection, make_url, text

from batchframe.core.packing import Limits
from batchframe.core.states import Event
from batchframe.model import Batch, Outcome
from batchframe.store import batches, embedded, outcomes, planning
from batchframe.store.database import Database

PER_BATCH = 1_000
LIMITS = Limits(PER_BATCH, 10**9)
PROVIDERS = ["bench"]
OWNER = uuid4()
LOOKS = 60
ROUNDS = 9
"""Steps of planning, and settlings, that are timed: all batches of the smallest queue but one."""

BODY = """'{"model":"m","messages":[{"role":"user","content":"Which team is this ticket for? number ' || n || '"}]}'"""
ANSWER = b'{"id":"x","choices":[{"message":{"role":"assistant","content":"billing"}}],"usage":{"total_tokens":40}}'

Figures = dict[str, list[float]]


def execute(database: Database, statement: str, **values: object) -> None:
    """One statement, one transaction."""
    with database.transaction() as connection:
        connection.execute(text(statement), values)


def new_database(server: str, name: str) -> str:
    """The URL of a new database on the server."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def add_job(database: Database, n: int, *, finished: bool) -> int:
    """A job of n requests; finished, with its batches, attempts and outcomes."""
    with database.transaction() as connection:
        job_id: int = connection.execute(
            text("""
                INSERT INTO job (kind, provider, endpoint, model, spec, digest, n_rows, n_requests, closed_at)
                VALUES ('frame', 'bench', '/v1/chat/completions', 'm', '{}', gen_random_uuid(), :n, :n,
                    CASE WHEN :finished THEN now() END)
                RETURNING id
            """),
            {"n": n, "finished": finished},
        ).scalar_one()
        rows = {"job": job_id, "last": n - 1}
        connection.execute(
            text(f"""
                INSERT INTO request (job_id, row_no, hash, body, tokens)
                SELECT :job, n, gen_random_uuid(), {BODY}, 20 FROM generate_series(0, :last) n
            """),
            rows,
        )
        if finished:
            connection.execute(text("UPDATE job SET next_row = n_requests, n_ok = n_requests WHERE id = :job"), rows)
            first = connection.execute(
                text(f"""
                    WITH made AS (
                        INSERT INTO batch (job_id, provider, endpoint, model, n_requests, tokens, state)
                        SELECT :job, 'bench', '/v1/chat/completions', 'm', {PER_BATCH}, 20000, 'done'
                        FROM generate_series(1, (:last + 1) / {PER_BATCH}) RETURNING id
                    )
                    SELECT min(id) FROM made
                """),
                rows,
            ).scalar_one()
            connection.execute(
                text(f"""
                    INSERT INTO attempt (job_id, row_no, attempt_no, batch_id)
                    SELECT :job, n, 1, :first + n / {PER_BATCH} FROM generate_series(0, :last) n
                """),
                {**rows, "first": first},
            )
            connection.execute(
                text("""
                    INSERT INTO outcome (job_id, row_no, attempt_no, final, ok, tries, status, body)
                    SELECT :job, n, 1, true, true, 1, 200, :body FROM generate_series(0, :last) n
                """),
                {**rows, "body": ANSWER.decode()},
            )
    return job_id


def settle(database: Database, batch: Batch) -> None:
    """As `engine/settling.py` does it, without the files."""
    with database.transaction() as connection:
        owed = outcomes.expected(connection, batch)
        answered = (Outcome(row.attempt, True, True, 1, 200, None, None, ANSWER) for row in owed.values())
        outcomes.record(connection, batch, answered)
        batches.advance(connection, batch, Event.FETCHED)
        batches.wake_waiting(connection, batch.route)


class Queue:
    """A database with one open job of n requests, all of it in open batches but for the last steps of planning."""

    def __init__(self, url: str, n: int, finished: int) -> None:
        self.n = n
        self.finished = finished
        self.database = Database(url)
        self.figures: Figures = {}
        self._claimed: list[Batch] = []
        if finished:
            add_job(self.database, finished, finished=True)
        self._job_id = add_job(self.database, n, finished=False)
        for _ in range(n // PER_BATCH - ROUNDS):
            self.plan()
        with self.database.transaction() as connection:
            for table in ("job", "request", "batch", "attempt", "outcome"):  # as autovacuum does in time
                connection.execute(text(f"ANALYZE {table}"))

    def time(self, figure: str, call: Callable[[], object]) -> None:
        """Note the milliseconds of one call."""
        begun = time.perf_counter()
        call()
        self.figures.setdefault(figure, []).append((time.perf_counter() - begun) * 1e3)

    def plan(self) -> None:
        with self.database.transaction() as connection:
            planning.plan(connection, self._job_id, LIMITS, 60.0)

    def claim(self) -> None:
        with self.database.transaction() as connection:
            self._claimed = batches.claim(connection, OWNER, PROVIDERS, 60.0, 8)

    def next_due(self) -> None:
        with self.database.transaction() as connection:
            batches.next_due(connection, PROVIDERS)

    def give_back(self) -> None:
        for batch in self._claimed:
            with self.database.transaction() as connection:
                batches.release(connection, batch, 0.0)

    def submit(self) -> None:
        execute(self.database, "UPDATE batch SET state = 'submitted', step_at = now() WHERE state = 'planned'")

    def end_one(self) -> Batch:
        with self.database.transaction() as connection:
            (batch,) = batches.claim(connection, OWNER, PROVIDERS, 60.0, 1)
            return batches.advance(connection, batch, Event.ENDED)


def measure(queues: Sequence[Queue]) -> None:
    """Every figure of every queue, in turn, so that a slow moment of the machine meets all of them."""
    for _ in range(ROUNDS):
        for queue in queues:
            queue.time("plan", queue.plan)
    for _ in range(LOOKS):
        for queue in queues:
            queue.time("nothing to plan", queue.plan)
    for queue in queues:
        queue.submit()
    for _ in range(LOOKS):
        for queue in queues:
            queue.time("claim", queue.claim)
            queue.time("next due", queue.next_due)
            queue.give_back()
    for _ in range(ROUNDS):
        for queue in queues:
            batch = queue.end_one()
            queue.time("settle", functools.partial(settle, queue.database, batch))


def show(queue: Queue, smallest: Queue) -> None:
    """A row of the table."""
    cells = [f"{queue.n:,}", f"{queue.n // PER_BATCH:,}", f"{queue.finished:,}"]
    for name, took in queue.figures.items():
        ratio = statistics.median(ours / base for ours, base in zip(took, smallest.figures[name], strict=True))
        cells.append(f"{statistics.median(took):.2f} ({ratio:.2f})")
    print("| " + " | ".join(cells) + " |", flush=True)


def live(database: Database, n_batches: int, polls: int) -> None:
    """Take batches through their whole life, each polled so often, and say what the hot tables are left with."""
    job_id = add_job(database, n_batches * 10, finished=False)
    with database.transaction() as connection:
        before = _sizes(connection)
    planned = planning.Step.PLANNED
    while planned is planning.Step.PLANNED:
        with database.transaction() as connection:
            planned = planning.plan(connection, job_id, Limits(10, 10**9), 60.0)
    looks: dict[int, int] = {}
    done = 0
    while done < n_batches:
        with database.transaction() as connection:
            claimed = batches.claim(connection, OWNER, PROVIDERS, 60.0, 8)
        with database.transaction() as connection:
            batches.renew(connection, OWNER, {batch.id: batch.token for batch in claimed}, 60.0)
        for batch in claimed:
            looks[batch.id] = looks.get(batch.id, 0) + 1
            if looks[batch.id] == 1:
                for event in (Event.UPLOADED, Event.INTENT, Event.ACCEPTED):
                    with database.transaction() as connection:
                        batch = batches.advance(connection, batch, event, input_file_id="f")
            if looks[batch.id] <= polls:
                with database.transaction() as connection:
                    batches.release(connection, batch, 0.0, provider_status="in_progress", provider_completed=1)
                continue
            with database.transaction() as connection:
                ended = batches.advance(connection, batch, Event.ENDED)
            settle(database, ended)
            done += 1
    print(f"\n{n_batches} batches polled {polls} times each:\n")
    print("| table | rows | updates | of them HOT | dead rows | size before | size after |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with database.transaction() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with database.transaction() as connection:
        after = _sizes(connection)
        rows = connection.execute(
            text("""
                SELECT relname, n_live_tup, n_tup_upd, n_tup_hot_upd, n_dead_tup FROM pg_stat_user_tables
                WHERE schemaname = 'batchframe' AND relname IN ('batch', 'job') ORDER BY relname
            """)
        ).all()
    for row in rows:
        sizes = f"{before[row.relname] / 1024:.0f} KiB | {after[row.relname] / 1024:.0f} KiB"
        hot = row.n_tup_hot_upd / max(1, row.n_tup_upd)
        print(f"| {row.relname} | {row.n_live_tup:,} | {row.n_tup_upd:,} | {hot:.1%} | {row.n_dead_tup:,} | {sizes} |")


def _sizes(connection: Connection) -> dict[str, int]:
    query = "SELECT relname, pg_relation_size(oid) AS n FROM pg_class WHERE oid IN ('batch'::regclass, 'job'::regclass)"
    return {row.relname: row.n for row in connection.execute(text(query))}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--polls", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bf-bench-") as folder:
        home = Path(folder)
        try:
            server = embedded.start(home)
            live(Database(new_database(server, "life")), 100, arguments.polls)
            queues = [
                Queue(new_database(server, f"queue_{n}_{finished}"), n, finished)
                for finished in (0, arguments.finished)
                for n in arguments.sizes
            ]
            measure(queues)
            names = list(queues[0].figures)
            print("\n| requests | batches | finished rows | " + " | ".join(names) + " |")
            print("|---:|---:|---:|" + "---:|" * len(names))
            for queue in queues:
                show(queue, queues[0])
        finally:
            embedded.stop(home)


if __name__ == "__main__":
    main()
