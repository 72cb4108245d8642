"""`/v1/batches`: create, look at, list and cancel, with the checks that are answered at once.

Sources: facts §2.4, §2.5.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from batchframe.simulator.account import Account
from batchframe.simulator.answering import ENDPOINTS
from batchframe.simulator.validation import check_file
from batchframe.wire.paging import listing, page, whole_number
from batchframe.wire.parameters import checked_metadata, expiry_seconds, json_body, one_of, required
from batchframe.wire.refusals import Refusal, json_response

_HOUR = 3_600.0


async def create(account: Account, request: Request) -> Response:
    """Create a batch. What is wrong with its file is found out later, by the worker."""
    asked = await json_body(request)
    input_file_id = required(asked, "input_file_id")
    endpoint = one_of(asked, "endpoint", ENDPOINTS)
    one_of(asked, "completion_window", ("24h",))
    metadata = checked_metadata(asked.get("metadata"))
    output_seconds = expiry_seconds(asked.get("output_expires_after"), "output_expires_after")
    if account.settings.quota_refusal is not None:
        await run_in_threadpool(_refuse_over_quota, account, input_file_id, endpoint)
    with account.changed:
        _refuse_over_rate(account)
        batch = account.create_batch(endpoint, input_file_id, metadata, output_seconds)
        return json_response(batch.view(account.settings))


async def retrieve(account: Account, request: Request) -> Response:
    """Show a batch."""
    with account.changed:
        return json_response(account.get_batch(request.path_params["batch_id"]).view(account.settings))


async def list_(account: Account, request: Request) -> Response:
    """List batches, newest first."""
    limit = whole_number(request.query_params, "limit", 20, 100)
    with account.changed:
        found, has_more = page(account.listed_batches(), request.query_params.get("after"), limit)
        return json_response(listing([batch.view(account.settings) for batch in found], has_more))


async def cancel(account: Account, request: Request) -> Response:
    """Cancel a batch: `cancelling` now, `cancelled` when the worker has closed its files."""
    with account.changed:
        batch = account.get_batch(request.path_params["batch_id"])
        if batch.status not in ("cancelling", "cancelled"):
            if batch.status not in ("validating", "in_progress"):
                raise Refusal(409, f"Cannot cancel a batch with status '{batch.status}'.")
            batch.enter("cancelling", account.clock())
            account.changed.notify_all()
        return json_response(batch.view(account.settings))


def _refuse_over_quota(account: Account, input_file_id: str, endpoint: str) -> None:
    """The synchronous form of the enqueued-token limit."""
    with account.changed:
        file = account.files.find(input_file_id)
    if file is None or account.settings.quota_refusal is None:
        return
    checked = check_file(file.path, endpoint, account.settings)
    with account.changed:
        message = account.quota_message(checked.model or "", checked.tokens)
    if message is not None:
        raise Refusal(account.settings.quota_refusal, message, code="token_limit_exceeded")


def _refuse_over_rate(account: Account) -> None:
    limit = account.settings.batches_per_hour
    if limit is None:
        return
    since = account.clock() - _HOUR
    if sum(batch.created_at > since for batch in account.batches) >= limit:
        message = f"Rate limit reached for batch creation. Limit: {limit} / 1h. Please try again later."
        raise Refusal(429, message, code="rate_limit_exceeded", headers={"retry-after": "60"})
