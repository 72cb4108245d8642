"""Words by which the demo's stand-in for a model knows the sections of the archive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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


def label_of(text: str, known: list[str], taught: Mapping[str, str]) -> dict[str, Any]:
    """The section whose words are most frequent in a text, and whether that is clear.

    Args:
        taught: further words of sections, separated by commas.
    """
    words = re.findall(r"[a-z0-9]+", text)
    telling = {name: {*_WORDS.get(name, name).split(), *taught.get(name, "").split(", ")} for name in known}
    scores = {name: sum(words.count(word) for word in telling[name]) for name in known}
    best = max(known, key=lambda name: scores[name])
    return {"section": best, "sure": scores[best] >= 3}
