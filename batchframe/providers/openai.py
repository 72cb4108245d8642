"""OpenAI's Batch API through the official SDK; also for servers that speak it.

The SDK repeats calls by default and sends no idempotency key, so one late answer to `create` could buy three batches
(facts §4). Here every call is made once: repeating is the engine's business, which knows what it may repeat.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx2
import openai
from openai.types import (
    Batch,
    completion_create_params,
    embedding_create_params,
    moderation_create_params,
)
from openai.types.chat import completion_create_params as chat_completion_create_params
from openai.types.responses import response_create_params

from batchframe.config import Settings
from batchframe.core.packing import Limits
from batchframe.errors import ConfigurationError, DoubtfulError, ProviderError, RefusedError
from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.providers.base import MARK, Phase, Problem, RemoteBatch, Reply

T = TypeVar("T")

_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
_TRANSFER_TIMEOUT = httpx2.Timeout(300.0, connect=5.0)
_ANSWER_TIMEOUT = httpx2.Timeout(600.0, connect=5.0)
"""As long as the SDK waits for an answer by itself (facts §4): a reasoning model takes minutes."""
_CLOCK_SLACK = timedelta(hours=2)
"""How far the provider's clock may be from the database's before a listing is cut too early."""

_NO_EFFECT = frozenset({400, 401, 403, 404, 413, 422, 429})
_ENDED = frozenset({"completed", "expired", "cancelled"})

_PARAMETERS = {
    CHAT: chat_completion_create_params.CompletionCreateParamsBase,
    RESPONSES: response_create_params.ResponseCreateParamsBase,
    EMBEDDINGS: embedding_create_params.EmbeddingCreateParams,
    COMPLETIONS: completion_create_params.CompletionCreateParamsBase,
    MODERATIONS: moderation_create_params.ModerationCreateParams,
}


def provider_id(settings: Settings) -> str:
    """The provider at this address, and the account where one is named: other accounts do not see its batches."""
    address = httpx2.URL(settings.openai_base_url).copy_with(username=None, password=None)
    account = [part for part in (settings.openai_organization, settings.openai_project) if part]
    return "#".join([f"openai:{str(address).rstrip('/')}", *account])


def parameters(endpoint: str) -> frozenset[str]:
    """The body parameters the SDK knows for an endpoint."""
    return frozenset(_PARAMETERS[endpoint].__annotations__)


class OpenAIProvider:
    """The verbs on `/v1/files` and `/v1/batches`."""

    def __init__(self, settings: Settings) -> None:
        """Raises:
        ConfigurationError: there is no API key.
        """
        if settings.openai_api_key is None:
            raise ConfigurationError("No OpenAI API key. Set OPENAI_API_KEY, or pass bf.connect(openai_api_key=…).")
        self.id = provider_id(settings)
        self.limits = Limits(settings.batch_max_requests, settings.batch_max_bytes)
        self._client = openai.AsyncOpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_base_url,
            organization=settings.openai_organization,
            project=settings.openai_project,
            max_retries=0,
            timeout=_TIMEOUT,
        )

    def __repr__(self) -> str:
        return f"OpenAIProvider({self.id})"

    async def check(self) -> datetime | None:
        """Reach the provider once: fails when it is down or refuses the key. The provider's time, where it tells it."""
        response = await self._call("reach the provider", self._client.batches.with_raw_response.list(limit=1))
        said = response.headers.get("date")
        try:
            return parsedate_to_datetime(said) if said else None
        except ValueError:
            return None

    async def upload(self, path: Path, name: str) -> str:
        """Send an input file; returns its id."""
        with path.open("rb") as file:
            sending = self._client.files.create(file=(name, file), purpose="batch", timeout=_TRANSFER_TIMEOUT)
            return (await self._call("upload the input file", sending)).id

    async def create(self, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        """Create a batch: the one call that spends money. One HTTP request, never repeated inside."""
        creating = self._client.batches.create(
            input_file_id=input_file_id,
            endpoint=endpoint,  # type: ignore[arg-type]
            completion_window="24h",
            metadata={MARK: mark},
        )
        return _remote(await self._call("create the batch", creating))

    async def find(self, mark: str, input_file_id: str, since: datetime) -> list[RemoteBatch]:
        """The batches created since about `since` that carry the mark, or came from this file."""
        listed = await self._call("list the batches", self._listed(since))
        return [
            remote
            for remote in listed
            if remote.mark == mark or (remote.mark is None and remote.input_file_id == input_file_id)
        ]

    async def marked(self, since: datetime) -> list[RemoteBatch]:
        """The batches created since about `since` that carry any mark of ours."""
        listed = await self._call("list the batches", self._listed(since))
        return [remote for remote in listed if remote.mark is not None]

    async def _listed(self, since: datetime) -> list[RemoteBatch]:
        """The order of a listing is not documented, so it is read until a whole page is older than `since`."""
        oldest = (since - _CLOCK_SLACK).timestamp()
        listed: list[RemoteBatch] = []
        page = await self._client.batches.list(limit=100)
        while True:
            listed += map(_remote, page.data)
            if not page.has_next_page() or all(batch.created_at < oldest for batch in page.data):
                return listed
            page = await page.get_next_page()

    async def poll(self, batch_id: str) -> RemoteBatch:
        """Look at a batch."""
        return _remote(await self._call("look at the batch", self._client.batches.retrieve(batch_id)))

    async def fetch(self, file_id: str, to: Path) -> None:
        """Stream a result file to disk; the file is there whole or not at all."""
        part = to.with_suffix(".part")
        try:
            await self._call("download the results", self._download(file_id, part))
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    async def _download(self, file_id: str, to: Path) -> None:
        content = self._client.files.with_streaming_response.content(file_id, timeout=_TRANSFER_TIMEOUT)
        with to.open("wb") as file:
            async with content as response:
                async for block in response.iter_bytes(1 << 20):
                    file.write(block)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask a batch to stop; one that has ended already is returned as it is."""
        try:
            return _remote(await self._call("cancel the batch", self._client.batches.cancel(batch_id)))
        except DoubtfulError as error:
            if error.status == 409:
                return await self.poll(batch_id)
            raise

    async def delete(self, file_id: str) -> None:
        """Delete a file; one that is gone already is no error."""
        try:
            await self._call("delete the file", self._client.files.delete(file_id))
        except RefusedError as error:
            if error.status != 404:
                raise

    async def ask(self, endpoint: str, body: bytes) -> Reply:
        """Ask one request in real time, at the full price. One HTTP request, never repeated inside."""
        response = await self._call("ask in real time", self._replied(endpoint, body))
        body_without_key = response.content.replace(self._client.api_key.encode(), b"***")  # as in `_call`
        return Reply(response.status_code, body_without_key, _seconds(response.headers.get("retry-after")))

    async def models(self, name: str | None = None) -> Reply:
        """The list of models, or one of them, as the provider shows it."""
        path = "/models" if name is None else f"/models/{quote(name, safe='')}"
        try:
            getting = self._client.get(path, cast_to=httpx2.Response)
            response = await self._call("look at the models", getting)
        except ProviderError as error:
            if error.status != 404:
                raise
            return Reply(404, b"", None)
        return Reply(response.status_code, response.content, None)

    async def _replied(self, endpoint: str, body: bytes) -> httpx2.Response:
        """Whatever the provider replied: an error is an answer too."""
        try:
            return await self._client.post(
                endpoint.removeprefix("/v1"),
                content=body,
                cast_to=httpx2.Response,
                options={"headers": {"Content-Type": "application/json"}, "timeout": _ANSWER_TIMEOUT},
            )
        except openai.APIStatusError as error:
            return error.response

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _call(self, action: str, call: Awaitable[T]) -> T:
        """Await a call, and sort the SDK's exceptions by the one question that matters: can it have had an effect?

        What is raised stands alone: the SDK's exception holds the request, and with it the key.
        """
        try:
            return await call
        except openai.APIStatusError as error:
            failure = _from_status(error, action)
        except openai.APIConnectionError as error:
            cause = error.__cause__
            never_sent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            kind = RefusedError if never_sent else DoubtfulError
            failure = kind(f"Could not {action}: {_words(cause or error)}.")
        except (openai.APIError, httpx2.HTTPError) as error:
            failure = DoubtfulError(f"Could not {action}: {_words(error)}.")
        # A gateway may repeat the key in its words, and those are logged and kept in the database.
        failure.args = tuple(str(word).replace(self._client.api_key, "***") for word in failure.args)
        raise failure


def _remote(batch: Batch) -> RemoteBatch:
    counts = batch.request_counts
    phase = Phase.ENDED if batch.status in _ENDED else Phase.INVALID if batch.status == "failed" else Phase.RUNNING
    problems = tuple(
        Problem(entry.code or "unknown", entry.message or "", entry.line)
        for entry in (batch.errors.data if batch.errors else None) or ()
    )
    return RemoteBatch(
        id=batch.id,
        phase=phase,
        status=batch.status,
        mark=(batch.metadata or {}).get(MARK),
        input_file_id=batch.input_file_id,
        # An empty id is seen where there is no file (facts §2.2).
        output_file_id=batch.output_file_id or None,
        error_file_id=batch.error_file_id or None,
        completed=(counts.completed or 0) if counts else 0,
        failed=(counts.failed or 0) if counts else 0,
        problems=problems,
        created_at=datetime.fromtimestamp(batch.created_at, UTC) if batch.created_at else None,
        total=counts.total if counts else None,
    )


def _seconds(header: str | None) -> float | None:
    """A `retry-after` in seconds; its other form, a date, is not worth a clock."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _from_status(error: openai.APIStatusError, action: str) -> ProviderError:
    body = error.body if isinstance(error.body, dict) else {}
    said = str(body.get("message") or f"status {error.status_code}")
    code = body.get("code")
    if error.status_code == 401:
        # The provider's words repeat part of the key.
        said = "the API key was refused; check OPENAI_API_KEY and OPENAI_BASE_URL"
    kind = RefusedError if error.status_code in _NO_EFFECT else DoubtfulError
    return kind(
        f"Could not {action}: {said.rstrip('.')} (HTTP {error.status_code}).",
        status=error.status_code,
        code=str(code) if code else None,
    )


def _words(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__
