"""Comparing: cells as jobs, their figures, and that nothing is asked twice."""

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.simulator import Failure, Request, Simulator
from batchframe.store.database import Database
from tests.judging import paid_once

ASKED = {"plain": "Which one? {text}", "careful": "Think hard. Which one? {text}"}
MODELS = ["good", "poor"]
N = 40


def answer(request: Request) -> Any:
    """`good` and its `twin` err on every tenth, `poor` on every other or, told to think, fourth; judges never."""
    wanted = request.schema["properties"] if request.schema else {}
    number = int(re.findall(r"t(\d+)", request.prompt)[0])
    right = f"label{number % 3}"
    if "grade" in wanted:
        return {"reason": "I know it.", "grade": 5 if right in request.prompt else 2}
    if "better" in wanted:
        first = re.findall(r"<first_answer>\n(.*)\n", request.prompt)[0]
        return {"reason": "I know it.", "better": "first" if first == right else "second"}
    every = 10 if request.model in ("good", "twin") else 4 if "hard" in request.prompt else 2
    return right if number % every else "wrong"


def rows(n: int = N) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"t{at}" for at in range(n)], "gold": [f"label{at % 3}" for at in range(n)]})


class Answering:
    """Who answers, which a test may change."""

    def __init__(self) -> None:
        self.by: Callable[[Request], Any] = answer

    def __call__(self, request: Request) -> Any:
        return self.by(request)


@pytest.fixture
def answering() -> Answering:
    """The simulator's responder."""
    return Answering()


@pytest.fixture
def simulator(answering: Answering) -> Iterator[Simulator]:
    """A provider whose models differ in skill."""
    with Simulator(responder=answering) as running:
        yield running


def compare(frame: pd.DataFrame, **further: Any) -> bf.Evaluation:
    given: dict[str, Any] = {"models": MODELS, "gold": "gold", "price": (1, 2), **further}
    return frame.llm.compare(given.pop("prompts", ASKED), **given).wait(60, progress=False)


def test_every_cell_is_measured_against_the_gold(session: bf.Session, simulator: Simulator) -> None:
    """The figures are those of the answers, and each request was paid for once."""
    ev = compare(rows())
    table = ev.table()
    assert table["accuracy"].to_dict() == {
        ("plain", "good"): 0.9, ("plain", "poor"): 0.5, ("careful", "good"): 0.9, ("careful", "poor"): 0.75,
    }  # fmt: skip
    assert table["accuracy_n"].tolist() == [N] * 4
    assert (table["accuracy_low"] < table["accuracy"]).all()
    assert (table["accuracy"] < table["accuracy_high"]).all()
    assert paid_once(simulator, 4 * N)
    assert ev.status == "done"
    assert float(ev.progress().usage.cost_usd or 0) == pytest.approx(table["cost_usd"].sum())


def test_cells_are_compared_with_the_baseline_row_by_row(session: bf.Session) -> None:
    """`poor` is worse than `good`, told to think less so; and nothing is compared with itself."""
    ev = compare(rows())
    versus = ev.versus()
    assert ("plain", "good", "accuracy") not in versus.index
    poor = versus.loc[("plain", "poor", "accuracy")]
    assert (poor["verdict"], poor["difference"], poor["n"], poor["discordant"]) == ("worse", -0.4, N, 16)
    assert poor["p_adjusted"] == pytest.approx(3 * poor["p"])
    assert versus.loc[("careful", "good", "accuracy"), "difference"] == 0
    turned = ev.versus(baseline=("plain", "poor"))
    assert turned.loc[("plain", "good", "accuracy"), "difference"] == 0.4


def test_the_same_call_is_the_same_evaluation(session: bf.Session, simulator: Simulator) -> None:
    """Running the cell again pays nothing."""
    first = compare(rows())
    again = compare(rows())
    assert again.id == first.id
    assert paid_once(simulator, 4 * N)
    assert len(bf.evaluations()) == 1


def test_one_row_and_one_prompt_more_ask_only_for_what_is_new(session: bf.Session, simulator: Simulator) -> None:
    """An evaluation grows: a row for every cell, and a prompt for every row."""
    ev = compare(rows(), name="grows")
    more = {**ASKED, "new": "Just say: {text}"}
    plan = rows(N + 1).llm.plan_compare(more, models=MODELS, gold="gold", price=(1, 2), name="grows")
    grown = compare(rows(N + 1), prompts=more, name="grows")
    assert grown.id == ev.id
    new = 2 * len(ASKED) + 2 * (N + 1)
    assert plan.to_send == new
    assert paid_once(simulator, 4 * N + new)
    assert bf.evaluation("grows").table().index.equals(grown.table().index)


def test_better_gold_costs_nothing(session: bf.Session, simulator: Simulator) -> None:
    """A label that is corrected changes the figures, and nothing is asked."""
    compare(rows(), name="gold")
    frame = rows()
    frame.loc[0, "gold"] = "wrong"
    assert compare(frame, name="gold").table()["accuracy"].tolist() == [0.925, 0.525, 0.925, 0.775]
    assert paid_once(simulator, 4 * N)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompts": {**ASKED, "plain": "What? {text}"}}, "plain · good, prompt"),
        ({"models": ["good"]}, "plain · poor is not compared any more"),
        ({"frame": rows(N - 1)}, "rows: 1 of what 'plain' asks is not in this frame"),
        ({"temperature": 0.5}, "params"),
    ],
)
def test_an_evaluation_of_a_name_may_not_change(
    session: bf.Session, simulator: Simulator, change: dict[str, Any], said: str
) -> None:
    """What was compared under a name stays what it was; the message says what would change, and nothing is sent."""
    compare(rows(), name="fixed")
    frame = change.pop("frame", rows())
    with pytest.raises(bf.NameInUseError, match=re.escape(said)):
        compare(frame, name="fixed", **change)
    assert paid_once(simulator, 4 * N)


def test_another_session_goes_on_with_an_evaluation(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """After a restart it is had again by its name: jobs that were not submitted yet, and judges, are still asked."""
    connect()
    simulator.settings.duration = 3600
    frame = rows()
    judge = bf.graded("Is it right?", model="judge", price=(1, 2))
    frame.llm.compare(ASKED, models=MODELS, gold="gold", metrics=["accuracy", judge], price=(1, 2), name="later")
    connect()
    simulator.settings.duration = 0
    ev = bf.evaluation("later").wait(60, progress=False)
    assert ev.status == "done"
    assert ev.table()["grade"].round(2).tolist() == [4.7, 3.5, 4.7, 4.25]
    # A judge is asked about each different answer to a task once, whoever gave it.
    told = {(at, at % every > 0) for at in range(N) for every in (10, 4, 2)}
    assert paid_once(simulator, 4 * N + len(told))


def test_a_pairwise_judge_is_asked_in_both_orders(session: bf.Session, simulator: Simulator) -> None:
    """Each pair that differs is asked twice, equal answers are a tie for free, and the baseline has no score."""
    ev = compare(rows(), metrics=["accuracy", bf.pairwise("Which is right?", model="judge", price=(1, 2))])
    differ = 16
    preferred = ev.table()["preferred"]
    assert preferred["plain", "poor"] == pytest.approx((N - differ) / N / 2)
    assert preferred["careful", "good"] == 0.5
    judged = ev.judges().loc[("preferred", "plain", "poor")]
    assert (judged["asked"], judged["consistent"], judged["agrees_with_gold"]) == (2 * differ, 1.0, 1.0)
    assert ev.versus("preferred").loc[("plain", "poor", "preferred"), "verdict"] == "worse"


def test_a_judge_that_prefers_a_place_is_found_out(session: bf.Session, answering: Answering) -> None:
    """Its preference cancels out in the score, and is told."""
    answering.by = lambda request: (
        {"reason": "It is first.", "better": "first"} if "better" in str(request.schema) else answer(request)
    )
    ev = compare(rows(), metrics=[bf.pairwise("Which is right?", model="judge", price=(1, 2))])
    judged = ev.judges().loc[("preferred", "plain", "poor")]
    assert (judged["first_preferred"], judged["consistent"]) == (1.0, 0.0)
    assert ev.table()["preferred"].tolist() == [0.5] * 4


@pytest.mark.parametrize(("failed", "accuracy", "n"), [("wrong", 26 / 40, N), ("exclude", 26 / 30, 30)])
def test_failed_rows_count_as_wrong_unless_they_are_left_out(
    session: bf.Session, answering: Answering, failed: str, accuracy: float, n: int
) -> None:
    """A model that refuses a quarter of the rows is not better for it; the denominator is shown."""

    def refusing(request: Request) -> Any:
        number = int(re.findall(r"t(\d+)", request.prompt)[0])
        return Failure(400, "refused", "no") if number % 4 == 3 else answer(request)

    answering.by = refusing
    table = compare(rows(), models=["good"], prompts={"plain": ASKED["plain"]}, failed=failed).table()
    assert table["accuracy"].tolist() == [pytest.approx(accuracy)]
    assert table["accuracy_n"].tolist() == [n]
    assert table["failed"].tolist() == [10]


def test_the_best_recipe_is_asked_of_other_rows(session: bf.Session, simulator: Simulator) -> None:
    """The rows it was found by are answered already; the rest is asked by the same prompt of the same model."""
    ev = compare(rows())
    assert (ev.best("best").prompt, ev.best("best").model) == ("plain", "good")
    every = rows(N + 5)
    plan = every.llm.plan(ev.best("best"), into="label")
    assert (plan.answered, plan.to_send) == (N, 5)
    filled = every.llm.batch(ev.best("best"), into="label").wait(60, progress=False)
    assert (filled["label"] == filled["gold"]).sum() == N + 5 - 5
    assert paid_once(simulator, 4 * N + 5)
    with pytest.raises(bf.InputError, match="system= is part of the recipe"):
        every.llm.batch(ev.best("best"), system="No.")  # type: ignore[call-overload]


def test_the_cheapest_of_the_good_ones_is_chosen(session: bf.Session) -> None:
    """Both prompts are as good for `good`; the longer one costs more."""
    ev = compare(rows(), baseline=("careful", "good"))
    chosen = ev.best()
    assert (chosen.prompt, chosen.model) == ("plain", "good")
    dear = compare(rows(), models=["good", "twin"], price={"good": (100, 100), "twin": (1, 1)})
    assert (dear.best("best").model, dear.best().model) == ("good", "twin")


def test_a_loss_fails_a_test(session: bf.Session) -> None:
    """For CI: what is worse by more than is allowed fails, and says by how much."""
    ev = compare(rows())
    ev.assert_not_worse(("careful", "good"), by=0.02)
    ev.assert_not_worse(("plain", "poor"), by=0.6)
    with pytest.raises(AssertionError, match=r"plain · poor is worse than plain · good by more than 2 points"):
        ev.assert_not_worse(by=0.02)
    with pytest.raises(AssertionError, match="may be worse"):
        ev.assert_not_worse(("careful", "poor"), by=0.2, sure=True)


def test_rows_of_a_cluster_and_the_level_set_the_width(session: bf.Session, simulator: Simulator) -> None:
    """Rows that belong together are worth fewer; a lower confidence is cheaper. Neither asks anything again."""

    def width(**further: Any) -> float:
        frame = rows().assign(of=[at // 10 if at % 2 else -1 for at in range(N)])
        row = compare(frame, models="poor", prompts={"plain": ASKED["plain"]}, **further).table().iloc[0]
        return float(row["accuracy_high"] - row["accuracy_low"])

    assert width(cluster="of") > 1.3 * width() > 1.3 * 1.8 * width(level=0.7)
    assert paid_once(simulator, N)


def test_a_deadline_is_every_cells(session: bf.Session, simulator: Simulator) -> None:
    """What the provider has not answered by then is given up, as with a job."""
    simulator.settings.duration = 3600
    ev = compare(rows(), models="good", deadline="1s", at_deadline="give_up")
    assert ev.table()["failed"].tolist() == [N, N]


def test_a_prompt_may_be_a_function(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """It is at hand in the process that has it, for the winner too; another process that would need it says so."""

    def careful(row: Any) -> str:
        return f"Think hard. Which one? {row['text']}"

    connect()
    ev = compare(rows(), models="poor", prompts={"plain": ASKED["plain"], "careful": careful}, name="function")
    assert ev.table()["accuracy"].tolist() == [0.5, 0.75]
    assert rows(N + 1).llm.plan(ev.best("best"), into="label").to_send == 1
    connect()
    assert bf.evaluation("function").wait(60, progress=False).table()["accuracy"].tolist() == [0.5, 0.75]
    assert paid_once(simulator, 2 * N)
    with pytest.raises(bf.TemplateError, match="careful"):
        rows().llm.plan(bf.evaluation("function").best("best"), into="label")


def test_figures_are_those_after_a_retry(session: bf.Session, answering: Answering) -> None:
    """As many rows are settled as before, and other ones are answered: what was seen before does not stay."""
    answering.by = lambda request: Failure(400, "refused", "no")
    ev = compare(rows(), models="good", prompts={"plain": ASKED["plain"]})
    assert ev.table()["accuracy"].tolist() == [0.0]
    answering.by = answer
    assert ev.retry().wait(60, progress=False).table()["accuracy"].tolist() == [0.9]


def test_a_function_is_a_metric_and_is_asked_for_after_a_restart(connect: Callable[..., bf.Session]) -> None:
    """Functions are not kept: without them the other figures stand, and the evaluation says what is missing."""

    def longer(answer: str, row: Any) -> float:
        return float(len(answer) > len(row["text"]))

    connect()
    compare(rows(), metrics=["accuracy", longer], name="own")
    connect()
    ev = bf.evaluation("own")
    assert "longer" not in ev.table()
    assert "longer" in repr(ev)
    assert bf.evaluation("own", metrics=[longer]).table()["longer"].tolist() == [1.0] * 4


def test_json_is_compared_field_by_field(session: bf.Session, answering: Answering) -> None:
    """A gold of objects, and an answer that has one of two fields right."""
    frame = pd.DataFrame({"text": ["t1", "t2"], "gold": [{"team": "a", "urgent": True}] * 2})
    answering.by = lambda request: '{"team": "a", "urgent": false}'
    ev = compare(frame, models="good", prompts={"plain": "{text}"}, metrics=["json_fields"])
    assert ev.table()["json_fields"].tolist() == [0.5]
    assert ev.fields("plain")["accuracy"].to_dict() == {"team": 1.0, "urgent": 0.0}


def test_rows_needed_are_those_of_the_difference_that_matters(session: bf.Session) -> None:
    """Of half the difference about four times as many."""
    ev = compare(rows())
    wide, narrow = (ev.versus("accuracy", by=by)["rows_needed"].max() for by in (0.2, 0.1))
    assert 3.5 < narrow / wide < 4.5


def test_samples_of_a_row_belong_together(session: bf.Session, simulator: Simulator) -> None:
    """Three samples of each row are no three rows: the interval is not narrower for answers that are the same."""
    ev = compare(rows(), samples=3, models=["good"], prompts={"plain": ASKED["plain"]})
    once = compare(rows(), models=["good"], prompts={"plain": ASKED["plain"]})
    assert ev.table()["accuracy_n"].tolist() == [3 * N]
    three, one = ev.table().iloc[0], once.table().iloc[0]
    assert three["accuracy_high"] - three["accuracy_low"] == pytest.approx(
        one["accuracy_high"] - one["accuracy_low"], rel=0.15
    )
    assert ev.agreement()["agreement"].tolist() == [1.0]
    assert simulator.ledger.requests == 3 * N


def test_the_plan_is_the_bill(session: bf.Session, simulator: Simulator) -> None:
    """Cells are counted exactly; judges at their most, for who knows which answers will be the same."""
    judge = bf.graded("Is it right?", model="judge", price=(1, 2))
    plan = rows().llm.plan_compare(ASKED, models=MODELS, gold="gold", metrics=["accuracy", judge], price=(1, 2))
    cells = sum(part.to_send for part in plan.parts if not part.judge)
    assert cells == 4 * N
    assert plan.to_send == 8 * N
    assert plan.price_batch_usd is not None
    assert not simulator.ledger.billed()
    compare(rows(), metrics=["accuracy", judge])
    done = rows().llm.plan_compare(ASKED, models=MODELS, gold="gold", metrics=["accuracy", judge], price=(1, 2))
    assert done.to_send == 0


def test_a_prompt_that_shows_the_gold_is_warned_of(session: bf.Session) -> None:
    """The right answer in the question makes every model good."""
    plan = rows().llm.plan_compare({"leaky": "Is {text} {gold}?"}, models="good", gold="gold", price=(1, 1))
    assert any("shows the model the right answer" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"gold": "nothing"}, "gold='nothing' is no column"),
        ({"gold": None, "metrics": ["accuracy"]}, "needs the right answers"),
        ({"gold": None}, "Say what is good"),
        ({"metrics": ["acuracy"]}, "accuracy"),
        ({"metrics": []}, "metrics= is empty"),
        ({"metrics": ["accuracy", "accuracy"]}, "Two metrics have the name"),
        ({"models": []}, "models= is empty"),
        ({"models": ["good", "good"]}, "names a model twice"),
        ({"baseline": ("plain", "none")}, "There is no cell"),
        ({"baseline": "plain"}, "stands in 2 cells"),
        ({"failed": "maybe"}, "failed='maybe'"),
        ({"level": 95}, "level=95"),
        ({"cluster": "nothing"}, "cluster='nothing' is no column"),
        ({"field": "x"}, "no field of the schema"),
        ({"endpoint": "embeddings"}, "Embeddings cannot be compared"),
        ({"prompts": {}}, "takes a dictionary of labels"),
        ({"prompts": {"a": "{nothing}"}}, "which is no column"),
        ({"metrics": ["mae"]}, "gold"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_stored(
    session: bf.Session, simulator: Simulator, call: dict[str, Any], said: str
) -> None:
    """A clear error, and nothing paid for."""
    with pytest.raises(bf.InputError, match=re.escape(said)):
        compare(rows(), **call)
    assert not simulator.ledger.billed()
    assert len(bf.evaluations()) == 0
    assert len(bf.jobs()) == 0


def test_a_cancelled_evaluation_asks_no_judge(session: bf.Session, simulator: Simulator) -> None:
    """Cancelling ends it as a whole; retry goes on with it."""
    simulator.settings.duration = 3600
    judge = bf.graded("Is it right?", model="judge", price=(1, 2))
    ev = rows().llm.compare(ASKED, models="good", gold="gold", metrics=["accuracy", judge], price=(1, 2))
    ev.cancel()
    simulator.settings.duration = 0
    assert ev.wait(60, progress=False).status == "cancelled"
    assert not [job for job in bf.jobs()["model"] if job == "judge"]
    assert ev.retry().wait(60, progress=False).status == "done"
    assert ev.table()["grade"].tolist() == [4.7, 4.7]


def test_without_the_extra_nothing_is_spent(
    session: bf.Session, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What figures need is missed before the answers are paid for, and the message says what to install."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(bf.ConfigurationError, match=r"scipy: pip install 'batchframe\[eval\]'"):
        compare(rows())
    assert not simulator.ledger.billed()


def test_an_evaluation_cancelled_too_late_goes_on_with_a_retry(session: bf.Session, database: Database) -> None:
    """Every answer had come before the provider heard of it: no judge is asked, until the user says so."""
    judge = bf.graded("Is it right?", model="judge", price=(1, 2))
    ev = rows().llm.compare(ASKED, models="good", gold="gold", metrics=["accuracy", judge], price=(1, 2))
    for prompt in ASKED:
        ev.job(prompt, "good").wait(60, progress=False)
    with database.transaction() as connection:
        connection.execute(text("UPDATE job SET cancel_at = now()"))
    assert ev.wait(60, progress=False).status == "cancelled"
    assert not [job for job in bf.jobs()["model"] if job == "judge"]
    assert ev.retry().wait(60, progress=False).status == "done"
    assert ev.table()["grade"].tolist() == [4.7, 4.7]
