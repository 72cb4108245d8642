"""The clients people have, against the served proxy: OpenAI's own SDKs in Python and Node.js, LangChain, LiteLLM.

Each is a process of its own that sees an address and a key. What was stored and what was billed is counted here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from batchframe.simulator import Simulator, request_digest
from batchframe.store.database import Database
from tests.serving import KEY, Served

HERE = Path(__file__).parent
SECONDS = 300
"""Far more than any suite takes."""

SIMULATOR_CANNOT = (
    *("responses in the background", "responses cancelled", "async responses in the background"),
    *("completions", "moderations", "idempotency key", "unsupported parameter"),
)
"""What only the proxy does."""

IMPATIENT = ("--timeout", "2", "--retries", "10")

Command = Callable[[str], list[str]]


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Command:
    """The command line of the suite in a language."""

    def find(language: str) -> list[str]:
        if language == "python":
            return [sys.executable, str(HERE / "suite.py")]
        return ["node", str(request.getfixturevalue("node_suite"))]

    return find


def run(command: list[str], base_url: str) -> str:
    """What a client prints that has nothing but an address and a key; it must end well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    failed = [line for line in ended.stdout.splitlines() if '"ok": false' in line or '"ok":false' in line]
    told = "\n".join(f"{case['case']}:\n{case['error']}" for case in map(json.loads, failed))
    assert ended.returncode == 0, f"{told}\n{ended.stderr}"
    return ended.stdout


def cases(printed: str) -> set[str]:
    """The cases a suite says it has run."""
    return {json.loads(line)["case"] for line in printed.splitlines()}


def assert_paid_once(database: Database, simulator: Simulator) -> None:
    """Every request is stored once and billed once; but twins are two, a failed one is free, a cancelled one may be."""
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT j.endpoint, r.body FROM request r JOIN job j ON j.id = r.job_id")).all()
    stored: Counter[str] = Counter()
    said: dict[str, str] = {}
    for row in rows:
        body = msgspec.json.decode(row.body)
        digest = request_digest(row.endpoint, body)
        stored[digest] += 1
        said[digest] = prompt(body)
    billed = simulator.ledger.billed()
    assert stored
    assert billed.keys() <= stored.keys(), "answers were billed that nobody asked for"
    assert {said[digest]: times for digest, times in stored.items() if times > 1} in ({}, {"twins": 2})
    wrong = {said[digest]: billed[digest] for digest, times in stored.items()
             if billed[digest] not in payable(said[digest], times)}  # fmt: skip
    assert not wrong, f"how often each was billed: {wrong}"


def payable(prompt: str, stored: int) -> set[int]:
    """How often a prompt may be on the bill."""
    if prompt.startswith("fail"):
        return {0}
    return {0, 1} if prompt.startswith("cancel me") else {stored}


def prompt(body: dict[str, Any]) -> str:
    """What a request asks."""
    if "messages" in body:
        return str(body["messages"][-1]["content"])
    asked = body.get("input", body.get("prompt"))
    return asked if isinstance(asked, str) else str(asked)


def test_both_suites_have_the_same_cases(command: Command, simulator: Simulator) -> None:
    """The suites themselves are right, against a provider that is no proxy, and one tests no less than the other."""
    simulator.settings.keys = frozenset({KEY})
    simulator.settings.duration = 1.0  # time enough to cancel a batch
    ran = {
        language: cases(run([*command(language), "--skip", ",".join(SIMULATOR_CANNOT)], simulator.base_url))
        for language in ("python", "node")
    }
    assert {name for name in ran["python"] if not name.startswith("async ")} == ran["node"]
    assert len(ran["node"]) >= 20


@pytest.mark.parametrize("language", ["python", "node"])
def test_the_official_sdk_works(
    command: Command, language: str, served: Served, simulator: Simulator, database: Database
) -> None:
    """With the SDK's own timeouts and retries every case is right, and paid for once."""
    simulator.settings.duration = 1.0
    run(command(language), served.base_url)
    assert_paid_once(database, simulator)


@pytest.mark.parametrize("language", ["python", "node"])
def test_an_impatient_sdk_gets_its_answer_and_pays_once(
    command: Command, language: str, served: Served, simulator: Simulator, database: Database
) -> None:
    """A client that gives up after 2 s and asks again, for a batch of 10 s, meets the request it has made already."""
    simulator.settings.duration = 10.0
    run([*command(language), *IMPATIENT], served.base_url)
    assert_paid_once(database, simulator)


def test_langchain_works(
    python_with: Callable[[str], Path], served: Served, simulator: Simulator, database: Database
) -> None:
    """LangChain's `ChatOpenAI` gets right answers by changing its address."""
    printed = run([str(python_with("langchain-openai")), str(HERE / "langchain_client.py")], served.base_url)
    assert json.loads(printed) == {
        "invoke": "langchain invoke",
        "batch": ["langchain batch 0", "langchain batch 1"],
        "stream": "langchain stream",
        "tool": {"said": "langchain tool"},
        "responses": "langchain responses",
        "embedding": 32,
        "failed": [400, "context_length_exceeded"],
    }
    assert_paid_once(database, simulator)


def test_litellm_works(
    python_with: Callable[[str], Path], served: Served, simulator: Simulator, database: Database
) -> None:
    """LiteLLM gets right answers by changing its address."""
    printed = run([str(python_with("litellm")), str(HERE / "litellm_client.py")], served.base_url)
    assert json.loads(printed) == {
        "completion": "litellm completion",
        "acompletion": ["litellm async 0", "litellm async 1"],
        "stream": "litellm stream",
        "responses": "litellm responses",
        "embedding": 32,
        "failed": [400, "ContextWindowExceededError"],
    }
    assert_paid_once(database, simulator)
