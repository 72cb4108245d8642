"""An evaluation as a file, TOML or YAML, for `batchframe eval run`: the arguments of `df.llm.compare`, and checks.

    data = "tickets.parquet"          # .parquet, .csv or .jsonl, beside this file
    name = "triage"
    models = ["gpt-5-mini"]           # or [models] with labels and parameters
    gold = "team"
    metrics = ["accuracy", {judge = "graded", rubric = "…", model = "gpt-5"}]

    [prompts]
    short = "Team for this ticket? {subject}"
    rubric = {file = "rubric.txt", system = "You sort tickets."}     # or template = "…"

    [[checks]]                        # not worse than the baseline by more than 2 points
    cell = ["rubric", "gpt-5-mini"]
    by = 0.02

    [[checks]]                        # at least this good
    cell = ["rubric", "gpt-5-mini"]
    at_least = 0.8

A check is of one `cell`, or of every cell (but what it is held against); `than` says what it may not be worse than,
else the baseline; `at_most` is for errors; `metric` for another than the first; `sure` fails also where too few rows
cannot tell.
`schema` is a JSON schema, or the path of one; body parameters stand under `params`.
"""

from __future__ import annotations

import difflib
import inspect
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from batchframe.errors import ConfigurationError, InputError
from batchframe.evaluation.accessor import ComparingAccessor
from batchframe.evaluation.cell import cell_of
from batchframe.evaluation.checking import Check, not_worse, reaches
from batchframe.evaluation.comparison import Comparison, check_comparison
from batchframe.evaluation.evaluation import Evaluation

_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".parquet": pd.read_parquet,
    # What is written is what is read: a label may be called "None" or "NA", and a text look like a number or a date.
    ".csv": lambda path: pd.read_csv(path, keep_default_na=False, na_values=[""]),
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
}
_OF_PYTHON = ("self", "examples")
"""Arguments that a file cannot say."""


class CheckSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check: exactly one of `by`, `at_least` and `at_most` says of what kind.

    Attributes:
        cell: the cell that is checked; None for every cell (but `than`).
        than: what it may not be worse than; None for the baseline.
        by: the loss that is allowed.
        at_least, at_most: what the value may not be below, or above.
        metric: None for the first.
        sure: fail also when so few rows cannot rule it out.
    """

    cell: str | list[str] | None = None
    than: str | list[str] | None = None
    by: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    metric: str | None = None
    sure: bool = False


@dataclass(frozen=True)
class EvaluationFile:
    """What a file says."""

    frame: pd.DataFrame
    arguments: Mapping[str, Any]
    checks: list[CheckSpec]

    def comparison(self, provider: str) -> Comparison:
        """The comparison, checked as `df.llm.compare` does.

        Raises:
            InputError: an argument cannot be used, or a check names a cell or a metric that is not there.
        """
        made = check_comparison(provider, self.frame, **self.arguments)
        cells, metrics = list(made.calls), [one.name for one in made.measures]
        for spec in self.checks:
            for key in (spec.cell, spec.than):
                if key is not None:
                    cell_of(_key(key), cells)
            if spec.metric is not None and spec.metric not in metrics:
                raise InputError(f"checks: there is no metric {spec.metric!r}. There are: {', '.join(metrics)}.")
        return made

    def check(self, evaluation: Evaluation) -> list[Check]:
        """The result of every check.

        Raises:
            InputError: a check names a cell or a metric that is not there.
        """
        findings = evaluation.findings()
        found = []
        for spec in self.checks:
            one = findings.measure_of(spec.metric)
            than = findings.standing.spec.baseline if spec.than is None else evaluation.cell(_key(spec.than))
            given = None if spec.cell is None else [evaluation.cell(_key(spec.cell))]
            for cell in given or [other for other in evaluation.cells if spec.by is None or other != than]:
                if spec.by is not None:
                    found.append(not_worse(findings, cell, than, one, spec.by, sure=spec.sure))
                else:
                    found.append(
                        reaches(findings, cell, one, at_least=spec.at_least, at_most=spec.at_most, sure=spec.sure)
                    )
        return found


def read(path: Path) -> EvaluationFile:
    """Read a file.

    Raises:
        InputError: it is not there, no TOML or YAML, or says what nobody knows; the message says where.
        ConfigurationError: YAML, and PyYAML is not installed.
    """
    said = _parse(path)
    known = inspect.signature(ComparingAccessor.compare).parameters
    names = [name for name in known if name not in _OF_PYTHON]
    _check_keys(said, [*names, "data", "checks"], "")
    for name in ("data", "prompts", "models"):
        if name not in said:
            raise InputError(f"{path.name} lacks {name!r}.")
    _check_kinds(said)
    arguments = {name: known[name].default for name in known if name not in ("self", "params", "prompts", "models")}
    arguments |= {name: value for name, value in said.items() if name in names}
    arguments["params"] = dict(said.get("params", {}))
    arguments["prompts"] = {label: _prompt(label, prompt, path.parent) for label, prompt in said["prompts"].items()}
    if isinstance(said.get("schema"), str):
        arguments["schema"] = _json(path.parent / said["schema"])
    if isinstance(said.get("baseline"), list):
        arguments["baseline"] = tuple(said["baseline"])
    return EvaluationFile(_rows(path.parent / said["data"]), arguments, _checks(said.get("checks", [])))


def _parse(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix not in (".yaml", ".yml"):
            raise InputError(f"{path.name}: pass a .toml or a .yaml file.")
        try:
            import yaml
        except ImportError:
            raise ConfigurationError("YAML needs PyYAML: pip install 'batchframe[eval]'.") from None
        try:
            said = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"{path.name} is no YAML: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name} is no TOML: {error}") from None
    if not isinstance(said, dict):
        raise InputError(f"{path.name} holds no keys.")
    return said


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"schema: {path.name} is no JSON: {error}") from None


def _check_kinds(said: Mapping[str, Any]) -> None:
    for name, kind, words in (("data", str, "a path"), ("prompts", Mapping, "a table"), ("params", Mapping, "a table")):
        if name in said and not isinstance(said[name], kind):
            raise InputError(f"{name} takes {words}, not {said[name]!r}.")


def _check_keys(said: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    names = list(known)
    for key in said:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(names)}."
            raise InputError(f"{place}{key}: there is no such key. {hint}")


def _prompt(label: str, prompt: Any, folder: Path) -> Any:
    if not isinstance(prompt, Mapping):
        return prompt
    if ("file" in prompt) == ("template" in prompt):
        raise InputError(f"prompts.{label}: give it either a template or a file.")
    if not isinstance(prompt.get("file", ""), str):
        raise InputError(f"prompts.{label}.file takes a path, not {prompt['file']!r}.")
    own = {key: value for key, value in prompt.items() if key != "file"}
    return {**own, "template": _text(folder / prompt["file"])} if "file" in prompt else own


def _rows(path: Path) -> pd.DataFrame:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputError(f"data: {path.name} is none of {', '.join(_READERS)}.")
    try:
        return reader(path)
    except (OSError, ValueError) as error:
        raise InputError(f"data: {path} cannot be read: {error}") from None


def _checks(said: Any) -> list[CheckSpec]:
    try:
        checks = msgspec.convert(said, list[CheckSpec])
    except msgspec.ValidationError as error:
        raise InputError(f"checks: {error}. Known are: {', '.join(CheckSpec.__struct_fields__)}.") from None
    for number, check in enumerate(checks, start=1):
        if sum(given is not None for given in (check.by, check.at_least, check.at_most)) != 1:
            raise InputError(f"checks, number {number}: give it exactly one of by, at_least and at_most.")
    return checks


def _key(said: str | list[str]) -> Any:
    return tuple(said) if isinstance(said, list) else said
