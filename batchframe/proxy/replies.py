"""Replies: outcomes as the HTTP answers OpenAI would have given. Pure."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from batchframe.core.results import CANCELLED
from batchframe.model import RESPONSES
from batchframe.store.proxied import Kept, Settled
from batchframe.wire import jsontext
from batchframe.wire.refusals import error_body

_STATUSES = {
    CANCELLED: 409,
    "deadline": 504,
    "model_not_found": 404,
    "invalid_api_key": 502,
    "insufficient_quota": 429,
}
"""Of failures that came without a status of the row's own. One that is not named is the gateway's, 502, unless the
provider's validation named the row."""

_OF_THE_ROW = ("invalid_", "missing_", "unsupported_", "mismatched_", "duplicate_", "context_length", "token_limit")

FINAL = {"x-should-retry": "false"}
"""It was tried as often as it may be, so the SDKs' own retries would only ask, and pay, anew."""


def reply(settled: Settled) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an outcome."""
    if settled.status is not None and 200 <= settled.status < 300 and settled.body is not None:
        return 200, settled.body, {}
    if settled.status is not None and settled.body is not None and _is_error(settled.body):
        return settled.status, settled.body, FINAL
    code = settled.code or "unknown"
    status = settled.status or _STATUSES.get(code) or (400 if code.startswith(_OF_THE_ROW) else 502)
    if status < 400:
        status = 502
    message = settled.message or "The provider gave neither an answer nor a reason."
    return status, jsontext.encode(error_body(status, message, code=code)), FINAL


def _is_error(body: bytes) -> bool:
    try:
        said = jsontext.decode(body)
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict)


def request_name(request_id: UUID, *, endpoint: str = "") -> str:
    """The id by which callers know a request."""
    return f"{'resp' if endpoint == RESPONSES else 'req'}_{request_id.hex}"


def request_id(name: str) -> UUID | None:
    """The request of such an id; None when it is none."""
    prefix, _, digits = name.partition("_")
    if prefix not in ("resp", "req") or len(digits) != 32:
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None


def receipt(kept_id: UUID, endpoint: str) -> dict[str, Any]:
    """What a call that wants its answer later is told."""
    name = request_name(kept_id)
    return {"id": name, "object": "request", "endpoint": endpoint, "status": "queued", "url": f"/v1/requests/{name}"}


def response_under_way(kept: Kept, status: str) -> dict[str, Any]:
    """A response in the background that has no answer: what was asked, echoed as the Responses API does."""
    asked = jsontext.decode(kept.body)
    text = asked.get("text") or {"format": {"type": "text"}}
    return {
        "id": request_name(kept.id, endpoint=RESPONSES),
        "object": "response",
        "created_at": int(kept.received),
        "status": status,
        "background": True,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "model": asked.get("model"),
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
        "store": asked.get("store", True),
        "temperature": asked.get("temperature", 1.0),
        "text": text,
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools") or [],
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "usage": None,
        "user": asked.get("user"),
    }


def response_in_background(kept: Kept, settled: Settled) -> dict[str, Any]:
    """The answer under our id: the caller was given no other. One that failed is a response that has failed."""
    status, body, _ = reply(settled)
    said = jsontext.decode(body)
    if status == 200 and isinstance(said, dict):
        return {**said, "id": request_name(kept.id, endpoint=RESPONSES), "background": True}
    if settled.code == CANCELLED:
        return response_under_way(kept, "cancelled")
    error = said["error"]
    # The published schema knows few codes; a reason of another kind stands in the message.
    known = (
        error.get("code") if error.get("code") in ("server_error", "rate_limit_exceeded", "invalid_prompt") else None
    )
    failed = response_under_way(kept, "failed")
    return {**failed, "error": {"code": known or "server_error", "message": str(error.get("message") or "")}}
