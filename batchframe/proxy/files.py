"""`/v1/files` of the proxy: what a client uploads for its batches, and what they came to.

Files are kept in Postgres, in parts, so that every instance has them. Nothing here holds a whole file in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from uuid import uuid4

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from batchframe.proxy import public_ids
from batchframe.proxy.calling import Caller
from batchframe.proxy.proxy import Proxy
from batchframe.proxy.transactions import in_transaction
from batchframe.store import client_batches, client_files, client_results
from batchframe.store.client_files import ClientFile
from batchframe.wire.batch_files import check_batch_file, purpose_of
from batchframe.wire.paging import listing, whole_number
from batchframe.wire.parameters import expires_after, expiry_seconds
from batchframe.wire.refusals import Refusal, json_response
from batchframe.wire.uploads import Upload

_PURPOSES = ("batch",)
_FILE_SECONDS = 30 * 86_400
_ROWS_A_READ = 250
"""Of a result file, so many are read at once, in a transaction of their own: a slow client holds no connection."""


async def create(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Take a file in: to disk while it arrives, then into Postgres."""
    limit = proxy.settings.file_max_bytes
    file_id = uuid4()
    spool = proxy.settings.home / "spool"
    await run_in_threadpool(spool.mkdir, parents=True, exist_ok=True)
    upload = Upload(spool / file_id.hex, keep=limit)
    try:
        await upload.receive(request)
        purpose = purpose_of(upload, _PURPOSES)
        seconds = expiry_seconds(expires_after(upload.fields), "expires_after")
        await run_in_threadpool(check_batch_file, upload, limit)
        filename = (upload.filename or "upload").replace("\0", "")
        lasts = int(seconds or _FILE_SECONDS)

        def keep(connection: Connection) -> ClientFile:
            return client_files.add(connection, file_id, caller.id, upload.path, filename, purpose, lasts)

        file = await in_transaction(proxy, keep)
    finally:
        await run_in_threadpool(upload.path.unlink, missing_ok=True)
    return json_response(view(file))


async def list_(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """List files, newest first unless asked otherwise."""
    query = request.query_params
    limit = whole_number(query, "limit", 10_000, 10_000)
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        message = f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'."
        raise Refusal(400, message, code="invalid_value", param="order")

    purpose = query.get("purpose")
    if purpose is not None and "\0" in purpose:  # which Postgres has no text for
        raise Refusal(400, "Invalid value for 'purpose'.", code="invalid_value", param="purpose")

    def read(connection: Connection) -> list[ClientFile]:
        after = None
        if (named := query.get("after")) is not None:
            after = _find(connection, named, caller)
            if after is None:
                raise Refusal(400, f"Invalid 'after': no item with id '{named}'.", code="invalid_value", param="after")
        return client_files.listed(
            connection,
            caller.id,
            after=after,
            limit=limit + 1,
            newest_first=order == "desc",
            purpose=purpose,
        )

    files = await in_transaction(proxy, read)
    return json_response(listing([view(file) for file in files[:limit]], len(files) > limit))


async def retrieve(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Show a file."""
    return json_response(view(await _found(proxy, caller, request)))


async def delete(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Delete a file; of a result file only its being shown, for the answers are the job's."""
    named = request.path_params["file_id"]
    file = await _found(proxy, caller, request)
    if not await in_transaction(proxy, lambda connection: client_files.delete(connection, file.id, caller.id)):
        raise _no_such_file(named)
    return json_response({"id": named, "object": "file", "deleted": True})


async def content(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Download a file, read a piece at a time."""
    file = await _found(proxy, caller, request)
    pieces = _parts(proxy, file) if file.source is None else _lines(proxy, caller, file)
    headers = {"content-length": str(file.n_bytes)}
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)


def view(file: ClientFile) -> dict[str, object]:
    """The file as the API shows it."""
    return {
        "id": public_ids.show(public_ids.FILE, file.id),
        "object": "file",
        "bytes": file.n_bytes,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": int(file.expires_at.timestamp()) if file.expires_at else None,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


async def _parts(proxy: Proxy, file: ClientFile) -> AsyncIterator[bytes]:
    """The parts of an upload. One that is deleted meanwhile ends early, which its length betrays."""
    for part_no in itertools.count():

        def read(connection: Connection, part_no: int = part_no) -> bytes | None:
            return client_files.part(connection, file.id, part_no)

        data = await in_transaction(proxy, read)
        if data is None:
            return
        yield data


async def _lines(proxy: Proxy, caller: Caller, file: ClientFile) -> AsyncIterator[bytes]:
    """The lines of a result file, some rows at a time."""
    assert file.source is not None
    batch_id, result = file.source
    batch = await in_transaction(proxy, lambda connection: client_batches.find(connection, batch_id, caller.id))
    if batch is None or batch.job_id is None:
        return
    job_id = batch.job_id
    for first in range(0, batch.total, _ROWS_A_READ):

        def read(connection: Connection, first: int = first) -> bytes:
            rows = client_results.lines(connection, batch_id, job_id, result, first, first + _ROWS_A_READ)
            return b"".join(rows)

        if block := await in_transaction(proxy, read):
            yield block


async def _found(proxy: Proxy, caller: Caller, request: Request) -> ClientFile:
    """The file a call names; of another key's nothing is known here."""
    named = request.path_params["file_id"]
    file = await in_transaction(proxy, lambda connection: _find(connection, named, caller))
    if file is None:
        raise _no_such_file(named)
    return file


def _find(connection: Connection, named: str, caller: Caller) -> ClientFile | None:
    file_id = public_ids.read(public_ids.FILE, named)
    return None if file_id is None else client_files.find(connection, file_id, caller.id)


def _no_such_file(named: str) -> Refusal:
    return Refusal(404, f"No such File object: {named}", param="id")
