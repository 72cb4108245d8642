"""What the proxy answers is what OpenAI's published document says, where that is at hand."""

import json
from typing import Any

import httpx2
import pytest

from batchframe.simulator import Simulator
from tests.proxy.conftest import Running
from tests.published import OPENAPI, assert_published

TURNS = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}

CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "chat": ("/v1/chat/completions", {"model": "gpt-5-mini", "messages": TURNS}, "CreateChatCompletionResponse"),
    "tools": (
        "/v1/chat/completions",
        {"model": "gpt-5-mini", "messages": TURNS, "tools": [TOOL]},
        "CreateChatCompletionResponse",
    ),
    "responses": ("/v1/responses", {"model": "gpt-5-mini", "input": "Hello"}, "Response"),
    "completions": ("/v1/completions", {"model": "gpt-5-mini", "prompt": "Hello"}, "CreateCompletionResponse"),
    "moderations": (
        "/v1/moderations",
        {"model": "omni-moderation-latest", "input": "Hello"},
        "CreateModerationResponse",
    ),
    "embeddings": (
        "/v1/embeddings",
        {"model": "text-embedding-3-small", "input": "Hello"},
        "CreateEmbeddingResponse",
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_is_the_published_object(served: Running, call: str) -> None:
    """A client that validates would refuse anything else."""
    path, body, schema = CALLS[call]
    answer = served.post(path, body)
    assert answer.status_code == 200, answer.text
    assert_published(schema, answer.json())


def test_a_response_in_the_background_is_one_at_every_stage(served: Running, simulator: Simulator) -> None:
    """Queued, under way, completed, failed, and called off."""
    simulator.settings.duration = 1.0
    simulator.faults.row("bad", status=400, code="invalid_prompt", message="No.")
    seen: dict[str, Any] = {}

    def follow(prompt: str, *, cancelled: bool = False) -> None:
        response = served.post("/v1/responses", {"model": "gpt-5-mini", "input": prompt, "background": True}).json()
        seen.setdefault(response["status"], response)
        if cancelled:
            response = served.post(f"/v1/responses/{response['id']}/cancel", {}).json()
            seen.setdefault(response["status"], response)
        while response["status"] in ("queued", "in_progress"):
            response = served.get(f"/v1/responses/{response['id']}").json()
            seen.setdefault(response["status"], response)

    follow("Hello")
    follow("bad")
    follow("Never mind", cancelled=True)
    assert seen.keys() == {"queued", "in_progress", "completed", "failed", "cancelled"}
    for response in seen.values():
        assert_published("Response", response)
    assert seen["failed"]["error"] == {"code": "invalid_prompt", "message": "No."}


def test_the_list_of_models_and_every_error_are_published_objects(served: Running, simulator: Simulator) -> None:
    """Errors too: an SDK reads their code and their words."""
    simulator.settings.models = frozenset({"gpt-5-mini"})
    for model in served.get("/v1/models").json()["data"]:
        assert_published("Model", model)
    errors = [
        served.post("/v1/chat/completions", b"{"),
        served.post("/v1/chat/completions", {"model": "gpt-5-mini", "messages": TURNS, "n": 2}),
        served.post("/v1/nothing", {}),
        served.get("/v1/models/none-such"),
        served.get("/v1/responses/resp_0"),
        served.get("/v1/batches/batch_0"),
        served.get("/v1/files/file-0"),
        httpx2.get(served.url + "/v1/models"),
    ]
    for error in errors:
        assert error.status_code >= 400
        said = json.loads(error.content)["error"]
        assert {name: type(said[name]) for name in ("message", "type")} == {"message": str, "type": str}
        assert said.keys() == {"message", "type", "param", "code"}


@pytest.mark.skipif(not OPENAPI.exists(), reason="OpenAI's document is not at hand")
def test_the_judge_of_objects_can_see() -> None:
    """An answer that lacks what the document asks for is found out."""
    with pytest.raises(AssertionError):
        assert_published(
            "CreateChatCompletionResponse", {"id": 7, "object": "x", "created": 1, "model": "m", "choices": 1}
        )
