"""What every judge is asked by: a template over the task, the answer and the gold, and a call like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchframe.errors import InputError
from batchframe.frame.call import Call, check_call
from batchframe.frame.terms import Money

VERDICT = "verdict"
"""The result column of a judge's job."""


def check_words(**texts: object) -> None:
    """Raises:
    InputError: one of them is no text, or empty.
    """
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{name}={text!r}: pass a text that is not empty.")


def check_template(template: str | None, *needs: str) -> None:
    """Raises:
    InputError: a template of the user's that does not show the judge what it is to judge.
    """
    for name in needs:
        if template is not None and f"{{{name}}}" not in template:
            raise InputError(f"The template of the judge lacks {{{name}}}, which it is to judge.")


def literal(text: str) -> str:
    """A text as a template that says just that."""
    return text.replace("{", "{{").replace("}", "}}")


def call_of_judge(
    provider: str,
    template: str,
    *,
    model: str,
    system: str,
    schema: Mapping[str, Any],
    params: Mapping[str, Any],
    price: tuple[Money, Money] | None,
    budget_usd: Money | None = None,
) -> Call:
    """The call of a judge's job."""
    return check_call(
        provider,
        template,
        model=model,
        into=VERDICT,
        system=system,
        examples=None,
        images=None,
        schema=schema,
        endpoint="chat",
        name=None,
        missing="render",
        reuse=True,
        samples=1,
        overwrite=True,
        budget_usd=budget_usd,
        price=price,
        deadline=None,
        at_deadline="realtime",
        params=params,
    )
