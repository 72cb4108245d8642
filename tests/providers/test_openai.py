"""The OpenAI provider, against the simulator over real HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from batchframe.config import load_settings
from batchframe.errors import ConfigurationError, DoubtfulError, ProviderError, RefusedError
from batchframe.model import CHAT, EMBEDDINGS, RESPONSES
from batchframe.providers.base import Phase, Reply
from batchframe.providers.openai import OpenAIProvider, parameters, provider_id
from batchframe.simulator import Simulator

T = TypeVar("T")
LINE = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"hi"}]}}\n'  # fmt: skip  # noqa: E501
NOW = datetime.now(UTC)


def run(simulator: Simulator, work: Callable[[OpenAIProvider], Awaitable[T]], base_url: str | None = None) -> T:
    """Do something with a provider in an event loop of its own."""

    async def main() -> T:
        provider = OpenAIProvider(
            load_settings(openai_api_key="sk-canary", openai_base_url=base_url or simulator.base_url)
        )
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(main())


@pytest.fixture
def input_file(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINE)
    return path


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429])
def test_a_definite_no_is_a_refusal(simulator: Simulator, status: int) -> None:
    """Only what certainly had no effect may be tried again without a search."""
    simulator.faults.on("batches.create", "status", status=status)
    with pytest.raises(RefusedError) as caught:
        run(simulator, lambda provider: provider.create("file-x", CHAT, "mark"))
    assert caught.value.status == status
    assert caught.value.retryable is (status == 429)


@pytest.mark.parametrize(("kind", "status"), [("status", 500), ("status", 408), ("status", 409), ("reset", 0)])
def test_everything_else_is_doubtful(simulator: Simulator, kind: str, status: int) -> None:
    """Taken for a refusal it would be paid twice. And one call is one call: the SDK's retries are off."""
    simulator.faults.on("batches.create", kind, status=status, times=None)  # type: ignore[arg-type]
    with pytest.raises(DoubtfulError):
        run(simulator, lambda provider: provider.create("file-x", CHAT, "mark"))
    assert simulator.ledger.calls["batches.create"] == 1


def test_a_connection_that_never_opened_is_a_refusal(simulator: Simulator) -> None:
    """Nothing was sent, so nothing can have happened."""
    with pytest.raises(RefusedError) as caught:
        run(simulator, lambda provider: provider.create("file-x", CHAT, "mark"), "http://127.0.0.1:9/v1")
    assert caught.value.retryable


def test_a_batch_goes_through_its_life(simulator: Simulator, input_file: Path, tmp_path: Path) -> None:
    """The six verbs, each doing what its name says."""

    async def work(provider: OpenAIProvider) -> None:
        await provider.check()
        file_id = await provider.upload(input_file, "in.jsonl")
        created = await provider.create(file_id, CHAT, "mark")
        assert created.mark == "mark"
        found = await provider.find("mark", file_id, NOW - timedelta(minutes=1))
        assert [batch.id for batch in found] == [created.id]
        await asyncio.to_thread(simulator.wait_for, lambda seen: seen.batches[0].ended)
        ended = await provider.poll(created.id)
        assert (ended.phase, ended.completed, ended.failed, ended.error_file_id) == (Phase.ENDED, 1, 0, None)
        assert ended.output_file_id is not None
        await provider.fetch(ended.output_file_id, tmp_path / "out.jsonl")
        assert (await provider.cancel(created.id)).status == "completed", "409 is an answer, not an error"

    run(simulator, work)
    assert b'"content":"hi"' in (tmp_path / "out.jsonl").read_bytes()


def test_a_listing_is_read_to_its_end_among_thousands_of_others(simulator: Simulator, input_file: Path) -> None:
    """Our batch may stand on any page."""
    simulator.settings.foreign_batches = 1_000

    async def work(provider: OpenAIProvider) -> None:
        file_id = await provider.upload(input_file, "in.jsonl")
        await provider.create(file_id, CHAT, "mark")
        assert len(await provider.find("mark", "other", NOW)) == 1
        assert await provider.find("other", "other", NOW) == []

    run(simulator, work)


def test_a_download_is_there_whole_or_not_at_all(simulator: Simulator, input_file: Path, tmp_path: Path) -> None:
    """Half a file under the final name would be believed after a restart."""
    simulator.faults.on("files.content", "truncate", after_bytes=10)

    async def work(provider: OpenAIProvider) -> None:
        file_id = await provider.upload(input_file, "in.jsonl")
        await provider.fetch(file_id, tmp_path / "x.jsonl")

    with pytest.raises(DoubtfulError):
        run(simulator, work)
    assert list(tmp_path.iterdir()) == [input_file]
    run(simulator, work)
    assert (tmp_path / "x.jsonl").read_bytes() == LINE


def test_the_key_is_never_repeated(simulator: Simulator) -> None:
    """OpenAI's own words on a wrong key quote it."""
    body = {"error": {"message": "Incorrect API key provided: sk-canary.", "code": "invalid_api_key"}}
    simulator.faults.on("batches.list", "status", status=401, body=body)

    async def work(provider: OpenAIProvider) -> str:
        with pytest.raises(ProviderError) as caught:
            await provider.check()
        return f"{caught.value} {provider!r}"

    assert "canary" not in run(simulator, work)


def test_a_provider_is_its_address_and_account() -> None:
    """Other accounts do not see its batches, so a job must not wander; a password in the address stays out of it."""
    base = provider_id(load_settings(openai_base_url="https://user:canary@host/v1/"))
    assert base == "openai:https://host/v1"
    with_project = provider_id(load_settings(openai_base_url="https://host/v1", openai_project="proj_1"))
    assert with_project == f"{base}#proj_1"


def test_there_is_no_provider_without_a_key() -> None:
    """Said at once, with the variable's name."""
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        OpenAIProvider(load_settings())


@pytest.mark.parametrize(
    ("endpoint", "known"), [(CHAT, "temperature"), (RESPONSES, "reasoning"), (EMBEDDINGS, "dimensions")]
)
def test_the_endpoints_parameters_are_the_sdks(endpoint: str, known: str) -> None:
    """A parameter the SDK learns is one batchframe knows."""
    assert known in parameters(endpoint)
    assert "temprature" not in parameters(endpoint)


def test_asking_in_real_time_gives_whatever_was_answered(simulator: Simulator) -> None:
    """An error is an answer too: it decides about its row, and is not the engine's to guess from an exception."""
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    simulator.faults.on("chat.completions", "status", status=429, headers={"retry-after": "7"})
    simulator.faults.on("chat.completions", "status", status=500)

    async def ask(provider: OpenAIProvider) -> list[Reply]:
        return [await provider.ask(CHAT, body) for _ in range(3)]

    refused, broken, answered = run(simulator, ask)
    assert (refused.status, refused.retry_after) == (429, 7.0)
    assert (broken.status, broken.retry_after) == (500, None)
    assert answered.status == 200
    assert b'"hi"' in answered.body
    assert simulator.ledger.calls["chat.completions"] == 3, "each was asked once"
    assert simulator.ledger.requests == 1


@pytest.mark.parametrize(("kind", "error"), [("reset", DoubtfulError), ("reset_after", DoubtfulError)])
def test_a_connection_lost_in_real_time_is_in_doubt(
    simulator: Simulator, kind: str, error: type[ProviderError]
) -> None:
    """Whether it was paid for, nobody can tell."""
    simulator.faults.on("chat.completions", kind)
    with pytest.raises(error, match="ask in real time"):
        run(simulator, lambda provider: provider.ask(CHAT, b'{"model":"m","messages":[]}'))


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("-3", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_a_wait_the_provider_asks_for_is_read(simulator: Simulator, header: str, seconds: float | None) -> None:
    """Coming back earlier than asked prolongs a rate limit; an unreadable header must not break the row."""
    simulator.faults.on("chat.completions", "status", status=429, headers={"retry-after": header})
    reply = run(simulator, lambda provider: provider.ask(CHAT, b'{"model":"m","messages":[]}'))
    assert reply.retry_after == seconds
