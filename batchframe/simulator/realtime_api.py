"""Answers while you wait: the endpoints a batch may ask, one request at a time, and the list of models."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.simulator import models, responders
from batchframe.simulator.account import Account
from batchframe.simulator.answering import Answered
from batchframe.simulator.ledger import Entry
from batchframe.simulator.streaming import chat_events
from batchframe.wire.batch_lines import missing_parameter
from batchframe.wire.parameters import json_body
from batchframe.wire.refusals import Refusal, json_response


async def chat(account: Account, request: Request) -> Response:
    """Answer a chat completion, as one object or as a stream of chunks."""
    body = await json_body(request)
    answered = await _answer(account, CHAT, body)
    if body.get("stream"):
        options = body.get("stream_options")
        usage = isinstance(options, dict) and bool(options.get("include_usage"))
        return StreamingResponse(chat_events(answered.body, usage), media_type="text/event-stream")
    return json_response(answered.body)


async def respond(account: Account, request: Request) -> Response:
    """Answer a response."""
    body = await json_body(request)
    if body.get("stream") or body.get("background"):
        raise Refusal(400, "The simulator answers /v1/responses neither as a stream nor in the background.")
    return json_response((await _answer(account, RESPONSES, body)).body)


async def embeddings(account: Account, request: Request) -> Response:
    """Answer embeddings."""
    return json_response((await _answer(account, EMBEDDINGS, await json_body(request))).body)


async def completions(account: Account, request: Request) -> Response:
    """Answer a completion, the old way to ask."""
    body = await json_body(request)
    if body.get("stream"):
        raise Refusal(400, "The simulator does not answer /v1/completions as a stream.")
    return json_response((await _answer(account, COMPLETIONS, body)).body)


async def moderations(account: Account, request: Request) -> Response:
    """Answer moderations; here alone a model need not be named."""
    body = {"model": "omni-moderation-latest", **await json_body(request)}
    return json_response((await _answer(account, MODERATIONS, body)).body)


async def list_models(account: Account, request: Request) -> Response:
    """List the models."""
    data = [models.model_object(name) for name in models.names(account.settings)]
    return json_response({"object": "list", "data": data})


async def retrieve_model(account: Account, request: Request) -> Response:
    """Show a model."""
    model = request.path_params["model"]
    if not models.exists(model, account.settings):
        raise _no_such_model(model)
    return json_response(models.model_object(model))


async def _answer(account: Account, endpoint: str, body: dict[str, Any]) -> Answered:
    missing = missing_parameter(endpoint, body)
    if missing is not None:
        raise Refusal(400, f"Missing required parameter: '{missing[0]}'.", param=missing[0])
    if not models.exists(body["model"], account.settings):
        raise _no_such_model(body["model"])
    asked = responders.Request(endpoint, body["model"], body)
    answered = await run_in_threadpool(account.answerer.answer, asked)
    if answered.failure is not None:
        failure = answered.failure
        raise Refusal(failure.status or 500, failure.message, code=failure.code)
    with account.changed:
        account.ledger.bill([Entry(answered.digest, None, None, answered.input_tokens, answered.output_tokens)])
        account.changed.notify_all()
    return answered


def _no_such_model(model: str) -> Refusal:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Refusal(404, message, code="model_not_found", param="model")
