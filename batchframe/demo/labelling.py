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

from batchframe.simulator import Request

ROWS = Path(__file__).with_name("debian_packages.csv")
NAME = "debian-sections"
MODEL = "gpt-5-mini"
TEMPLATE = "Which section of the archive does this package belong to?\n\n{package}: {title}\n\n{description}"

_WORDS = {
    "python": "python python3 django numpy",
    "javascript": "javascript node js npm browser",
    "perl": "perl cpan module",
    "haskell": "haskell ghc hackage",
    "ruby": "ruby rails gem",
    "java": "java jvm jar",
    "libdevel": "dev headers development static",
    "libs": "library shared libraries runtime",
    "fonts": "font fonts typeface glyphs",
    "games": "game games player puzzle arcade play levels",
    "doc": "documentation manual docs handbook",
    "science": "science simulation molecular analysis chemistry physics statistics genome",
    "sound": "audio sound music midi synthesizer mp3 alsa",
    "graphics": "image images graphics photo drawing png opengl",
    "net": "network server client http ftp irc protocol",
    "web": "web http html website apache",
    "admin": "system administration daemon cluster storage boot",
    "utils": "utility command tool files",
    "devel": "compiler debugger development build programming",
    "text": "text editor documents xml tex latex",
    "math": "mathematics algebra solver numerical",
    "rust": "rust crate cargo",
    "golang": "golang go",
}


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
    """The simulator's responder of the notebooks: by words where the demo's schema is asked for, else one line."""
    answer = answer_by_words(request.body, _known())
    return answer if request.schema else str(answer["section"])


@functools.cache
def _known() -> list[str]:
    return sections()


def answer_by_words(body: dict[str, Any], known: list[str]) -> dict[str, Any]:
    """Answer a request of the demo by counting words; the dictionary fits the schema."""
    text = str(body["messages"][-1]["content"]).partition("\n\n")[2].lower()
    words = re.findall(r"[a-z0-9]+", text)
    scores = {name: sum(words.count(word) for word in _WORDS.get(name, name).split()) for name in known}
    best = max(known, key=lambda name: scores[name])
    return {"section": best, "sure": scores[best] >= 3}
