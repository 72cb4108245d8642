"""An evaluation whose process is killed: another process goes on with it, and nothing is paid twice."""

import multiprocessing
import time
from pathlib import Path

import batchframe as bf
from batchframe.demo.labelling import respond
from batchframe.simulator import Simulator
from benchmarks import evaluation
from tests.judging import paid_once

N = 150


def test_a_killed_evaluation_is_finished_by_its_name(tmp_path: Path) -> None:
    """4 prompts, 3 models and 2 judges, killed with -9 half way through the answers: no more is sent than was planned,
    each distinct request is billed once, and every cell and verdict is there."""
    home = str(tmp_path / "home")
    with Simulator(responder=respond, duration=2.0) as simulator:
        settings = evaluation.settings(simulator.base_url, home)
        session = bf.connect(**settings)
        plan = evaluation.rows(N).llm.plan_compare(evaluation.PROMPTS, **evaluation.comparison())
        session.close()
        process = multiprocessing.get_context("spawn").Process(
            target=evaluation.ask, args=(simulator.base_url, home, N)
        )
        process.start()
        while simulator.ledger.requests < 6 * N:
            assert process.is_alive()
            time.sleep(0.02)
        process.kill()
        process.join()
        session = bf.connect(**settings)
        try:
            ev = bf.evaluation(evaluation.NAME).wait(120, progress=False)
            table = ev.table()
            assert ev.status == "done"
            assert len(table) == 12
            assert (table[["accuracy_n", "grade_n", "preferred_n"]] == N).all(axis=None)
            assert simulator.ledger.requests <= plan.to_send
            assert paid_once(simulator, simulator.ledger.requests)
        finally:
            session.close()
