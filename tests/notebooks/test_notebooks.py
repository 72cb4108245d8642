"""The notebooks of the project run from top to bottom, and say what they say they do."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from batchframe.demo.labelling import read_rows, respond
from batchframe.simulator import Simulator
from tests.judging import paid_once
from tests.notebooks import running


@pytest.fixture
def provider(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The provider the kernels find in their environment."""
    with Simulator(responder=respond, duration=1.5) as simulator:
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("BATCHFRAME_DATABASE_URL", database_url)
        monkeypatch.setenv("BATCHFRAME_HOME", str(tmp_path / "home"))
        yield simulator


def outputs(notebook: nbformat.NotebookNode) -> str:
    """All that the cells of a notebook have said, as text."""
    said = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(one.get("text") or one.data["text/plain"] for one in said)


def test_the_quickstart_pays_for_its_rows_once(provider: Simulator) -> None:
    """It is the first thing people see; a cell of it that fails is a project that fails."""
    said = outputs(running.run(running.FOLDER / "01_quickstart.ipynb"))
    assert paid_once(provider, 198)
    assert "skipped      2" in said
    assert "True" in said


def test_bulk_labelling_ends_with_every_row_labelled(provider: Simulator) -> None:
    """Refusals are asked again by hand, server errors by themselves, and the sample is not paid twice."""
    said = outputs(running.run(running.FOLDER / "02_bulk_labelling.ipynb"))
    distinct = len(read_rows().drop_duplicates())
    assert provider.ledger.requests == distinct
    assert "content_policy" in said
    assert f"ok    {distinct}" in said


def test_a_job_survives_the_kill_of_its_kernel(provider: Simulator) -> None:
    """Killed with -9 in the middle: the requests billed are the distinct rows."""
    said = outputs(running.run(running.FOLDER / "03_resume_after_restart.ipynb"))
    distinct = len(read_rows()[["package", "title", "description"]].drop_duplicates())
    assert paid_once(provider, distinct)
    assert f"{distinct:,} distinct rows" in said
    assert "survives  running" in said


def test_the_evaluation_finds_the_better_prompt_and_pays_once(provider: Simulator) -> None:
    """From the plan to the winner to labelling the rest: what was asked while comparing is not asked again."""
    said = outputs(running.run(running.FOLDER / "04_prompt_evaluation.ipynb"))
    assert paid_once(provider, provider.ledger.requests)
    assert "rubric · gpt-5-mini: better: +3.0 points" in said
    assert "2,400 new requests" in said
    assert "1,200 answered already, 1,800 to send" in said
    report = running.FOLDER / "sections-v1.html"
    assert "rubric · gpt-5-mini" in report.read_text()
    report.unlink()


@pytest.mark.parametrize("path", sorted(running.FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_outputs_are_kept_in_the_file(path: Path) -> None:
    """Most people read a notebook without running it; and what they read must not be an error, or of this machine."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert str(Path.home()) not in path.read_text()
