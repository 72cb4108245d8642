"""`df.llm` and `s.llm`. pandas makes an accessor anew at every access, so it holds nothing but the frame."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, overload

import pandas as pd

from batchframe.errors import InputError
from batchframe.frame import other_frames, session
from batchframe.frame.call import Call, Missing, Schema, check_call
from batchframe.frame.dataset import Dataset, in_pandas
from batchframe.frame.examples import Examples
from batchframe.frame.job import JobHandle
from batchframe.frame.plan import Plan, call_of, draw_up
from batchframe.frame.prompts import Images, Prompt, Text
from batchframe.frame.recipe import Recipe
from batchframe.frame.session import Session
from batchframe.frame.sources import Filled
from batchframe.frame.submit import submit, submit_as
from batchframe.frame.submit_dataset import submit_dataset
from batchframe.frame.terms import AtDeadline, Deadline, Money


class Accessor(ABC, Generic[Filled]):
    """What rows can ask a model."""

    @abstractmethod
    def _submit(self, here: Session, call: Call) -> JobHandle[Filled]:
        """Make the call a job."""

    @overload
    def batch(self, template: Plan) -> JobHandle[Filled]: ...

    @overload
    def batch(
        self,
        template: Recipe,
        *,
        into: str = "response",
        name: str | None = None,
        reuse: bool = True,
        samples: int = 1,
        overwrite: bool = False,
        budget_usd: Money | None = None,
        price: tuple[Money, Money] | None = None,
        deadline: Deadline | None = None,
        at_deadline: AtDeadline = "realtime",
    ) -> JobHandle[Filled]: ...

    @overload
    def batch(
        self,
        template: Prompt,
        *,
        model: str,
        into: str = "response",
        system: Text | None = None,
        examples: Examples | None = None,
        images: Images | None = None,
        schema: Schema | None = None,
        endpoint: str = "chat",
        name: str | None = None,
        missing: Missing = "skip",
        reuse: bool = True,
        samples: int = 1,
        overwrite: bool = False,
        budget_usd: Money | None = None,
        price: tuple[Money, Money] | None = None,
        deadline: Deadline | None = None,
        at_deadline: AtDeadline = "realtime",
        **params: Any,
    ) -> JobHandle[Filled]: ...

    def batch(
        self,
        template: Prompt | Plan | Recipe,
        *,
        model: str | None = None,
        into: str = "response",
        system: Text | None = None,
        examples: Examples | None = None,
        images: Images | None = None,
        schema: Schema | None = None,
        endpoint: str = "chat",
        name: str | None = None,
        missing: Missing = "skip",
        reuse: bool = True,
        samples: int = 1,
        overwrite: bool = False,
        budget_usd: Money | None = None,
        price: tuple[Money, Money] | None = None,
        deadline: Deadline | None = None,
        at_deadline: AtDeadline = "realtime",
        **params: Any,
    ) -> JobHandle[Filled]:
        """Ask the model about every row, at the price of the provider's Batch API.

        The rows are stored as requests, equal ones once; the engine sends them in the background, and goes on after a
        restart. The same call again is the same job, and nothing is paid twice.

        Args:
            template: text with `{column}` for a row's value (`{{` and `}}` are literal braces); `bf.jinja("…")`; a list
                of messages whose strings are such templates; or a function of a row, a mapping of columns to plain
                values, that returns a text, a list of messages, or None to leave the row out. In a Series, `{value}` or
                `row["value"]` is the value. Or a plan, and nothing beside it: its call is made, of
                this frame, whatever rows that has by now. Or what `ev.best()` of an evaluation has found, which says
                what is asked of which model.
            model: as the provider names it.
            into: the result column; `into__status` and `into__error` come with it, and with a schema one typed
                column a field, `into_field`.
            system: a template for the system message, `bf.jinja("…")` included.
            examples: a frame and the name of its column of answers, `(frame, "label")`. Each of its rows is sent before
                every row, as the user's message, by the same template, and the answer to it.
            images: a column of images, several, or `{column: "low"}` with their detail ("auto", "low", "high"). A value
                is a URL, the path of a file, bytes, or a list of these: PNG, JPEG, WEBP or GIF. Files and bytes are
                sent, and kept, with the request.
            schema: a Pydantic model or a JSON schema. Answers are held to it strictly; one that does not fit is a
                failed row whose text is kept.
            endpoint: "chat", "responses" or "embeddings".
            name: a name to come back with: `bf.job(name)`.
            missing: what to do with a row in which a column of the template has no value: "skip" it, "raise" an
                error, or "render" it as empty text (in Jinja, None). A function is called all the
                same, and sees None.
            reuse: take answers that other jobs have paid for. False asks anew; a second such call is still the same
                job unless it has another name.
            samples: answers a row, in columns `into_1`, `into_2`, ….
            overwrite: write over a column that has the name of a result column.
            budget_usd: what the job may cost, US dollars. Nothing is sent that is expected to go past it: the job
                pauses and says so, and `job.resume(budget_usd=…)` goes on. With `max_completion_tokens=` (responses:
                `max_output_tokens=`) an answer is expected to cost the most it can, else the mean of those so far.
            price: what the model costs at the batch rate, US dollars a million input and output tokens, for a model
                whose price is not known or not yours.
            deadline: a period such as "6h", a timedelta, or a datetime with time zone. What is unanswered then is
                cancelled at the provider and, as `at_deadline` says, asked in real time at twice the price ("realtime")
                or left as failed ("give_up").
            params: further body parameters of the endpoint, such as `temperature=0`; `extra_body={…}` for ones only
                your server knows.

        Returns:
            The handle: `job.wait()` gives the frame with the result columns.

        Raises:
            InputError: something passed cannot be used; its subclasses say what. Nothing was stored or sent.
            ConfigurationError: there is no API key.
            DatabaseError: Postgres cannot be reached.
            ProviderError: the provider cannot be reached, or refuses the key.
        """
        here = session.current()
        arguments: dict[str, Any] = {
            "model": model,
            "into": into,
            "system": system,
            "examples": examples,
            "images": images,
            "schema": schema,
            "endpoint": endpoint,
            "name": name,
            "missing": missing,
            "reuse": reuse,
            "samples": samples,
            "overwrite": overwrite,
            "budget_usd": budget_usd,
            "price": price,
            "deadline": deadline,
            "at_deadline": at_deadline,
        }
        if isinstance(template, Plan):
            _refuse_beside_a_plan({**arguments, **params})
            return self._submit(here, call_of(here, template))
        return self._submit(here, _check(here, template, {**arguments, "params": params}))


_BESIDE_A_RECIPE = ("into", "name", "reuse", "samples", "overwrite", "budget_usd", "price", "deadline", "at_deadline")


def _check(here: Session, template: Prompt | Recipe, arguments: Mapping[str, Any]) -> Call:
    """The call of a template, or of a recipe."""
    if isinstance(template, Recipe):
        further = {name: value for name, value in arguments.items() if name not in (*_BESIDE_A_RECIPE, "params")}
        given = [*_given(further), *arguments["params"]]
        if given:
            raise InputError(f"{given[0]}= is part of the recipe: leave it out, or pass a template of your own.")
        return template.call(here.provider_id, **{name: arguments[name] for name in _BESIDE_A_RECIPE})
    if arguments["model"] is None:
        raise InputError("model is missing: pass model='…', as the provider names it.")
    return check_call(here.provider_id, template, **arguments)


def _given(arguments: Mapping[str, Any]) -> list[str]:
    """Those that are not as `batch` has them by itself."""
    usual = inspect.signature(Accessor.batch).parameters
    return [name for name, value in arguments.items() if name not in usual or value != usual[name].default]


def _refuse_beside_a_plan(arguments: Mapping[str, Any]) -> None:
    if given := _given(arguments):
        raise InputError(
            f"A plan says all there is to say: leave {given[0]}= out, or pass it to df.llm.plan(…) and batch that plan."
        )


class FrameAccessor(Accessor[pd.DataFrame]):
    """What a DataFrame can ask a model, or a Series, whose value is `{value}` in the template."""

    def __init__(self, frame: pd.DataFrame | pd.Series[Any]) -> None:
        self._frame = frame

    def plan(
        self,
        template: Prompt | Recipe,
        *,
        model: str | None = None,
        into: str = "response",
        system: Text | None = None,
        examples: Examples | None = None,
        images: Images | None = None,
        schema: Schema | None = None,
        endpoint: str = "chat",
        name: str | None = None,
        missing: Missing = "skip",
        reuse: bool = True,
        samples: int = 1,
        overwrite: bool = False,
        budget_usd: Money | None = None,
        price: tuple[Money, Money] | None = None,
        deadline: Deadline | None = None,
        at_deadline: AtDeadline = "realtime",
        **params: Any,
    ) -> Plan:
        """What `batch` with the same arguments would send and cost. It sends nothing, stores nothing, needs no API key.

            plan = df.llm.plan("Team for this ticket?\\n{subject}", model="gpt-5-mini", into="team")
            plan.sample(20, random_state=0).run()
            job = df.llm.batch(plan)

        Args: as those of `batch`.

        Raises:
            InputError: something passed cannot be used; its subclasses say what.
            DatabaseError: Postgres cannot be reached.
        """
        here = session.current()
        arguments = {
            "model": model,
            "into": into,
            "system": system,
            "examples": examples,
            "images": images,
            "schema": schema,
            "endpoint": endpoint,
            "name": name,
            "missing": missing,
            "reuse": reuse,
            "samples": samples,
            "overwrite": overwrite,
            "budget_usd": budget_usd,
            "price": price,
            "deadline": deadline,
            "at_deadline": at_deadline,
            "params": params,
        }
        call = _check(here, template, arguments)
        return draw_up(here, self._frame, call)

    def _submit(self, here: Session, call: Call) -> JobHandle[pd.DataFrame]:
        return submit(here, self._frame, call)


class DatasetAccessor(Accessor[None]):
    """What a data set can ask a model."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def _submit(self, here: Session, call: Call) -> JobHandle[None]:
        return submit_dataset(here, self._dataset, call)


class ArrowAccessor(Accessor[Any]):
    """What a frame of another library can ask a model; it is handed back as the same kind of frame."""

    def __init__(self, frame: Any) -> None:
        self._frame = other_frames.opened(frame)

    def _submit(self, here: Session, call: Call) -> JobHandle[Any]:
        table = self._frame.to_arrow()
        return submit_as(
            here,
            in_pandas(table, 0),
            call,
            lambda numbers, skipped: other_frames.OtherSource(self._frame, table, numbers, skipped),
        )


def batch(frame: Any, template: Prompt, **call: Any) -> JobHandle[Any]:
    """`df.llm.batch(template, …)` for any frame: pandas, polars, pyarrow, and whatever exports Arrow data.

    Args:
        frame: for what narwhals knows as an eager frame the handle gives the same kind of frame back; anything else
            with `__arrow_c_stream__` comes back as a pyarrow Table.
        call: as `df.llm.batch`.

    Raises:
        InputError: it is no frame, or a lazy one. Nothing was stored or sent.
    """
    accessor: Accessor[Any]
    if isinstance(frame, Dataset):
        accessor = DatasetAccessor(frame)
    elif isinstance(frame, pd.DataFrame | pd.Series):
        accessor = FrameAccessor(frame)
    else:
        accessor = ArrowAccessor(frame)
    return accessor.batch(template, **call)
