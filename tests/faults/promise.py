"""The promise as a machine: what users, engines and a provider may do in any order, and what must hold after each step.

A row may be charged once, and once more for each of two reasons, which are written down when they occur: a call that
was frozen until it had been given up (the window no client can close), and a retry of what may have been paid for.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from batchframe.model import BatchState
from batchframe.store.batches import LeaseLostError
from tests.faults.books import World
from tests.faults.remote import DiedError, Fate, Invalid, Made, Mood, Row

_ROUNDS = 60
"""Rounds of a kind world after which every job has ended: far more than halving and all tries of a row take."""

_MAYBE_PAID = ("answer_lost", "result_gone")

_DISTURBED = [Mood.LOST, Mood.FAILED, Mood.DIES, Mood.FREEZES]

picks = st.integers(0, 5)
engines = st.integers(0, 2)
moods = st.one_of(st.just(Mood.WELL), st.sampled_from(Mood))
fates = st.lists(st.one_of(st.just(Fate.OK), st.sampled_from(Fate)), min_size=1, max_size=3)


class Promise(RuleBasedStateMachine):
    """The rules over any `World`; a subclass says which."""

    def make(self) -> World:
        """A fresh world."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make()
        self.remote = self.world.remote
        self.jobs: list[int] = []
        self.held: dict[int, Any] = {}
        self.stale: list[Any] = []
        self.frozen: dict[int, Any] = {}
        self.given_up: list[tuple[Any, list[Row]]] = []
        self.allowed: Counter[Row] = Counter()

    # What users do

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(n_rows=st.integers(1, 5), at_deadline=st.sampled_from([None, None, "realtime", "give_up"]))
    def submit(self, n_rows: int, at_deadline: str | None) -> None:
        self.jobs.append(self.world.submit(n_rows, at_deadline))
        self.world.plan(self.jobs[-1])

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self.world.cancel(self.jobs[pick % len(self.jobs)])

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def deadline_passes(self, pick: int) -> None:
        self.world.deadline_passes(self.jobs[pick % len(self.jobs)])

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        job = self.jobs[pick % len(self.jobs)]
        for result in self.world.books().results:
            if result.row[0] == job and result.final and result.code in _MAYBE_PAID:
                self.allowed[result.row] += 1
        self.world.retry(job)

    # What engines do

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def plan(self, pick: int) -> None:
        self.world.plan(self.jobs[pick % len(self.jobs)])

    @precondition(lambda self: self.jobs)
    @rule(engine=engines)
    def claim(self, engine: int) -> None:
        for claimed in self.world.claim(engine):
            assert claimed.id not in self.held, "it was claimed while another engine's lease ran"
            self.held[claimed.id] = claimed

    @precondition(lambda self: self.held)
    @rule(pick=picks, mood=moods, hides=st.booleans())
    def step(self, pick: int, mood: Mood, hides: bool) -> None:
        id_ = sorted(self.held)[pick % len(self.held)]
        self.remote.mood, self.remote.hides = mood, hides
        claimed = self.held.pop(id_)
        try:
            self._keep(id_, self.world.step(claimed))
        except DiedError:
            self.world.expire(id_)
        finally:
            self.remote.mood, self.remote.hides = Mood.WELL, False

    @precondition(lambda self: self.jobs)
    @rule(engine=engines, n_steps=st.integers(1, 4))
    def engine_works(self, engine: int, n_steps: int) -> None:
        """Some undisturbed steps: disturbed at every one, hardly any batch would get far."""
        self.claim(engine)
        for id_ in sorted(self.held):
            for _ in range(n_steps):
                if id_ in self.held:
                    self._keep(id_, self.world.step(self.held.pop(id_)))

    @precondition(lambda self: self.jobs)
    @rule(engine=engines, mood=st.sampled_from(_DISTURBED), hides=st.booleans())
    def a_create_call_goes_wrong(self, engine: int, mood: Mood, hides: bool) -> None:
        """The one call that costs money, which steps at random reach too seldom."""
        self.claim(engine)
        for id_ in sorted(self.held):
            if self.held[id_].state is BatchState.PLANNED:
                self._keep(id_, self.world.step(self.held.pop(id_)))
        uploaded = [id_ for id_ in sorted(self.held) if self.held[id_].state is BatchState.UPLOADED]
        if uploaded:
            self.step(pick=sorted(self.held).index(uploaded[0]), mood=mood, hides=hides)

    @precondition(lambda self: self.held)
    @rule(pick=picks, engine=engines)
    def lease_is_taken(self, pick: int, engine: int) -> None:
        """The lease runs out and another engine claims; the first does not know."""
        id_ = sorted(self.held)[pick % len(self.held)]
        self.stale.append(self.held.pop(id_))
        self.world.expire(id_)
        self.claim(engine)

    @precondition(lambda self: self.stale)
    @rule(pick=picks, mood=moods)
    def stale_engine_goes_on(self, pick: int, mood: Mood) -> None:
        """Whatever it is at, its write is refused, and so nothing is created for it."""
        claimed = self.stale.pop(pick % len(self.stale))
        before = self.world.books(), len(self.remote.batches)
        self.remote.mood = mood if mood in (Mood.WELL, Mood.BUSY) else Mood.WELL
        try:
            self.world.step(claimed)
        except LeaseLostError:
            assert (self.world.books(), len(self.remote.batches)) == before
        else:
            raise AssertionError("a stale engine was not refused")
        finally:
            self.remote.mood = Mood.WELL

    @precondition(lambda self: self.frozen)
    @rule(pick=picks, engine=engines)
    def grace_passes(self, pick: int, engine: int) -> None:
        """For longer than lease and grace: whoever is frozen in a call loses it, and lists have caught up."""
        self._let_grace_pass()
        self.claim(engine)

    @precondition(lambda self: self.jobs and not self.frozen)
    @rule()
    def lists_catch_up(self) -> None:
        self._let_grace_pass()

    @precondition(lambda self: self.frozen or self.given_up)
    @rule(pick=picks, mood=st.sampled_from([Mood.WELL, Mood.LOST, Mood.BUSY]), hides=st.booleans())
    def frozen_engine_wakes(self, pick: int, mood: Mood, hides: bool) -> None:
        """It sends its call after all."""
        waiting = [(frozen, []) for frozen in self.frozen.values()] + self.given_up
        frozen, late_for = waiting[pick % len(waiting)]
        self.frozen.pop(frozen.batch_id, None) if not late_for else self.given_up.remove((frozen, late_for))
        if late_for and mood is Mood.LOST:
            mood = Mood.WELL  # nobody at all would know of what it made
        self.remote.mood, self.remote.hides = mood, hides and not late_for
        if mood is not Mood.BUSY:
            self.allowed.update(late_for)
        try:
            self._keep(frozen.batch_id, self.world.wake(frozen))
        except LeaseLostError:
            assert late_for, "its lease was its own"
        finally:
            self.remote.mood, self.remote.hides = Mood.WELL, False

    # What the provider does

    @precondition(lambda self: self._running())
    @rule(pick=picks, each=fates)
    def remote_batch_ends(self, pick: int, each: list[Fate]) -> None:
        running = self._running()
        self.remote.end(running[pick % len(running)], each)

    @precondition(lambda self: self._running())
    @rule(pick=picks, why=st.sampled_from(Invalid))
    def remote_batch_is_invalid(self, pick: int, why: Invalid) -> None:
        running = self._running()
        self.remote.fail(running[pick % len(running)], why)

    # What must hold

    @invariant()
    def the_books_are_right(self) -> None:
        """At most one final outcome, counts that agree, one live batch a row, attempts without gaps."""
        assert not list(self.world.books().broken())

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """The provider bills a row once, but for what is written down."""
        over = {row: n for row, n in self.remote.chargeable().items() if n > 1 + self.allowed[row]}
        assert not over, f"rows billed twice, or about to be: {over}"

    def teardown(self) -> None:
        """In a world that is kind from here on every job ends, and what was billed is there."""
        try:
            for _ in range(_ROUNDS):
                books = self.world.books()
                if all(job.closed for job in books.jobs.values()) and not self._running():
                    break
                self._kind_round()
                self.the_books_are_right()
                self.nothing_is_paid_twice()
            else:
                raise AssertionError(f"it never ends: {self.world.books()}")
            assert {state for state, _ in books.batches.values()} <= {"done", "failed"}
            self._nothing_is_lost()
        finally:
            self.world.close()

    def _kind_round(self) -> None:
        self._let_grace_pass()
        for id_ in [*self.held]:
            self.world.expire(id_)
        self.held.clear()
        adopted = {provider_id for _, provider_id in self.world.books().batches.values()}
        for made in self._running():
            # One that nobody knows must have been stopped already; it would run on and be paid for.
            if made.id in adopted or made.status == "cancelling":
                self.remote.end(made, [Fate.OK] if made.status == "in_progress" else [Fate.EXPIRED])
        for job in self.jobs:
            self.world.plan(job)
        for claimed in self.world.claim(0):
            following = claimed
            while following is not None:
                following = self.world.step(following)

    def _nothing_is_lost(self) -> None:
        excused = {result.row for result in self.world.books().results if result.ok or result.code in _MAYBE_PAID}
        lost = self.remote.billed.keys() - excused - self.allowed.keys()
        assert not lost, f"rows that were paid for and have no answer: {lost}"

    def _keep(self, id_: int, following: Any) -> None:
        if hasattr(following, "batch_id"):
            self.frozen[id_] = following
        elif following is not None:
            self.held[id_] = following

    def _let_grace_pass(self) -> None:
        for made in self.remote.batches.values():
            made.listed = True
        placed = self.world.books().attempts
        for id_, frozen in self.frozen.items():
            self.world.expire(id_)
            self.given_up.append((frozen, [attempt.row for attempt in placed if attempt.batch == id_]))
        self.frozen.clear()
        self.world.grace_passes()

    def _running(self) -> list[Made]:
        return [made for made in self.remote.batches.values() if made.running]
