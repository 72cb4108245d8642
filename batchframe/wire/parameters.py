"""Parameters of a call, from JSON or a form, and how OpenAI says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from batchframe.wire import jsontext
from batchframe.wire.refusals import Refusal


async def json_body(request: Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object."""
    return json_object(await request.body())


def json_object(text: bytes) -> dict[str, Any]:
    """A body that was read, which must be a JSON object."""
    try:
        body = jsontext.decode(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "We could not parse the JSON body of your request. (It must be a JSON object.)")
    return body


def checked_metadata(given: Any) -> dict[str, str] | None:
    """Metadata within its limits: 16 pairs of strings, keys of 64 characters, values of 512."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _wrong_type("metadata", "an object", given)
    if len(given) > 16:
        message = (
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
            f"but got an object with {len(given)} properties instead."
        )
        raise Refusal(400, message, code="object_above_max_properties", param="metadata")
    for key, value in given.items():
        name = f"metadata.{key}"
        if not isinstance(value, str):
            raise _wrong_type(name, "a string", value)
        for text, most in ((key, 64), (value, 512)):
            if len(text) > most:
                message = (
                    f"Invalid '{name}': string too long. Expected a string with maximum length {most}, "
                    f"but got a string with length {len(text)} instead."
                )
                raise Refusal(400, message, code="string_above_max_length", param=name)
    return given


def required(asked: Mapping[str, Any], name: str) -> str:
    """A parameter that must be there and be a string."""
    value = asked.get(name)
    if value is None:
        message = f"Missing required parameter: '{name}'."
        raise Refusal(400, message, code="missing_required_parameter", param=name)
    if not isinstance(value, str):
        raise _wrong_type(name, "a string", value)
    return value


def one_of(asked: Mapping[str, Any], name: str, supported: tuple[str, ...]) -> str:
    """A parameter that must be one of some strings."""
    value = required(asked, name)
    if value not in supported:
        *others, last = (f"'{choice}'" for choice in supported)
        listed = f"{', '.join(others)}, and {last}" if others else last
        message = f"Invalid value: '{value}'. Supported values are: {listed}."
        raise Refusal(400, message, code="invalid_value", param=name)
    return value


def _wrong_type(name: str, expected: str, given: Any) -> Refusal:
    got = _TYPE_NAMES.get(type(given), "an unknown type")
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return Refusal(400, message, code="invalid_type", param=name)


def expiry_seconds(asked: Any, name: str) -> float | None:
    """The lifetime asked for by `expires_after` or `output_expires_after`; None if none was."""
    if asked is None:
        return None
    if not isinstance(asked, Mapping) or asked.get("anchor") != "created_at":
        raise Refusal(400, f"Invalid value for '{name}.anchor': it must be 'created_at'.", param=f"{name}.anchor")
    seconds = asked.get("seconds")
    if not isinstance(seconds, int) or not 3_600 <= seconds <= 2_592_000:
        message = f"Invalid value for '{name}.seconds': it must be between 3600 and 2592000."
        raise Refusal(400, message, code="invalid_value", param=f"{name}.seconds")
    return seconds


def expires_after(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """`expires_after[seconds]=3600` and the like, as the form spells a nested parameter."""
    found = {
        match[1]: int(value) if value.isdecimal() else value
        for name, value in fields.items()
        if (match := re.fullmatch(r"expires_after\[(\w+)\]", name))
    }
    return found or None


_TYPE_NAMES = {
    list: "an array",
    dict: "an object",
    str: "a string",
    int: "an integer",
    float: "a decimal number",
    bool: "a boolean",
    type(None): "null",
}
