"""What the demo asks, and who answers: the schema, the template, and a stand-in for a model.

The stand-in looks for words of the text, so the table it makes is worth looking at; it is no language model, and how
often it is right says nothing about one.
"""

from __future__ import annotations

import enum
import functools
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic

from batchframe.demo.judging import verdict
from batchframe.demo.words import label_of
from batchframe.simulator import Request

ROWS = Path(__file__).with_name("debian_packages.csv")
NAME = "debian-sections"
MODEL = "gpt-5-mini"
TEMPLATE = "Which section of the archive does this package belong to?\n\n{package}: {title}\n\n{description}"


def read_rows() -> pd.DataFrame:
    """The 3,000 real rows that come with the package."""
    return pd.read_csv(ROWS)


def sections() -> list[str]:
    """The classes of the gold column."""
    return sorted(read_rows()["section"].unique())


def label_schema() -> type[pydantic.BaseModel]:
    """The answer's schema: one of the sections, and how sure."""
    section = enum.Enum("Section", {name: name for name in sections()}, type=str)  # type: ignore[misc]
    return pydantic.create_model("Label", section=(section, ...), sure=(bool, ...))


def respond(request: Request) -> dict[str, Any] | str:
    """The simulator's responder of the notebooks: by words where the demo's schema is asked for, else one line; and the
    verdicts of its judges."""
    asked = request.schema["properties"] if request.schema else {}
    if "grade" in asked or "better" in asked:
        return verdict(request.prompt, _known(), pairwise="better" in asked)
    answer = answer_by_words(request.body, _known())
    return answer if request.schema else str(answer["section"])


@functools.cache
def _known() -> list[str]:
    return sections()


def answer_by_words(body: dict[str, Any], known: list[str]) -> dict[str, Any]:
    """Answer a request of the demo by counting words; the dictionary fits the schema.

    Lines of the prompt such as `- mail: smtp, imap` teach it words. A model called nano reads the first line only.
    """
    asked, _, text = str(body["messages"][-1]["content"]).lower().partition("\n\n")
    if "nano" in str(body.get("model")):
        text = text.partition("\n")[0]
    return label_of(text, known, taught=dict(re.findall(r"^- ([a-z]+): (.+)$", asked, re.MULTILINE)))
