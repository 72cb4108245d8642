"""The nouns of the design as frozen records, and the custom id that ties a result line to its attempt.

Nothing here does anything: every other room speaks in these words and none may add a second spelling of one. What there
is one of for every row is a msgspec Struct, made in a tenth of the time a frozen dataclass takes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
COMPLETIONS = "/v1/completions"
MODERATIONS = "/v1/moderations"


class Kind(enum.StrEnum):
    """Where a job's requests came from."""

    FRAME = "frame"
    PROXY = "proxy"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: one file holds requests of one route.

    Attributes:
        provider: the provider and its address, as in `openai:https://api.openai.com/v1`, so that a job written for
            one server is never sent to another.
        endpoint: the path of the endpoint, as in `/v1/chat/completions`.
        model: the model as the provider names it.
    """

    provider: str
    endpoint: str
    model: str


class Request(Struct, frozen=True, gc=False):
    """One distinct body to be answered.

    Attributes:
        row_no: its number in its job, from 0, in the order of first appearance.
        hash: 16 bytes, its identity over provider, endpoint, sample and body.
        body: JSON text, UTF-8, without control characters.
        tokens: an estimate of its input tokens, for the enqueued-token limit.
    """

    row_no: int
    hash: bytes
    body: bytes
    tokens: int


class Sized(Struct, frozen=True, gc=False):
    """What packing needs to know of a request that is to be placed in a batch.

    Attributes:
        n_bytes: the encoded bytes of its body.
        attempt_no: which attempt this one would be, from 1.
        tokens: the estimate of its input tokens.
    """

    row_no: int
    attempt_no: int
    n_bytes: int
    tokens: int


class Attempt(Struct, frozen=True, gc=False):
    """One request placed in one batch."""

    job_id: int
    row_no: int
    attempt_no: int

    @property
    def custom_id(self) -> str:
        """Unique in the whole database, not only in its file, so that a foreign line can never be taken for ours."""
        return f"bf-{self.job_id}-{self.row_no}-{self.attempt_no}"


class Usage(Struct, frozen=True, gc=False):
    """Tokens as the provider billed them; `cached` is part of `input`."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.cached + other.cached, self.output + other.output)


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Paid:
    """What answers were paid for: how many, their tokens, and their cost, None when the price is not known."""

    answers: int
    usage: Usage
    cost_usd: Decimal | None


class Mode(enum.StrEnum):
    """How a batch is asked: as one file at half the price, or row by row in real time, which a deadline may ask for."""

    BATCH = "batch"
    REALTIME = "realtime"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs at the batch rate, in US dollars per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True)
class Stop:
    """Why nothing of a job is asked any more; what is still open ends with this code and these words."""

    code: str
    message: str


class Outcome(Struct, frozen=True, gc=False):
    """What came back for an attempt.

    Attributes:
        final: whether the request is settled by it; a row has at most one final outcome.
        tries: how many attempts that really ran the row has used up, this one included.
        status: the HTTP status of the row; None when it never ran.
        code, message: why it is not ok; None when it is.
        body: the response body as JSON text; None when there was none.
        retry_after: seconds until the row may be asked again; None when final.
    """

    attempt: Attempt
    final: bool
    ok: bool
    tries: int
    status: int | None = None
    code: str | None = None
    message: str | None = None
    body: bytes | None = None
    usage: Usage = NO_USAGE
    retry_after: float | None = None


class BatchState(enum.StrEnum):
    """The states of a batch; `core/states.py` says what leads from one to another."""

    PLANNED = "planned"
    UPLOADED = "uploaded"
    CREATING = "creating"
    UNSURE = "unsure"
    SUBMITTED = "submitted"
    ENDED = "ended"
    ASKING = "asking"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Batch:
    """One provider batch as the database has it: one file, one model, one endpoint.

    Attributes:
        uid: the mark that goes to the provider in the batch's metadata; renewed for every create call.
        mode: as a file, or row by row in real time.
        root_id: the batch this one is a part of, split to find what fails it; None when it is whole.
        tokens: estimated input tokens, counted against the enqueued-token limit while the batch runs.
        reserved_usd: what it is expected to cost; None before its intent, or when the price is not known.
        token: the fencing token; a write with an older one is refused.
        polls: looks without progress; sets the back-off.
        n_answered: rows the provider says it has worked off.
        intent_age, ended_age: seconds since the create call was intended, and since the batch ended.
        stopped: whether it is to stop: its job was cancelled or ended, or, unless in real time, its deadline is over.
    """

    id: int
    uid: UUID
    job_id: int
    route: Route
    mode: Mode
    root_id: int | None
    state: BatchState
    n_requests: int
    tokens: int
    reserved_usd: Decimal | None
    token: int
    polls: int
    input_file_id: str | None
    provider_id: str | None
    output_file_id: str | None
    error_file_id: str | None
    intent_at: datetime | None
    n_answered: int
    intent_age: float | None
    ended_age: float | None
    stopped: bool


class RowStatus(enum.StrEnum):
    """What `into__status` says of a row."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    PENDING = "pending"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """One call of `df.llm.batch`, a window of proxied requests or a client's batch, as the database has it.

    Attributes:
        api_key_id: the key its requests came with over HTTP; None for a frame's.
        spec: the call's arguments as JSON text: what rebuilds its requests and columns.
        digest: the identity of the call and its rows: the same cell again has the same digest.
        n_rows, n_skipped: rows of the frame, and those not asked because a value is missing.
        n_requests: distinct requests; every one ends as ok, failed or cancelled.
        tokens: estimated input tokens of all requests.
        answer_tokens: the most output tokens one answer may have; None when there is no cap.
        price: what the user said the model costs; None when the table is asked.
        n_reused: those of `n_ok` whose answer another job had paid for.
        paused: why nothing more is sent, in words for the user; None when it goes on.
        late: whether its deadline is over and has been acted on.
        stop: why nothing of it is asked any more; None when it goes on.
        ended: whether `stop` is a reason that ended it as a whole, such as a model that does not exist.
    """

    id: int
    kind: Kind
    api_key_id: int | None
    name: str | None
    route: Route
    spec: str
    digest: UUID
    n_rows: int
    n_skipped: int
    n_requests: int
    tokens: int
    answer_tokens: int | None
    price: Price | None
    budget_usd: Decimal | None
    n_ok: int
    n_failed: int
    n_cancelled: int
    n_reused: int
    created_at: datetime
    paused: str | None
    deadline_at: datetime | None
    late: bool
    cancelled: bool
    ended: bool
    stop: Stop | None
    closed: bool

    @property
    def n_settled(self) -> int:
        """Requests that have their final outcome."""
        return self.n_ok + self.n_failed + self.n_cancelled
