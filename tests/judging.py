"""The judge: holds what the simulator billed against what the database says came back, request by request.

It trusts neither side: the ledger knows every answer that was paid for, the database every outcome that was kept. Each
rule it finds broken becomes a line that names the offenders.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from batchframe.core.results import CANCELLED
from batchframe.model import Attempt
from batchframe.simulator import Simulator
from batchframe.simulator.ledger import request_digest
from batchframe.store.database import Database

_SHOWN = 5

Answer = Callable[[dict[str, Any]], str]
"""From the body of a request to the text a right answer to it has."""


def paid_once(simulator: Simulator, distinct: int) -> bool:
    """Whether the ledger holds exactly this many distinct requests, each billed once."""
    billed = simulator.ledger.billed()
    return len(billed) == distinct and set(billed.values()) <= {1}


def echo(body: dict[str, Any]) -> str:
    """What the simulator answers by default: the prompt."""
    prompt: str = body["messages"][-1]["content"]
    return prompt


@dataclass(frozen=True)
class Verdict:
    """What the judge found.

    Attributes:
        faults: the rules that are broken, each with its offenders; none is an acquittal.
        requests: distinct requests of all jobs.
        twice: answers billed beyond the first of each request.
        lost: answers that were billed and are nowhere in the database.
    """

    faults: tuple[str, ...]
    requests: int
    twice: int
    lost: int


def judge(
    database: Database,
    simulator: Simulator,
    *,
    twice: int = 0,
    lost: int = 0,
    open_jobs: bool = False,
    answer: Answer = echo,
) -> Verdict:
    """Judge every job of a database against everything its simulator billed.

    Args:
        twice: how many answers a case declares may be billed a second time (and are reported to the user).
        lost: how many billed answers it declares may be missing (a provider that no longer has its file).
        open_jobs: whether jobs may be open still; then only what holds at every moment is asked.

    Raises:
        AssertionError: a rule is broken; the message lists the offenders.
    """
    verdict = examine(database, simulator, twice=twice, lost=lost, open_jobs=open_jobs, answer=answer)
    assert not verdict.faults, "the judge says:\n" + "\n".join(verdict.faults)
    return verdict


def examine(
    database: Database,
    simulator: Simulator,
    *,
    twice: int = 0,
    lost: int = 0,
    open_jobs: bool = False,
    answer: Answer = echo,
) -> Verdict:
    """As `judge`, but returns what it found."""
    with database.transaction() as connection:
        books = _Books(connection)
    bill = _Bill(simulator)
    again = list(bill.again(books.payable))
    missing = [*(bill.tokens.keys() - books.paid.keys()), *_hex(bill.realtime - books.realtime)]
    found = [
        _fault(f"answers billed again, {twice} allowed", again, more_than=twice),
        _fault("answers billed for requests nobody stored", bill.unknown(books.payable)),
        _fault(f"billed answers without an outcome, {lost} allowed", missing, more_than=lost),
        _fault(
            "outcomes that claim an answer nobody billed",
            [*(books.paid.keys() - bill.tokens.keys()), *_hex(books.realtime - bill.realtime)],
        ),
        _fault("outcomes whose usage is not what was billed", _misreported(books, bill)),
        *books.broken(open_jobs=open_jobs, answer=answer),
    ]
    return Verdict(tuple(line for line in found if line), books.requests, len(again), len(missing))


class _Bill:
    """The ledger, by request and by custom id."""

    def __init__(self, simulator: Simulator) -> None:
        self.tokens: dict[str, set[tuple[int, int]]] = {}
        self._requests: Counter[bytes] = Counter()
        self._attempts: Counter[str] = Counter()
        self._request_of: dict[str, bytes] = {}
        self.realtime: Counter[bytes] = Counter()
        for entry in list(simulator.ledger.entries()):
            self._requests[entry.digest] += 1
            if entry.custom_id is None:
                self.realtime[entry.digest] += 1
                continue
            self._attempts[entry.custom_id] += 1
            self._request_of[entry.custom_id] = entry.digest
            self.tokens.setdefault(entry.custom_id, set()).add((entry.input_tokens, entry.output_tokens))

    def again(self, payable: Counter[bytes]) -> Iterator[str]:
        """An entry for each answer too many: of a request, or, where a request may be asked anew, of an attempt."""
        last = {digest: custom_id for custom_id, digest in self._request_of.items()}
        excess = {digest: times - max(1, payable[digest]) for digest, times in self._requests.items()}
        for digest, too_many in excess.items():
            for _ in range(too_many):
                yield f"{last.get(digest, digest.hex()[:8])} (its request {self._requests[digest]} times)"
        for custom_id, times in self._attempts.items():
            if times > 1 and excess[self._request_of[custom_id]] <= 0:
                yield f"{custom_id} ({times} times)"

    def unknown(self, payable: Counter[bytes]) -> list[str]:
        known = {digest: custom_id for custom_id, digest in self._request_of.items()}
        return [known.get(digest, digest.hex()[:8]) for digest in self._requests if not payable[digest]]


class _Books:
    """What the database holds, read in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._digest_of: dict[tuple[int, int], bytes] = {}
        self.payable = self._payable()
        self.paid: dict[str, tuple[int, int]] = {}
        self.realtime: Counter[bytes] = Counter()
        for row in connection.execute(
            text("""
                SELECT o.job_id, o.row_no, o.attempt_no, o.input_tokens, o.output_tokens, b.mode FROM outcome o
                JOIN attempt a ON (a.job_id, a.row_no, a.attempt_no) = (o.job_id, o.row_no, o.attempt_no)
                JOIN batch b ON b.id = a.batch_id
                WHERE o.status BETWEEN 200 AND 299
            """)
        ):
            if row.mode == "realtime":  # such calls have no custom id
                self.realtime[self._digest_of[row.job_id, row.row_no]] += 1
            else:
                custom_id = Attempt(row.job_id, row.row_no, row.attempt_no).custom_id
                self.paid[custom_id] = (row.input_tokens, row.output_tokens)
        self.requests = connection.execute(text("SELECT count(*) FROM request")).scalar_one()
        self._answers = connection.execute(
            text("""
                SELECT o.job_id, o.row_no, r.body AS asked, o.body AS said FROM outcome o
                JOIN request r ON r.job_id = o.job_id AND r.row_no = o.row_no WHERE o.ok
            """)
        ).all()
        self._open = connection.execute(
            text("SELECT 'job ' || id || ' (step_at ' || step_at || ')' FROM job WHERE closed_at IS NULL")
        ).scalars().all()  # fmt: skip
        self._broken = [(rule, connection.execute(text(query)).scalars().all()) for rule, query in _ALWAYS.items()]
        self._unfinished = [(rule, connection.execute(text(query)).scalars().all()) for rule, query in _AT_END.items()]

    def _payable(self) -> Counter[bytes]:
        """How often each distinct request may be paid for: once, and once more for every job that asked anew."""
        asked: dict[bytes, set[object]] = {}
        for row in self._connection.execute(
            text(
                "SELECT r.job_id, r.row_no, r.hash, r.body, j.endpoint, j.spec "
                "FROM request r JOIN job j ON j.id = r.job_id"
            )
        ):
            shares = json.loads(row.spec or "{}").get("reuse", True)
            digest = bytes.fromhex(request_digest(row.endpoint, msgspec.json.decode(row.body)))
            self._digest_of[row.job_id, row.row_no] = digest
            asked.setdefault(digest, set()).add(row.hash if shares else (row.job_id, row.hash))
        return Counter({digest: len(hashes) for digest, hashes in asked.items()})

    def broken(self, *, open_jobs: bool, answer: Answer) -> Iterator[str]:
        for rule, offenders in [*self._broken, *([] if open_jobs else self._unfinished)]:
            yield _fault(rule, offenders)
        if not open_jobs:
            yield _fault("jobs still open", self._open)
        yield _fault("answers that belong to another request", self._wrong(answer))

    def _wrong(self, answer: Answer) -> Iterator[str]:
        for row in self._answers:
            said = msgspec.json.decode(row.said)["choices"][0]["message"]["content"]
            if said != answer(msgspec.json.decode(row.asked)):
                yield f"job {row.job_id} row {row.row_no} ({said[:40]!r})"


_ROW = "'job ' || {0}.job_id || ' row ' || {0}.row_no"

_ALWAYS = {
    "rows with more than one final outcome": f"""
        SELECT {_ROW.format("o")} FROM outcome o WHERE o.final GROUP BY o.job_id, o.row_no HAVING count(*) > 1
    """,
    "jobs whose counts are not their outcomes": f"""
        SELECT 'job ' || j.id || ': ' || concat_ws('/', j.n_ok, j.n_failed, j.n_cancelled) || ' counted, '
            || concat_ws('/', o.ok, o.failed, o.cancelled) || ' there (ok/failed/cancelled)'
        FROM job j CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE ok) AS ok, count(*) FILTER (WHERE code = '{CANCELLED}') AS cancelled,
                count(*) FILTER (WHERE NOT ok AND code IS DISTINCT FROM '{CANCELLED}') AS failed
            FROM outcome WHERE job_id = j.id AND final
        ) o WHERE (j.n_ok, j.n_failed, j.n_cancelled) <> (o.ok, o.failed, o.cancelled)
    """,
    "jobs whose number of requests is wrong": """
        SELECT 'job ' || id FROM job j WHERE n_requests <> (SELECT count(*) FROM request WHERE job_id = j.id)
    """,
    "rows in two live batches": f"""
        SELECT {_ROW.format("a")} FROM attempt a JOIN batch b ON b.id = a.batch_id
        WHERE b.state NOT IN ('done', 'failed') GROUP BY a.job_id, a.row_no HAVING count(*) > 1
    """,
    "rows with a final outcome in a live batch": f"""
        SELECT {_ROW.format("a")} FROM attempt a JOIN batch b ON b.id = a.batch_id
        JOIN outcome o ON o.job_id = a.job_id AND o.row_no = a.row_no AND o.final
        WHERE b.state NOT IN ('done', 'failed')
    """,
    "attempts of an ended batch without an outcome": f"""
        SELECT {_ROW.format("a")} || ' attempt ' || a.attempt_no FROM attempt a JOIN batch b ON b.id = a.batch_id
        WHERE b.state IN ('done', 'failed') AND NOT EXISTS (
            SELECT 1 FROM outcome o WHERE (o.job_id, o.row_no, o.attempt_no) = (a.job_id, a.row_no, a.attempt_no)
        )
    """,
    "batches whose payments are not their answers": """
        SELECT 'batch ' || b.id || ' (' || b.n_paid || ' paid)' FROM batch b JOIN LATERAL (
            SELECT count(*) FILTER (WHERE o.status BETWEEN 200 AND 299) AS paid,
                count(*) FILTER (WHERE o.code IN ('result_gone', 'answer_lost')) AS gone
            FROM attempt a JOIN outcome o ON (o.job_id, o.row_no, o.attempt_no) = (a.job_id, a.row_no, a.attempt_no)
            WHERE a.batch_id = b.id
        ) o ON true WHERE b.state = 'done' AND o.gone = 0 AND b.n_paid <> o.paid
    """,
    "batches whose attempts are not as many as they say": """
        SELECT 'batch ' || id FROM batch b WHERE n_requests <> (SELECT count(*) FROM attempt WHERE batch_id = b.id)
    """,
}
"""What holds at every moment: a query for the offenders of each rule."""

_AT_END = {
    "requests of a closed job without a final outcome": f"""
        SELECT {_ROW.format("r")} FROM request r WHERE NOT EXISTS (
            SELECT 1 FROM outcome o WHERE o.job_id = r.job_id AND o.row_no = r.row_no AND o.final
        )
    """,
    "batches that never ended": """
        SELECT 'batch ' || id || ' is ' || state FROM batch WHERE state NOT IN ('done', 'failed')
    """,
    "loans never settled": f"SELECT {_ROW.format('l')} FROM loan l",
}
"""What holds when every job has come to its end."""


def _hex(digests: Counter[bytes]) -> Iterator[str]:
    return (f"{digest.hex()[:8]} (in real time)" for digest in digests.elements())


def _misreported(books: _Books, bill: _Bill) -> Iterator[str]:
    for custom_id, used in books.paid.items():
        if custom_id in bill.tokens and used not in bill.tokens[custom_id]:
            yield f"{custom_id} (billed {sorted(bill.tokens[custom_id])}, kept {used})"


def _fault(rule: str, offenders: Iterable[str], *, more_than: int = 0) -> str:
    found = sorted(offenders)
    if len(found) <= more_than:
        return ""
    shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
    return f"  {len(found)} {rule}: {shown}"
