"""What the simulated provider is like: its speed, its limits and its habits. All of it may change while it runs.

Every setting is read at the moment it matters, also for batches that run already: with `duration` at an hour a batch
stays `in_progress` for as long as a test wants to look at it, and `duration = 0` lets it finish.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import msgspec

from batchframe.errors import ConfigurationError


@dataclass
class Settings:
    """The provider's settings.

    Attributes:
        duration: seconds from the creation of a batch until all its lines are answered; progress is linear.
        window: seconds from creation until a batch expires; OpenAI sells only 24 hours.
        hold: least seconds a batch spends in a status of passage, as in `{"validating": 2, "cancelling": 1}`.
        enqueued_tokens: cap on the queued prompt tokens of a model; one number for every model, or one for each.
        quota_refusal: how a batch over that cap is refused: None fails it after validation, as OpenAI does;
            a status (429, 400) refuses the create call, as others do.
        keys: the API keys that are accepted; None accepts any that is not empty.
        models: the models there are; None takes any name.
        max_requests, max_inputs, max_file_bytes: the limits of one batch, of one embeddings batch, of one file.
        max_errors: how many errors a failed validation lists.
        batches_per_hour: how many batches may be created in an hour; None does not count.
        file_seconds: seconds until a file of a batch, input or output, is gone.
        list_lag: seconds until a new batch shows up in listings.
        strip_metadata: do not give the metadata of batches back.
        foreign_batches: how many batches of other people stand at the top of the listing.
        empty_error_file_id: say `""` where there is no error file, as OpenAI has been seen to do.
    """

    duration: float = 0.0
    window: float = 86_400.0
    hold: dict[str, float] = field(default_factory=dict)
    enqueued_tokens: int | dict[str, int] | None = None
    quota_refusal: int | None = None
    keys: frozenset[str] | None = None
    models: frozenset[str] | None = None
    max_requests: int = 50_000
    max_inputs: int = 50_000
    max_file_bytes: int = 209_715_200
    max_errors: int = 100
    batches_per_hour: int | None = None
    file_seconds: float = 30 * 86_400.0
    list_lag: float = 0.0
    strip_metadata: bool = False
    foreign_batches: int = 0
    empty_error_file_id: bool = False

    def update(self, changes: dict[str, Any]) -> None:
        """Change several settings at once, from JSON.

        Raises:
            ConfigurationError: an unknown name or a value of the wrong type; nothing was changed.
        """
        known = [setting.name for setting in fields(self)]
        for name in changes:
            if name not in known:
                raise ConfigurationError(f"Unknown setting {name!r}. Settings: {', '.join(known)}.")
        try:
            checked = msgspec.convert(asdict(self) | changes, Settings)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"A setting cannot be used: {error}.") from None
        for name in changes:
            setattr(self, name, getattr(checked, name))

    def token_limit(self, model: str) -> int | None:
        """The cap on queued prompt tokens of a model; None if there is none."""
        if isinstance(self.enqueued_tokens, dict):
            return self.enqueued_tokens.get(model)
        return self.enqueued_tokens

    def summary(self) -> dict[str, Any]:
        """The settings as JSON; keys are counted, not shown."""
        shown = asdict(self)
        shown["keys"] = None if self.keys is None else len(self.keys)
        shown["models"] = None if self.models is None else sorted(self.models)
        return shown
