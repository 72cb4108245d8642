"""`df.llm` and `s.llm`. pandas makes an accessor anew at every access, so it holds nothing but the frame."""

from __future__ import annotations

from typing import Any

import pandas as pd

from batchframe.frame import session
from batchframe.frame.call import Missing, Schema, check_call
from batchframe.frame.examples import Examples
from batchframe.frame.job import JobHandle
from batchframe.frame.prompts import Images, Prompt, Text
from batchframe.frame.submit import submit
from batchframe.frame.terms import AtDeadline, Deadline, Money


class FrameAccessor:
    """What a DataFrame can ask a model."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame: pd.DataFrame | pd.Series[Any] = frame

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
    ) -> JobHandle:
        """Ask the model about every row, at the price of the provider's Batch API.

        The rows are stored as requests, equal ones once; the engine sends them in the background, and goes on after a
        restart. The same call again is the same job, and nothing is paid twice.

        Args:
            template: text with `{column}` for a row's value (`{{` and `}}` are literal braces); `bf.jinja("…")`; a list
                of messages whose strings are such templates; or a function of a row, a mapping of columns to plain
                values, that returns a text, a list of messages, or None to leave the row out. In a Series, `{value}` or
                `row["value"]` is the value.
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
        call = check_call(
            here.provider_id,
            template,
            model=model,
            into=into,
            system=system,
            examples=examples,
            images=images,
            schema=schema,
            endpoint=endpoint,
            name=name,
            missing=missing,
            reuse=reuse,
            samples=samples,
            overwrite=overwrite,
            budget_usd=budget_usd,
            price=price,
            deadline=deadline,
            at_deadline=at_deadline,
            params=params,
        )
        return submit(here, self._frame, call)


class SeriesAccessor(FrameAccessor):
    """What a Series can ask a model: `{value}` in the template is the value."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self._frame = series


def register() -> None:
    """Make `df.llm` and `s.llm` known to pandas."""
    pd.api.extensions.register_dataframe_accessor("llm")(FrameAccessor)
    pd.api.extensions.register_series_accessor("llm")(SeriesAccessor)
