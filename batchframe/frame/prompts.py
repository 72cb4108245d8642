"""What a user may pass as a template, and how it is written down in a job's specification."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchframe.core.images import DETAILS
from batchframe.core.jinja import JinjaTemplate
from batchframe.core.spec import Place
from batchframe.errors import InputError, ParameterError
from batchframe.frame.functions import RowFunction, function_name
from batchframe.model import CHAT

Text = str | JinjaTemplate
Prompt = Text | Sequence[Mapping[str, Any]] | RowFunction
_ROLES = ("user", "system", "developer", "assistant", "tool", "function")

Images = str | Sequence[str] | Mapping[str, str]


def jinja(source: str) -> JinjaTemplate:
    """A Jinja2 template, to pass wherever a template may stand: `bf.jinja("{% if score > 3 %}…{% endif %}")`.

    It sees the columns by their names, as plain Python values (numbers compare, lists can be looped over), and any
    column as `row["its name"]`. What is printed is written as `{column}` would have it: a missing value as nothing,
    lists and dictionaries as JSON. It runs in Jinja's sandbox, and an undefined name is an error.

    Raises:
        TemplateError: a syntax error, whose line is named.
    """
    return JinjaTemplate(source)


@dataclass(slots=True)
class Written:
    """A template and a system message as a specification has them.

    Attributes:
        function: what makes the prompts, when nothing is written.
        jinja: the places of the Jinja templates.
    """

    prompt: str | list[dict[str, Any]] = ""
    system: str | None = None
    function: RowFunction | None = None
    jinja: list[Place] = field(default_factory=list)

    @property
    def function_name(self) -> str | None:
        """The name a specification has of the function."""
        return None if self.function is None else function_name(self.function)


def write(prompt: Prompt, system: Text | None) -> Written:
    """Check the kinds of what was passed, and write it down.

    Raises:
        InputError: it is no kind of template.
    """
    written = Written()
    if system is not None:
        if not isinstance(system, str | JinjaTemplate):
            raise InputError(f"system={system!r}: pass a text, or bf.jinja(…).")
        written.system = _plain(system, ["system"], written.jinja)
    if isinstance(prompt, str | JinjaTemplate) or _are_messages(prompt):
        _check_roles(prompt)
        written.prompt = _plain(prompt, ["prompt"], written.jinja)
    elif callable(prompt):
        if inspect.iscoroutinefunction(prompt):
            raise InputError("The template is an async function: pass an ordinary one, which returns a row's prompt.")
        written.function = prompt
    else:
        raise InputError(
            "The template is a text, bf.jinja(…), a list of messages such as {'role': 'user', 'content': '…'}, "
            "or a function of a row."
        )
    return written


def _are_messages(prompt: Any) -> bool:
    return isinstance(prompt, list) and bool(prompt) and all(isinstance(message, Mapping) for message in prompt)


def _check_roles(prompt: Any) -> None:
    for number, message in enumerate([] if isinstance(prompt, str | JinjaTemplate) else prompt, start=1):
        if "type" in message and "role" not in message:
            continue  # of the responses endpoint: a call of a tool, and its output, have no role
        if message.get("role") not in _ROLES:
            raise InputError(f"Message {number} has the role {message.get('role')!r}: choose from {', '.join(_ROLES)}.")


def _plain(value: Any, place: Place, jinja: list[Place]) -> Any:
    """The value with the source of each Jinja template in its place, which is noted."""
    match value:
        case JinjaTemplate():
            jinja.append(place)
            return value.source
        case Mapping():
            return {key: _plain(item, [*place, key], jinja) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, [*place, at], jinja) for at, item in enumerate(value)]
    return value


def image_details(images: Images | None, endpoint: str) -> dict[str, str]:
    """The columns of images, with the detail of each.

    Args:
        endpoint: its path.

    Raises:
        ParameterError: no names of columns, or a detail the endpoint does not know.
    """
    if images is None:
        return {}
    if isinstance(images, str):
        images = [images]
    details = dict(images) if isinstance(images, Mapping) else dict.fromkeys(images, "auto")
    allowed = [detail for detail in DETAILS if detail != "original" or endpoint != CHAT]
    if not details or not all(isinstance(column, str) for column in details):
        raise ParameterError("images= takes the name of a column, a list of names, or {name: detail}.")
    for column, detail in details.items():
        if detail not in allowed:
            raise ParameterError(f"images={{{column!r}: {detail!r}}}: choose the detail from {', '.join(allowed)}.")
    return details
