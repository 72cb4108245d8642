"""Schema answers: whatever the schema, the instance is valid, and the same prompt gets the same one."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from batchframe.simulator.schema_answers import instance

ITEM = {
    "type": "object",
    "properties": {"kind": {"const": "item"}, "open": {"type": "boolean"}},
    "required": ["kind", "open"],
    "additionalProperties": False,
}
LEAF = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
FORK = {
    "type": "object",
    "properties": {"left": {"$ref": "#/$defs/Tree"}, "right": {"$ref": "#/$defs/Tree"}},
    "required": ["left", "right"],
    "additionalProperties": False,
}
NODE = {
    "type": "object",
    "properties": {
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["next", "kids"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "enum": {"enum": ["a", 1, None]},
    "integer": {"type": "integer", "minimum": 3, "maximum": 5},
    "negative": {"type": "integer", "maximum": -5},
    "above": {"type": "integer", "minimum": 1000},
    "open interval": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "open integers": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 3},
    "narrow": {"type": "number", "minimum": 0.001, "maximum": 0.002},
    "multiple": {"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 30},
    "half": {"type": "number", "multipleOf": 0.5},
    "nullable": {"type": ["string", "null"]},
    "long text": {"type": "string", "minLength": 100, "maxLength": 110},
    "short text": {"type": "string", "maxLength": 3},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(foo|bar)?[^a-z]$"},
    "list": {"type": "array", "items": ITEM, "minItems": 4, "maxItems": 6},
    "short list": {"type": "array", "items": ITEM, "maxItems": 1},
    "empty list": {"type": "array", "items": ITEM, "maxItems": 0},
    "set": {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3, "maxItems": 3},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    "choice": {"anyOf": [{"type": "integer"}, ITEM, {"type": "null"}]},
    "one of": {"oneOf": [{"type": "integer"}, {"type": "string", "format": "email"}]},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
        ]
    },
    "nested": {
        "type": "object",
        "properties": {"deep": {"type": "object", "properties": {"item": ITEM}, "required": ["item"]}},
        "required": ["deep"],
    },
    "reference": {"type": "object", "properties": {"a": {"$ref": "#/$defs/Item"}}, "$defs": {"Item": ITEM}},
    "described reference": {"$ref": "#/$defs/a~1b", "description": "An item.", "$defs": {"a/b": ITEM}},
    "chain": {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
    "tree": {
        "$ref": "#/$defs/Tree",
        "$defs": {"Tree": {"anyOf": [{"$ref": "#/$defs/Fork"}, {"$ref": "#/$defs/Leaf"}]}, "Fork": FORK, "Leaf": LEAF},
    },
    "itself": {"type": "object", "properties": {"parent": {"$ref": "#"}}, "additionalProperties": False},
    "anything": {},
} | {
    name: {"type": "string", "format": name}
    for name in ("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_instance_is_valid_and_steady(name: str) -> None:
    """An invalid instance would fail in the user's own parsing and be taken for a defect of batchframe."""
    schema = SCHEMAS[name]
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for at in range(100):
        found = instance(schema, f"prompt {at}")
        validator.validate(found)
        assert instance(schema, f"prompt {at}") == found


def test_different_prompts_fall_on_different_values() -> None:
    """A label column of one value would prove nothing about joining."""
    schema = {"enum": ["a", "b", "c", "d"]}
    assert {instance(schema, f"prompt {at}") for at in range(50)} == {"a", "b", "c", "d"}


def test_a_prompt_of_half_a_surrogate_pair_has_an_answer() -> None:
    """The seed is made of bytes, and this text has none in UTF-8."""
    assert instance({"const": 1}, "\ud800") == 1
