"""Every error batchframe raises on purpose, as one tree. A message says what is wrong, where, and what to do next.

BatchframeError
├── InputError (also a ValueError)      what was passed in; nothing was stored or sent
│   ├── TemplateError                   a template that does not fit the columns
│   ├── ParameterError                  an argument the endpoint does not know or batches cannot take
│   ├── RequestTooLargeError            a row whose request is over the provider's limit
│   ├── SchemaError                     a schema strict structured output cannot express
│   ├── ColumnExistsError               a result column that is there already
│   └── NameInUseError                  a job name that stands for something else
├── JobNotFoundError (also a LookupError)
├── EvaluationNotFoundError (also a LookupError)
├── JobPausedError                      a budget is used up; the job waits for the user's word
├── JobEndedError                       none of a job's requests can be answered
├── ConfigurationError                  a setting that is missing or wrong
├── DatabaseError                       Postgres cannot be reached, started or migrated
└── ProviderError                       the provider said no, or did not answer
    ├── RefusedError                    a definite no: nothing happened at the provider
    └── DoubtfulError                   no clear answer: it may or may not have taken effect
"""

from __future__ import annotations


class BatchframeError(Exception):
    """The root: `except BatchframeError` catches everything below."""


class InputError(BatchframeError, ValueError):
    """What was passed in cannot be used. Nothing was stored or sent."""


class TemplateError(InputError):
    """A template that does not fit the frame's columns, or a value no template can render."""


class ParameterError(InputError):
    """An argument the endpoint does not know, or one that has no meaning in a batch."""


class RequestTooLargeError(InputError):
    """One row's request is over the provider's limit."""


class SchemaError(InputError):
    """A schema that strict structured output cannot express."""


class ColumnExistsError(InputError):
    """A result column is in the frame already."""


class NameInUseError(InputError):
    """A job of this name exists and stands for something else."""


class JobNotFoundError(BatchframeError, LookupError):
    """No job of this id or name in the database."""


class EvaluationNotFoundError(BatchframeError, LookupError):
    """No evaluation of this id or name in the database."""


class JobPausedError(BatchframeError):
    """A budget is used up and nothing is under way: the job waits for `job.resume`. What was answered is kept."""


class JobEndedError(BatchframeError):
    """A reason that concerns all of a job's requests has ended it, such as a model that does not exist."""


class ConfigurationError(BatchframeError):
    """A setting is missing or cannot be used."""


class DatabaseError(BatchframeError):
    """Postgres cannot be reached, started or migrated."""


class ProviderError(BatchframeError):
    """The provider said no, or did not answer.

    Attributes:
        status: the HTTP status, None when no response came.
        code: the provider's own error code, None when it gave none.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RefusedError(ProviderError):
    """A definite refusal: the call had no effect, so repeating it cannot pay twice."""

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later: rate limits and connections that never opened."""
        return self.status is None or self.status == 429


class DoubtfulError(ProviderError):
    """Timeout, reset, 408, 409 or 5xx: the call may have taken effect, so it must be looked up, not repeated."""
