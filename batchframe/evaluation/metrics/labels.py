"""Labels: an answer or a gold value as the text it is compared by.

Two values are the same when their labels are. A label is plain text even of a number or a list, so that a confusion
matrix, a share of right answers and a field of a JSON object all mean the same by "right".
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

_EITHER_SIDE = "\"'`*_()[]{}<>«»‹›“”„‘’‚「」『』"  # noqa: RUF001 (quotation marks of many languages)
_BEFORE = _EITHER_SIDE + "¿¡"
_AFTER = _EITHER_SIDE + ".,;:!?。、…"


def label(value: Any, normalise: bool = False) -> str:
    """The text a value is compared by.

    Text without its outer white space; a number as the shortest text of its value, so that 3, 3.0 and "3" are the
    same; a boolean as "True" or "False"; a member of an enum as its value; a list or a mapping as JSON, sorted by key.

    Args:
        normalise: whether to go through `normalised`, too.
    """
    try:
        reduced = _reduced(value)
        is_json = isinstance(reduced, dict | list)
        text = json.dumps(reduced, ensure_ascii=False, sort_keys=True) if is_json else str(reduced)
    except RecursionError:  # a model may nest lists without end
        text = "(nested too deeply)"
    return normalised(text) if normalise else text


def same(one: Any, other: Any) -> bool:
    """Whether two values have the same label; None is the same as None alone."""
    if one is None or other is None:
        return one is other
    return label(one) == label(other)


def normalised(text: str) -> str:
    """A text without what people overlook: case, the forms of characters, white space, and punctuation around it.

    Case and forms as in Unicode's compatibility caseless match (The Unicode Standard, section 3.13, definition D146),
    composed rather than decomposed. SQuAD's normalisation (Rajpurkar et al. 2016), which drops punctuation and
    articles, goes further than labels can bear: without articles the answer "A" to a multiple choice is empty, and
    without inner punctuation 3.5 is 35. So articles stay, and of the punctuation goes what stands around: quotation
    marks, brackets, Markdown's emphasis, and marks that end a sentence. A text of nothing else keeps it.
    """
    folded = text
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", folded).casefold())
    spaced = " ".join(folded.split())
    return _bare(spaced) or spaced


def _bare(text: str) -> str:
    while (less := text.lstrip(_BEFORE).rstrip(_AFTER).strip()) != text:
        text = less
    return text


def _reduced(value: Any) -> Any:
    """A value in the form that equal ones share."""
    if isinstance(value, Enum):
        return _reduced(value.value)
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, Mapping):
        return {str(key): _reduced(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_reduced(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    # A scalar of numpy, as a function's row or a list in a cell may hold, is what its Python value is.
    return _reduced(value.item()) if hasattr(value, "item") and not getattr(value, "ndim", 0) else str(value)
