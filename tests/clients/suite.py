"""What an OpenAI client does, with the official Python SDK: a program that reports each case as a line of JSON.

It knows nothing of the server but `OPENAI_BASE_URL` and `OPENAI_API_KEY`, and takes `--timeout`, `--retries` and
`--skip case,…`. All cases run at once, as many callers would. `suite.mjs` holds the same cases in JavaScript; the ones
called `async …` exist here only, for there every case is. Where it runs, the model is an echo (`provider.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

CHAT_MODEL = "gpt-5-mini"
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "note", "parameters": {"type": "object", "properties": {"said": {"type": "string"}}}},
    }
]
RESPONSES_TOOLS: Any = [{"type": "function", "strict": None, **TOOLS[0]["function"]}]
PATIENCE_SECONDS = 120.0
"""How long a case polls for what it made."""

Case = Callable[[OpenAI], None]
AsyncCase = Callable[[AsyncOpenAI], Any]

SYNC: dict[str, Case] = {}
ASYNC: dict[str, AsyncCase] = {}


def case(function: Case) -> Case:
    """A case of both suites."""
    SYNC[function.__name__.replace("_", " ")] = function
    return function


def async_case(function: AsyncCase) -> AsyncCase:
    """A case once more, with the SDK's other client."""
    ASYNC[function.__name__.replace("_", " ")] = function
    return function


def user(prompt: str) -> Any:
    """The messages of a prompt."""
    return [{"role": "user", "content": prompt}]


def equal(got: object, wanted: object) -> None:
    """Complain unless they are equal."""
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def refused(kind: type[openai.APIError], call: Callable[[], object]) -> Any:
    """The error of a call that must be refused this way."""
    try:
        got = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} but {got!r}")


def until(look: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    """Look again until it is done."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not done(seen := look()):
        assert time.monotonic() < ends, f"still {seen!r}"
        time.sleep(0.25)
    return seen


def lines_of(prefix: str, prompts: list[str]) -> bytes:
    """A batch file with custom ids `<prefix>0`, `<prefix>1`, …"""
    lines = [
        {
            "custom_id": f"{prefix}{at}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": CHAT_MODEL, "messages": user(prompt)},
        }
        for at, prompt in enumerate(prompts)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def answers_in(client: OpenAI, file_id: str) -> dict[str, Any]:
    """The lines of an output or error file by custom id."""
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    equal(len({line["custom_id"] for line in lines}), len(lines))
    return {line["custom_id"]: line["response"] for line in lines}


@case
def chat(client: OpenAI) -> None:
    completion = client.chat.completions.create(model=CHAT_MODEL, messages=user("chat: äöü \U0001f600"))
    equal(completion.object, "chat.completion")
    equal(completion.choices[0].message.content, "chat: äöü \U0001f600")
    equal(completion.choices[0].finish_reason, "stop")
    assert completion.usage
    equal(completion.usage.total_tokens, completion.usage.prompt_tokens + completion.usage.completion_tokens)


@case
def chat_with_a_tool(client: OpenAI) -> None:
    completion = client.chat.completions.create(model=CHAT_MODEL, messages=user("with a tool"), tools=TOOLS)
    (call,) = completion.choices[0].message.tool_calls or []
    equal((call.type, call.function.name), ("function", "note"))
    equal(json.loads(call.function.arguments), {"said": "with a tool"})
    equal(completion.choices[0].finish_reason, "tool_calls")


@case
def twins(client: OpenAI) -> None:
    """Two live identical calls are two requests."""

    def ask(_: int) -> Any:
        return client.chat.completions.create(model=CHAT_MODEL, messages=user("twins"))

    with ThreadPoolExecutor(2) as threads:
        for completion in threads.map(ask, range(2)):
            equal(completion.choices[0].message.content, "twins")


@case
def idempotency_key(client: OpenAI) -> None:
    """The same key and body again is the same request."""
    answers = [
        client.chat.completions.create(
            model=CHAT_MODEL, messages=user("once"), extra_headers={"Idempotency-Key": "suite-once"}
        )
        for _ in range(2)
    ]
    equal(answers[0].choices[0].message.content, "once")
    equal(answers[1].id, answers[0].id)


@case
def stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=CHAT_MODEL, messages=user("a stream of words"), stream=True))
    equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks), "a stream of words")
    equal(chunks[0].choices[0].delta.role, "assistant")
    equal(chunks[-1].choices[0].finish_reason, "stop")
    equal({(chunk.object, chunk.id, chunk.usage) for chunk in chunks}, {("chat.completion.chunk", chunks[0].id, None)})


@case
def stream_with_usage(client: OpenAI) -> None:
    *chunks, last = client.chat.completions.create(
        model=CHAT_MODEL, messages=user("a stream, counted"), stream=True, stream_options={"include_usage": True}
    )
    equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks), "a stream, counted")
    equal(last.choices, [])
    assert last.usage
    assert last.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks)


@case
def stream_with_a_tool(client: OpenAI) -> None:
    with client.chat.completions.stream(model=CHAT_MODEL, messages=user("stream a tool"), tools=TOOLS) as events:
        completion = events.get_final_completion()
    (call,) = completion.choices[0].message.tool_calls or []
    equal(json.loads(call.function.arguments), {"said": "stream a tool"})
    equal(completion.choices[0].finish_reason, "tool_calls")


@case
def stream_that_fails(client: OpenAI) -> None:
    """An error in a stream that has begun comes as an event, which the SDK raises."""
    error = refused(
        openai.APIError,
        lambda: list(client.chat.completions.create(model=CHAT_MODEL, messages=user("fail a stream"), stream=True)),
    )
    assert "too long" in error.message, error.message


@case
def responses(client: OpenAI) -> None:
    response = client.responses.create(model=CHAT_MODEL, input="a response")
    equal((response.object, response.status, response.output_text), ("response", "completed", "a response"))
    assert response.usage
    assert response.usage.output_tokens > 0


@case
def responses_with_a_tool(client: OpenAI) -> None:
    response = client.responses.create(model=CHAT_MODEL, input="respond with a tool", tools=RESPONSES_TOOLS)
    (call,) = response.output
    assert call.type == "function_call", call
    equal(json.loads(call.arguments), {"said": "respond with a tool"})


@case
def responses_in_the_background(client: OpenAI) -> None:
    response = client.responses.create(model=CHAT_MODEL, input="in the background", background=True)
    assert response.status in {"queued", "in_progress", "completed"}, response.status
    ended = until(
        lambda: client.responses.retrieve(response.id), lambda seen: seen.status not in {"queued", "in_progress"}
    )
    equal((ended.id, ended.status, ended.output_text), (response.id, "completed", "in the background"))


@case
def responses_cancelled(client: OpenAI) -> None:
    response = client.responses.create(model=CHAT_MODEL, input="cancel me, response", background=True)
    equal(client.responses.cancel(response.id).status, "cancelled")
    equal(client.responses.retrieve(response.id).status, "cancelled")


@case
def embeddings(client: OpenAI) -> None:
    """The SDK asks for base64 by itself and decodes it."""
    first, again, other = (
        client.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=64).data
        for texts in (["embed a", "embed b"], ["embed b", "embed c"], ["embed d"])
    )
    equal([given.index for given in first], [0, 1])
    equal([len(given.embedding) for given in (*first, *again, *other)], [64] * 5)
    equal(first[1].embedding, again[0].embedding)
    assert first[0].embedding != first[1].embedding


@case
def embeddings_as_floats(client: OpenAI) -> None:
    made = client.embeddings.create(
        model="text-embedding-3-small", input="embed floats", dimensions=8, encoding_format="float"
    )
    equal((len(made.data), len(made.data[0].embedding)), (1, 8))


@case
def completions(client: OpenAI) -> None:
    completion = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="complete this")
    equal((completion.object, completion.choices[0].text), ("text_completion", "complete this"))


@case
def moderations(client: OpenAI) -> None:
    moderation = client.moderations.create(model="omni-moderation-latest", input="moderate this")
    equal([result.flagged for result in moderation.results], [False])


@case
def models(client: OpenAI) -> None:
    assert CHAT_MODEL in [model.id for model in client.models.list()]
    equal(client.models.retrieve(CHAT_MODEL).id, CHAT_MODEL)
    refused(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"))


@case
def files(client: OpenAI) -> None:
    content = lines_of("f", ["a file"])
    made = client.files.create(file=("kept.jsonl", content), purpose="batch")
    equal((made.object, made.filename, made.bytes, made.purpose), ("file", "kept.jsonl", len(content), "batch"))
    equal(client.files.retrieve(made.id).id, made.id)
    assert made.id in [file.id for file in client.files.list(purpose="batch")]
    equal(client.files.content(made.id).read(), content)
    equal(client.files.delete(made.id).deleted, True)
    refused(openai.NotFoundError, lambda: client.files.retrieve(made.id))


@case
def batches(client: OpenAI) -> None:
    """Right answers with the right custom ids, and a failed line in the error file."""
    prompts = ["batch 0", "batch 1", "fail a line", "batch 3"]
    file = client.files.create(file=("lines.jsonl", lines_of("line-", prompts)), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"made": "by a suite"}
    )
    equal((made.object, made.input_file_id), ("batch", file.id))
    assert made.id in [batch.id for batch in client.batches.list(limit=100)]
    ended = until(
        lambda: client.batches.retrieve(made.id),
        lambda seen: seen.status in {"completed", "failed", "expired", "cancelled"},
    )
    equal((ended.status, ended.metadata), ("completed", {"made": "by a suite"}))
    equal((ended.request_counts.total, ended.request_counts.completed, ended.request_counts.failed), (4, 3, 1))
    said = {
        custom_id: answer["body"]["choices"][0]["message"]["content"]
        for custom_id, answer in answers_in(client, ended.output_file_id).items()
    }
    equal(said, {"line-0": "batch 0", "line-1": "batch 1", "line-3": "batch 3"})
    errors = answers_in(client, ended.error_file_id)
    equal({custom_id: answer["status_code"] for custom_id, answer in errors.items()}, {"line-2": 400})
    equal(errors["line-2"]["body"]["error"]["code"], "context_length_exceeded")


@case
def batches_cancelled(client: OpenAI) -> None:
    file = client.files.create(file=("lines.jsonl", lines_of("c-", ["cancel me, batch"])), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )  # fmt: skip
    assert client.batches.cancel(made.id).status in {"cancelling", "cancelled"}
    until(lambda: client.batches.retrieve(made.id).status, lambda status: status == "cancelled")


@case
def failed_row(client: OpenAI) -> None:
    """What the provider said of a row is what the caller gets: its status and its body."""
    error = refused(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=CHAT_MODEL, messages=user("fail a row")),
    )
    equal((error.status_code, error.code, error.type), (400, "context_length_exceeded", "invalid_request_error"))
    equal(error.body["message"], "This prompt is too long: fail a row")


@case
def wrong_key(client: OpenAI) -> None:
    stranger = client.with_options(api_key="sk-nobody")
    error = refused(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model=CHAT_MODEL, messages=user("never asked")),
    )
    equal((error.status_code, error.code), (401, "invalid_api_key"))
    refused(openai.AuthenticationError, lambda: stranger.batches.list())


@case
def unknown_model(client: OpenAI) -> None:
    error = refused(
        openai.NotFoundError,
        lambda: client.chat.completions.create(model="no-such-model", messages=user("fail: no model")),
    )
    equal(error.code, "model_not_found")


@case
def unknown_ids(client: OpenAI) -> None:
    refused(openai.NotFoundError, lambda: client.batches.retrieve("batch_0123456789abcdef0123456789abcdef"))
    refused(openai.NotFoundError, lambda: client.batches.cancel("batch_nonsense"))
    refused(openai.NotFoundError, lambda: client.files.retrieve("file-0123456789abcdef0123456789abcdef"))
    refused(openai.NotFoundError, lambda: client.files.content("file-nonsense"))


@case
def unknown_response(client: OpenAI) -> None:
    refused(openai.NotFoundError, lambda: client.responses.retrieve("resp_0123456789abcdef0123456789abcdef"))


@case
def missing_parameter(client: OpenAI) -> None:
    error = refused(
        openai.BadRequestError,
        lambda: client.post("/chat/completions", body={"model": CHAT_MODEL}, cast_to=object),
    )
    equal((error.type, error.param), ("invalid_request_error", "messages"))


@case
def unsupported_parameter(client: OpenAI) -> None:
    error = refused(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=CHAT_MODEL, messages=user("never asked"), n=2),
    )
    equal((error.type, error.param), ("invalid_request_error", "n"))


@async_case
async def async_chat(client: AsyncOpenAI) -> None:
    prompts = [f"async chat {at}" for at in range(5)]
    asked = (client.chat.completions.create(model=CHAT_MODEL, messages=user(prompt)) for prompt in prompts)
    equal([answer.choices[0].message.content for answer in await asyncio.gather(*asked)], prompts)


@async_case
async def async_stream(client: AsyncOpenAI) -> None:
    chunks = await client.chat.completions.create(model=CHAT_MODEL, messages=user("async stream"), stream=True)
    equal("".join([chunk.choices[0].delta.content or "" async for chunk in chunks]), "async stream")


@async_case
async def async_responses_in_the_background(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model=CHAT_MODEL, input="async background", background=True)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while response.status in {"queued", "in_progress"}:
            await asyncio.sleep(0.25)
            response = await client.responses.retrieve(response.id)
    equal((response.status, response.output_text), ("completed", "async background"))


@async_case
async def async_embeddings(client: AsyncOpenAI) -> None:
    made = await client.embeddings.create(model="text-embedding-3-small", input=["async embed"], dimensions=16)
    equal(len(made.data[0].embedding), 16)


@async_case
async def async_failed_row(client: AsyncOpenAI) -> None:
    try:
        await client.chat.completions.create(model=CHAT_MODEL, messages=user("fail an async row"))
    except openai.BadRequestError as error:
        equal(error.code, "context_length_exceeded")
    else:
        raise AssertionError("no BadRequestError")


async def run(settings: dict[str, Any], skipped: set[str]) -> bool:
    """Run all cases at once, and say whether all went well."""
    with ThreadPoolExecutor(len(SYNC)) as threads, OpenAI(**settings) as client:
        async with AsyncOpenAI(**settings) as async_client:
            loop = asyncio.get_running_loop()
            running = {
                **{name: loop.run_in_executor(threads, function, client) for name, function in SYNC.items()
                   if name not in skipped},
                **{name: asyncio.ensure_future(function(async_client)) for name, function in ASYNC.items()
                   if name not in skipped},
            }  # fmt: skip
            results = await asyncio.gather(*running.values(), return_exceptions=True)
    for name, result in zip(running, results, strict=True):
        line = {"case": name, "ok": result is None}
        if isinstance(result, BaseException):
            line["error"] = "".join(traceback.format_exception(result, limit=-3))
        print(json.dumps(line), flush=True)
    return not any(results)


def main() -> None:
    """Run it as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--retries", type=int)
    parser.add_argument("--skip", default="")
    given = parser.parse_args()
    settings = {"timeout": given.timeout, "max_retries": given.retries}
    settings = {name: value for name, value in settings.items() if value is not None}
    sys.exit(not asyncio.run(run(settings, set(given.skip.split(",")))))


if __name__ == "__main__":
    main()
