"""One request in, one answer out: the same way for a line of a batch and for a call in real time.

Row faults come first, then the responder (or the embedder), then OpenAI's response object around what it said. The
digest of the request is taken here, because the body is at hand.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import time
from typing import Any

import msgspec

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.simulator import models
from batchframe.simulator.embeddings import embed
from batchframe.simulator.faults import Faults
from batchframe.simulator.moderations import moderate
from batchframe.simulator.responders import Answer, Failure, Reply, Request, Responder, ToolCall
from batchframe.simulator.shapes import (
    ChatCompletion,
    ChatMessage,
    ChatToolCall,
    ChatUsage,
    Choice,
    Completion,
    CompletionChoice,
    Function,
    FunctionToolCall,
    OutputMessage,
    OutputRefusal,
    OutputText,
    ResponseObject,
    ResponseUsage,
)
from batchframe.simulator.tokens import count_tokens, prompt_tokens
from batchframe.wire import jsontext
from batchframe.wire.refusals import error_body

ENDPOINTS = (CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES)


class Answered(msgspec.Struct):
    """What came of one request: a response object, or an error object with its status.

    Attributes:
        status: the HTTP status; None when no HTTP answer came at all.
        failure: set when the request failed; failed requests are not billed.
    """

    digest: bytes
    status: int | None
    body: Any
    input_tokens: int = 0
    output_tokens: int = 0
    failure: Failure | None = None


class Answerer:
    """The models behind the server."""

    def __init__(self, responder: Responder, faults: Faults) -> None:
        self.responder = responder
        self._faults = faults
        self._builders = {CHAT: self._chat, RESPONSES: self._response, COMPLETIONS: self._completion}
        self._serials = itertools.count(1)
        self._mark = secrets.token_hex(8)

    def new_id(self, prefix: str) -> str:
        """An id no other simulator has given out: results of two runs may meet in one database."""
        return f"{prefix}{self._mark}{next(self._serials):012x}"

    def answer(self, request: Request) -> Answered:
        """Answer one request; never raises, for a defect of the responder is a failed row."""
        text = jsontext.canonical(request.body)
        digest = hashlib.sha256(request.endpoint.encode() + text).digest()
        failure = self._faults.of_row(request, digest, text)
        if failure is None:
            try:
                return self._respond(request, digest)
            except Failure as raised:
                failure = raised
            except Exception as defect:
                failure = Failure(500, "server_error", f"The responder raised {type(defect).__name__}: {defect}")
        body = error_body(failure.status or 500, failure.message, code=failure.code)
        return Answered(digest, failure.status, body, failure=failure)

    def _respond(self, request: Request, digest: bytes) -> Answered:
        model = models.resolved(request.model)
        if request.endpoint == EMBEDDINGS:
            embeddings = embed(request.body, model)
            return Answered(digest, 200, embeddings, embeddings.usage.prompt_tokens)
        if request.endpoint == MODERATIONS:
            return Answered(digest, 200, moderate(request.body, model, self.new_id("modr-")))
        reply = _as_answer(self.responder(request))
        asked, said = prompt_tokens(request.body), _answer_tokens(reply)
        build = self._builders[request.endpoint]
        return Answered(digest, 200, build(request, model, reply, asked, said), asked, said)

    def _chat(self, request: Request, model: str, reply: Answer, asked: int, said: int) -> ChatCompletion:
        message = ChatMessage(content=reply.text, refusal=reply.refusal)
        if reply.tool_calls:
            message.tool_calls = [
                ChatToolCall(self.new_id("call_"), Function(call.name, _arguments(call))) for call in reply.tool_calls
            ]
        finish = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
        return ChatCompletion(
            id=self.new_id("chatcmpl-"),
            created=int(time.time()),
            model=model,
            choices=[Choice(message, finish)],
            usage=ChatUsage(asked, said, asked + said),
        )

    def _completion(self, request: Request, model: str, reply: Answer, asked: int, said: int) -> Completion:
        return Completion(
            id=self.new_id("cmpl-"),
            created=int(time.time()),
            model=model,
            choices=[CompletionChoice(reply.text or "", reply.finish_reason or "stop")],
            usage=ChatUsage(asked, said, asked + said),
        )

    def _response(self, request: Request, model: str, reply: Answer, asked: int, said: int) -> ResponseObject:
        output: list[OutputMessage | FunctionToolCall] = []
        if reply.refusal is not None:
            output.append(OutputMessage(self.new_id("msg_"), [OutputRefusal(reply.refusal)]))
        elif reply.text is not None:
            output.append(OutputMessage(self.new_id("msg_"), [OutputText(reply.text)]))
        output.extend(
            FunctionToolCall(self.new_id("fc_"), self.new_id("call_"), call.name, _arguments(call))
            for call in reply.tool_calls
        )
        body = request.body
        response = ResponseObject(
            id=self.new_id("resp_"),
            created_at=int(time.time()),
            model=model,
            output=output,
            usage=ResponseUsage(asked, said, asked + said),
            **{name: body[name] for name in _ECHOED if name in body},
        )
        reason = _INCOMPLETE.get(reply.finish_reason or "stop")
        if reason is not None:
            response.status = "incomplete"
            response.incomplete_details = {"reason": reason}
        return response


_ECHOED = (
    "instructions",
    "metadata",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "max_output_tokens",
    "previous_response_id",
)
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def _as_answer(reply: Reply) -> Answer:
    if isinstance(reply, str):
        return Answer(reply)
    if isinstance(reply, dict):
        return Answer(jsontext.encode(reply).decode())
    if isinstance(reply, Answer):
        return reply
    if isinstance(reply, Failure):
        raise reply
    raise TypeError(f"a responder returns str, dict, Answer or Failure, not {type(reply).__name__}")


def _answer_tokens(answer: Answer) -> int:
    said = sum(count_tokens(text) for text in (answer.text, answer.refusal) if text is not None)
    return said + sum(count_tokens(call.name + _arguments(call)) for call in answer.tool_calls)


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else jsontext.encode(call.arguments).decode()
