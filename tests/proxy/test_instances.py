"""Three proxies on one database, one of them killed every few seconds: nobody gets less or pays more."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator

import httpx2
import openai
import pytest
from sqlalchemy import text

from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.judging import judge, paid_once
from tests.serving import KEY, Served

CALLS = 5_000
CONNECTIONS = 200
KILL_EVERY_SECONDS = (2.0, 5.0)
PATIENCE_SECONDS = 600.0


class AnyInstance(httpx2.AsyncBaseTransport):
    """Sends each try to one of the instances, dead or alive, as a balancer does that has not noticed yet."""

    def __init__(self, instances: list[Served], seed: int) -> None:
        self._instances = instances
        self._choices = random.Random(seed)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS)
        self._transport = httpx2.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        chosen = self._choices.choice(self._instances)
        request.url = request.url.copy_with(port=chosen.port)
        request.headers["Host"] = f"127.0.0.1:{chosen.port}"
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


@pytest.fixture
def instances(environment: dict[str, str]) -> Iterator[list[Served]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Served(environment)) for _ in range(3)]


async def ask_all(client: openai.AsyncOpenAI) -> dict[str, str]:
    """Every prompt with its answer, so many at once as there are connections; the SDK retries as it does."""
    prompts = iter([f"call {number}" for number in range(CALLS)])
    answers: dict[str, str] = {}

    async def ask() -> None:
        for prompt in prompts:
            completion = await client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": prompt}]
            )
            answers[prompt] = completion.choices[0].message.content or ""

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return answers


async def kill_in_turn(instances: list[Served], moments: random.Random, killed: list[int]) -> None:
    """kill -9 one instance and start it again, until cancelled."""
    while True:
        for instance in instances:
            await asyncio.sleep(moments.uniform(*KILL_EVERY_SECONDS))
            await asyncio.to_thread(instance.kill)
            killed.append(instance.port)
            instance.start()
            await asyncio.to_thread(instance.wait_until_ready)


async def live(instances: list[Served], seed: int) -> tuple[dict[str, str], int]:
    """The answers to all calls, and how often an instance was killed meanwhile."""
    killed: list[int] = []
    http = openai.DefaultAsyncHttpxClient(transport=AnyInstance(instances, seed))
    async with openai.AsyncOpenAI(
        base_url=instances[0].base_url, api_key=KEY, max_retries=100, http_client=http
    ) as client:
        killer = asyncio.create_task(kill_in_turn(instances, random.Random(seed), killed))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answers = await ask_all(client)
        finally:
            killer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await killer
    return answers, len(killed)


def test_instances_that_are_killed_lose_nothing_and_pay_once(
    instances: list[Served], simulator: Simulator, database: Database
) -> None:
    """Every call is answered right, stored once and billed once, whoever held its connection when it died."""
    simulator.settings.duration = 1.0
    answers, killed = asyncio.run(live(instances, seed=1))
    assert killed >= 3
    assert len(answers) == CALLS
    assert {prompt: said for prompt, said in answers.items() if said != prompt} == {}
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM request")).scalar_one() == CALLS
        assert connection.execute(text("SELECT count(*) FROM proxied")).scalar_one() == CALLS
    assert paid_once(simulator, CALLS)
    judge(database, simulator, open_jobs=True)
