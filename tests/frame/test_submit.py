"""Submitting: bad input is refused before anything is stored or sent; the same call is the same job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once

FRAME = pd.DataFrame({"subject": ["a", "b"], "body": ["c", "d"]})


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"template": "{subjekt}"}, bf.TemplateError, r"\{subjekt\}.*Did you mean \{subject\}"),
        ({"template": "{subject"}, bf.TemplateError, "Stray '{'"),
        ({"template": '{"json": {subject}}'}, bf.TemplateError, "Stray|no column"),
        ({"template": [{"role": "user", "content": "{sub}"}]}, bf.TemplateError, "Did you mean"),
        ({"template": "{subject}", "system": "{nothing}"}, bf.TemplateError, "nothing"),
        ({"template": []}, bf.InputError, "list of messages"),
        ({"template": 5}, bf.InputError, "The template is a text"),
        ({"model": ""}, bf.InputError, "model=''"),
        ({"into": ""}, bf.InputError, "into=''"),
        ({"name": "12"}, bf.InputError, "not a number"),
        ({"name": "a\x00b"}, bf.InputError, "printable"),
        ({"model": "a\ud800"}, bf.InputError, "printable"),
        ({"temperature": float("nan")}, bf.ParameterError, "temperature: nan"),
        ({"stop": {"a", "b"}}, bf.ParameterError, "stop"),
        ({"missing": "drop"}, bf.InputError, "'skip', 'raise' or 'render'"),
        ({"samples": 0}, bf.InputError, "samples=0"),
        ({"samples": True}, bf.InputError, "samples=True"),
        ({"endpoint": "images"}, bf.ParameterError, "'chat', 'responses', 'embeddings'"),
        ({"stream": True}, bf.ParameterError, "cannot stream"),
        ({"n": 3}, bf.ParameterError, "samples="),
        ({"temprature": 0}, bf.ParameterError, "Did you mean 'temperature'"),
        ({"extra_body": 3}, bf.ParameterError, "extra_body"),
        ({"seed": object()}, bf.ParameterError, "seed"),
        ({"schema": {"type": "array"}}, bf.SchemaError, "object"),
        (
            {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}, "response_format": {}},
            bf.ParameterError,
            "response format",
        ),
        ({"endpoint": "embeddings", "system": "x"}, bf.ParameterError, "system"),
        ({"endpoint": "embeddings", "encoding_format": "base64"}, bf.ParameterError, "encoding_format"),
        ({"into": "body"}, bf.ColumnExistsError, "overwrite=True"),
    ],
)
def test_bad_input_is_refused_before_anything_is_stored_or_sent(
    session: bf.Session, simulator: Simulator, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    """A mistake must cost seconds and a sentence, not a batch."""
    with pytest.raises(error, match=says):
        FRAME.llm.batch(**{"template": "{subject}", "model": "m", **arguments})
    assert len(bf.jobs()) == 0
    assert not simulator.ledger.calls


def test_a_row_over_the_providers_limit_is_named(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """One giant row must be found before 49,999 others are sent with it."""
    connect(batch_max_bytes=10_000)
    frame = pd.DataFrame({"text": ["short", "x" * 10_000]}, index=["first", "second"])
    with pytest.raises(bf.RequestTooLargeError, match=r"row 'second' has 10,0\d\d bytes"):
        frame.llm.batch("{text}", model="m")
    assert len(bf.jobs()) == 0


def test_no_api_key_is_said_before_anything_is_stored(
    database_url: str, simulator: Simulator, connect: Callable[..., bf.Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that cannot be sent should not wait in the dark."""
    connect(openai_api_key="")
    with pytest.raises(bf.ConfigurationError, match="OPENAI_API_KEY"):
        FRAME.llm.batch("{subject}", model="m")
    assert len(bf.jobs()) == 0


def test_a_home_that_cannot_be_written_to_is_said(connect: Callable[..., bf.Session], tmp_path: Path) -> None:
    """Not a thread that never gets ready."""
    (tmp_path / "file").write_text("")
    connect(home=tmp_path / "file" / "home")
    with pytest.raises(bf.ConfigurationError, match="BATCHFRAME_HOME"):
        FRAME.llm.batch("{subject}", model="m")


def test_a_refused_key_is_said_before_anything_is_stored(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """And the key is not repeated in the message."""
    simulator.settings.keys = frozenset({"sk-right"})
    connect(openai_api_key="sk-wrong-canary")
    with pytest.raises(bf.ProviderError, match="API key was refused") as caught:
        FRAME.llm.batch("{subject}", model="m")
    assert "canary" not in str(caught.value)
    assert len(bf.jobs()) == 0


def test_an_unreachable_provider_is_said_before_anything_is_stored(connect: Callable[..., bf.Session]) -> None:
    """A wrong base URL shows at once, not as a job that never moves."""
    connect(openai_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(bf.ProviderError, match="Could not reach the provider"):
        FRAME.llm.batch("{subject}", model="m")
    assert len(bf.jobs()) == 0


def test_an_unreachable_database_is_said_without_the_password(connect: Callable[..., bf.Session]) -> None:
    """The URL in the message helps; the password in it would leak."""
    with pytest.raises(bf.DatabaseError, match=r"127\.0\.0\.1:9/nowhere") as caught:
        connect(database_url="postgresql://me:canary@127.0.0.1:9/nowhere")
    assert "canary" not in str(caught.value)
    with pytest.raises(bf.ConfigurationError, match="no database URL"):
        connect(database_url="canary nonsense")
    with pytest.raises(bf.ConfigurationError, match="Postgres"):
        connect(database_url="mysql://localhost/x")


def test_an_empty_frame_gives_an_empty_result_and_no_batch(session: bf.Session, simulator: Simulator) -> None:
    """A filter that leaves nothing is no error."""
    filled = FRAME.iloc[:0].llm.batch("{subject}", model="m", into="answer").wait()
    assert list(filled.columns) == ["subject", "body", "answer", "answer__status", "answer__error"]
    assert len(filled) == 0
    assert not simulator.batches


def test_the_same_cell_again_is_the_same_job(session: bf.Session, simulator: Simulator) -> None:
    """Running a notebook twice must not pay twice."""
    first = FRAME.llm.batch("{subject}", model="m")
    filled = first.wait(30, progress=False)
    again = filled.llm.batch("{subject}", model="m")
    assert again.id == first.id
    pd.testing.assert_frame_equal(again.wait(30, progress=False), filled)
    assert paid_once(simulator, 2)
    assert len(bf.jobs()) == 1


def test_equal_rows_are_asked_once(session: bf.Session, simulator: Simulator) -> None:
    """Deduplication inside a job."""
    frame = pd.DataFrame({"text": ["a", "b", "a", "a", "b"]})
    filled = frame.llm.batch("{text}", model="m").wait(30, progress=False)
    assert filled["response"].tolist() == ["a", "b", "a", "a", "b"]
    assert paid_once(simulator, 2)


def test_answers_of_other_jobs_are_reused(session: bf.Session, simulator: Simulator) -> None:
    """Three more rows cost three requests, whatever the job is called and wherever the answer goes."""
    small = pd.DataFrame({"text": [f"t{n}" for n in range(5)]})
    large = pd.DataFrame({"text": [f"t{n}" for n in range(8)]})
    small.llm.batch("{text}", model="m").wait(30, progress=False)
    job = large.llm.batch("{text}", model="m", into="other", name="second")
    filled = job.wait(30, progress=False)
    assert filled["other"].tolist() == large["text"].tolist()
    assert paid_once(simulator, 8)
    assert job.progress().reused == 5
    assert job.usage().requests == 3


def test_a_request_another_job_is_still_asking_is_waited_for(session: bf.Session, simulator: Simulator) -> None:
    """Editing a cell and running it again while the first run is under way must not pay twice either."""
    simulator.settings.duration = 1.0
    small = pd.DataFrame({"text": [f"t{n}" for n in range(5)]})
    large = pd.DataFrame({"text": [f"t{n}" for n in range(8)]})
    first = small.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: len(seen.batches) == 1)
    second = large.llm.batch("{text}", model="m")
    assert second.wait(30, progress=False)["response"].tolist() == large["text"].tolist()
    assert first.wait(30, progress=False)["response"].tolist() == small["text"].tolist()
    assert paid_once(simulator, 8)


def test_a_loan_that_is_not_honoured_is_asked_after_all(session: bf.Session, simulator: Simulator) -> None:
    """The job it waited for was cancelled, or failed: the row is still answered."""
    simulator.settings.duration = 60.0
    first = FRAME.llm.batch("{subject}", model="m", name="first")
    simulator.wait_for(lambda seen: len(seen.batches) == 1 and seen.batches[0].status == "in_progress")
    second = FRAME.llm.batch("{subject}", model="m", name="second")
    first.cancel()
    first.wait(30, progress=False)
    simulator.settings.duration = 0.0
    assert second.wait(30, progress=False)["response"].tolist() == ["a", "b"]


def test_reuse_false_asks_anew_once(session: bf.Session, simulator: Simulator) -> None:
    """A fresh sample on request, but the same cell again is still the same job."""
    FRAME.llm.batch("{subject}", model="m").wait(30, progress=False)
    fresh = FRAME.llm.batch("{subject}", model="m", reuse=False)
    fresh.wait(30, progress=False)
    assert FRAME.llm.batch("{subject}", model="m", reuse=False).id == fresh.id
    assert sorted(simulator.ledger.billed().values()) == [2, 2]


def test_a_name_that_means_something_else_now_shows_the_difference(session: bf.Session, simulator: Simulator) -> None:
    """A name is a promise to come back to the same thing."""
    FRAME.llm.batch("{subject}", model="m", name="triage").wait(30, progress=False)
    with pytest.raises(bf.NameInUseError) as caught:
        FRAME.iloc[:1].llm.batch("{subject}!", model="n", name="triage", temperature=0)
    for said in [
        "model: 'm' → 'n'",
        "prompt: '{subject}' → '{subject}!'",
        "params: {} → {'temperature': 0}",
        "rows: 2 → 1",
    ]:
        assert said in str(caught.value)
    with pytest.raises(bf.NameInUseError, match="values in its rows"):
        FRAME.assign(subject="z").llm.batch("{subject}", model="m", name="triage")
    assert len(bf.jobs()) == 1


def test_samples_are_requests_of_their_own(session: bf.Session, simulator: Simulator) -> None:
    """n answers a row, each kept, in numbered columns."""
    filled = FRAME.llm.batch("{subject}", model="m", samples=3, into="x").wait(30, progress=False)
    assert [column for column in filled if column.startswith("x")] == [
        f"x_{number}{suffix}" for number in (1, 2, 3) for suffix in ("", "__status", "__error")
    ]
    assert simulator.ledger.requests == 6
    assert filled["x_3"].tolist() == ["a", "b"]


def test_missing_values_are_skipped_raised_or_rendered(session: bf.Session, simulator: Simulator) -> None:
    """Peers send "nan"."""
    frame = pd.DataFrame({"a": ["x", None, "z"], "b": [1, 2, pd.NA]})
    filled = frame.llm.batch("{a}{b}", model="m").wait(30, progress=False)
    assert filled["response__status"].tolist() == ["ok", "skipped", "skipped"]
    assert filled["response__error"].tolist()[1:] == [
        "missing_value: column 'a' has no value",
        "missing_value: column 'b' has no value",
    ]
    with pytest.raises(bf.TemplateError, match="Column 'a' has no value in row 1"):
        frame.llm.batch("{a}{b}", model="m", missing="raise")
    rendered = frame.llm.batch("{a}{b}", model="m", missing="render").wait(30, progress=False)
    assert rendered["response"].tolist() == ["x1", "2", "z"]
    assert not any("nan" in str(text).lower() for text in [*filled["response"], *rendered["response"]])


def test_messages_system_and_responses_reach_the_model(session: bf.Session, simulator: Simulator) -> None:
    """Every way to say the prompt comes out at the other end."""
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "{subject}"}]},
    ]
    for arguments in (
        {"template": messages},
        {"template": "{subject}", "system": "Be {body}."},
        {"template": "{subject}", "endpoint": "responses", "system": "Be {body}."},
        {"template": [{"role": "user", "content": "{subject}"}], "endpoint": "responses"},
    ):
        filled = FRAME.llm.batch(**arguments, model="m").wait(30, progress=False)
        assert filled["response"].tolist() == ["a", "b"], arguments


def test_embeddings_are_a_column_of_fixed_size_float_lists(session: bf.Session, simulator: Simulator) -> None:
    """Vectors as Arrow holds them, ready for numpy."""
    filled = FRAME.llm.batch(
        "{body}", model="text-embedding-3-small", endpoint="embeddings", dimensions=8, into="v"
    ).wait(30, progress=False)
    assert str(filled["v"].dtype) == "fixed_size_list<item: float>[8][pyarrow]"
    assert len(filled["v"].iloc[0]) == 8
    assert filled["v"].iloc[0] != filled["v"].iloc[1]


def test_a_series_is_asked_by_value(session: bf.Session, simulator: Simulator) -> None:
    """No frame needed for one column."""
    for series in (pd.Series(["a", "b"], name="word", index=[5, 5]), pd.Series(["a", "b"], index=[5, 5])):
        job = series.llm.batch("<{value}>", model="m")
        filled = job.wait(30, progress=False)
        assert filled["response"].tolist() == ["<a>", "<b>"]
        assert filled.index.tolist() == [5, 5]
        assert job.fill(series)["response"].tolist() == ["<a>", "<b>"]


class Address(pydantic.BaseModel):
    """A nested answer."""

    city: str
    zip: str | None


class Person(pydantic.BaseModel):
    """A typed answer."""

    name: str
    age: int
    tall: bool
    score: float
    tags: list[str]
    home: Address


def test_a_schema_gives_typed_columns(connect: Callable[..., bf.Session], database_url: str) -> None:
    """One column a field, nullable, nested ones as Arrow structs."""
    with Simulator(responder="schema") as simulator:
        connect(openai_base_url=simulator.base_url)
        filled = FRAME.llm.batch("{subject}", model="m", into="p", schema=Person).wait(30, progress=False)
        dtypes = {column: str(dtype) for column, dtype in filled.dtypes.items()}
    assert dtypes["p_name"] == "string"
    assert (dtypes["p_age"], dtypes["p_tall"], dtypes["p_score"]) == ("Int64", "boolean", "Float64")
    assert dtypes["p_tags"].startswith("list<")
    assert dtypes["p_home"].startswith("struct<")
    assert set(filled["p__status"]) == {"ok"}


def test_an_answer_that_does_not_validate_is_a_failed_row_with_its_text(
    session: bf.Session, simulator: Simulator
) -> None:
    """The echo is no JSON; what was paid for is still there to look at."""
    filled = FRAME.llm.batch("{subject}", model="m", schema=Person).wait(30, progress=False)
    assert set(filled["response__status"]) == {"failed"}
    assert filled["response"].tolist() == ["a", "b"]
    assert filled["response__error"].str.startswith("invalid_answer: ").all()
    assert filled["response_age"].isna().all()
    assert simulator.ledger.requests == 2
