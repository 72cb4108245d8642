"""A job's specification: the arguments of the call, as they are kept, compared and turned into request bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from batchframe.core.answers import decode_json
from batchframe.core.body import BodyTemplate, encode_json
from batchframe.core.schema import AnswerSchema
from batchframe.core.template import parse
from batchframe.errors import ParameterError
from batchframe.model import CHAT, EMBEDDINGS, RESPONSES, Route

Prompt = str | list[dict[str, Any]]


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks of each row.

    Attributes:
        prompt: a template, or messages whose strings are templates.
        system: a template for the system message, or None.
        schema, schema_name: strict JSON schema of the answers, or None.
        params: further body parameters, by name.
        into: the result column.
        missing: what happens to a row with a missing value.
        samples: answers a row.
        reuse: whether answers of other jobs count.
    """

    prompt: Prompt
    into: str
    system: str | None = None
    schema: dict[str, Any] | None = None
    schema_name: str | None = None
    params: dict[str, Any] = {}
    missing: Literal["skip", "raise", "render"] = "skip"
    samples: int = 1
    reuse: bool = True

    @property
    def answer_schema(self) -> AnswerSchema | None:
        """The schema of the answers, None when they are free text."""
        return AnswerSchema(self.schema_name or "answer", self.schema) if self.schema is not None else None

    def to_json(self) -> bytes:
        """One canonical text for equal specifications."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
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


_decoder = msgspec.json.Decoder(JobSpec)


def _templates(value: Any, columns: Sequence[str]) -> Any:
    """The same structure with every string parsed as a template."""
    if isinstance(value, str):
        template = parse(value, columns)
        return template if template.columns else template.literals[0]
    if isinstance(value, Mapping):
        return {key: _templates(item, columns) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_templates(item, columns) for item in value]
    return value


def _chat(spec: JobSpec, columns: Sequence[str]) -> dict[str, Any]:
    prompt = [{"role": "user", "content": spec.prompt}] if isinstance(spec.prompt, str) else spec.prompt
    system = [{"role": "system", "content": spec.system}] if spec.system is not None else []
    body = {"messages": _templates([*system, *prompt], columns), **_sorted(spec.params)}
    if spec.schema is not None:
        wanted = {"name": spec.schema_name, "strict": True, "schema": spec.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return body


def _responses(spec: JobSpec, columns: Sequence[str]) -> dict[str, Any]:
    body = {"input": _templates(spec.prompt, columns), **_sorted(spec.params)}
    if spec.system is not None:
        body["instructions"] = _templates(spec.system, columns)
    if spec.schema is not None:
        wanted = {"type": "json_schema", "name": spec.schema_name, "strict": True, "schema": spec.schema}
        body["text"] = {**spec.params.get("text", {}), "format": wanted}
    return body


def _embeddings(spec: JobSpec, columns: Sequence[str]) -> dict[str, Any]:
    if not isinstance(spec.prompt, str):
        raise ParameterError("Embeddings take one text a row: pass a template, not messages.")
    for name in ("system", "schema"):
        if getattr(spec, name) is not None:
            raise ParameterError(f"Embeddings have no {name}: leave {name}= out.")
    # Vectors come as numbers: base64, the SDK's default on the wire, would have to be decoded row by row.
    return {"input": _templates(spec.prompt, columns), "encoding_format": "float", **_sorted(spec.params)}


def _sorted(params: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(params.items()))


_BUILDERS = {CHAT: _chat, RESPONSES: _responses, EMBEDDINGS: _embeddings}
