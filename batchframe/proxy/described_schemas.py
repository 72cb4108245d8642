"""The schemas of the proxy's description: of a request what is required and what is refused, of an object its core.

A request may have the parameters that OpenAI's SDK knows, and no others, as in `calls.py`. Their values are mostly the
provider's to judge, so only those are typed that nearly every call has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_TOKENS: Json = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_MODEL: Json = {"type": "string", "pattern": "\\S"}
_FLAG: Json = {"type": ["boolean", "null"]}
_CAP: Json = {"type": ["integer", "null"], "minimum": 0}
_ONE: Json = {"enum": [1, None], "description": "Send the request again for another answer."}
_TRUE: Json = {"const": True}
_NEVER: Json = {"type": "null", "description": "Not supported in a batch."}
_OBJECT: Json = {"type": ["object", "null"]}
_TEMPERATURE: Json = {"type": ["number", "null"], "minimum": 0, "maximum": 2}
_SHARE: Json = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_TIME: Json = {"type": "integer"}
_MAYBE_TIME: Json = {"type": ["integer", "null"]}
_MAYBE_TEXT: Json = {"type": ["string", "null"]}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TIER: Json = {"enum": ["auto", "default", None]}

_METADATA: Json = {
    "type": ["object", "null"],
    "maxProperties": 16,
    "propertyNames": {"maxLength": 64},
    "additionalProperties": {"type": "string", "maxLength": 512},
}

_MESSAGE: Json = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["developer", "system", "user", "assistant", "tool", "function"]},
        "content": {"anyOf": [_TEXT, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]},
    },
}

_STREAMS: Json = {"stream": _FLAG, "stream_options": _OBJECT}


def schemas() -> Json:
    """Every schema by its name."""
    return {**_requests(), **_OBJECTS, **_FILE_OBJECTS, **_BATCH_OBJECTS}


def _requests() -> Json:
    return {
        "ChatCompletionRequest": _request(
            CHAT,
            ["model", "messages"],
            {
                "messages": {"type": "array", "items": _MESSAGE, "minItems": 1},
                "max_completion_tokens": _CAP,
                "max_tokens": _CAP,
                "temperature": _TEMPERATURE,
                "top_p": _SHARE,
                "n": _ONE,
                "tools": {"type": "array", "items": {"type": "object"}},
                "response_format": {"type": "object"},
                "metadata": _METADATA,
                "modalities": {"type": ["array", "null"], "items": {"const": "text"}},
                "audio": _NEVER,
                "service_tier": _TIER,
                **_STREAMS,
            },
            {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Say hello."}]},
        ),
        "ResponseRequest": _request(
            RESPONSES,
            ["model"],
            {
                "input": {"anyOf": [_TEXT, {"type": "array", "items": {"type": "object"}}]},
                "prompt": {"type": "object"},
                "instructions": {"anyOf": [_TEXT, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]},
                "max_output_tokens": _CAP,
                "temperature": _TEMPERATURE,
                "top_p": _SHARE,
                "tools": {"type": "array", "items": {"type": "object"}},
                "metadata": _METADATA,
                "previous_response_id": _MAYBE_TEXT,
                "background": {**_FLAG, "description": "Answer at once; the response is fetched by its id."},
                "background_options": _NEVER,
                "service_tier": _TIER,
                **_STREAMS,
            },
            {"model": "gpt-5-mini", "input": "Say hello."},
            # A prompt that is kept at the provider brings its input; what runs in the background has no stream.
            anyOf=[{"required": ["input"]}, {"required": ["prompt"]}],
            **{"not": {"required": ["background", "stream"], "properties": {"background": _TRUE, "stream": _TRUE}}},
        ),
        "EmbeddingsRequest": _request(
            EMBEDDINGS,
            ["model", "input"],
            {
                "input": {
                    "anyOf": [
                        _TEXT,
                        _TOKENS,
                        {"type": "array", "items": _TEXT, "minItems": 1},
                        {"type": "array", "items": _TOKENS, "minItems": 1},
                    ]
                },
                "encoding_format": {"enum": ["float", "base64"]},
                "dimensions": {"type": "integer", "minimum": 1},
            },
            {"model": "text-embedding-3-small", "input": "A text."},
        ),
        "CompletionRequest": _request(
            COMPLETIONS,
            ["model", "prompt"],
            {
                "prompt": {"anyOf": [_TEXT, _TOKENS, {"type": "array", "items": _TEXT, "minItems": 1}]},
                "max_tokens": _CAP,
                "temperature": _TEMPERATURE,
                "top_p": _SHARE,
                "n": _ONE,
                "best_of": _ONE,
                **_STREAMS,
            },
            {"model": "gpt-3.5-turbo-instruct", "prompt": "Once upon a time"},
        ),
        "ModerationRequest": _request(
            MODERATIONS,
            ["model", "input"],
            {
                "input": {
                    "anyOf": [_TEXT, {"type": "array", "items": _TEXT}, {"type": "array", "items": {"type": "object"}}]
                }
            },
            {"model": "omni-moderation-latest", "input": "A text."},
        ),
    }


def _request(endpoint: str, required: Sequence[str], typed: Mapping[str, Json], example: Json, **more: Any) -> Json:
    from batchframe.providers.openai import parameters  # imports the SDK, which takes 0.6 s

    untyped: dict[str, Json] = {name: {} for name in sorted(parameters(endpoint))}
    return {
        "type": "object",
        "required": list(required),
        "properties": {**untyped, "model": _MODEL, **typed},
        "additionalProperties": False,
        "examples": [example],
        **more,
    }


def _object(required: Mapping[str, Json], **optional: Json) -> Json:
    """An object that has at least these members."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _list_of(name: str) -> Json:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return _object({"object": {"const": "list"}, "data": items, "has_more": {"type": "boolean"}})


_OBJECTS: Json = {
    "Error": _object(
        {
            "error": _object(
                {"message": _TEXT, "type": _MAYBE_TEXT}, param=_MAYBE_TEXT, code={"type": ["string", "integer", "null"]}
            )
        }
    ),
    "Receipt": _object(
        {
            "id": _TEXT,
            "object": {"const": "request"},
            "endpoint": _TEXT,
            "status": {"enum": ["queued", "in_progress"]},
            "url": _TEXT,
        }
    ),
    "Status": _object({"status": _TEXT}),
    "ChatCompletion": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": _TIME,
            "model": _TEXT,
            "choices": {
                "type": "array",
                "items": _object({"message": {"type": "object"}, "finish_reason": _MAYBE_TEXT}),
            },
        },
        usage=_OBJECT,
    ),
    "Response": _object(
        {
            "id": _TEXT,
            "object": {"const": "response"},
            "created_at": {"type": "number"},
            "status": {"enum": ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]},
            "output": {"type": "array", "items": {"type": "object"}},
        },
        usage=_OBJECT,
        error=_OBJECT,
    ),
    "Embeddings": _object(
        {
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": _object(
                    {"index": _COUNT, "embedding": {"anyOf": [_TEXT, {"type": "array", "items": {"type": "number"}}]}}
                ),
            },
            "model": _TEXT,
        },
        usage=_OBJECT,
    ),
    "Completion": _object(
        {
            "id": _TEXT,
            "object": {"const": "text_completion"},
            "created": _TIME,
            "model": _TEXT,
            "choices": {"type": "array", "items": _object({"text": _TEXT})},
        },
        usage=_OBJECT,
    ),
    "Moderation": _object({"id": _TEXT, "model": _TEXT, "results": {"type": "array", "items": {"type": "object"}}}),
    "Model": _object({"id": _TEXT, "object": {"const": "model"}}),
    "ModelList": _object(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        }
    ),
}

_FILE_OBJECTS: Json = {
    "FileUpload": {
        "type": "object",
        "required": ["file", "purpose"],
        "properties": {
            "file": {
                "type": "string",
                "contentMediaType": "application/octet-stream",
                "description": "JSON lines, `.jsonl`.",
            },
            "purpose": {"enum": ["batch"]},
            "expires_after[anchor]": {"enum": ["created_at"]},
            "expires_after[seconds]": {"type": "integer", "minimum": 3_600, "maximum": 2_592_000},
        },
        "dependentRequired": {
            "expires_after[anchor]": ["expires_after[seconds]"],
            "expires_after[seconds]": ["expires_after[anchor]"],
        },
    },
    "File": _object(
        {
            "id": _TEXT,
            "object": {"const": "file"},
            "bytes": _COUNT,
            "created_at": _TIME,
            "filename": _TEXT,
            "purpose": _TEXT,
            "status": _TEXT,
        },
        expires_at=_MAYBE_TIME,
    ),
    "FileList": _list_of("File"),
    "FileDeleted": _object({"id": _TEXT, "object": {"const": "file"}, "deleted": {"const": True}}),
}

_BATCH_OBJECTS: Json = {
    "BatchRequest": {
        "type": "object",
        "required": ["input_file_id", "endpoint", "completion_window"],
        "properties": {
            "input_file_id": _TEXT,
            "endpoint": {"enum": [CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS]},
            "completion_window": {"const": "24h"},
            "metadata": _METADATA,
            "output_expires_after": {
                "type": ["object", "null"],
                "required": ["anchor", "seconds"],
                "properties": {
                    "anchor": {"const": "created_at"},
                    "seconds": {"type": "integer", "minimum": 3_600, "maximum": 2_592_000},
                },
            },
        },
        "examples": [{"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}],
    },
    "Batch": _object(
        {
            "id": _TEXT,
            "object": {"const": "batch"},
            "endpoint": _TEXT,
            "input_file_id": _TEXT,
            "completion_window": _TEXT,
            "status": {
                "enum": [
                    *("validating", "failed", "in_progress", "finalizing"),
                    *("completed", "expired", "cancelling", "cancelled"),
                ]
            },
            "created_at": _TIME,
            "request_counts": _object({"total": _COUNT, "completed": _COUNT, "failed": _COUNT}),
        },
        errors=_OBJECT,
        output_file_id=_MAYBE_TEXT,
        error_file_id=_MAYBE_TEXT,
        metadata=_OBJECT,
    ),
    "BatchList": _list_of("Batch"),
}
