"""`/admin`: what the Python API can do, from another process."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import openai
import pytest

Admin = Callable[..., tuple[int, Any]]


@pytest.fixture
def admin(sim: Any) -> Admin:
    """Call the admin side: method, path, body → status and JSON."""

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = sim.base_url.removesuffix("/v1") + path
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return call


def test_the_ledger_can_be_read(sim: Any, customer: Any, chat_line: Any, admin: Admin) -> None:
    """The benchmark and the demo judge from outside the process."""
    batch = customer.run([chat_line("a"), chat_line("b"), chat_line("c", "other")], metadata={"k": "v"})
    status, ledger = admin("GET", "/admin/ledger")
    assert status == 200
    assert (ledger["requests"], ledger["distinct"], ledger["billed_more_than_once"]) == (3, 2, 1)
    assert ledger["batches"] == [{"id": batch.id, "metadata": {"k": "v"}}]
    assert ledger["calls"]["batches.create"] == 1
    assert ledger["tokens"] == ledger["input_tokens"] + ledger["output_tokens"] == sim.ledger.tokens
    assert "billed" not in ledger
    assert admin("GET", "/admin/ledger?detail=1")[1]["billed"] == sim.ledger.billed()


def test_faults_can_be_ordered_and_taken_back(sim: Any, client: Any, admin: Admin) -> None:
    """By the names of the Python API."""
    ordered = {
        "on": {"operation": "batches.list", "kind": "status", "status": 503, "times": None},
        "row": {"match": "bad", "status": 400},
        "batch": {"expire_after": 0.5},
    }
    assert admin("POST", "/admin/faults", ordered) == (200, {"ordered": 3})
    with pytest.raises(openai.InternalServerError):
        client.batches.list()
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="gpt-5-mini", input="bad")
    assert admin("DELETE", "/admin/faults")[0] == 200
    client.batches.list()
    client.responses.create(model="gpt-5-mini", input="bad")


@pytest.mark.parametrize(
    "order",
    [
        {"reset": {}},
        {"on": {"operation": "batches.list"}},
        {"on": {"operation": "batches.lost", "kind": "reset"}},
        {"batch": {"expire_after": "soon"}},
        {"row": [1]},
    ],
)
def test_a_fault_that_cannot_be_ordered_is_refused(admin: Admin, order: Any) -> None:
    """A test harness with a typing error must not run without its faults."""
    status, answer = admin("POST", "/admin/faults", order)
    assert status == 400
    assert answer["error"]["message"]


def test_settings_can_be_changed(sim: Any, customer: Any, chat_lines: Any, admin: Admin) -> None:
    """While batches run: one that would take an hour ends at once."""
    assert admin("POST", "/admin/settings", {"duration": 3600, "hold": {"validating": 0.01}})[0] == 200
    made = customer.create(chat_lines(2))
    sim.wait_for(lambda sim: sim.batches[0].status == "in_progress")
    status, settings = admin("POST", "/admin/settings", {"duration": 0, "keys": ["sk-1", "any"]})
    assert (status, settings["duration"], settings["keys"]) == (200, 0, 2)
    assert admin("GET", "/admin/settings")[1] == settings
    assert customer.wait(made).status == "completed"


@pytest.mark.parametrize("changes", [{"durations": 1}, {"duration": "long"}, {"duration": 5, "window": None}])
def test_a_setting_that_cannot_be_used_changes_nothing(sim: Any, admin: Admin, changes: Any) -> None:
    """All of the changes or none."""
    before = sim.settings.summary()
    assert admin("POST", "/admin/settings", changes)[0] == 400
    assert sim.settings.summary() == before
