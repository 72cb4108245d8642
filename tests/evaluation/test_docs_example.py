"""The docs' example of a test is one that runs."""

import re
from pathlib import Path

import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()


def test_the_example_for_pytest_runs(session: bf.Session, simulator: Simulator) -> None:
    """People copy it; three different texts by two prompts are six requests."""
    example = next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def test_" in block)
    names: dict[str, object] = {}
    exec(compile(example, "docs/evaluation.md", "exec"), names)
    test = names["test_the_new_prompt_is_no_worse"]
    assert callable(test)
    test()
    assert paid_once(simulator, 6)


def test_the_table_of_metrics_names_those_there_are() -> None:
    """A metric that is not in the docs is not found, and one that is only there does nothing."""
    from batchframe.evaluation.metrics import named

    told = set(re.findall(r"^\| ((?:`[a-z_0-9]+`(?:, )?)+) \|", TEXT, re.MULTILINE))
    names = {name for cell in told for name in re.findall(r"`([a-z_0-9]+)`", cell)}
    for name in names:
        assert named.resolve(name)[0].name == name
    with pytest.raises(bf.InputError):
        named.resolve("nothing")
    assert len(names) > 15
