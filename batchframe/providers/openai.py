"""OpenAI's Batch API through the official SDK; also for servers that speak it.

The SDK repeats calls by default and sends no idempotency key, so one late answer to `create` could buy three batches
(facts §4). Here every call is made once: repeating is the engine's business, which knows what it may repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import openai
from openai.types import Batch, embedding_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from batchframe.config import Settings
from batchframe.core.packing import Limits
from batchframe.errors import ConfigurationError, DoubtfulError, ProviderError, RefusedError
from batchframe.model import CHAT, EMBEDDINGS, RESPONSES
from batchframe.providers.base import MARK, Phase, Problem, RemoteBatch, Reply

_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
_TRANSFER_TIMEOUT = httpx2.Timeout(300.0, connect=5.0)
_ANSWER_TIMEOUT = httpx2.Timeout(600.0, connect=5.0)
"""As long as the SDK waits for an answer by itself (facts §4): a reasoning model takes minutes."""
_CLOCK_SLACK = timedelta(hours=2)
"""How far the provider's clock may be from the database's before a listing is cut too early."""

_NO_EFFECT = frozenset({400, 401, 403, 404, 413, 422, 429})
_ENDED = frozenset({"completed", "expired", "cancelled"})

_PARAMETERS = {
    CHAT: completion_create_params.CompletionCreateParamsBase,
    RESPONSES: response_create_params.ResponseCreateParamsBase,
    EMBEDDINGS: embedding_create_params.EmbeddingCreateParams,
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
    """The six verbs on `/v1/files` and `/v1/batches`."""

    def __init__(self, settings: Settings) -> None:
        """Raises:
        ConfigurationError: there is no API key.
        """
        if settings.openai_api_key is None:
            raise ConfigurationError("No OpenAI API key. Set OPENAI_API_KEY, or pass bf.connect(api_key=…).")
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

    async def check(self) -> None:
        """Reach the provider once: fails when it is down or refuses the key."""
        with _errors("reach the provider"):
            await self._client.batches.list(limit=1)

    async def upload(self, path: Path, name: str) -> str:
        """Send an input file; returns its id."""
        with _errors("upload the input file"), path.open("rb") as file:
            sent = await self._client.files.create(file=(name, file), purpose="batch", timeout=_TRANSFER_TIMEOUT)
        return sent.id

    async def create(self, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        """Create a batch: the one call that spends money. One HTTP request, never repeated inside."""
        with _errors("create the batch"):
            batch = await self._client.batches.create(
                input_file_id=input_file_id,
                endpoint=endpoint,  # type: ignore[arg-type]
                completion_window="24h",
                metadata={MARK: mark},
            )
        return _remote(batch)

    async def find(self, mark: str, input_file_id: str, since: datetime) -> list[RemoteBatch]:
        """The batches created since about `since` that carry the mark, or came from this file.

        The order of a listing is not documented, so it is read until a whole page is older than `since`.
        """
        oldest = (since - _CLOCK_SLACK).timestamp()
        found: list[RemoteBatch] = []
        with _errors("list the batches"):
            page = await self._client.batches.list(limit=100)
            while True:
                found += [
                    remote
                    for remote in map(_remote, page.data)
                    if remote.mark == mark or (remote.mark is None and remote.input_file_id == input_file_id)
                ]
                if not page.has_next_page() or all(batch.created_at < oldest for batch in page.data):
                    return found
                page = await page.get_next_page()

    async def poll(self, batch_id: str) -> RemoteBatch:
        """Look at a batch."""
        with _errors("look at the batch"):
            return _remote(await self._client.batches.retrieve(batch_id))

    async def fetch(self, file_id: str, to: Path) -> None:
        """Stream a result file to disk; the file is there whole or not at all."""
        part = to.with_suffix(".part")
        try:
            with _errors("download the results"), part.open("wb") as file:
                async with self._client.files.with_streaming_response.content(
                    file_id, timeout=_TRANSFER_TIMEOUT
                ) as response:
                    async for block in response.iter_bytes(1 << 20):
                        file.write(block)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask a batch to stop; one that has ended already is returned as it is."""
        try:
            with _errors("cancel the batch"):
                return _remote(await self._client.batches.cancel(batch_id))
        except DoubtfulError as error:
            if error.status == 409:
                return await self.poll(batch_id)
            raise

    async def ask(self, endpoint: str, body: bytes) -> Reply:
        """Ask one request in real time, at the full price. One HTTP request, never repeated inside."""
        try:
            with _errors("ask in real time", pass_on=openai.APIStatusError):
                response = await self._client.post(
                    endpoint.removeprefix("/v1"),
                    content=body,
                    cast_to=httpx2.Response,
                    options={"headers": {"Content-Type": "application/json"}, "timeout": _ANSWER_TIMEOUT},
                )
        except openai.APIStatusError as error:
            response = error.response
        return Reply(response.status_code, response.content, _seconds(response.headers.get("retry-after")))

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()


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
    )


def _seconds(header: str | None) -> float | None:
    """A `retry-after` in seconds; its other form, a date, is not worth a clock."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


@contextmanager
def _errors(action: str, *, pass_on: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Sort the SDK's exceptions by the one question that matters: can the call have had an effect?

    Args:
        pass_on: what the caller sorts by itself.
    """
    try:
        yield
    except pass_on:
        raise
    except openai.APIStatusError as error:
        raise _from_status(error, action) from None
    except openai.APIConnectionError as error:
        cause = error.__cause__
        never_sent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        kind = RefusedError if never_sent else DoubtfulError
        raise kind(f"Could not {action}: {_words(cause or error)}.") from None
    except (openai.APIError, httpx2.HTTPError) as error:
        raise DoubtfulError(f"Could not {action}: {_words(error)}.") from None


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
