"""`/v1/batches` at once: what a create call is refused for, and what listings show."""

from __future__ import annotations

from typing import Any

import openai
import pytest

CHAT = "/v1/chat/completions"


def refusal(call: Any, **arguments: Any) -> dict[str, Any]:
    """The error object a call is refused with."""
    with pytest.raises(openai.BadRequestError) as refused:
        call(**arguments)
    return refused.value.body  # type: ignore[return-value]


@pytest.fixture
def arguments(customer: Any, chat_lines: Any) -> dict[str, Any]:
    """Arguments of a create call that is in order."""
    return {"input_file_id": customer.upload(chat_lines(1)), "endpoint": CHAT, "completion_window": "24h"}


def test_an_unknown_endpoint_is_refused_at_once(sim: Any, client: Any, arguments: Any) -> None:
    """Refusals of the create call are definite: nothing was created."""
    assert refusal(client.batches.create, **arguments | {"endpoint": "/v1/invalid/endpoint"}) == {
        "message": "Invalid value: '/v1/invalid/endpoint'. "
        "Supported values are: '/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/moderations', "
        "and '/v1/responses'.",
        "type": "invalid_request_error",
        "param": "endpoint",
        "code": "invalid_value",
    }
    assert sim.batches == []


def test_only_24_hours_are_for_sale(client: Any, arguments: Any) -> None:
    """As above."""
    refused = refusal(client.batches.create, **arguments | {"completion_window": "48h"})
    assert (refused["param"], "'48h'" in refused["message"]) == ("completion_window", True)


def test_metadata_must_be_strings(client: Any, arguments: Any) -> None:
    """As above."""
    assert refusal(client.batches.create, **arguments, metadata={"tags": ["a"]}) == {
        "message": "Invalid type for 'metadata.tags': expected a string, but got an array instead.",
        "type": "invalid_request_error",
        "param": "metadata.tags",
        "code": "invalid_type",
    }


@pytest.mark.parametrize(
    ("metadata", "fits"),
    [
        ({str(at): "" for at in range(16)}, True),
        ({str(at): "" for at in range(17)}, False),
        ({"k" * 64: "v" * 512}, True),
        ({"k" * 65: ""}, False),
        ({"k": "v" * 513}, False),
    ],
)
def test_metadata_has_limits(client: Any, arguments: Any, metadata: dict[str, str], fits: bool) -> None:
    """The mark by which a lost batch is found again must fit."""
    if fits:
        assert client.batches.create(**arguments, metadata=metadata).metadata == metadata
    else:
        assert refusal(client.batches.create, **arguments, metadata=metadata)["param"].startswith("metadata")


def test_a_create_call_without_a_file_is_refused(client: Any) -> None:
    """A missing parameter is found at once, a missing file later."""
    refused = refusal(client.batches.create, input_file_id=openai.NOT_GIVEN, endpoint=CHAT, completion_window="24h")
    assert (refused["code"], refused["param"]) == ("missing_required_parameter", "input_file_id")


def test_an_unknown_batch_is_not_found(client: Any) -> None:
    """404 on looking and on cancelling."""
    for call in (client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError, match="No batch found"):
            call("batch_nowhere")


def test_listing_pages_through_all_batches_newest_first(client: Any, arguments: Any) -> None:
    """Finding a batch again by its metadata depends on seeing every page."""
    made = [client.batches.create(**arguments).id for _ in range(5)]
    assert [batch.id for batch in client.batches.list(limit=2)] == made[::-1]
    page = client.batches.list(limit=2)
    assert (page.has_more, page.first_id, page.last_id) == (True, made[4], made[3])
    assert not client.batches.list(limit=2, after=made[1]).has_more
    assert [batch.id for batch in client.batches.list(limit=100)] == made[::-1]


def test_a_new_batch_can_be_late_in_listings(sim: Any, client: Any, arguments: Any) -> None:
    """An empty list right after a lost create call proves nothing, which is why there is a grace period."""
    sim.settings.list_lag = 3_600.0
    made = client.batches.create(**arguments)
    assert client.batches.list().data == []
    assert client.batches.retrieve(made.id).id == made.id
    sim.settings.list_lag = 0.0
    assert [batch.id for batch in client.batches.list()] == [made.id]


def test_other_peoples_batches_stand_before_ours(sim: Any, client: Any, arguments: Any) -> None:
    """In a shared project the batch that is looked for is not on the first page."""
    made = client.batches.create(**arguments, metadata={"batchframe": "uid"})
    sim.settings.foreign_batches = 30
    assert made.id not in [batch.id for batch in client.batches.list().data]
    listed = list(client.batches.list())
    assert (len(listed), listed[-1].id) == (31, made.id)
    assert client.batches.retrieve(listed[0].id).metadata == {"team": "somebody else"}
    assert [batch.id for batch in sim.batches] == [made.id]


def test_metadata_can_be_lost(sim: Any, client: Any, arguments: Any) -> None:
    """Some servers do not give metadata back; then only the input file identifies a batch."""
    sim.settings.strip_metadata = True
    made = client.batches.create(**arguments, metadata={"batchframe": "uid"})
    assert made.metadata is None
    (listed,) = client.batches.list().data
    assert (listed.metadata, listed.input_file_id) == (None, arguments["input_file_id"])
    assert sim.batches[0].metadata == {"batchframe": "uid"}


def test_batches_per_hour_can_be_limited(sim: Any, client: Any, arguments: Any) -> None:
    """OpenAI's limit is 2,000; over it the call is refused with 429 and a hint when to come back."""
    sim.settings.batches_per_hour = 2
    for _ in range(2):
        client.batches.create(**arguments)
    with pytest.raises(openai.RateLimitError) as refused:
        client.batches.create(**arguments)
    assert refused.value.response.headers["retry-after"] == "60"
    assert len(sim.batches) == 2


def test_a_wrong_key_opens_nothing(customer_of: Any) -> None:
    """A missing or mistyped key is the first thing that goes wrong for a user."""
    from batchframe.simulator import Simulator

    with Simulator(keys={"sk-right"}) as sim:
        client = customer_of(sim).client
        with pytest.raises(openai.AuthenticationError) as refused:
            client.batches.list()
        assert refused.value.code == "invalid_api_key"
        assert client.with_options(api_key="sk-right").batches.list().data == []


def test_an_unknown_url_is_answered_in_openais_way(client: Any) -> None:
    """A wrong base URL should read as such and not as a parse error."""
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        client.get("/nowhere", cast_to=object)
