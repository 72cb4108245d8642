"""OpenAI's published schema as a judge of what our servers say, where the document is at hand."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

OPENAPI = Path(__file__).parents[2] / "shared" / "facts" / "openai_openapi.yaml"

REQUIRED = {
    "Batch": {"id", "object", "endpoint", "input_file_id", "completion_window", "status", "created_at"},
    "CreateChatCompletionResponse": {"choices", "created", "id", "model", "object"},
    "CreateChatCompletionStreamResponse": {"choices", "created", "id", "model", "object"},
    "CreateCompletionResponse": {"choices", "created", "id", "model", "object"},
    "CreateEmbeddingResponse": {"object", "model", "data", "usage"},
    "CreateModerationResponse": {"id", "model", "results"},
    "ListBatchesResponse": {"object", "data", "has_more"},
    "ListFilesResponse": {"object", "data", "first_id", "last_id", "has_more"},
    "Model": {"id", "object", "created", "owned_by"},
    "OpenAIFile": {"id", "object", "bytes", "created_at", "filename", "purpose", "status"},
    "Response": {
        *("id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools", "output"),
        *("parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p"),
    },
}


def assert_published(name: str, value: Any) -> None:
    """Assert that a value is what OpenAI's published schema of that name says; without the document, its keys.

    A null where the schema knows only a type is let pass: the service itself sends those (facts §2.2).
    """
    assert set(value) >= REQUIRED[name]
    _assert_valid(name, value)


def assert_published_event(event: dict[str, Any]) -> None:
    """Assert that an event of a streamed response is what the schema says of its type, if the document is at hand."""
    if OPENAPI.exists():
        _assert_valid(_event_schemas()[event["type"]], event)


def _assert_valid(name: str, value: Any) -> None:
    if OPENAPI.exists():
        errors = _validator(name).iter_errors(value)
        assert not [error.message for error in errors if error.instance is not None]


@functools.cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    schemas = {"components": {"schemas": _schemas()}}
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **schemas})


@functools.cache
def _schemas() -> dict[str, Any]:
    document = yaml.load(OPENAPI.read_text(), Loader=yaml.CSafeLoader)
    return json.loads(json.dumps(document["components"]["schemas"], default=str))  # type: ignore[no-any-return]


@functools.cache
def _event_schemas() -> dict[str, str]:
    """The name of the schema of each type of event."""
    names = [one["$ref"].rsplit("/", 1)[1] for one in _schemas()["ResponseStreamEvent"]["anyOf"]]
    return {kind: name for name in names for kind in _schemas()[name]["properties"]["type"]["enum"]}
