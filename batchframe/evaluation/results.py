"""The results of an evaluation for machines: JSON for programs, JUnit XML for what shows tests. XML is only written."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # nosec B405
from collections.abc import Sequence
from typing import Any

from batchframe.evaluation.checking import Check
from batchframe.evaluation.evaluation import Evaluation

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML has no way to write."""


def as_json(evaluation: Evaluation, checks: Sequence[Check]) -> dict[str, Any]:
    """An evaluation as plain values: `evaluation`, `cells`, `comparisons`, `checks` and `usage`."""
    progress = evaluation.progress()
    cost = progress.usage.cost_usd
    return {
        "evaluation": {
            "id": evaluation.id,
            "name": evaluation.name,
            "status": progress.status,
            "rows": progress.rows,
            "requests": progress.requests,
            "reused": progress.reused,
        },
        "cells": _records(evaluation.table().reset_index()),
        "comparisons": _records(evaluation.versus().reset_index()),
        "checks": [
            {
                **check.cell._asdict(),
                "metric": check.metric,
                "allows": check.allows,
                "passed": check.passed,
                "words": check.words,
            }
            for check in checks
        ],
        "usage": {
            "input_tokens": progress.usage.input_tokens,
            "output_tokens": progress.usage.output_tokens,
            "cost_usd": None if cost is None else float(cost),
        },
    }


def as_junit(evaluation: Evaluation, checks: Sequence[Check]) -> bytes:
    """An evaluation as a JUnit test suite: a case a check, and one for each cell, which fails when none of its rows has
    an answer."""
    name = evaluation.name or f"evaluation {evaluation.id}"
    told = as_json(evaluation, checks)
    unanswered = [cell for cell in evaluation.cells if not evaluation.has_answers(cell)]
    failures = sum(not check.passed for check in checks)
    counts = {"tests": str(len(checks) + len(evaluation.cells)), "failures": str(failures), "skipped": "0"}
    suites = ET.Element("testsuites")
    suite = ET.SubElement(suites, "testsuite", {"name": name, **counts, "errors": str(len(unanswered)), "time": "0"})
    properties = ET.SubElement(suite, "properties")
    for key, value in {**told["evaluation"], **told["usage"]}.items():
        ET.SubElement(properties, "property", {"name": key, "value": "" if value is None else str(value)})
    for cell in evaluation.cells:
        case = ET.SubElement(suite, "testcase", {"classname": name, "name": f"{cell} is answered", "time": "0"})
        if cell in unanswered:
            ET.SubElement(case, "error", {"message": f"No row of {cell} has an answer."})
    for check in checks:
        called = f"{check.cell}: {check.metric} {check.allows}"
        case = ET.SubElement(suite, "testcase", {"classname": name, "name": called, "time": "0"})
        if check.passed:
            ET.SubElement(case, "system-out").text = check.words
        else:
            ET.SubElement(case, "failure", {"message": check.words}).text = check.words
    ET.indent(suites)
    written = ET.tostring(suites, encoding="unicode")
    kept = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", written)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{kept}\n'.encode()


def _records(frame: Any) -> list[dict[str, Any]]:
    # What is missing becomes null: NaN is no JSON.
    return [
        {name: None if value is None or value != value else value for name, value in record.items()}
        for record in frame.astype(object).where(frame.notna(), None).to_dict("records")
    ]
