"""A job's specification: the arguments of the call, as they are kept, compared and turned into request bodies.

It is JSON through and through, so that it can be stored and compared. Which of its strings are Jinja templates is said
beside them, by their place: no string or dictionary of a user's can be taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from batchframe.core.answers import decode_json
from batchframe.core.body import BodyTemplate, Given, encode_json
from batchframe.core.jinja import JinjaTemplate
from batchframe.core.schema import AnswerSchema
from batchframe.core.template import parse
from batchframe.errors import ParameterError
from batchframe.model import CHAT, EMBEDDINGS, RESPONSES, Route

Place = list[str | int]
"""Where a string stands in a specification: `["prompt", 0, "content"]`."""

PROMPT, IMAGES = "prompt", "images"
"""The names of what is given to a body: what a row function returned (`own_prompt`), and the parts of the images."""


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks of each row.

    Attributes:
        prompt: a template, or messages whose strings are templates; empty when a function makes them.
        system: a template for the system message, or None.
        schema, schema_name: strict JSON schema of the answers, or None.
        params: further body parameters, by name.
        into: the result column.
        missing: what happens to a row with a missing value.
        samples: answers a row.
        reuse: whether answers of other jobs count.
        jinja: the places of the strings that are Jinja templates.
        function: the name of the function that makes each row's prompt, or None.
        examples: pairs of a user's message and the answer to it, as they are sent.
        images: the columns of images, with their detail.
    """

    prompt: str | list[dict[str, Any]]
    into: str
    system: str | None = None
    schema: dict[str, Any] | None = None
    schema_name: str | None = None
    params: dict[str, Any] = {}
    missing: Literal["skip", "raise", "render"] = "skip"
    samples: int = 1
    reuse: bool = True
    jinja: list[Place] = []
    function: str | None = None
    examples: list[tuple[str, str]] = []
    images: dict[str, str] = {}

    @property
    def answer_schema(self) -> AnswerSchema | None:
        """The schema of the answers, None when they are free text."""
        return AnswerSchema(self.schema_name or "answer", self.schema) if self.schema is not None else None

    def to_json(self) -> bytes:
        """One canonical text for equal specifications."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in ("jinja", "function", "examples", "images"):  # younger than the first stored specifications
            if not fields[name]:
                del fields[name]
        return encode_json({**fields, "params": dict(sorted(self.params.items()))})

    @classmethod
    def from_json(cls, text: str) -> JobSpec:
        """Read what `to_json` wrote."""
        return decode_json(text, _decoder)

    def body(self, route: Route, columns: Sequence[str]) -> BodyTemplate:
        """The request body with holes for a row's values.

        Raises:
            TemplateError: a template that does not fit the columns.
            ParameterError: an argument the endpoint has no place for, or one JSON cannot express.
        """
        return BodyTemplate({"model": route.model, **_BUILDERS[route.endpoint](self, columns)})

    def prompt_alone(self, columns: Sequence[str]) -> BodyTemplate:
        """The text of the row's own message, as a JSON string.

        Raises:
            TemplateError: it does not fit the columns.
        """
        return BodyTemplate(_filled(self, "prompt", columns))

    def own_prompt(self, endpoint: str, prompt: str | Sequence[Mapping[str, Any]]) -> BodyTemplate:
        """What a row function returned as what is given for it: items of the list of messages, or a text to embed.

        Raises:
            ParameterError: something JSON cannot express, or images without a message of the user's to go with.
        """
        if endpoint == EMBEDDINGS:
            return BodyTemplate(prompt)
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        return BodyTemplate(_with_images(self, endpoint, messages))

    def why_skipped(self, skipped: str) -> str:
        """The error of a row that was left out: for a column without a value, or by its function's word."""
        if self.function is not None and skipped == left_out_by(self.function):
            return f"left_out: {skipped} returned None"
        return f"missing_value: column {skipped!r} has no value"


def left_out_by(function: str) -> str:
    """What stands in the place of a missing column's name for a row that a function left out."""
    return f"{function}()"


_decoder = msgspec.json.Decoder(JobSpec)


def _filled(spec: JobSpec, field: str, columns: Sequence[str]) -> Any:
    """A field of the specification with every string of it parsed as the template it is."""
    jinja = {tuple(place) for place in spec.jinja}

    def filled(value: Any, place: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            if place in jinja:
                return JinjaTemplate(value).bind(columns)
            template = parse(value, columns)
            return template if template.columns else template.literals[0]
        if isinstance(value, Mapping):
            return {key: filled(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [filled(item, (*place, at)) for at, item in enumerate(value)]
        return value

    return filled(getattr(spec, field), (field,))


def _messages(spec: JobSpec, endpoint: str, columns: Sequence[str]) -> list[Any]:
    """The examples and the row's own messages."""
    if spec.function is not None:
        return [Given(PROMPT)]
    shown = [
        {"role": role, "content": text}
        for pair in spec.examples
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    prompt = _filled(spec, "prompt", columns)
    own = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return [*shown, *_with_images(spec, endpoint, own)]


def _with_images(spec: JobSpec, endpoint: str, messages: list[Any]) -> list[Any]:
    """The messages with the row's images at the end of the user's last one."""
    if not spec.images:
        return messages
    last = max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=None)
    if last is None:
        raise ParameterError("images= go with the last message of the user, and there is no message of role 'user'.")
    content = messages[last].get("content")
    text = {"type": "text" if endpoint == CHAT else "input_text", "text": content}
    parts = [*(content if isinstance(content, list | tuple) else [text]), Given(IMAGES)]
    return [*messages[:last], {**messages[last], "content": parts}, *messages[last + 1 :]]


def _chat(spec: JobSpec, columns: Sequence[str]) -> dict[str, Any]:
    system = [] if spec.system is None else [{"role": "system", "content": _filled(spec, "system", columns)}]
    body = {"messages": [*system, *_messages(spec, CHAT, columns)], **_sorted(spec.params)}
    if spec.schema is not None:
        wanted = {"name": spec.schema_name, "strict": True, "schema": spec.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return body


def _responses(spec: JobSpec, columns: Sequence[str]) -> dict[str, Any]:
    only_text = isinstance(spec.prompt, str) and not (spec.function or spec.examples or spec.images)
    asked = _filled(spec, "prompt", columns) if only_text else _messages(spec, RESPONSES, columns)
    body = {"input": asked, **_sorted(spec.params)}
    if spec.system is not None:
        body["instructions"] = _filled(spec, "system", columns)
    if spec.schema is not None:
        wanted = {"type": "json_schema", "name": spec.schema_name, "strict": True, "schema": spec.schema}
        body["text"] = {**spec.params.get("text", {}), "format": wanted}
    return body


def _embeddings(spec: JobSpec, columns: Sequence[str]) -> dict[str, Any]:
    if not isinstance(spec.prompt, str):
        raise ParameterError("Embeddings take one text a row: pass a template, not messages.")
    for name in ("system", "schema", "examples", "images"):
        if getattr(spec, name) not in (None, [], {}):
            raise ParameterError(f"Embeddings have no {name}: leave {name}= out.")
    # Vectors come as numbers: base64, the SDK's default on the wire, would have to be decoded row by row.
    asked = Given(PROMPT) if spec.function is not None else _filled(spec, "prompt", columns)
    return {"input": asked, "encoding_format": "float", **_sorted(spec.params)}


def _sorted(params: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(params.items()))


_BUILDERS = {CHAT: _chat, RESPONSES: _responses, EMBEDDINGS: _embeddings}
