"""`/v1/files`: upload, list, look at, delete and download. Sources: facts §1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchframe.simulator.account import Account
from batchframe.simulator.files import StoredFile, no_such_file
from batchframe.wire import jsontext
from batchframe.wire.paging import listing, page, whole_number
from batchframe.wire.refusals import Refusal, json_response
from batchframe.wire.uploads import Upload

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_CHUNK = 256 * 1024
_NOT_JSONL = "Invalid file format for Batch API. Must be .jsonl"


async def create(account: Account, request: Request) -> Response:
    """Take a file in."""
    with account.changed:
        upload = Upload(account.files.new_path())
    try:
        await upload.receive(request)
        purpose = _checked_purpose(upload, account.settings.max_file_bytes)
        seconds = expiry_seconds(_expires_after(upload.fields), "expires_after")
    except Refusal:
        upload.path.unlink(missing_ok=True)
        raise
    if seconds is None and purpose == "batch":
        seconds = account.settings.file_seconds
    with account.changed:
        file = account.files.add(upload.path, upload.filename or "upload", purpose, seconds)
        account.changed.notify_all()
    return json_response(file.view())


async def list_(account: Account, request: Request) -> Response:
    """List files, newest first unless asked otherwise."""
    query = request.query_params
    with account.changed:
        files = account.files.newest_first()
    if query.get("order", "desc") == "asc":
        files.reverse()
    wanted = query.get("purpose")
    shown = [file for file in files if wanted is None or file.purpose == wanted]
    limit = whole_number(query, "limit", 10_000, 10_000)
    found, has_more = page(shown, query.get("after"), limit)
    return json_response(listing([file.view() for file in found], has_more))


async def retrieve(account: Account, request: Request) -> Response:
    """Show a file."""
    with account.changed:
        return json_response(account.files.get(request.path_params["file_id"]).view())


async def delete(account: Account, request: Request) -> Response:
    """Delete a file."""
    file_id = request.path_params["file_id"]
    with account.changed:
        account.files.delete(file_id)
        account.changed.notify_all()
    return json_response({"id": file_id, "object": "file", "deleted": True})


async def content(account: Account, request: Request) -> Response:
    """Download a file."""
    with account.changed:
        file = account.files.get(request.path_params["file_id"])
    if file.gone:
        raise no_such_file(file.id)
    return FileContent(file)


class FileContent(Response):
    """A file streamed from disk. The page cache holds it, so chunks are read without a detour over a thread."""

    def __init__(self, file: StoredFile) -> None:
        self._path: Path = file.path
        super().__init__(media_type="application/octet-stream", headers={"content-length": str(file.bytes)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._path.open("rb") as opened:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while chunk := opened.read(_CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


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


def _checked_purpose(upload: Upload, limit: int) -> str:
    if upload.filename is None:
        raise Refusal(400, "Missing required parameter: 'file'.", code="missing_required_parameter", param="file")
    purpose = upload.fields.get("purpose")
    if purpose is None:
        raise Refusal(400, "Missing required parameter: 'purpose'.", code="missing_required_parameter", param="purpose")
    if purpose not in _PURPOSES:
        supported = ", ".join(f"'{name}'" for name in _PURPOSES)
        message = f"Invalid value: '{purpose}'. Supported values are: {supported}."
        raise Refusal(400, message, code="invalid_value", param="purpose")
    if purpose == "batch":
        first = _first_line(upload.path)
        if upload.size > limit:
            model = first.get("body", {}).get("model") if first is not None else None
            raise Refusal(413, f"The batch input file is larger than the {limit} maximum for the {model} model")
        if first is None or not (upload.filename or "").lower().endswith(".jsonl"):
            raise Refusal(400, _NOT_JSONL)
    return purpose


def _first_line(path: Path) -> dict[str, Any] | None:
    """The first line as JSON; None if it is none. A byte order mark is the later validation's affair (facts §2.5)."""
    with path.open("rb") as opened:
        text = opened.readline().removeprefix(b"\xef\xbb\xbf")
    try:
        found = jsontext.decode(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _expires_after(fields: dict[str, str]) -> dict[str, Any] | None:
    """`expires_after[seconds]=3600` and the like, as the form spells a nested parameter."""
    found = {
        match[1]: int(value) if value.isdigit() else value
        for name, value in fields.items()
        if (match := re.fullmatch(r"expires_after\[(\w+)\]", name))
    }
    return found or None
