"""OpenAI's published schema as a judge of what a server of ours sends."""

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


def check(name: str, value: Any) -> None:
    """Assert that a value is what the published schema of that name says; without the document, its keys.

    A null where the schema knows only a type is let pass: the service itself sends those (facts §2.2).
    """
    published = _published()
    assert set(value) >= REQUIRED[name]
    if published is not None:
        schema = {"$ref": f"#/components/schemas/{name}", **published}
        errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(value)
        assert not [error.message for error in errors if error.instance is not None]


@functools.cache
def _published() -> dict[str, Any] | None:
    if not OPENAPI.exists():
        return None
    document = yaml.load(OPENAPI.read_text(), Loader=yaml.CSafeLoader)
    schemas = {"components": {"schemas": document["components"]["schemas"]}}
    return json.loads(json.dumps(schemas, default=str))  # type: ignore[no-any-return]
