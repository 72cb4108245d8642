"""Objects look like OpenAI's: against the published schema where it is at hand, and always through the SDK."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse, ModerationCreateResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from batchframe.simulator import Answer, Simulator, ToolCall

TURNS = [{"role": "user", "content": "Hello"}]


def test_a_chat_completion_is_one(client: Any, assert_published: Any) -> None:
    """A client that validates answers would refuse the simulator's otherwise."""
    sent = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=TURNS)
    assert_published("CreateChatCompletionResponse", json.loads(sent.text))
    parsed: ChatCompletion = sent.parse()
    ChatCompletion.model_validate(json.loads(sent.text), strict=True)
    assert parsed.choices[0].message.content == "Hello"
    assert parsed.model == "gpt-5-mini-2025-08-07"
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == parsed.usage.prompt_tokens + parsed.usage.completion_tokens == 4


def test_a_response_is_one(client: Any, assert_published: Any) -> None:
    """As above, for the endpoint with the larger object; what shaped the answer is echoed."""
    sent = client.responses.with_raw_response.create(
        model="gpt-5-mini", input=TURNS, instructions="Be brief.", metadata={"a": "b"}, temperature=0.5
    )
    assert_published("Response", json.loads(sent.text))
    parsed: Response = sent.parse()
    Response.model_validate(json.loads(sent.text))
    assert parsed.output_text == "Hello"
    assert (parsed.instructions, parsed.metadata, parsed.temperature) == ("Be brief.", {"a": "b"}, 0.5)
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == parsed.usage.input_tokens + parsed.usage.output_tokens


def test_embeddings_are_a_list_of_vectors(client: Any, assert_published: Any) -> None:
    """As above, for embeddings."""
    sent = client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input=["a", "b"], encoding_format="float"
    )
    assert_published("CreateEmbeddingResponse", json.loads(sent.text))
    CreateEmbeddingResponse.model_validate(json.loads(sent.text))
    assert [each.index for each in sent.parse().data] == [0, 1]


def test_a_completion_is_one(client: Any, assert_published: Any) -> None:
    """The old endpoint, which batches still take."""
    sent = client.completions.with_raw_response.create(model="gpt-3.5-turbo-instruct", prompt="Hello")
    assert_published("CreateCompletionResponse", json.loads(sent.text))
    parsed: Completion = sent.parse()
    Completion.model_validate(json.loads(sent.text), strict=True)
    assert parsed.choices[0].text == "Hello"
    assert parsed.usage is not None
    assert (parsed.usage.prompt_tokens, parsed.usage.total_tokens) == (2, 4)
    several = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["Hello", "there"])
    assert (several.choices[0].text, several.usage.prompt_tokens) == ("there", 4)
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello", stream=True)


def test_a_moderation_is_one(client: Any, assert_published: Any) -> None:
    """Free of charge, with or without a model, a result for each text."""
    sent = client.moderations.with_raw_response.create(input=["a", "b"])
    assert_published("CreateModerationResponse", json.loads(sent.text))
    parsed: ModerationCreateResponse = sent.parse()
    assert (parsed.model, len(parsed.results)) == ("omni-moderation-latest", 2)
    assert not parsed.results[0].flagged
    parts = [{"type": "text", "text": "a"}]
    assert len(client.moderations.create(input=parts, model="omni-moderation-latest").results) == 1
    assert client.moderations.create(input="a").results == parsed.results[:1]


def test_refusals_and_tool_calls_have_their_places(customer_of: Any, assert_published: Any) -> None:
    """A column filled from `content` must see null, not an empty text, where the model refused or called a tool."""
    replies = {
        "refuse": Answer(refusal="I will not."),
        "call": Answer(tool_calls=[ToolCall("look", {"at": "it"})]),
        "cut": Answer("Once upon", finish_reason="length"),
    }
    with Simulator(responder=lambda request: replies[request.prompt]) as sim:
        client = customer_of(sim).client
        chats, responses = {}, {}
        for prompt in replies:
            turns = [{"role": "user", "content": prompt}]
            chat = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=turns)
            assert_published("CreateChatCompletionResponse", json.loads(chat.text))
            chats[prompt] = chat.parse().choices[0]
            response = client.responses.with_raw_response.create(model="gpt-5-mini", input=prompt)
            assert_published("Response", json.loads(response.text))
            responses[prompt] = response.parse()
    assert (chats["refuse"].message.content, chats["refuse"].message.refusal) == (None, "I will not.")
    assert chats["refuse"].finish_reason == "stop"
    assert responses["refuse"].output[0].content[0].refusal == "I will not."
    assert chats["call"].finish_reason == "tool_calls"
    assert chats["call"].message.tool_calls[0].function.arguments == '{"at":"it"}'
    assert (responses["call"].output[0].type, responses["call"].output[0].name) == ("function_call", "look")
    assert chats["cut"].finish_reason == "length"
    assert responses["cut"].status == "incomplete"
    assert responses["cut"].incomplete_details.reason == "max_output_tokens"


def test_files_batches_and_models_are_what_they_are_called(
    customer: Any, client: Any, chat_lines: Any, assert_published: Any
) -> None:
    """The control objects: an engine reads every field of these."""
    batch = customer.run(chat_lines(2), metadata={"a": "b"})
    assert_published("Batch", json.loads(client.batches.with_raw_response.retrieve(batch.id).text))
    assert_published("ListBatchesResponse", json.loads(client.batches.with_raw_response.list().text))
    assert_published("ListFilesResponse", json.loads(client.files.with_raw_response.list().text))
    assert_published("OpenAIFile", json.loads(client.files.with_raw_response.retrieve(batch.output_file_id).text))
    listed = client.models.list().data
    assert "gpt-5-mini" in [model.id for model in listed]
    assert_published("Model", json.loads(client.models.with_raw_response.retrieve("gpt-5-mini").text))
