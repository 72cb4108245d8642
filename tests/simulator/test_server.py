"""The simulator as a program: starts fast, stops clean, and says what is wrong when it cannot."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

import openai
import pytest

from batchframe.errors import ConfigurationError
from batchframe.simulator import Simulator

TURNS = [{"role": "user", "content": "Hello"}]


def test_starting_and_stopping_take_no_time_and_leave_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of the project starts one. (That nothing is left open is watched by the warnings filter.)"""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = set(threading.enumerate())
    handlers = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    loggers = (logging.getLogger().handlers[:], logging.getLogger("uvicorn").handlers[:])
    started = time.perf_counter()
    with Simulator():
        assert list(tmp_path.iterdir())
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert time.perf_counter() - started < 0.5
    assert set(threading.enumerate()) <= threads
    assert list(tmp_path.iterdir()) == []
    assert (logging.getLogger().handlers[:], logging.getLogger("uvicorn").handlers[:]) == loggers


def test_an_answer_takes_no_40_milliseconds(sim: Any, client: Any) -> None:
    """Nagle's algorithm, if it were on, would make every measurement of batchframe one of the simulator."""
    client.batches.list()
    times = []
    for _ in range(10):
        started = time.perf_counter()
        client.batches.list()
        times.append(time.perf_counter() - started)
    assert min(times) < 0.03


def test_two_simulators_run_side_by_side(customer_of: Any, chat_lines: Any) -> None:
    """Nothing is global: accounts, ledgers and ids are apart."""
    with Simulator() as one, Simulator(responder=lambda request: "other") as other:
        batch = customer_of(one).run(chat_lines(2))
        assert (one.ledger.requests, other.ledger.requests) == (2, 0)
        with pytest.raises(openai.NotFoundError):
            customer_of(other).client.batches.retrieve(batch.id)


def test_a_port_in_use_is_said_in_words() -> None:
    """A second `batchframe simulate` in another terminal is the usual cause."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"{port}.*another port"), Simulator(port=port):
            pass


def test_stopping_does_not_wait_for_faults(customer_of: Any) -> None:
    """A test that orders an hour's delay must not take an hour."""
    started = time.perf_counter()
    with Simulator() as sim:
        client = customer_of(sim).client
        fault = sim.faults.on("batches.list", "late", seconds=3_600)
        call = threading.Thread(target=lambda: client.batches.list())
        call.start()
        sim.wait_for(lambda sim: fault.hits == 1)
    call.join()
    assert time.perf_counter() - started < 3


def test_stopping_does_not_wait_for_batches(customer_of: Any, chat_lines: Any) -> None:
    """Neither for the time of a batch nor for all the rows of a slow responder."""
    at_work = threading.Event()

    def respond(request: Any) -> str:
        at_work.set()
        time.sleep(0.01)  # a slow responder is what this test is about
        return "slow"

    started = time.perf_counter()
    with Simulator(responder=respond) as sim:
        customer_of(sim).create(chat_lines(2_000))
        at_work.wait(5)
    assert 0 < sim.ledger.requests < 2_000
    assert time.perf_counter() - started < 5


def test_waiting_in_vain_says_what_there_was(sim: Any, customer: Any, chat_lines: Any) -> None:
    """The message of a failed wait is all one sees of a failed run."""
    batch = customer.run(chat_lines(1))
    with pytest.raises(TimeoutError, match=f"{batch.id}: completed"):
        sim.wait_for(lambda sim: sim.batches[0].status == "expired", timeout=0.01)


def test_a_large_file_passes(customer_of: Any) -> None:
    """50,000 lines go up, through and down again, in the time a test may take."""
    line = json.dumps(
        {
            "custom_id": "{}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-5-mini", "messages": TURNS},
        }
    )
    content = "\n".join(line.replace('"{}"', f'"r{at}"') for at in range(50_000)).encode()
    with Simulator() as sim:
        customer = customer_of(sim)
        made = customer.create(content)
        sim.wait_for(lambda sim: sim.batches[0].ended, timeout=30)
        answers = customer.client.files.content(customer.wait(made).output_file_id).read()
    assert len({json.loads(answer)["custom_id"] for answer in answers.splitlines()}) == 50_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    """`batchframe simulate`: the first line holds the URL, and both signals end it without a traceback."""
    code = "from batchframe.simulator import simulate; simulate(port=0, responder='schema')"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        url = program.stdout.readline().split()[-1]
        with urllib.request.urlopen(url.removesuffix("/v1") + "/admin/ledger", timeout=10) as answer:
            assert json.load(answer)["requests"] == 0
        program.send_signal(number)
        assert program.wait(10) == 0
        assert program.stderr.read() == ""
