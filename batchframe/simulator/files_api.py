"""`/v1/files`: upload, list, look at, delete and download. Sources: facts §1."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchframe.simulator.account import Account
from batchframe.simulator.files import StoredFile, no_such_file
from batchframe.wire.batch_files import check_batch_file, purpose_of
from batchframe.wire.paging import listing, page, whole_number
from batchframe.wire.parameters import expires_after, expiry_seconds
from batchframe.wire.refusals import Refusal, json_response
from batchframe.wire.uploads import Upload

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_CHUNK = 256 * 1024


async def create(account: Account, request: Request) -> Response:
    """Take a file in."""
    with account.changed:
        upload = Upload(account.files.new_path())
    try:
        await upload.receive(request)
        purpose = purpose_of(upload, _PURPOSES)
        if purpose == "batch":
            check_batch_file(upload, account.settings.max_file_bytes)
        seconds = expiry_seconds(expires_after(upload.fields), "expires_after")
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
