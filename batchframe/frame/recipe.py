"""A recipe: a prompt and a model that have proved good, to be asked of other rows."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from batchframe.core.spec import JobSpec
from batchframe.errors import InputError
from batchframe.frame.call import Call, check_result
from batchframe.frame.functions import RowFunction
from batchframe.frame.terms import AtDeadline, Deadline, Money, check_terms
from batchframe.model import Route


@dataclass(frozen=True, repr=False)
class Recipe:
    """What `df.llm.batch` and `df.llm.plan` take in the place of a template and a model.

    Requests made by it are the same as those it was found by, so rows that were asked then are answered already.

    Attributes:
        prompt, model: the labels it was compared under.
        why: why it was chosen, in words.
        spec: what it asks of each row.
        route: the model it asks.
        price: US dollars a million input and output tokens at the batch rate, if the user has said so.
        function: what makes the prompts, if a function does and it is at hand.
    """

    prompt: str
    model: str
    why: str
    spec: JobSpec
    route: Route
    price: tuple[Money, Money] | None = None
    function: RowFunction | None = None

    def call(
        self,
        provider: str,
        *,
        into: str,
        name: str | None,
        reuse: bool,
        samples: int,
        overwrite: bool,
        budget_usd: Money | None,
        price: tuple[Money, Money] | None,
        deadline: Deadline | None,
        at_deadline: AtDeadline,
    ) -> Call:
        """The call it stands for.

        Raises:
            InputError: an argument cannot be used, or the recipe is of another provider.
        """
        if self.route.provider != provider:
            raise InputError(f"The recipe is for {self.route.provider}, this session has {provider}.")
        check_result(into=into, name=name, samples=samples)
        terms = check_terms(
            model=self.route.model,
            endpoint=self.route.endpoint,
            params=self.spec.params,
            budget_usd=budget_usd,
            price=self.price if price is None else price,
            deadline=deadline,
            at_deadline=at_deadline,
        )
        spec = msgspec.structs.replace(self.spec, into=into, samples=samples, reuse=reuse)
        return Call(spec, self.route, terms, name, overwrite, self.function)

    def __repr__(self) -> str:
        return f"{self.prompt!r} asked of {self.model!r}: {self.why}"
