"""`batchframe eval`: an evaluation from a file, as CI runs it."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchframe.evaluation import file as files
from batchframe.simulator import Request, Simulator
from tests.cli.conftest import Run
from tests.judging import paid_once

N = 30
TOML = """
data = "rows.csv"
name = "nightly"
models = ["m"]
gold = "gold"
price = [1, 2]
metrics = ["accuracy", {metric = "contains", text = "label"}]

[prompts]
plain = "Which one? {text}"
careful = {file = "careful.txt", system = "You label."}
"""
NOT_WORSE = """
[[checks]]
cell = ["careful", "m"]
by = 0.05
"""
TOO_HIGH = """
[[checks]]
cell = "plain"
at_least = 0.9
"""


def answer(request: Request) -> Any:
    """Right, but for every third row without care."""
    number = int(re.findall(r"t(\d+)", request.prompt)[0])
    return f"label{number % 3}" if "care" in request.prompt or number % 3 else "wrong"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A provider to which care matters."""
    with Simulator(responder=answer) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows and a prompt beside the file."""
    rows = pd.DataFrame({"text": [f"t{at}" for at in range(N)], "gold": [f"label{at % 3}" for at in range(N)]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "careful.txt").write_text("Take care. Which one? {text}")
    return tmp_path


def written(folder: Path, text: str, name: str = "spec.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_an_evaluation_passes_its_checks(run: Run, simulator: Simulator, folder: Path) -> None:
    """Planned, asked, shown, checked: status 0, and every form of the results says the same."""
    spec = written(folder, TOML + NOT_WORSE)
    outputs = {"--json": folder / "out.json", "--junit": folder / "out.xml", "--html": folder / "out.html"}
    said = run("eval", "run", spec, *(str(part) for pair in outputs.items() for part in pair)).output
    assert "Plan of an evaluation of 30 rows" in said
    assert "careful · m: better: +33.3 points" in said
    assert "pass  careful · m is not worse than plain · m by more than 5 points of accuracy" in said
    assert paid_once(simulator, 2 * N)
    told = json.loads(outputs["--json"].read_text())
    assert [cell["accuracy"] for cell in told["cells"]] == pytest.approx([2 / 3, 1.0])
    assert told["checks"][0]["passed"] is True
    assert told["evaluation"]["status"] == "done"
    suite = ET.parse(outputs["--junit"]).getroot()[0]
    assert [case.get("name") for case in suite.iter("testcase")][-1] == (
        "careful · m: accuracy no worse than plain · m by more than 5 points"
    )
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "0", "0")
    assert "careful · m" in outputs["--html"].read_text()


def test_a_check_that_fails_is_the_status(run: Run, simulator: Simulator, folder: Path) -> None:
    """CI goes red, with the words in JUnit; and running it again pays nothing."""
    spec, junit = written(folder, TOML + NOT_WORSE + TOO_HIGH), folder / "out.xml"
    said = run("eval", "run", spec, "--junit", str(junit), status=1).output
    assert "FAIL  accuracy of plain · m is not at least 90.0%: 66.7%" in said
    suite = ET.parse(junit).getroot()[0]
    failures = [failure.get("message") or "" for failure in suite.iter("failure")]
    assert [text[:40] for text in failures] == ["accuracy of plain · m is not at least 90"]
    run("eval", "run", spec, status=1)
    assert paid_once(simulator, 2 * N)


def test_a_plan_sends_nothing(run: Run, simulator: Simulator, folder: Path) -> None:
    """What it would cost is known before."""
    said = run("eval", "run", written(folder, TOML), "--plan").output
    assert re.search(r"together +60 +0 +60 ", said)
    assert not simulator.ledger.billed()
    assert len(run("eval", "list").output.splitlines()) == 1


def test_yaml_says_the_same(run: Run, simulator: Simulator, folder: Path) -> None:
    """Whoever keeps YAML need not learn TOML."""
    text = """
data: rows.csv
name: nightly
models: [m]
gold: gold
price: [1, 2]
metrics: [accuracy, {metric: contains, text: label}]
prompts:
  plain: "Which one? {text}"
  careful: {file: careful.txt, system: You label.}
"""
    run("eval", "run", written(folder, TOML))
    run("eval", "run", written(folder, text, "spec.yaml"))
    assert paid_once(simulator, 2 * N)
    assert "nightly" in run("eval", "list").output.splitlines()[1]
    assert "careful · m: better" in run("eval", "show", "nightly").output
    assert json.loads(run("eval", "show", "1", "--json").output)["cells"][1]["accuracy"] == 1.0


def test_labels_are_read_as_they_are_written(run: Run, simulator: Simulator, folder: Path) -> None:
    """A class may be called "None" or "NA", and a text look like a number: neither is taken for something else."""
    pd.DataFrame({"text": ["t1", "t2"], "gold": ["None", "NA"]}).to_csv(folder / "rows.csv", index=False)
    assert files.read(Path(written(folder, TOML))).frame["gold"].tolist() == ["None", "NA"]
    (folder / "rows.jsonl").write_text('{"text": "007", "gold": "2024-01-01"}\n')
    frame = files.read(Path(written(folder, TOML.replace("rows.csv", "rows.jsonl")))).frame
    assert frame.iloc[0].tolist() == ["007", "2024-01-01"]


def test_a_timeout_leaves_the_jobs(run: Run, simulator: Simulator, folder: Path) -> None:
    """CI's patience ends before the provider's: the next run goes on."""
    simulator.settings.duration = 3600
    said = run("eval", "run", written(folder, TOML), "--timeout", "0.2", status=124).output
    assert "goes on with it" in said
    simulator.settings.duration = 0
    run("eval", "run", written(folder, TOML))
    assert paid_once(simulator, 2 * N)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TOML.replace("gold =", "golld ="), "golld: there is no such key. Did you mean 'gold'?"),
        (TOML.replace('data = "rows.csv"', ""), "lacks 'data'"),
        (TOML.replace("rows.csv", "none.csv"), "cannot be read"),
        (TOML.replace("rows.csv", "rows.xlsx"), "is none of .parquet, .csv, .jsonl"),
        (TOML.replace("careful.txt", "none.txt"), "none.txt cannot be read"),
        (TOML.replace("file =", "fil ="), "prompts.careful: give it either a template or a file"),
        (TOML.replace("system =", "sytem ="), "sytem"),
        (TOML + "[[checks]]\nby = 0.1\nat_least = 0.5\n", "number 1: give it exactly one of"),
        (TOML + "[[checks]]\nbye = 0.1\n", "bye"),
        (TOML + '[[checks]]\ncell = ["careful", "none"]\nby = 0.1\n', "There is no cell"),
        (TOML + '[[checks]]\nmetric = "f1"\nby = 0.1\n', "there is no metric 'f1'"),
        (TOML.replace('"accuracy"', '{judge = "graded", rubric = "r", model = "j", scal = [1, 5]}'), "scal"),
        (TOML.replace('data = "rows.csv"', "data = 3"), "data takes a path, not 3"),
        (TOML.replace('"careful.txt"', "3"), "prompts.careful.file takes a path"),
        ("prompts = 3\n" + TOML.split("[prompts]")[0], "prompts takes a table, not 3"),
        ('schema = "careful.txt"\n' + TOML, "careful.txt is no JSON"),
        ("= nonsense", "is no TOML"),
        (TOML.replace('"accuracy"', '"acuracy"'), "accuracy"),
    ],
)
def test_a_file_that_says_what_nobody_knows_is_refused(
    run: Run, simulator: Simulator, folder: Path, text: str, said: str
) -> None:
    """A typing error in a file costs nothing, and the message says where it is."""
    assert said in run("eval", "run", written(folder, text), status=1).output
    assert not simulator.ledger.billed()


def test_an_evaluation_that_is_not_there_is_said(run: Run) -> None:
    """A name that was mistyped."""
    assert "There is no evaluation 'none'" in run("eval", "show", "none", status=1).output
