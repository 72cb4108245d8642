"""The plan: it says what will be sent and paid, sends and stores nothing, and its sample is not paid again."""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import pytest
import tiktoken
from sqlalchemy import text

import batchframe as bf
from batchframe.frame import tokenizer
from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.judging import judge, paid_once

FRAME = pd.DataFrame(
    {
        "subject": ["printer", "login", "printer", None, "phone", "n/a"],
        "body": ["on fire", "no password", "on fire", "x", None, "no"],
        "id": range(6),
    }
)
TEMPLATE = "Team?\n{subject}\n{body}"
BYTES = tiktoken.Encoding(
    "bytes", pat_str=r"(?s).", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={}
)
"""A real encoding that needs no file: a token a byte."""


@pytest.fixture(autouse=True)
def _no_encoding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the machine has in tiktoken's cache."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "no-encodings"))


def rows(n: int) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"row number {number}" for number in range(n)]})


def stored(database: Database) -> dict[str, int]:
    """The number of rows of every table."""
    with database.transaction() as connection:
        names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'batchframe'")).scalars()
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names.all()}


def test_a_plan_counts_and_neither_sends_nor_stores(
    connect: Callable[..., bf.Session], simulator: Simulator, database: Database
) -> None:
    """It is made before anything is decided: without a key, without a job, without a trace."""
    connect(openai_api_key="", openai_base_url="http://127.0.0.1:9/v1")
    before, frame = stored(database), FRAME.copy(deep=True)
    plan = FRAME.llm.plan(TEMPLATE, model="gpt-5-mini", into="team")
    assert (plan.rows, plan.distinct, plan.to_send, plan.answered, plan.under_way) == (6, 3, 3, 0, 0)
    assert plan.skipped == {"subject": 1, "body": 1}
    assert plan.n_batches == 1
    assert plan.job_id is None
    assert stored(database) == before
    assert before["job"] == 0
    assert not simulator.ledger.calls
    pd.testing.assert_frame_equal(FRAME, frame)


def test_the_plan_is_read_at_a_glance(session: bf.Session) -> None:
    """Figures, prices, what looks wrong, and the prompts, in text and in a notebook, with nothing of a row as HTML."""
    frame = pd.concat([FRAME, pd.DataFrame({"subject": ["<b>"], "body": ["<script>alert(1)</script>"], "id": [7]})])
    plan = frame.llm.plan(TEMPLATE, model="gpt-5-mini", max_completion_tokens=10)
    shown = repr(plan).splitlines()
    assert shown[0] == "Plan for gpt-5-mini: nothing is sent before df.llm.batch(plan)."
    assert [line.split("  ")[1] for line in shown[1:9]] == [
        "rows", "skipped", "distinct requests", "to send", "input tokens", "price in batches", "price in real time",
        "! Near-empty: 1 value of column 'subject', such as 'n/a' in row 5.",
    ]  # fmt: skip
    assert len({line.find(value) + len(value) for line, value in zip(shown[1:4], "724", strict=True)}) == 1, "aligned"
    assert "1 without 'subject', 1 without 'body'" in shown[2]
    assert "at most; every answer as long as its cap, 10 tokens" in repr(plan)
    assert "longest prompt: Team? <b> <script>" in repr(plan)
    html = plan._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "Near-empty" in html


def test_examples_are_three_prompts_with_the_longest_last(session: bf.Session) -> None:
    """The longest is where a template goes wrong; each is shown as the model will read it."""
    frame = pd.DataFrame({"text": ["first", "middle one", "x" * 500, "a", "b"]})
    plan = frame.llm.plan("Say {text}", model="m", system="Be brief.")
    assert plan.examples == [f"system: Be brief.\n\nuser: Say {text}" for text in ("first", "x" * 500)]
    frame = frame.iloc[[1, 3, 0, 2, 4]]
    plan = frame.llm.plan("Say {text}", model="m")
    assert plan.examples == [f"Say {text}" for text in ("middle one", "first", "x" * 500)]


def test_what_looks_as_if_not_meant_is_said(session: bf.Session) -> None:
    """A pasted book, a dash for a text, a forgotten column: found before they are paid for."""
    frame = pd.DataFrame({"text": [*(f"row {n}" for n in range(20)), "word " * 40_000, " - "], "note": 1, "more": 2})
    long, blank, unused = frame.llm.plan("{text}", model="m").warnings
    assert long.startswith("Very long: 1 request of 4,000 tokens or more, the longest in row 20 with about 50,0")
    assert blank == "Near-empty: 1 value of column 'text', such as ' - ' in row 21."
    assert unused == "Not used by the template: 'note', 'more'."
    assert rows(3).llm.plan("{text}", model="m").warnings == []
    tight = rows(3).llm.plan("{text}", model="m", price=(0, 1_000_000), max_completion_tokens=10, budget_usd=5)
    assert tight.warnings == ["Over the budget: at most $30.00, and budget_usd=5. The job would pause there."]


def test_the_price_is_what_the_ledger_bills(session: bf.Session, simulator: Simulator) -> None:
    """With the answers' length known from a sample, plan and bill agree; before, the plan says that it is not known."""
    frame = rows(60)
    plan = frame.llm.plan("{text}", model="gpt-5-mini")
    assert plan.price_is == "from"
    assert plan.output_tokens is None
    assert "input alone" in plan.price_note
    plan.sample(20, random_state=0).run(progress=False)
    again = frame.llm.plan("{text}", model="gpt-5-mini")
    assert again.price_is == "about"
    assert "the mean of 20 to this prompt" in again.price_note
    assert again.tokens_note == "estimate, calibrated on 20 billed requests of this prompt"
    before = simulator.ledger.input_tokens, simulator.ledger.output_tokens
    job = frame.llm.batch(again)
    job.wait(30, progress=False)
    used = simulator.ledger.input_tokens - before[0], simulator.ledger.output_tokens - before[1]
    assert again.input_tokens == pytest.approx(used[0], rel=0.05)
    assert again.output_tokens == pytest.approx(used[1], rel=0.05)
    cost = (used[0] * 0.125 + used[1] * 1) / 10**6
    assert float(again.price_batch_usd or 0) == pytest.approx(cost, rel=0.05)
    assert again.price_realtime_usd == 2 * (again.price_batch_usd or 0)
    other = rows(5).llm.plan("Another prompt: {text}", model="gpt-5-mini")
    assert "the mean of 60 of gpt-5-mini to other prompts" in other.price_note
    assert "calibrated on 60 billed requests of other prompts" in other.tokens_note


def test_a_cap_makes_the_price_an_upper_bound(session: bf.Session) -> None:
    """It is the one length that is known beforehand."""
    plan = rows(10).llm.plan("{text}", model="m", max_completion_tokens=100, price=(0, 2))
    assert (plan.price_is, plan.output_tokens) == ("at most", 1_000)
    assert plan.price_batch_usd == Decimal("0.002")
    assert plan.price_realtime_usd == Decimal("0.004")


def test_a_sample_is_asked_in_real_time_and_the_big_run_reuses_it(
    session: bf.Session, simulator: Simulator, database: Database
) -> None:
    """Twenty answers to look at cost twenty answers, also when the cell is run again and when all are asked."""
    simulator.settings.duration = 3600
    frame = rows(100)
    plan = frame.llm.plan("{text}", model="m", into="said", name="all")
    sample = plan.sample(20, random_state=0)
    assert (sample.rows, sample.to_send, sample.n_batches) == (20, 20, 0)
    answers = sample.run(progress=False)
    assert len(answers) == 20
    assert (answers["said"] == answers["text"]).all()
    assert answers.index.is_monotonic_increasing
    assert simulator.ledger.calls["chat.completions"] == 20
    assert simulator.ledger.calls["batches.create"] == 0
    assert sample.run(progress=False).equals(answers)
    assert (
        frame.llm.plan("{text}", model="m", into="said").sample(20, random_state=0).run(progress=False).equals(answers)
    )
    assert len(bf.jobs()) == 1
    assert bf.jobs()["name"].isna().all(), "the name is left to the big run"
    assert frame.llm.plan("{text}", model="m").answered == 20
    simulator.settings.duration = 0
    filled = frame.llm.batch(plan).wait(30, progress=False)
    assert (filled["said"] == frame["text"]).all()
    assert bf.job("all").progress().reused == 20
    assert paid_once(simulator, 100)
    judge(database, simulator)


def test_a_sample_without_a_seed_asks_what_nobody_has_asked(session: bf.Session, simulator: Simulator) -> None:
    """The next twenty, until none is left; then it shows what there is."""
    frame = rows(10)
    for distinct in (4, 8, 10, 10):
        sample = frame.llm.plan("{text}", model="m").sample(4)
        sample.run(progress=False)
        assert paid_once(simulator, distinct)
    assert sample.rows == 4


def test_a_sample_leaves_out_what_another_job_is_asking(session: bf.Session, simulator: Simulator) -> None:
    """In real time it would not wait for that job, and be paid for twice."""
    simulator.settings.duration = 3600
    asking = rows(10).llm.batch("{text}", model="m", name="asking")
    plan = rows(12).llm.plan("{text}", model="m")
    assert (plan.distinct, plan.under_way, plan.to_send) == (12, 10, 2)
    for seed in (0, None):
        assert plan.sample(5, random_state=seed).run(progress=False)["response"].tolist() == [
            "row number 10",
            "row number 11",
        ]
    assert paid_once(simulator, 2)
    asking.cancel()


def test_a_sample_larger_than_the_frame_is_the_frame(session: bf.Session) -> None:
    """And of rows that ask the same, one; skipped rows teach nothing."""
    sample = FRAME.llm.plan(TEMPLATE, model="m").sample(50)
    assert (sample.rows, sample.distinct, sample.skipped) == (3, 3, {})


def test_only_a_sample_is_run_and_only_a_whole_plan_batched(session: bf.Session, simulator: Simulator) -> None:
    """The whole in real time costs double; a sample's call on the whole frame would be just that."""
    plan = FRAME.llm.plan(TEMPLATE, model="m")
    with pytest.raises(bf.InputError, match=r"df\.llm\.batch\(plan\)"):
        plan.run()
    with pytest.raises(bf.InputError, match=r"plan\.run\(\) asks it"):
        FRAME.llm.batch(plan.sample(2))
    for wrong in (0, True, "3"):
        with pytest.raises(bf.InputError, match="number of rows"):
            plan.sample(wrong)  # type: ignore[arg-type]
    assert bf.jobs().empty
    assert not simulator.ledger.calls


def test_a_plan_is_batched_with_nothing_beside_it(session: bf.Session, simulator: Simulator) -> None:
    """An argument that is passed over in silence would be believed."""
    plan = FRAME.llm.plan(TEMPLATE, model="m", into="team", name="tickets")
    with pytest.raises(bf.InputError, match=r"leave into= out"):
        FRAME.llm.batch(plan, into="other")  # type: ignore[call-overload]
    with pytest.raises(bf.InputError, match=r"leave temperature= out"):
        FRAME.llm.batch(plan, temperature=1)  # type: ignore[call-overload]
    with pytest.raises(bf.InputError, match="model is missing"):
        FRAME.llm.batch(TEMPLATE)
    assert bf.jobs().empty
    job = FRAME.llm.batch(plan)
    assert job.name == "tickets"
    assert job.wait(30, progress=False)["team__status"].tolist() == ["ok", "ok", "ok", "skipped", "skipped", "ok"]
    more = FRAME.head(2).llm.plan(TEMPLATE, model="m", into="team")
    assert FRAME.llm.batch(more).progress().rows == 6, "the call is the plan's, the rows are the frame's"
    assert paid_once(simulator, 3)


def test_a_plan_of_another_provider_is_refused(connect: Callable[..., bf.Session]) -> None:
    """Its job would wait for a provider this session does not have."""
    connect()
    plan = FRAME.llm.plan(TEMPLATE, model="m")
    connect(openai_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(bf.InputError, match="Make the plan anew"):
        FRAME.llm.batch(plan)


@pytest.mark.parametrize(
    "settings",
    [{"batch_max_requests": 7}, {"batch_max_bytes": 3_000}, {"batch_max_requests": 20, "batch_max_bytes": 2_500}],
)
def test_the_batches_are_as_many_as_planning_makes(
    connect: Callable[..., bf.Session], simulator: Simulator, settings: dict[str, int]
) -> None:
    """With some answered already in between, which take room in a stretch but none in a file."""
    connect(**settings)
    rows(60).iloc[10:31:3].llm.batch("{text}", model="m").wait(30, progress=False)
    plan = rows(60).llm.plan("{text}", model="m", name="all")
    assert plan.answered == 7
    job = rows(60).llm.batch(plan)
    job.wait(30, progress=False)
    assert plan.n_batches == len(job.batches()) > 1
    assert paid_once(simulator, 60)


def test_a_learnt_limit_and_a_budget_make_more_batches(session: bf.Session) -> None:
    """They do when the job is planned."""
    arguments: dict[str, Any] = {"model": "m", "price": (0, 1_000_000), "max_completion_tokens": 1}
    assert rows(60).llm.plan("{text}", budget_usd=80, **arguments).n_batches == 3, "of 20 dollars each"
    with session.database.transaction() as connection:
        connection.execute(
            text("INSERT INTO quota (provider, model, tokens) VALUES (:provider, 'm', 300)"),
            {"provider": session.provider_id},
        )
    plan = rows(60).llm.plan("{text}", **arguments)
    job = rows(60).llm.batch(plan)
    job.wait(30, progress=False)
    assert plan.n_batches == len(job.batches()) > 1


def test_a_call_that_is_a_job_already_sends_nothing(session: bf.Session, simulator: Simulator) -> None:
    """Also when it asks anew: the same call is the same job."""
    job = FRAME.llm.batch(TEMPLATE, model="m", reuse=False)
    job.wait(30, progress=False)
    plan = FRAME.llm.plan(TEMPLATE, model="m", reuse=False)
    assert (plan.job_id, plan.answered, plan.to_send, plan.price_batch_usd) == (job.id, 3, 0, 0)
    assert plan.warnings[0].startswith(f"This call is job {job.id} already")
    assert FRAME.llm.batch(plan).id == job.id
    anew = FRAME.llm.plan(TEMPLATE, model="m", reuse=False, name="anew")
    assert (anew.job_id, anew.answered, anew.to_send) == (None, 0, 3)
    reused = FRAME.llm.plan(TEMPLATE, model="m", name="reused")
    assert (reused.job_id, reused.answered, reused.to_send) == (None, 3, 0)


@pytest.mark.parametrize(
    ("frame", "arguments", "distinct", "warns"),
    [
        (FRAME.head(0), {}, 0, "The frame has no rows."),
        (FRAME.iloc[3:5], {}, 0, "Every row is skipped."),
        (FRAME, {"samples": 3}, 9, ""),
        (FRAME, {"endpoint": "responses"}, 3, ""),
        (FRAME, {"schema": pydantic.create_model("Team", team=(str, ...))}, 3, ""),
        (FRAME.set_axis(["a", "b", "c", "d", "e", "f"]), {"missing": "render"}, 5, ""),
    ],
)
def test_every_kind_of_call_has_a_plan(
    session: bf.Session, simulator: Simulator, frame: pd.DataFrame, arguments: dict[str, Any], distinct: int, warns: str
) -> None:
    """And what it says is what its job has, and its sample runs."""
    plan = frame.llm.plan(TEMPLATE, model="m", **arguments)
    assert (plan.distinct, plan.to_send) == (distinct, distinct)
    assert warns in " ".join(plan.warnings)
    assert plan._repr_html_()
    assert repr(plan)
    simulator.settings.duration = 0
    sample = plan.sample(2, random_state=1).run(progress=False)
    assert len(sample) == min(2, distinct)
    assert frame.llm.batch(plan).progress().requests == distinct


def test_a_series_and_embeddings_have_a_plan(session: bf.Session) -> None:
    """Embeddings have no output to be paid for."""
    series = pd.Series(["one", "two", "two"], name="words")
    plan = series.llm.plan("{value}", model="text-embedding-3-small", endpoint="embeddings")
    assert (plan.rows, plan.distinct, plan.output_tokens) == (3, 2, 0)
    assert plan.price_batch_usd
    assert plan.examples == ["one", "two"]
    vectors = plan.sample(1, random_state=0).run(progress=False)
    assert len(vectors) == 1


def test_a_model_of_unknown_price_says_how_to_say_it(session: bf.Session) -> None:
    """Not a price of zero."""
    plan = FRAME.llm.plan(TEMPLATE, model="who-knows")
    assert plan.price_batch_usd is None
    assert plan.price_realtime_usd is None
    assert "price=(input, output)" in repr(plan)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"template": "{subjekt}"}, bf.TemplateError),
        ({"into": "body"}, bf.ColumnExistsError),
        ({"temprature": 1}, bf.ParameterError),
        ({"name": "taken"}, bf.NameInUseError),
    ],
)
def test_what_batch_would_refuse_the_plan_refuses(
    session: bf.Session, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """A plan that cannot be carried out is none."""
    rows(1).llm.batch("{text}", model="m", name="taken")
    with pytest.raises(error):
        FRAME.llm.plan(**{"template": TEMPLATE, "model": "m", **arguments})


def test_tokens_are_exact_where_an_encoding_is_at_hand(session: bf.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the note says by what they were counted."""
    monkeypatch.setattr(tokenizer, "offline", lambda model: BYTES)
    plan = rows(10).llm.plan("{text}", model="gpt-5-mini")
    assert (plan.input_tokens, plan.tokens_are) == (10 * (len("row number 0") + 7), "exact")
    assert plan.tokens_note == "exact, counted with bytes"


def test_a_broken_encoding_file_is_neither_used_nor_fetched_again(
    session: bf.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """tiktoken itself deletes such a file and goes to the network, which a plan must not need."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("o200k_base", "cl100k_base"):
        address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_text("broken")
    for model in ("gpt-5-mini", "gpt-4", "text-embedding-3-small", "who-knows"):
        assert tokenizer.offline(model) is None
        plan = rows(10).llm.plan("{text}", model=model)
        assert plan.tokens_are == "estimate"
        assert "a quarter of the bytes" in plan.tokens_note
    assert [file.read_text() for file in tmp_path.iterdir() if file.is_file()] == ["broken", "broken"]
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert tokenizer.offline("gpt-5-mini") is None
