"""A text that a regular expression matches, drawn by lot: for schemas with `pattern`.

It walks the tree the standard library's own parser makes, a private but old and steady one. What it cannot draw
(look-around, back-references) it leaves out; such a text may miss the pattern.
"""

from __future__ import annotations

import random
import re
import string
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_MOST_REPEATS = 3
_ANY = string.ascii_lowercase + string.digits
_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_NOT_DIGIT": string.ascii_lowercase,
    "CATEGORY_WORD": _ANY,
    "CATEGORY_NOT_WORD": "-.",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": _ANY,
}


def matching_text(pattern: str, lot: random.Random) -> str:
    """A text that matches, as far as the pattern is of the plain kind."""
    try:
        return _text(_parser.parse(pattern), lot)
    except re.error:
        return pattern  # another dialect; the schema's author will see it


def _text(tree: Any, lot: random.Random) -> str:
    return "".join(_piece(str(operator), argument, lot) for operator, argument in tree)


def _piece(operator: str, argument: Any, lot: random.Random) -> str:
    if operator == "LITERAL":
        return chr(argument)
    if operator == "NOT_LITERAL":
        return lot.choice(_ANY.replace(chr(argument), ""))
    if operator == "ANY":
        return lot.choice(_ANY)
    if operator == "IN":
        return lot.choice(_members(argument))
    if operator == "BRANCH":
        return _text(lot.choice(argument[1]), lot)
    if operator == "SUBPATTERN":
        return _text(argument[-1], lot)
    if operator in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, repeated = argument
        return "".join(_text(repeated, lot) for _ in range(lot.randint(least, min(int(most), least + _MOST_REPEATS))))
    return ""


def _members(choices: Any) -> str:
    """The characters of a class like `[a-z_]`."""
    found = "".join(_characters(str(operator), argument) for operator, argument in choices)
    if choices and str(choices[0][0]) == "NEGATE":
        return "".join(character for character in _ANY + " -_" if character not in found)
    return found


def _characters(operator: str, argument: Any) -> str:
    if operator == "LITERAL":
        return chr(argument)
    if operator == "RANGE":
        return "".join(map(chr, range(argument[0], argument[1] + 1)))
    if operator == "CATEGORY":
        return _CATEGORIES.get(str(argument), "")
    return ""
