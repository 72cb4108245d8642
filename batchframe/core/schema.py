"""Answer schemas: a Pydantic model or a JSON schema as strict structured output takes it, and the check of an answer.

Strict mode knows a subset of JSON Schema, and a batch refused for its schema is noticed hours later. So what has no
effect on which answers are valid is rewritten or dropped here, and what the subset cannot express is an error at once.
The subset: platform.openai.com/docs/guides/structured-outputs, openai-node `src/lib/transform.ts`. Its limits on size
(10 levels, 5,000 properties, 1,000 enum values) are left to the provider: they have been raised twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import jsonschema_rs
import msgspec
import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from batchframe.core.answers import without_lone_surrogates
from batchframe.errors import SchemaError


@dataclass(frozen=True)
class AnswerSchema:
    """What every answer of a job looks like.

    Attributes:
        name: for the provider: letters, digits, `_` and `-`, at most 64.
        schema: a JSON schema in strict form: its root is an object, every object closed, every property required.
    """

    name: str
    schema: dict[str, Any]


def answer_schema(schema: type[pydantic.BaseModel] | Mapping[str, Any]) -> AnswerSchema:
    """Bring a Pydantic model class or a JSON schema into strict form; one that is strict already comes back equal.

    Properties with a default become required, for the model must answer them; nullable ones stay nullable. Formats
    the provider does not know are dropped, like every annotation it refuses: they make no answer valid or invalid.

    Raises:
        SchemaError: not a schema, or one that strict mode cannot express; the message says where and what to do.
    """
    given = _json_schema(schema)
    if not given.keys() & {"$ref", "allOf"}:  # else what the root is shows only when they are followed
        _check_root(given)
    _compile(given)
    try:
        strict = _strict(given, "", given, frozenset())
    except RecursionError:
        raise SchemaError("The schema is nested too deeply. Give its parts names in $defs and refer to them.") from None
    _check_root(strict)
    _compile(strict)
    title = strict.get("title")
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", title).strip("_")[:64] if isinstance(title, str) else ""
    return AnswerSchema(name or "answer", strict)


def validator(schema: AnswerSchema) -> Callable[[str], str | None]:
    """A function from an answer's text to None when it is valid, else to a short reason; it never raises.

    `format` is not checked: in JSON Schema it is an annotation, and a time without an offset is worth more to its
    owner than a failed row.

    Raises:
        SchemaError: `schema` holds no JSON schema.
    """
    compiled = _compile(schema.schema)

    def reason(text: str) -> str | None:
        try:
            answer = read_json(text)
        except RecursionError:
            return "nested too deeply"
        except ValueError as error:
            return f"not JSON: {error}" if text.strip() else "empty"
        if compiled.is_valid(answer):
            return None
        try:
            return _explain(next(compiled.iter_errors(answer)))
        except (ValueError, StopIteration):  # the error itself cannot be told: the answer is nested too deeply
            return "does not fit the schema"

    return reason


def read_json(text: str) -> Any:
    """Parse an answer; a lone surrogate, which no column can hold, becomes U+FFFD.

    Raises:
        ValueError: not JSON, or a number no machine can hold.
        RecursionError: nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        # msgspec refuses lone surrogates. The standard library takes them, but also NaN, Infinity and 1e999.
        return without_lone_surrogates(json.loads(text, parse_constant=_refuse, parse_float=_finite))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if abs(number) != float("inf") else _refuse(digits)


# From what the user passed to a JSON schema of our own.


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, where a Decimal is a number: as text it has a pattern strict mode refuses (lookahead)."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (as Pydantic declares it)

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        either: list[JsonSchemaValue] = super().decimal_schema(schema)["anyOf"]
        return either[0]


def _json_schema(schema: object) -> dict[str, Any]:
    """A deep copy of the schema as plain JSON."""
    if isinstance(schema, type) and issubclass(schema, pydantic.BaseModel) and schema is not pydantic.BaseModel:
        try:
            given = schema.model_json_schema(schema_generator=_Generator)
        except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation) as error:
            raise SchemaError(f"{schema.__name__} has no JSON schema: {error.message}") from None
    elif isinstance(schema, Mapping):
        given = dict(schema)
    else:
        shown = repr(schema)[:80]
        raise SchemaError(f"{shown} is no schema. Pass a Pydantic model class (not an instance) or a JSON schema.")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(given, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(f"The schema is not JSON ({error}). Use dicts, lists, strings, numbers and None.") from None
    return copy


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    try:
        # Draft 2020-12 whatever `$schema` says: within the subset the drafts agree, and an unknown one is fetched.
        return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse_remote, validate_formats=False)
    except jsonschema_rs.ValidationError as error:
        place, what = _place(error.instance_path), error.message
        if error.instance_path[-1:] == ["type"]:
            what = f"{_shown(error.instance)} is no JSON type; use string, number, integer, boolean, object or array"
        raise SchemaError(f"Invalid JSON schema{' at ' + place if place else ''}: {what}.") from None
    except ValueError as error:
        raise SchemaError(f"Invalid JSON schema: {error}.") from None


def _refuse_remote(url: str) -> NoReturn:
    raise LookupError(f"a $ref must start with #/, {url!r} does not")


# The strict form.

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_ANNOTATIONS = frozenset({"title", "description", "examples"})
_KEPT = _ANNOTATIONS | {
    *("$schema", "$defs", "definitions", "$ref", "type", "enum", "const", "anyOf"),
    *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}

_NO_FREE_KEYS = "Name every property; for free keys use a list of objects with a key and a value."
_CHECK_LATER = "State the condition in the prompt and check the answers afterwards."
_NO_TUPLE = "For a tuple use an object with one property for each place."
_USE_REF = "Refer with $ref to #/$defs/…."
_UNSUPPORTED = {
    "oneOf": "Write anyOf.",
    "allOf": "Merge its parts into one schema.",
    "nullable": 'Write the type as ["string", "null"], or anyOf with {"type": "null"}.',
    "uniqueItems": "Drop it; in a Pydantic model declare a list, not a set.",
    **dict.fromkeys(("patternProperties", "propertyNames", "minProperties", "maxProperties"), _NO_FREE_KEYS),
    **dict.fromkeys(("not", "if", "then", "else"), _CHECK_LATER),
    **dict.fromkeys(("dependencies", "dependentRequired", "dependentSchemas", "unevaluatedProperties"), _CHECK_LATER),
    **dict.fromkeys(("contains", "minContains", "maxContains"), _CHECK_LATER),
    **dict.fromkeys(("prefixItems", "additionalItems", "unevaluatedItems"), _NO_TUPLE),
    **dict.fromkeys(("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"), _USE_REF),
}


def _strict(node: Any, path: str, root: dict[str, Any], inlining: frozenset[str]) -> dict[str, Any]:
    """The strict form of one schema.

    Args:
        path: where it stands, for messages; "" for the root.
        root: the whole schema, for references.
        inlining: the references being inlined around it; one inside itself can only stay a reference.
    """
    if not isinstance(node, dict):
        _fail(path, f"{'any' if node else 'no'} answer is valid", "Give it a type.")
    if "oneOf" in node and "discriminator" in node:  # exclusive by its discriminator, so anyOf means the same
        node = {"anyOf" if keyword == "oneOf" else keyword: value for keyword, value in node.items()}
    if len(node.get("allOf", ())) == 1 and isinstance(node["allOf"][0], dict):
        rest = {keyword: value for keyword, value in node.items() if keyword != "allOf"}
        return _strict(_merge(node["allOf"][0], rest, path), path, root, inlining)
    for keyword in node:
        if keyword in _UNSUPPORTED and not (keyword == "$id" and not path):
            _fail(path, f"strict mode does not know {keyword!r}", _UNSUPPORTED[keyword])
    node = {keyword: value for keyword, value in node.items() if keyword in _KEPT}
    if "$ref" in node and len(node) > 1:
        reference = node.pop("$ref")
        if reference not in inlining:
            target = resolve(reference, root)
            if isinstance(target, dict):
                return _strict(_merge(target, node, path), path, root, inlining | {reference})
        elif not node.keys() <= _ANNOTATIONS:
            _fail(path, f"the recursive {reference!r} has more beside it", "Leave only the $ref.")
        return {"$ref": reference}

    strict: dict[str, Any] = {}
    for keyword, value in node.items():
        here = f"{path}.{keyword}"
        if keyword in ("properties", "$defs", "definitions"):
            strict[keyword] = {name: _strict(part, f"{here}.{name}", root, inlining) for name, part in value.items()}
        elif keyword == "anyOf":
            strict[keyword] = [_strict(part, f"{here}[{at}]", root, inlining) for at, part in enumerate(value)]
        elif keyword == "items":
            strict[keyword] = _strict(value, here, root, inlining)
        elif keyword == "pattern" and _LOOKAROUND.search(_LITERAL.sub("", value)):
            _fail(path, "strict mode takes no lookahead or lookbehind in a pattern", "Write the pattern without.")
        elif keyword != "format" or value in _FORMATS:
            strict[keyword] = value
    _type(strict, path)
    return strict


_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_LITERAL = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)  # escapes and character classes


def _type(strict: dict[str, Any], path: str) -> None:
    """Make the type explicit, which the provider demands, and close an object."""
    if "type" not in strict:
        values = strict.get("enum", [strict["const"]] if "const" in strict else [])
        found = list(dict.fromkeys(_TYPE_NAMES[type(value)] for value in values))
        found += ["object"] * ("properties" in strict) + ["array"] * ("items" in strict)
        if found:
            strict["type"] = found[0] if len(found) == 1 else found
        elif path and not strict.keys() & {"anyOf", "$ref"}:
            _fail(path, "it has no type", "Say what it is: a string, a number, an object, …")
    types = strict.get("type", [])
    types = types if isinstance(types, list) else [types]
    if "array" in types and "items" not in strict and "enum" not in strict:
        _fail(path, "the list has no items", "Say what is in it, as in list[str].")
    if "object" not in types:
        return
    if strict.setdefault("additionalProperties", False) is not False or "properties" not in strict:
        _fail(path, "strict mode has no objects with free keys (dict[str, …], extra='allow')", _NO_FREE_KEYS)
    properties, required = strict["properties"], strict.get("required", [])
    if unknown := [name for name in required if name not in properties]:
        _fail(path, f"{unknown[0]!r} is required, but no property", "Add it to the properties.")
    if len(required) != len(properties):
        strict["required"] = list(properties)


_TYPE_NAMES = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array", dict: "object",
}  # fmt: skip


def _check_root(root: dict[str, Any]) -> None:
    union = root.keys() & {"anyOf", "oneOf"}
    if root.get("type", "object") == "object" and root.get("properties") and not union:
        return
    if "json_schema" in root or isinstance(root.get("schema"), dict):
        hint = "This looks like a whole response_format: pass the schema inside it."
    elif union:
        hint = "A union cannot stand there: put it into a property."
    else:
        hint = "Put what you ask for into a property, or in a Pydantic model into a field."
    raise SchemaError(f"The root of the schema must be an object with properties. {hint}")


def _merge(target: dict[str, Any], siblings: dict[str, Any], path: str) -> dict[str, Any]:
    """A referred schema with what stands beside the reference; descriptions beside it win."""
    for keyword in target.keys() & siblings.keys() - _ANNOTATIONS:
        if target[keyword] != siblings[keyword] and keyword in _KEPT:
            _fail(path, f"{keyword!r} is also set in the schema it refers to", "Say it in one place.")
    return {**target, **siblings}


def resolve(reference: str, root: Mapping[str, Any]) -> Any:
    """The part of `root` a `$ref` such as `#/$defs/Team` points to, None when there is nothing."""
    part: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and step.isdecimal() and int(step) < len(part):
            part = part[int(step)]
        else:
            part = part.get(step) if isinstance(part, dict) else None
    return part


def _fail(path: str, what: str, advice: str) -> NoReturn:
    raise SchemaError(f"In the schema, at {path.lstrip('.') or 'the root'}: {what}. {advice}")


# Why an answer is not valid.


def _explain(error: jsonschema_rs.ValidationError) -> str:
    kind, shown = error.kind, _shown(error.instance)
    match kind:
        case jsonschema_rs.ValidationErrorKind.AnyOf(context):
            # Of a nullable field the branch that was meant is the other one.
            meant = [branch[0] for branch in context if branch and branch[0].kind.value != ["null"]]
            if len(meant) == 1:
                return _explain(meant[0])
            what = f"{shown} fits none of the alternatives"
        case jsonschema_rs.ValidationErrorKind.Enum(options):
            listed = ", ".join(map(_shown, options[:8])) + (", …" if len(options) > 8 else "")
            what = f"{shown} is not one of {listed}"
        case jsonschema_rs.ValidationErrorKind.Type(types):
            what = f"{shown} is not of type {' or '.join(types)}"
        case jsonschema_rs.ValidationErrorKind.Required(name):
            what = f"{_shown(name)} is missing"
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected):
            what = f"{_shown(unexpected[0])} is not asked for"
        case _:
            what = f"{shown} breaks {kind.name} {_shown(kind.value)}"
    place = _place(error.instance_path)
    return f"{place}: {what}" if place else what


def _place(path: list[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"
