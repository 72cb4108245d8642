"""Calls: what a body and its headers ask for, checked before anything is stored. Pure.

What only concerns the connection (`stream`, `background`) is taken out of the body, since a batch refuses it. Whatever
cannot be had in a batch is refused in OpenAI's words, at once and not an hour later.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.wire import jsontext
from batchframe.wire.refusals import Refusal

_DEEPEST = 200
"""Levels of lists and objects in a body; a schema of a tool has a dozen."""
_LONGEST_KEY = 255
_LONGEST_DEADLINE = 7 * 86_400.0

_REQUIRED = {
    CHAT: "messages",
    RESPONSES: "input",
    EMBEDDINGS: "input",
    COMPLETIONS: "prompt",
    MODERATIONS: "input",
}
_STREAMED = frozenset({CHAT, RESPONSES, COMPLETIONS})
_CAPS = {
    CHAT: ("max_completion_tokens", "max_tokens"),
    RESPONSES: ("max_output_tokens",),
    COMPLETIONS: ("max_tokens",),
    EMBEDDINGS: (),
    MODERATIONS: (),
}
_COMPLETION_TOKENS = 16
"""Output tokens of a legacy completion that does not say."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, and how the answer is wanted.

    Attributes:
        body: what goes to the provider, as JSON text without control characters.
        answer_tokens: the most output tokens of its answer; None: no cap.
        stream, include_usage: whether the answer is wanted as events, and whether usage is one of them.
        background: whether to answer at once that it is queued, as the Responses API does.
        receipt: whether to answer at once with the address of the answer.
        patience: seconds to wait with blanks ahead of the answer; None: silently.
        deadline: seconds after which it is asked in real time; 0 at once, None never.
        repeated: whether the client says it has sent this before.
        read_timeout: seconds of silence after which the client gives up, where it says so.
    """

    endpoint: str
    model: str
    body: bytes
    answer_tokens: int | None
    stream: bool = False
    include_usage: bool = False
    background: bool = False
    receipt: bool = False
    patience: float | None = None
    deadline: float | None = None
    idempotency_key: str | None = None
    repeated: bool = False
    read_timeout: float | None = None

    @property
    def identity(self) -> bytes:
        """16 bytes that the same call has when it comes again."""
        later = self.background or self.receipt
        head = f"{self.endpoint}\n{self.deadline}\n{int(later)}\n".encode()
        return hashlib.blake2b(head + self.body, digest_size=16).digest()


def parse(endpoint: str, raw: bytes, headers: Mapping[str, str], known: frozenset[str]) -> Call:
    """Read a call.

    Args:
        known: the body parameters of the endpoint.

    Raises:
        Refusal: it cannot be answered through a batch, or is not what the endpoint takes.
    """
    body = _object(raw)
    required = _REQUIRED[endpoint]
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        raise _missing("model")
    if body.get(required) is None and not (endpoint == RESPONSES and body.get("prompt") is not None):
        raise _missing(required)
    stream = _flag(body, "stream")
    options = body.pop("stream_options", None)
    for name in body:
        if name not in known:
            raise _unknown(name, known)
    if stream and endpoint not in _STREAMED:
        raise _unsupported("stream", f"{endpoint} does not stream.")
    background = _flag(body, "background") if endpoint == RESPONSES else False
    if background and stream:
        raise _unsupported("stream", "A response in the background cannot stream here: poll it by its id.")
    _refuse_what_a_batch_cannot(endpoint, body)
    patience, receipt = _preferences(headers.get("prefer", ""))
    return Call(
        endpoint=endpoint,
        model=model,
        body=jsontext.encode(body),
        answer_tokens=_cap(endpoint, body),
        stream=stream,
        include_usage=isinstance(options, Mapping) and options.get("include_usage") is True,
        background=background,
        receipt=receipt and not stream and not background,
        patience=None if stream or background else patience,
        deadline=_deadline(headers),
        idempotency_key=_idempotency_key(headers),
        repeated=headers.get("x-stainless-retry-count", "0").strip() not in ("", "0"),
        read_timeout=_number(headers.get("x-stainless-read-timeout") or headers.get("x-stainless-timeout")),
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = jsontext.decode(raw)
    except (ValueError, RecursionError):
        raise Refusal(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object.")
    if _deeper_than(body, _DEEPEST):
        raise Refusal(400, f"The body is nested deeper than {_DEEPEST} levels.")
    return body


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether there are more levels than that; level by level, since a deep one would exhaust the stack."""
    layer = [value]
    for _ in range(levels):
        layer = [
            item
            for one in layer
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not layer:
            return False
    return True


def _refuse_what_a_batch_cannot(endpoint: str, body: dict[str, Any]) -> None:
    n = body.get("n")
    if n is not None and n != 1:
        raise _unsupported("n", "One answer a request: send the request again for another.")
    for name in ("audio", "background_options"):
        if body.get(name) is not None:
            raise _unsupported(name, f"'{name}' is not supported in a batch.")
    modalities = body.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise _unsupported("modalities", "Audio is not supported in a batch.")
    if endpoint == COMPLETIONS and body.get("best_of") not in (None, 1):
        raise _unsupported("best_of", "One answer a request.")
    tier = body.pop("service_tier", None)
    if tier not in (None, "auto", "default"):
        raise _unsupported("service_tier", "Every request here is answered at the batch price; leave it out.")


def _cap(endpoint: str, body: Mapping[str, Any]) -> int | None:
    if endpoint in (EMBEDDINGS, MODERATIONS):
        return 0
    for name in _CAPS[endpoint]:
        given = body.get(name)
        if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**31:
            return given
    return _COMPLETION_TOKENS if endpoint == COMPLETIONS else None


def _flag(body: dict[str, Any], name: str) -> bool:
    given = body.pop(name, None)
    if given is not None and not isinstance(given, bool):
        message = f"Invalid type for '{name}': expected a boolean."
        raise Refusal(400, message, code="invalid_type", param=name)
    return bool(given)


def _preferences(header: str) -> tuple[float | None, bool]:
    """`Prefer: wait=N` and `Prefer: respond-async` (RFC 7240); others are not for us."""
    patience, receipt = None, False
    for token in header.split(","):
        name, _, value = token.strip().partition("=")
        if name.lower() == "respond-async":
            receipt = True
        elif name.lower() == "wait" and value.strip('" ').isdecimal():
            patience = float(min(int(value.strip('" ')), 7 * 86_400))
    return patience, receipt


def _deadline(headers: Mapping[str, str]) -> float | None:
    mode = headers.get("x-batchframe-mode", "batch").strip().lower()
    if mode not in ("batch", "realtime"):
        raise Refusal(400, "X-Batchframe-Mode is 'batch' or 'realtime'.", code="invalid_value", param="mode")
    if mode == "realtime":
        return 0.0
    given = headers.get("x-batchframe-deadline")
    if given is None:
        return None
    match = _DURATION.fullmatch(given.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if not 0 <= seconds <= _LONGEST_DEADLINE:
        message = "X-Batchframe-Deadline is a time from now, as in '90', '30m' or '6h', of 7 days at most."
        raise Refusal(400, message, code="invalid_value", param="deadline")
    return seconds


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
        message = f"Idempotency-Key is 1 to {_LONGEST_KEY} printable characters."
        raise Refusal(400, message, code="invalid_value", param="idempotency_key")
    return key


def _number(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _missing(name: str) -> Refusal:
    return Refusal(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def _unsupported(name: str, message: str) -> Refusal:
    return Refusal(400, f"Unsupported parameter: '{name}'. {message}", code="unsupported_parameter", param=name)


def _unknown(name: str, known: frozenset[str]) -> Refusal:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    message = f"Unknown parameter: '{name}'.{hint}"
    return Refusal(400, message, code="unknown_parameter", param=name)
