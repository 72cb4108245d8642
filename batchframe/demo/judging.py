"""The demo's stand-in for a judge: it has an opinion of its own, by words, and holds the answers against it.

Like a real one it is not always right, and when in doubt it prefers what comes first.
"""

from __future__ import annotations

import re
from typing import Any

from batchframe.demo.words import label_of

_KNOWS = {
    "mail": "mail, smtp, imap, pop3, spam, mailbox",
    "database": "database, sql, mysql, postgresql, sqlite, ldap",
    "editors": "editor, editors, emacs, vim, word, latex",
    "video": "video, dvd, mpeg, movie, tv, player",
    "education": "education, learning, school, children, teach",
}


def verdict(prompt: str, known: list[str], *, pairwise: bool) -> dict[str, Any]:
    """A grade from 1 to 5 of the answer in a prompt, or which of two is better."""
    own = label_of(_between(prompt, "task").lower(), known, _KNOWS)
    wanted = str(own["section"])
    reason = f"I would have said {wanted}{'' if own['sure'] else ', though I am not sure'}."
    if not pairwise:
        right = wanted in _between(prompt, "answer")
        return {"reason": reason, "grade": (5 if own["sure"] else 4) if right else (1 if own["sure"] else 3)}
    first, second = (wanted in _between(prompt, f"{place}_answer") for place in ("first", "second"))
    if first == second:
        return {"reason": reason, "better": "tie" if own["sure"] else "first"}
    return {"reason": reason, "better": "first" if first else "second"}


def _between(prompt: str, tag: str) -> str:
    """The text between the tags of a judge's prompt; all of it where there are none."""
    found = re.search(f"<{tag}>\\n(.*?)\\n</{tag}>", prompt, re.DOTALL)
    return found[1] if found else prompt
