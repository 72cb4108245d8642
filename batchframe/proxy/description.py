"""The proxy's own description, as an OpenAPI 3.1 document: what may be sent to it, and what it answers.

For people, generators of clients, and the tests that throw generated calls at it. Bodies and objects are OpenAI's, of
which `described_schemas.py` says what the proxy itself looks at.
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.proxy.described_schemas import schemas
from batchframe.wire.refusals import json_response

if TYPE_CHECKING:
    from batchframe.proxy.proxy import Proxy

Json = dict[str, Any]

_ANSWERS = {
    CHAT: ("ChatCompletion", "Answer a conversation", True),
    RESPONSES: ("Response", "Answer by the Responses API", True),
    EMBEDDINGS: ("Embeddings", "Turn texts into vectors", False),
    COMPLETIONS: ("Completion", "Complete a text (legacy)", True),
    MODERATIONS: ("Moderation", "Classify texts", False),
}
"""Of each endpoint that a model answers: the object that comes back, what it is for, whether it streams."""


async def describe(proxy: Proxy, request: Request) -> Response:
    """`/openapi.json`."""
    return json_response(description())


@functools.cache
def description() -> Json:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "batchframe",
            "version": importlib.metadata.version("batchframe"),
            "summary": "OpenAI's API at the price of its Batch API.",
            "description": (
                "Every call is kept before anything else happens to it, and answered when its batch is. A call that "
                "waits too long is answered 408; sent again unchanged, it goes on waiting."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in ("asking", "later", "files and batches", "models", "operations")],
        "paths": {
            **{path: {"post": _ask(path, *said)} for path, said in _ANSWERS.items()},
            **_LATER,
            **_MODELS,
            **_FILES,
            **_BATCHES,
            **_OPERATIONS,
        },
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the proxy: `batchframe keys create`.",
                }
            },
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": _REFUSALS,
            "schemas": schemas(),
        },
    }


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _json(schema: Json, description: str, *headers: str) -> Json:
    found: Json = {"description": description, "content": {"application/json": {"schema": schema}}}
    if headers:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return found


def _refusals(*more: str) -> Json:
    names = {"401": "NoKey", "500": "Ours", "503": "Away", **dict(zip(more[::2], more[1::2], strict=True))}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in sorted(names.items())}


def _operation(name: str, tag: str, summary: str, *, parameters: list[str], responses: Json) -> Json:
    found: Json = {"operationId": name, "tags": [tag], "summary": summary, "responses": responses}
    if parameters:
        found["parameters"] = [_parameter(one) for one in parameters]
    return found


def _body(schema: str, kind: str = "application/json") -> Json:
    return {"required": True, "content": {kind: {"schema": _schema(schema)}}}


def _ask(path: str, answer: str, summary: str, streams: bool) -> Json:
    ok = _json(
        {"anyOf": [_schema(answer), _schema("Error")]},
        "The answer. `Prefer: wait=N` has the status sent before the answer is known, so an error may come too.",
        "x-request-id",
    )
    if streams:
        ok["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    asking = _operation(
        "ask" + "".join(part.title() for part in path.removeprefix("/v1/").split("/")),
        "asking",
        summary,
        parameters=["IdempotencyKey", "Prefer", "Deadline", "Mode"],
        responses={
            "200": ok,
            "202": _json(_schema("Receipt"), "Kept; the answer will be at `url`.", "x-request-id", "location"),
            **_refusals(
                *("400", "Wrong", "408", "StillWaiting", "413", "TooLarge", "429", "TooMany"),
                *("4XX", "Row", "5XX", "Row"),
            ),
        },
    )
    return {**asking, "requestBody": _body(f"{answer}Request")}


_PARAMETERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Calls with one key are one request, whenever they come; their bodies must be equal.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N`: answer at once, with blanks, for up to N seconds. `respond-async`: answer 202.",
        "schema": {"type": "string", "pattern": "^(wait=[0-9]{1,3}|respond-async)$"},
    },
    "Deadline": {
        "name": "X-Batchframe-Deadline",
        "in": "header",
        "description": (
            "A time from now, of 7 days at most, in seconds or as `30m` or `6h`: what is unanswered then is asked in "
            "real time."
        ),
        "schema": {"type": "string", "pattern": "^([0-9]{1,5}s?|[0-9]{1,4}m|[0-9]{1,2}h|[0-6]d)$"},
    },
    "Mode": {
        "name": "X-Batchframe-Mode",
        "in": "header",
        "description": "`realtime` asks at once, at the full price.",
        "schema": {"type": "string", "enum": ["batch", "realtime"], "default": "batch"},
    },
    "ResponseId": {"name": "response_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "RequestId": {"name": "request_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "FileId": {"name": "file_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "BatchId": {"name": "batch_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "Model": {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "After": {
        "name": "after",
        "in": "query",
        "description": "The last item of the page before.",
        "schema": {"type": "string"},
    },
    "FilesLimit": {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10_000},
    },
    "BatchesLimit": {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    },
    "Order": {
        "name": "order",
        "in": "query",
        "schema": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
    },
    "Purpose": {"name": "purpose", "in": "query", "schema": {"type": "string"}},
}

_HEADERS: Json = {
    "x-request-id": {"description": "The id the request is kept under.", "schema": {"type": "string"}},
    "location": {"description": "Where the answer will be.", "schema": {"type": "string"}},
    "retry-after": {"description": "Seconds.", "schema": {"type": "string"}},
    "x-should-retry": {"description": "Whether OpenAI's clients are to send it again.", "schema": {"type": "string"}},
}

_REFUSALS: Json = {
    "Wrong": _json(_schema("Error"), "Not what the endpoint takes, or nothing a batch can answer. Nothing was kept."),
    "NoKey": _json(_schema("Error"), "No key, or one that opens nothing."),
    "Unknown": _json(_schema("Error"), "There is none, or it came with another key."),
    "StillWaiting": _json(
        _schema("Error"), "Not answered yet: send it again, unchanged.", "x-request-id", "x-should-retry"
    ),
    "TooLarge": _json(_schema("Error"), "Larger than the proxy takes."),
    "TooMany": _json(_schema("Error"), "The key's rate, queue or budget is used up.", "retry-after"),
    "Row": _json(
        _schema("Error"), "What the provider answered to this request, with its own status.", "x-should-retry"
    ),
    "Conflict": _json(_schema("Error"), "It has ended, or is ending."),
    "Provider": _json(_schema("Error"), "The provider does not answer.", "retry-after"),
    "Ours": _json(_schema("Error"), "The proxy failed; its log says why."),
    "Away": _json(_schema("Error"), "The database cannot be reached. Nothing was kept.", "retry-after"),
}

_LATER: Json = {
    "/v1/responses/{response_id}": {
        "get": _operation(
            "retrieveResponse",
            "later",
            "A response that was asked for with `background: true`",
            parameters=["ResponseId"],
            responses={"200": _json(_schema("Response"), "As it is now."), **_refusals("404", "Unknown")},
        )
    },
    "/v1/responses/{response_id}/cancel": {
        "post": _operation(
            "cancelResponse",
            "later",
            "Call a response off; what is in a batch already is paid for all the same",
            parameters=["ResponseId"],
            responses={"200": _json(_schema("Response"), "As it is now."), **_refusals("404", "Unknown")},
        )
    },
    "/v1/requests/{request_id}": {
        "get": _operation(
            "retrieveRequest",
            "later",
            "The answer to a request, with its real status",
            parameters=["RequestId"],
            responses={
                "200": _json(
                    {"type": "object"}, "The answer, as the endpoint it was sent to gives it.", "x-request-id"
                ),
                "202": _json(_schema("Receipt"), "Not answered yet.", "retry-after"),
                **_refusals("404", "Unknown", "4XX", "Row", "5XX", "Row"),
            },
        )
    },
}

_MODELS: Json = {
    "/v1/models": {
        "get": _operation(
            "listModels",
            "models",
            "The provider's models",
            parameters=[],
            responses={"200": _json(_schema("ModelList"), "The list."), **_refusals("502", "Provider")},
        )
    },
    "/v1/models/{model}": {
        "get": _operation(
            "retrieveModel",
            "models",
            "One model",
            parameters=["Model"],
            responses={"200": _json(_schema("Model"), "The model."), **_refusals("404", "Unknown", "502", "Provider")},
        )
    },
}

_FILES: Json = {
    "/v1/files": {
        "post": {
            **_operation(
                "createFile",
                "files and batches",
                "Upload the input of a batch, of any number of lines",
                parameters=[],
                responses={
                    "200": _json(_schema("File"), "The file."),
                    **_refusals("400", "Wrong", "413", "TooLarge", "429", "TooMany"),
                },
            ),
            "requestBody": _body("FileUpload", "multipart/form-data"),
        },
        "get": _operation(
            "listFiles",
            "files and batches",
            "The key's files",
            parameters=["After", "FilesLimit", "Order", "Purpose"],
            responses={"200": _json(_schema("FileList"), "A page of them."), **_refusals("400", "Wrong")},
        ),
    },
    "/v1/files/{file_id}": {
        "get": _operation(
            "retrieveFile",
            "files and batches",
            "One file",
            parameters=["FileId"],
            responses={"200": _json(_schema("File"), "The file."), **_refusals("404", "Unknown")},
        ),
        "delete": _operation(
            "deleteFile",
            "files and batches",
            "Delete a file",
            parameters=["FileId"],
            responses={"200": _json(_schema("FileDeleted"), "It is deleted."), **_refusals("404", "Unknown")},
        ),
    },
    "/v1/files/{file_id}/content": {
        "get": _operation(
            "downloadFile",
            "files and batches",
            "What is in a file",
            parameters=["FileId"],
            responses={
                "200": {"description": "Its bytes.", "content": {"application/octet-stream": {}}},
                **_refusals("404", "Unknown"),
            },
        )
    },
}

_BATCHES: Json = {
    "/v1/batches": {
        "post": {
            **_operation(
                "createBatch",
                "files and batches",
                "Ask all lines of a file, in as many batches of the provider's as they need",
                parameters=[],
                responses={
                    "200": _json(_schema("Batch"), "The batch."),
                    **_refusals("400", "Wrong", "413", "TooLarge", "429", "TooMany"),
                },
            ),
            "requestBody": _body("BatchRequest"),
        },
        "get": _operation(
            "listBatches",
            "files and batches",
            "The key's batches, the newest first",
            parameters=["After", "BatchesLimit"],
            responses={"200": _json(_schema("BatchList"), "A page of them."), **_refusals("400", "Wrong")},
        ),
    },
    "/v1/batches/{batch_id}": {
        "get": _operation(
            "retrieveBatch",
            "files and batches",
            "One batch",
            parameters=["BatchId"],
            responses={"200": _json(_schema("Batch"), "The batch."), **_refusals("404", "Unknown")},
        )
    },
    "/v1/batches/{batch_id}/cancel": {
        "post": _operation(
            "cancelBatch",
            "files and batches",
            "Cancel a batch; what was answered is kept",
            parameters=["BatchId"],
            responses={
                "200": _json(_schema("Batch"), "As it is now."),
                **_refusals("404", "Unknown", "409", "Conflict"),
            },
        )
    },
}


def _open(name: str, summary: str, responses: Json) -> Json:
    return {"get": {**_operation(name, "operations", summary, parameters=[], responses=responses), "security": []}}


_OPERATIONS: Json = {
    "/healthz": _open("healthz", "The process answers", {"200": _json(_schema("Status"), "It does.")}),
    "/readyz": _open(
        "readyz",
        "It can keep requests",
        {"200": _json(_schema("Status"), "It can."), "503": _json(_schema("Status"), "It cannot just now.")},
    ),
    "/metrics": _open(
        "metrics",
        "Figures, in the form of Prometheus",
        {"200": {"description": "The figures.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    ),
    "/openapi.json": _open("describe", "This document", {"200": _json({"type": "object"}, "The document.")}),
}
