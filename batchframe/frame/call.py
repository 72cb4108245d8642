"""A call: the arguments of `df.llm.batch`, checked and in the words of the store, before a frame is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pydantic

from batchframe.core.schema import answer_schema
from batchframe.core.spec import JobSpec
from batchframe.errors import InputError
from batchframe.frame import parameters, prompts
from batchframe.frame.examples import Examples, render_examples
from batchframe.frame.functions import RowFunction
from batchframe.frame.prompts import Images, Prompt, Text
from batchframe.frame.terms import AtDeadline, Deadline, Money, check_terms
from batchframe.model import Route
from batchframe.store.jobs import Terms

Schema = type[pydantic.BaseModel] | Mapping[str, Any]
Missing = Literal["skip", "raise", "render"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a job is to be.

    Attributes:
        name: the name it is to have, or None.
        overwrite: whether result columns may take the place of others.
        function: what makes the prompts, or None.
    """

    spec: JobSpec
    route: Route
    terms: Terms
    name: str | None
    overwrite: bool
    function: RowFunction | None = None


def check_call(
    provider: str,
    prompt: Prompt,
    *,
    model: str,
    into: str,
    system: Text | None,
    examples: Examples | None,
    images: Images | None,
    schema: Schema | None,
    endpoint: str,
    name: str | None,
    missing: Missing,
    reuse: bool,
    samples: int,
    overwrite: bool,
    budget_usd: Money | None,
    price: tuple[Money, Money] | None,
    deadline: Deadline | None,
    at_deadline: AtDeadline,
    params: Mapping[str, Any],
) -> Call:
    """Check the arguments of a call; `df.llm.batch` says what they are.

    Args:
        provider: the id of the provider it goes to.

    Raises:
        InputError: one of them cannot be used; its subclasses say how.
    """
    _check_text("model", model)
    check_result(into=into, name=name, samples=samples)
    written = prompts.write(prompt, system)
    if missing not in ("skip", "raise", "render"):
        raise InputError(f"missing={missing!r}: choose 'skip', 'raise' or 'render'.")
    path = parameters.endpoint_path(endpoint)
    strict = answer_schema(schema) if schema is not None else None
    spec = JobSpec(
        prompt=written.prompt,
        into=into,
        system=written.system,
        schema=strict.schema if strict else None,
        schema_name=strict.name if strict else None,
        params=parameters.body_parameters(path, params, has_schema=schema is not None),
        missing=missing,
        samples=samples,
        reuse=reuse,
        jinja=written.jinja,
        function=written.function_name,
        images=prompts.image_details(images, path),
    )
    if examples is not None:
        spec = msgspec.structs.replace(spec, examples=render_examples(examples, spec))
    terms = check_terms(
        model=model,
        endpoint=path,
        params=spec.params,
        budget_usd=budget_usd,
        price=price,
        deadline=deadline,
        at_deadline=at_deadline,
    )
    return Call(spec, Route(provider, path, model), terms, name, overwrite, written.function)


def check_result(*, into: str, name: str | None, samples: int) -> None:
    """Raises:
    InputError: what the results are to be called, or how many there are to be, cannot be used.
    """
    _check_text("into", into)
    check_name(name)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 100:
        raise InputError(f"samples={samples!r}: pass a whole number from 1 to 100.")


def check_name(name: str | None) -> None:
    """Raises:
    InputError: no name to come back with.
    """
    if name is None:
        return
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable() or name.isdecimal():
        raise InputError(f"name={name!r}: pass 1 to 200 printable characters; not a number, which would be an id.")


def _check_text(argument: str, value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InputError(f"{argument}={value!r}: pass a text of printable characters that is not empty.")
