"""Templates beyond `{column}`: Jinja, examples, functions of a row; answered, and found again after a restart."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pydantic
import pytest

import batchframe as bf
from batchframe.core.spec import JobSpec
from batchframe.frame.functions import Row
from batchframe.simulator import Simulator
from tests.judging import paid_once

FRAME = pd.DataFrame({"text": ["a", "{b}", None], "score": [1, 5, 5], "my tags": [["x"], [], ["y", "z"]]})
GOLD = pd.DataFrame({"text": ["{good}", "bad"], "score": [9, 0], "label": ["{yes}", "no"]})


def sent(simulator: Simulator) -> list[dict[str, Any]]:
    """The bodies of every line of the files that were uploaded."""
    files = [file.path.read_text() for file in simulator.files if file.purpose == "batch"]
    return [json.loads(line)["body"] for text in files for line in text.removesuffix("\n").split("\n")]


def test_jinja_is_answered_and_found_again(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """The source is kept with the job, so another process can fill a frame; the same call is the same job."""
    connect()
    template = bf.jinja("{{ text }}{% if score > 3 %}!{% endif %} {{ row['my tags'] | join('+') }}")
    job = FRAME.llm.batch(template, model="m", system=bf.jinja("{{ score * 2 }}"))
    filled = job.wait(30, progress=False)
    assert filled["response"].tolist() == ["a x", "{b}! ", pd.NA]
    assert filled["response__error"].tolist()[2] == "missing_value: column 'text' has no value"
    assert [body["messages"][0]["content"] for body in sent(simulator)] == ["2", "10"]
    connect()
    with pytest.raises(bf.ParameterError, match="leave template= out"):
        bf.job(job.id).fill(FRAME, template=lambda row: "x")
    assert bf.job(job.id).fill(FRAME.iloc[::-1])["response"].tolist() == [pd.NA, "{b}! ", "a x"]
    assert FRAME.llm.batch(template, model="m", system=bf.jinja("{{ score * 2 }}")).id == job.id


def test_any_string_of_messages_may_be_jinja_and_a_users_dictionary_never_is(session: bf.Session) -> None:
    """Beside each other, and a text that looks like Jinja in a `{column}` template stays what it says."""
    messages = [
        {"role": "system", "content": "{score} {{{{ text }}}}"},
        {"role": "user", "content": [{"type": "text", "text": bf.jinja("<{{ text }}>")}], "jinja": "text"},
    ]
    filled = FRAME.iloc[:1].llm.batch(messages, model="m").wait(30, progress=False)
    assert filled["response"].tolist() == ["<a>"]


def test_missing_values_are_none_when_they_are_rendered(session: bf.Session) -> None:
    """So that a template can ask for them."""
    template = bf.jinja("{% if text is none %}nothing{% else %}{{ text }}{% endif %}")
    filled = FRAME.llm.batch(template, model="m", missing="render").wait(30, progress=False)
    assert filled["response"].tolist() == ["a", "{b}", "nothing"]


@pytest.mark.parametrize("template", ["{text}?", bf.jinja("{{ text }}?")])
@pytest.mark.parametrize(("endpoint", "field"), [("chat", "messages"), ("responses", "input")])
def test_examples_go_before_every_row(
    session: bf.Session, simulator: Simulator, template: Any, endpoint: str, field: str
) -> None:
    """By the same template, after the system message, and their braces are only braces."""
    job = FRAME.iloc[:1].llm.batch(template, model="m", system="S", examples=(GOLD, "label"), endpoint=endpoint)
    assert job.wait(30, progress=False)["response"].tolist() == ["a?"]
    (body,) = sent(simulator)
    shown = [(message["role"], message["content"]) for message in body[field] if message["role"] != "system"]
    assert shown == [("user", "{good}?"), ("assistant", "{yes}"), ("user", "bad?"), ("assistant", "no"), ("user", "a?")]


def test_answers_of_examples_that_are_nested_are_json(session: bf.Session, simulator: Simulator) -> None:
    """As a model under the schema would write them."""

    class Triage(pydantic.BaseModel):
        team: str

    gold = GOLD.assign(label=[{"team": "é"}, {"team": "b"}])
    FRAME.iloc[:1].llm.batch("{text}", model="m", schema=Triage, examples=(gold, "label"))
    job = FRAME.iloc[:1].llm.batch("{text}", model="m", schema=Triage, examples=(gold, "label"))
    job.wait(30, progress=False)
    assert [message["content"] for message in sent(simulator)[0]["messages"]][1] == '{"team":"é"}'
    assert len(bf.jobs()) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"examples": GOLD}, bf.InputError, r"examples=\(frame, 'label'\)"),
        ({"examples": (GOLD, "labl")}, bf.TemplateError, "no column 'labl'"),
        ({"examples": (GOLD[["label"]], "label")}, bf.TemplateError, r"In examples=: .*\{text\}"),
        ({"examples": (GOLD.assign(label=["a", None]), "label")}, bf.TemplateError, "'label' has no value in row 1"),
        ({"examples": (GOLD.assign(text=["a", None]), "label")}, bf.TemplateError, "'text' has no value in row 1"),
        ({"examples": (GOLD.iloc[:0], "label")}, bf.InputError, "1 to 100"),
        ({"examples": (pd.concat([GOLD] * 51), "label")}, bf.InputError, "102 rows.*paid for, with every row"),
        ({"examples": (GOLD, "label"), "endpoint": "embeddings"}, bf.ParameterError, "no examples"),
        ({"examples": (GOLD, "label"), "template": lambda row: "x"}, bf.ParameterError, "among your messages"),
        ({"template": bf.jinja("{{ txt }}")}, bf.TemplateError, "Did you mean"),
        ({"template": bf.jinja("{{ score.nothing }}")}, bf.TemplateError, "Row 0: the Jinja template"),
        ({"template": bf.jinja("{{ 1 / (score - 5) }}")}, bf.TemplateError, "Row 1: .*division"),
        ({"template": lambda row: row["txt"]}, bf.TemplateError, "row 0.*'txt' is no column. Did you mean 'text'"),
        ({"template": lambda row: str(1 / (row["score"] - 5))}, bf.TemplateError, "failed in row 1: ZeroDivisionError"),
        ({"template": lambda row: 5}, bf.TemplateError, "row 0 .*type int"),
        ({"template": lambda row: []}, bf.TemplateError, "an empty list"),
        ({"template": lambda row: [{"content": "x"}]}, bf.TemplateError, "message 0 has no role"),
        ({"template": lambda row: [{"role": "user"}]}, bf.TemplateError, "message 0 has no content"),
        ({"template": lambda row: [{"role": "user", "content": [{1}]}]}, bf.TemplateError, "row 0 .*no JSON form"),
        (
            {"template": lambda row: [{"role": "u", "content": ""}], "endpoint": "embeddings"},
            bf.TemplateError,
            "a text",
        ),
        ({"system": 5}, bf.InputError, "system=5"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_stored(
    session: bf.Session, simulator: Simulator, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    """With the row, the column or the argument, and the original error chained."""
    with pytest.raises(error, match=says):
        FRAME.llm.batch(**{"template": "{text}", "model": "m", **arguments})
    assert len(bf.jobs()) == 0
    assert not simulator.ledger.calls


def make_function() -> Callable[[Row], Any]:
    """What running the cell again does: the same function, another object."""

    def prompt(row: Row) -> Any:
        if row["text"] is None:
            return None
        return f"{row['text']} {{}}" if row["score"] > 3 else [{"role": "user", "content": row["text"] * 2}]

    return prompt


def test_a_function_says_what_a_row_asks(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """Texts, messages, rows left out; the cell again is the same job; after a restart the function is passed again."""
    connect()
    job = FRAME.llm.batch(make_function(), model="m", system="S {score}", name="own")
    filled = job.wait(30, progress=False)
    assert filled["response"].tolist() == ["aa", "{b} {}", pd.NA]
    assert filled["response__status"].tolist() == ["ok", "ok", "skipped"]
    assert filled["response__error"].tolist()[2].endswith("prompt() returned None")
    assert FRAME.llm.batch(make_function(), model="m", system="S {score}", name="own").id == job.id
    assert paid_once(simulator, 2)

    connect()
    again = bf.job("own")
    pd.testing.assert_frame_equal(again.frame(), filled[list(again.frame().columns)])
    with pytest.raises(bf.TemplateError, match="prompt, which only you have"):
        again.fill(FRAME)
    assert again.fill(FRAME, template=make_function())["response"].tolist() == ["aa", "{b} {}", pd.NA]


def test_a_row_is_read_only_and_plain(session: bf.Session) -> None:
    """Numbers of Python, None for what is missing, and no way to change the frame."""
    seen: list[list[Any]] = []

    def look(row: Any) -> str:
        with pytest.raises(TypeError):
            row["text"] = "changed"
        seen.append([row["text"], row["score"], row["my tags"], len(row)])
        return "x"

    FRAME.llm.batch(look, model="m")
    assert seen == [["a", 1, ["x"], 3], ["{b}", 5, [], 3], [None, 5, ["y", "z"], 3]]
    assert {type(row[1]) for row in seen} == {int}


@pytest.mark.parametrize("template", [bf.jinja("{{ value }}"), lambda row: row["value"]])
def test_a_series_is_its_value(session: bf.Session, template: Any) -> None:
    """As in `{value}`; with samples too, and for embeddings."""
    series = pd.Series(["a", "b"], name="text")
    filled = series.llm.batch(template, model="m", samples=2).wait(30, progress=False)
    assert filled[["response_1", "response_2"]].to_numpy().tolist() == [["a", "a"], ["b", "b"]]
    vectors = series.llm.batch(template, model="m", endpoint="embeddings").wait(30, progress=False)
    assert vectors["response__status"].tolist() == ["ok", "ok"]


def test_a_specification_of_before_is_written_as_before() -> None:
    """Else the cells of earlier versions would make new jobs, and pay again."""
    assert list(json.loads(JobSpec(prompt="{a}", into="x").to_json())) == [
        *("prompt", "into", "system", "schema", "schema_name", "params", "missing", "samples", "reuse"),
    ]


@pytest.mark.parametrize("message", [{"content": "{text}"}, {"role": "usr", "content": "{text}"}])
def test_a_message_without_a_role_that_exists_is_refused(session: bf.Session, message: dict[str, str]) -> None:
    """The provider would refuse it row by row, after the whole file was uploaded."""
    with pytest.raises(bf.InputError, match="Message 2 has the role"):
        pd.DataFrame({"text": ["a"]}).llm.batch([{"role": "system", "content": "x"}, message], model="m")
    assert bf.jobs().empty


def test_the_handle_of_the_call_fills_by_the_function_it_was_given(session: bf.Session) -> None:
    """Asking for it again in the next cell would be pedantic."""
    frame = pd.DataFrame({"text": ["a", "b"]})
    job = frame.llm.batch(lambda row: f"about {row['text']}", model="m")
    job.wait(30, progress=False)
    assert job.fill(frame[::-1])["response"].tolist() == ["about b", "about a"]
