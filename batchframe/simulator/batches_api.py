"""`/v1/batches`: create, look at, list and cancel, with the checks that are answered at once.

Sources: facts §2.4, §2.5.
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from batchframe.simulator.account import Account
from batchframe.simulator.answering import ENDPOINTS
from batchframe.simulator.files_api import expiry_seconds
from batchframe.simulator.validation import check_file
from batchframe.wire import jsontext
from batchframe.wire.paging import listing, page, whole_number
from batchframe.wire.refusals import Refusal, json_response

_HOUR = 3_600.0


async def create(account: Account, request: Request) -> Response:
    """Create a batch. What is wrong with its file is found out later, by the worker."""
    asked = await json_body(request)
    input_file_id = _required(asked, "input_file_id")
    endpoint = _one_of(asked, "endpoint", ENDPOINTS)
    _one_of(asked, "completion_window", ("24h",))
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


async def json_body(request: Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object."""
    try:
        body = jsontext.decode(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "We could not parse the JSON body of your request. (It must be a JSON object.)")
    return body


def checked_metadata(given: Any) -> dict[str, str] | None:
    """Metadata within its limits: 16 pairs of strings, keys of 64 characters, values of 512."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _wrong_type("metadata", "an object", given)
    if len(given) > 16:
        message = (
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
            f"but got an object with {len(given)} properties instead."
        )
        raise Refusal(400, message, code="object_above_max_properties", param="metadata")
    for key, value in given.items():
        name = f"metadata.{key}"
        if not isinstance(value, str):
            raise _wrong_type(name, "a string", value)
        for text, most in ((key, 64), (value, 512)):
            if len(text) > most:
                message = (
                    f"Invalid '{name}': string too long. Expected a string with maximum length {most}, "
                    f"but got a string with length {len(text)} instead."
                )
                raise Refusal(400, message, code="string_above_max_length", param=name)
    return given


def _required(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if value is None:
        message = f"Missing required parameter: '{name}'."
        raise Refusal(400, message, code="missing_required_parameter", param=name)
    if not isinstance(value, str):
        raise _wrong_type(name, "a string", value)
    return value


def _one_of(asked: dict[str, Any], name: str, supported: tuple[str, ...]) -> str:
    value = _required(asked, name)
    if value not in supported:
        *others, last = (f"'{choice}'" for choice in supported)
        listed = f"{', '.join(others)}, and {last}" if others else last
        message = f"Invalid value: '{value}'. Supported values are: {listed}."
        raise Refusal(400, message, code="invalid_value", param=name)
    return value


def _wrong_type(name: str, expected: str, given: Any) -> Refusal:
    got = _TYPE_NAMES.get(type(given), "an unknown type")
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return Refusal(400, message, code="invalid_type", param=name)


_TYPE_NAMES = {
    list: "an array",
    dict: "an object",
    str: "a string",
    int: "an integer",
    float: "a decimal number",
    bool: "a boolean",
    type(None): "null",
}


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
