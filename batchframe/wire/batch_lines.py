"""The provider's rules for one line of a batch's input file, and its words for what breaks them. Sources: facts §2.5.

The slow, exact look at a line: whoever reads many of them passes by those that are beyond doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.wire import jsontext

PROMPT_PARAMETER = {
    CHAT: "messages",
    RESPONSES: "input",
    EMBEDDINGS: "input",
    COMPLETIONS: "prompt",
    MODERATIONS: "input",
}
_FAMILY = {
    CHAT: "Chat Completions",
    RESPONSES: "Responses",
    EMBEDDINGS: "Embeddings",
    COMPLETIONS: "Completions",
    MODERATIONS: "Moderations",
}

LineError = dict[str, Any]
"""An entry of a batch's `errors.data`."""


def line_error(code: str, message: str, line: int | None = None, param: str | None = None) -> LineError:
    """An entry of a batch's `errors.data`."""
    return {"code": code, "line": line, "message": message, "param": param}


def no_such_input(file_id: str, organization: str) -> LineError:
    """The input file is not there."""
    message = f"Cannot find file {file_id}, or organization {organization} does not have access to it."
    return line_error("invalid_request", message, param="file_id")


def missing_parameter(endpoint: str, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """The parameter a body must have and has not, with its message; in real time and in batches alike."""
    if not isinstance(body.get("model"), str):
        return "model", "Model parameter is required."
    prompt = PROMPT_PARAMETER[endpoint]
    if body.get(prompt) is None and not (endpoint == RESPONSES and _continues(body)):
        return prompt, f"{prompt.capitalize()} parameter is required."
    return None


def read_line(text: bytes) -> dict[str, Any] | None:
    """The line as the JSON object it has to be; None if it is none."""
    try:
        found = jsontext.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def unparseable(line: int) -> LineError:
    """The line is no JSON object."""
    return line_error("invalid_json_line", "This line is not parseable as valid JSON.", line)


def wrong_envelope(found: Mapping[str, Any], endpoint: str, line: int) -> LineError | None:
    """What is wrong around the body of a line."""
    for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
        value = found.get(name)
        if value is None:
            return line_error("missing_required_parameter", f"Missing required parameter: '{name}'.", line, name)
        if not isinstance(value, kind):
            expected = "a string" if kind is str else "an object"
            return line_error("invalid_type", f"Invalid type for '{name}': expected {expected}.", line, name)
    if found["method"] != "POST":
        message = f"Invalid value: '{found['method']}'. Supported values are: 'POST'"
        return line_error("invalid_method", message, line, "method")
    if found["url"] != endpoint:
        message = "The URL provided for this request does not match the batch endpoint."
        return line_error("invalid_url", message, line, "url")
    return None


def duplicate(custom_id: str, line: int) -> LineError:
    """The custom id stands in an earlier line, too."""
    message = (
        f"The custom_id '{custom_id}' for this request is a duplicate of another request. "
        "The custom_id parameter must be unique for each request in a batch."
    )
    return line_error("duplicate_custom_id", message, line, "custom_id")


def wrong_body(body: Mapping[str, Any], endpoint: str, line: int) -> LineError | None:
    """What is wrong with the body of a line by itself."""
    if body.get("stream"):
        message = f"{_FAMILY[endpoint]}: Streaming is not supported in the Batch API."
        return line_error("streaming_unsupported", message, line, "body.stream")
    missing = missing_parameter(endpoint, body)
    if missing is not None:
        return line_error("invalid_request", missing[1], line, f"body.{missing[0]}")
    return None


def other_model(model: str, line: int) -> LineError:
    """The model is not that of the lines before."""
    message = (
        f"The model '{model}' for this request does not match the rest of the batch. "
        "Each batch must contain requests for a single model."
    )
    return line_error("mismatched_model", message, line, "body.model")


def _continues(body: Mapping[str, Any]) -> bool:
    """Whether a responses request has its input elsewhere."""
    return any(body.get(name) is not None for name in ("prompt", "previous_response_id", "conversation"))
