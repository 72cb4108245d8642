"""The proxy's own description says what the proxy does."""

import json
import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.providers.openai import parameters
from batchframe.proxy import app, pages
from batchframe.proxy.calls import parse
from batchframe.proxy.description import description
from batchframe.wire.refusals import Refusal

ASKED = (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return description()


def request_schema(described: dict[str, Any], endpoint: str) -> dict[str, Any]:
    body = described["paths"][endpoint]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = described["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert isinstance(schema, dict)
    return schema


def is_taken(endpoint: str, body: dict[str, Any], **headers: str) -> bool:
    """Whether the proxy would keep a call."""
    try:
        parse(endpoint, json.dumps(body).encode(), headers, parameters(endpoint))
    except Refusal:
        return False
    return True


def test_it_is_a_valid_openapi_document(described: dict[str, Any]) -> None:
    """Generators of clients and of tests read it; a reference into nothing would stop them."""
    validate(described)
    assert json.loads(json.dumps(described)) == described


def test_every_reference_is_used_and_every_operation_has_a_name(described: dict[str, Any]) -> None:
    """What nothing refers to is a leftover; a name that is there twice makes one method of two."""
    used = set(re.findall(r"#/components/(\w+)/([\w-]+)", json.dumps(described)))
    there = {
        (kind, name) for kind, named in described["components"].items() if kind != "securitySchemes" for name in named
    }
    assert used == there
    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_every_route_is_described(described: dict[str, Any]) -> None:
    """A call that is not in the description is one that generated tests never make."""
    told = {(method.upper(), path) for path, operations in described["paths"].items() for method in operations}
    for_people = {(method, path) for method, path, _ in pages.ROUTES}
    routes = {(method, path.replace(":path}", "}")) for method, path, _ in (*app._WITH_KEY, *app._OPEN)}
    assert routes - for_people <= told


@pytest.mark.parametrize("endpoint", ASKED)
def test_what_it_calls_a_request_the_proxy_keeps(described: dict[str, Any], endpoint: str) -> None:
    """And what lacks something, or has too much, it refuses, by both."""
    schema = request_schema(described, endpoint)
    judge = jsonschema.Draft202012Validator(schema)
    (example,) = schema["examples"]
    lacking = [{name: value for name, value in example.items() if name != left} for left in example]
    too_much = [{**example, name: 2} for name in ("n", "stream", "a_parameter_nobody_knows")]
    assert judge.is_valid(example)
    assert is_taken(endpoint, example)
    for wrong in (*lacking, *too_much, {**example, "model": " "}):
        assert not judge.is_valid(wrong), wrong
        assert not is_taken(endpoint, wrong), wrong


@pytest.mark.parametrize(
    "more",
    [
        {"n": 1, "stream": True, "stream_options": {"include_usage": True}, "service_tier": "auto"},
        {"n": 3},
        {"audio": {"voice": "alloy", "format": "wav"}},
        {"modalities": ["text", "audio"]},
        {"service_tier": "priority"},
    ],
)
def test_it_agrees_on_what_a_batch_cannot_answer(described: dict[str, Any], more: dict[str, Any]) -> None:
    """An hour later would be late to find out."""
    schema = request_schema(described, CHAT)
    body = {**schema["examples"][0], **more}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) == is_taken(CHAT, body)


def test_a_response_in_the_background_does_not_stream(described: dict[str, Any]) -> None:
    """The one rule about two parameters together."""
    schema = request_schema(described, RESPONSES)
    judge = jsonschema.Draft202012Validator(schema)
    for more, fine in (
        ({"background": True}, True),
        ({"stream": True}, True),
        ({"background": True, "stream": True}, False),
    ):
        body = {**schema["examples"][0], **more}
        assert judge.is_valid(body) == is_taken(RESPONSES, body) == fine


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("Deadline", value) for value in ("0", "90", "99999s", "9999m", "6h", "99h", "6d", "soon", "-1", "1y", "")),
        *(("Mode", value) for value in ("batch", "realtime", "fast")),
        *(("IdempotencyKey", value) for value in ("a", "!" * 255, "!" * 256, "")),
    ],
)
def test_it_agrees_on_headers(described: dict[str, Any], name: str, value: str) -> None:
    """A header that is not understood is refused, not ignored: it is about money and time."""
    parameter = described["components"]["parameters"][name]
    fine = jsonschema.Draft202012Validator(parameter["schema"]).is_valid(value)
    (body,) = request_schema(described, CHAT)["examples"]
    assert is_taken(CHAT, body, **{parameter["name"].lower(): value}) == fine
