"""Lists in pages: `after` names the last item of the page before, `limit` bounds the page, `has_more` says go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from batchframe.wire.refusals import Refusal


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Identified)


def page(items: Sequence[Item], after: str | None, limit: int) -> tuple[list[Item], bool]:
    """The page behind an item, and whether there are more."""
    start = 0
    if after is not None:
        found = [at for at, item in enumerate(items) if item.id == after]
        if not found:
            raise Refusal(400, f"Invalid 'after': no item with id '{after}'.", code="invalid_value", param="after")
        start = found[0] + 1
    return list(items[start : start + limit]), len(items) > start + limit


def whole_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A query parameter between 1 and a maximum."""
    given = query.get(name, str(default))
    if not given.isdecimal() or len(given) > 9 or not 1 <= int(given) <= most:
        message = f"Invalid '{name}': expected an integer between 1 and {most}, but got '{given}' instead."
        raise Refusal(400, message, code="invalid_value", param=name)
    return int(given)


def listing(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """A page of a list as the API shows it."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
