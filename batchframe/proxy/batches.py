"""`/v1/batches` of the proxy: one batch for the client, as many at the provider as its limits ask for.

Made here, loaded by `loading.py`, answered by the engine; what is shown follows from the job's counts. Sources: facts
§2.4, §2.5.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.proxy import public_ids
from batchframe.proxy.asking import read_body
from batchframe.proxy.calling import Caller
from batchframe.proxy.proxy import Proxy
from batchframe.proxy.transactions import in_transaction
from batchframe.store import client_batches, client_files
from batchframe.store.client_batches import ClientBatch
from batchframe.store.client_files import Result
from batchframe.wire.paging import listing, whole_number
from batchframe.wire.parameters import checked_metadata, expiry_seconds, json_object, one_of, required
from batchframe.wire.refusals import Refusal, json_response

ENDPOINTS = (RESPONSES, CHAT, EMBEDDINGS, COMPLETIONS, MODERATIONS)
_WINDOW = timedelta(hours=24)
_CANCELLABLE = ("validating", "in_progress")
_CANCELLED = ("cancelling", "cancelled")


async def create(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Create a batch. What is wrong with the lines of its file is found out later, by the loader."""
    asked = json_object(await read_body(request, proxy.settings.body_max_bytes))
    named = required(asked, "input_file_id")
    endpoint = one_of(asked, "endpoint", ENDPOINTS)
    one_of(asked, "completion_window", ("24h",))
    metadata = checked_metadata(asked.get("metadata"))
    expiry_seconds(asked.get("output_expires_after"), "output_expires_after")
    await proxy.keys.admit(caller)
    batch_id = uuid4()

    def write(connection: Connection) -> ClientBatch:
        file_id = public_ids.read(public_ids.FILE, named)
        file = None if file_id is None else client_files.find(connection, file_id, caller.id)
        if file is None or file.source is not None:
            message = f"Cannot find file {named}, or this key does not have access to it as the input of a batch."
            raise Refusal(400, message, code="invalid_request", param="input_file_id")
        kept = None if metadata is None else json.dumps(metadata)
        client_batches.add(connection, batch_id, caller.id, file.id, endpoint, kept)
        return _known(client_batches.find(connection, batch_id, caller.id), "")

    made = await in_transaction(proxy, write)
    proxy.loader.wake()
    return json_response(view(made))


async def retrieve(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Show a batch."""
    named = request.path_params["batch_id"]
    return json_response(view(await in_transaction(proxy, lambda c: _known(_find(c, named, caller), named))))


async def list_(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """List batches, newest first."""
    query = request.query_params
    limit = whole_number(query, "limit", 20, 100)

    def read(connection: Connection) -> list[ClientBatch]:
        after = None
        if (named := query.get("after")) is not None:
            after = _find(connection, named, caller)
            if after is None:
                raise Refusal(400, f"Invalid 'after': no item with id '{named}'.", code="invalid_value", param="after")
        return client_batches.newest_first(connection, caller.id, after=after, limit=limit + 1)

    batches = await in_transaction(proxy, read)
    return json_response(listing([view(batch) for batch in batches[:limit]], len(batches) > limit))


async def cancel(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Cancel a batch: `cancelling` now, `cancelled` when the provider's batches have stopped."""
    named = request.path_params["batch_id"]

    def write(connection: Connection) -> ClientBatch:
        batch = _known(_find(connection, named, caller), named)
        if batch.status in _CANCELLED:
            return batch
        if batch.status not in _CANCELLABLE:
            raise Refusal(409, f"Cannot cancel a batch with status '{batch.status}'.")
        client_batches.cancel(connection, batch.id)
        return _known(_find(connection, named, caller), named)

    cancelled = await in_transaction(proxy, write)
    proxy.loader.wake()
    return json_response(view(cancelled))


def view(batch: ClientBatch) -> dict[str, Any]:
    """The batch as the API shows it."""
    status = batch.status
    cancelled = batch.cancelling_at is not None
    ended = batch.ended_at is not None
    usage = batch.usage
    return {
        "id": public_ids.show(public_ids.BATCH, batch.id),
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": None if batch.problems is None else {"object": "list", "data": json.loads(batch.problems)},
        "input_file_id": public_ids.show(public_ids.FILE, batch.input_file_id),
        "completion_window": "24h",
        "status": status,
        "output_file_id": _result(batch, Result.OUTPUT, batch.output_bytes),
        "error_file_id": _result(batch, Result.ERROR, batch.error_bytes),
        "created_at": _at(batch.created_at),
        "in_progress_at": _at(batch.in_progress_at),
        "expires_at": _at(batch.created_at + _WINDOW),
        "finalizing_at": None if cancelled else _at(batch.closed_at),
        "completed_at": None if cancelled else _at(batch.ended_at),
        "failed_at": _at(batch.failed_at),
        "expired_at": None,
        "cancelling_at": _at(batch.cancelling_at),
        "cancelled_at": _at(batch.ended_at) if cancelled else None,
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.input + usage.output,
        }
        if ended
        else None,
        "metadata": None if batch.metadata is None else json.loads(batch.metadata),
    }


def _result(batch: ClientBatch, result: Result, n_bytes: int | None) -> str | None:
    return public_ids.show(public_ids.FILE, result.file_id(batch.id)) if n_bytes else None


def _at(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _find(connection: Connection, named: str, caller: Caller) -> ClientBatch | None:
    batch_id = public_ids.read(public_ids.BATCH, named)
    return None if batch_id is None else client_batches.find(connection, batch_id, caller.id)


def _known(batch: ClientBatch | None, named: str) -> ClientBatch:
    if batch is None:
        raise Refusal(404, f"No batch found with id '{named}'.")
    return batch
