"""Who answers: the built-in responders, functions, and functions by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchframe.errors import ConfigurationError
from batchframe.simulator import Request, Simulator
from batchframe.simulator.responders import find_responder


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "b"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}, "a"),
        ({"messages": [{"role": "system", "content": "a"}]}, ""),
        ({"input": "a"}, "a"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}, "a"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, ""),
        ({"messages": 7}, ""),
        ({}, ""),
    ],
)
def test_the_prompt_is_the_last_thing_the_user_said(body: dict[str, Any], prompt: str) -> None:
    """Every way of writing a prompt is understood, and nonsense is no reason to fall over."""
    assert Request("/v1/chat/completions", "m", body).prompt == prompt


def test_a_function_sees_the_request_and_may_answer_with_a_dict(customer_of: Any, chat_line: Any) -> None:
    """The demo and the notebooks answer from the rows they know."""
    seen: list[Request] = []

    def respond(request: Request) -> dict[str, Any]:
        seen.append(request)
        return {"team": "söme", "length": len(request.prompt)}

    with Simulator(responder=respond) as sim:
        customer = customer_of(sim)
        batch = customer.run([chat_line("a", "Hello", temperature=0.5)])
        (line,) = customer.lines_of(batch.output_file_id)
        customer.client.responses.create(model="gpt-5", input="x")
    text = line["response"]["body"]["choices"][0]["message"]["content"]
    assert json.loads(text) == {"team": "söme", "length": 5}
    assert (seen[0].endpoint, seen[0].model, seen[0].custom_id) == ("/v1/chat/completions", "gpt-5-mini", "a")
    assert seen[0].body["temperature"] == 0.5
    assert (seen[1].endpoint, seen[1].custom_id) == ("/v1/responses", None)


SCHEMA = {
    "type": "object",
    "properties": {"team": {"type": "string", "enum": ["a", "b", "c"]}},
    "required": ["team"],
    "additionalProperties": False,
}


def test_the_schema_responder_follows_the_request_on_both_endpoints(customer_of: Any) -> None:
    """A structured column fills without a model; the two endpoints keep the schema in different places."""
    with Simulator(responder="schema") as sim:
        client = customer_of(sim).client
        teams = set()
        for at in range(20):
            chat = client.chat.completions.create(
                model="gpt-5-mini",
                messages=[{"role": "user", "content": f"prompt {at}"}],
                response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
            )
            response = client.responses.create(
                model="gpt-5-mini",
                input=f"prompt {at}",
                text={"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}},
            )
            assert json.loads(chat.choices[0].message.content) == json.loads(response.output_text)
            teams.add(json.loads(response.output_text)["team"])
        assert teams == {"a", "b", "c"}
        assert client.responses.create(model="gpt-5-mini", input="no schema").output_text == "no schema"


def test_a_function_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`batchframe simulate --responder module:function`."""
    (tmp_path / "my_answers.py").write_text("def shout(request):\n    return request.prompt.upper()\n")
    monkeypatch.syspath_prepend(tmp_path)
    responder = find_responder("my_answers:shout")
    assert responder(Request("/v1/responses", "m", {"input": "hello"})) == "HELLO"


@pytest.mark.parametrize("named", ["eco", "no_such_module:answer", "json:no_such_function", "json:__name__"])
def test_a_responder_that_is_not_there_is_named(named: str) -> None:
    """A typing error on the command line is answered in words, not with a traceback at the first row."""
    with pytest.raises(ConfigurationError, match=named.split(":")[0]):
        Simulator(responder=named)
