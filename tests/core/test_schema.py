"""Answer schemas: the strict form, and the check of an answer."""

import copy
import enum
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema
import openai
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from batchframe.core.schema import AnswerSchema, answer_schema, read_json, validator
from batchframe.errors import SchemaError

KEYS = st.sampled_from(["team", "a b", "$ref", "é", "a.b"])
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "pattern": "^[a-c]*$"},
            {"type": "string", "minLength": 1},
            {"type": "integer"},
            {"type": "integer", "minimum": 0, "maximum": 9},
            {"type": "number"},
            {"type": "boolean"},
            {"type": ["string", "null"]},
            {"const": "x"},
            {"$ref": "#/$defs/Team"},
            {"$ref": "#/$defs/Team", "description": "who"},
        ]
    ),
    st.lists(st.sampled_from(["a", "b", 1, 2.5, None, True]), min_size=1, max_size=3, unique_by=repr).map(
        lambda values: {"enum": values}
    ),
)


def objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(KEYS, parts, min_size=1, max_size=3).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties))).map(
            lambda required: {"type": "object", "properties": properties, "required": sorted(required)}
        )
    )


PARTS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        objects(parts),
        parts.map(lambda items: {"type": "array", "items": items}),
        st.lists(parts, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=5,
)
SCHEMAS = objects(PARTS).map(lambda root: {**root, "$defs": {"Team": {"enum": ["a", "b"], "title": "Team"}}})

JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 12), st.sampled_from([2.5, 3.0, "a", "b", "x", ""])),
    lambda values: st.one_of(st.lists(values, max_size=2), st.dictionaries(KEYS, values, max_size=3)),
    max_leaves=5,
)


class Team(enum.Enum):
    BILLING = "billing"
    TECH = "tech"


class Address(BaseModel):
    """Where it came from."""

    city: str
    zip: str | None


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: int


class Cat(BaseModel):
    kind: Literal["cat"]
    purr: int


class Node(BaseModel):
    value: int
    children: list["Node"]


class Triage(BaseModel):
    team: Team = Field(description="Who answers?")
    urgency: Annotated[int, Field(ge=1, le=5)]
    address: Address = Field(description="If there is one.")
    maybe: Address | None
    tags: list[str]
    tree: Node
    either: int | str
    kind: Literal["a", "b"]


def required_everywhere(schema: Any) -> None:
    """Every object in the schema is closed and every property of it required."""
    if isinstance(schema, list):
        for part in schema:
            required_everywhere(part)
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert sorted(schema["required"]) == sorted(schema["properties"])
        for keyword, part in schema.items():
            if keyword in ("properties", "$defs"):
                required_everywhere(list(part.values()))
            elif keyword in ("items", "anyOf"):
                required_everywhere(part)


def strict_object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def test_a_model_becomes_what_openais_own_client_sends() -> None:
    """The model sees the schema the user would have sent without batchframe."""
    sent = openai.pydantic_function_tool(Triage)["function"]["parameters"]
    assert answer_schema(Triage).schema == sent


def test_properties_with_a_default_are_required_and_nullable_ones_stay_nullable() -> None:
    """Strict mode refuses optional properties; a null must remain a possible answer."""

    class WithDefaults(BaseModel):
        team: str = "none"
        note: str | None = None
        tags: list[str] = []

    schema = answer_schema(WithDefaults).schema
    assert schema["required"] == ["team", "note", "tags"]
    assert schema["properties"]["note"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert "default" not in json.dumps(schema)


@pytest.mark.parametrize(
    "schema",
    [
        strict_object(team={"type": "string", "enum": ["a", "b"]}),
        {**strict_object(n={"type": "integer"}), "title": "Count", "$schema": "http://json-schema.org/draft-07/schema#"},
        {**strict_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": strict_object(x={"type": "number"})}},
        strict_object(a={**strict_object(x={"type": "string"}), "type": ["object", "null"]}, b={"type": "null"}),
        strict_object(a={"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "description": "when"}),
        {**strict_object(b={"type": "string"}, a={"type": "string"}), "required": ["a", "b"]},
        {**strict_object(kids={"type": "array", "items": {"$ref": "#"}, "maxItems": 3})},
        strict_object(a={"type": "string", "pattern": r"^[(?=]\(\?!x$", "examples": ["x"], "minLength": 1}),
    ],
)  # fmt: skip
def test_a_strict_schema_comes_back_equal(schema: dict[str, Any]) -> None:
    """Who wrote a strict schema by hand gets exactly that, and the hash of the requests stays."""
    assert answer_schema(schema).schema == schema


@given(SCHEMAS)
def test_every_result_is_strict_and_strict_again(schema: dict[str, Any]) -> None:
    """The provider refuses a whole batch for one property that is not required; twice must be the same request."""
    before = copy.deepcopy(schema)
    strict = answer_schema(schema).schema
    required_everywhere(strict)
    assert answer_schema(strict).schema == strict
    assert schema == before, "the user's schema was changed"


@given(SCHEMAS, JSON_VALUES)
@settings(max_examples=300)
def test_an_answer_is_valid_exactly_when_the_strict_schema_says_so(schema: dict[str, Any], value: Any) -> None:
    """A valid answer that is thrown away was paid for; an invalid one that passes breaks the typed columns."""
    strict = answer_schema(schema)
    valid = validator(strict)(json.dumps(value)) is None
    assert valid == jsonschema.Draft202012Validator(strict.schema).is_valid(value)
    if valid:
        assert jsonschema.Draft202012Validator(schema).is_valid(value), "strict allows what the user's schema does not"


def test_what_stands_beside_a_reference_is_inlined_with_its_target() -> None:
    """Strict mode refuses a $ref with a description beside it, and the description is the instruction to the model."""
    schema = answer_schema(Triage).schema
    assert schema["properties"]["team"] == {
        "title": "Team", "type": "string", "enum": ["billing", "tech"], "description": "Who answers?",
    }  # fmt: skip
    assert schema["properties"]["address"]["description"] == "If there is one."
    assert schema["properties"]["address"]["additionalProperties"] is False


def test_a_described_reference_to_itself_stays_a_reference() -> None:
    """Inlining a recursive schema into itself would not end."""

    class Tree(BaseModel):
        left: "Tree | None" = Field(description="smaller")
        kids: list[Annotated["Tree", Field(description="all")]]

    strict = answer_schema(Tree)
    assert answer_schema(strict.schema) == strict
    assert validator(strict)('{"left":null,"kids":[{"left":null,"kids":[]}]}') is None
    assert validator(strict)('{"left":null,"kids":[{"left":5,"kids":[]}]}') is not None


def test_a_recursive_root_is_an_object_itself() -> None:
    """Pydantic writes such a root as a $ref, which strict mode refuses."""
    strict = answer_schema(Node)
    assert strict.schema["type"] == "object"
    check = validator(strict)
    assert check('{"value":1,"children":[{"value":2,"children":[]}]}') is None
    assert (
        check('{"value":1,"children":[{"value":"x","children":[]}]}') == "children[0].value: 'x' is not of type integer"
    )


def test_a_discriminated_union_is_written_as_any_of() -> None:
    """Strict mode refuses oneOf, and Pydantic writes it for every discriminated union."""

    class Pet(BaseModel):
        pet: Dog | Cat = Field(discriminator="kind")

    strict = answer_schema(Pet)
    assert strict.schema["properties"]["pet"] == {
        "anyOf": [{"$ref": "#/$defs/Dog"}, {"$ref": "#/$defs/Cat"}], "title": "Pet",
    }  # fmt: skip
    assert validator(strict)('{"pet":{"kind":"cat","purr":1}}') is None
    assert validator(strict)('{"pet":{"kind":"cat","bark":1}}') is not None


def test_an_all_of_with_one_part_is_that_part() -> None:
    """Older generators wrap every reference in one; strict mode refuses allOf."""
    schema = {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}},
        "$defs": {"A": {"type": "string", "title": "A"}},
    }
    assert answer_schema(schema).schema["properties"]["a"] == {"type": "string", "title": "A", "description": "d"}


@pytest.mark.parametrize(
    ("given", "strict"),
    [
        ({"enum": ["a", "b"]}, {"enum": ["a", "b"], "type": "string"}),
        ({"enum": ["a", 1, None]}, {"enum": ["a", 1, None], "type": ["string", "integer", "null"]}),
        ({"const": True}, {"const": True, "type": "boolean"}),
        ({"properties": {"x": {"type": "string"}}}, strict_object(x={"type": "string"})),
        ({"items": {"type": "string"}}, {"items": {"type": "string"}, "type": "array"}),
        ({"type": "string", "format": "uri", "default": "x", "deprecated": True}, {"type": "string"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
    ],
)
def test_what_the_provider_demands_is_added_and_what_it_refuses_dropped(given: Any, strict: Any) -> None:
    """Each of these is a 400 for every row otherwise (a missing type key, an unknown format, a default)."""
    assert answer_schema({"type": "object", "properties": {"a": given}}).schema["properties"]["a"] == strict


def test_a_decimal_is_asked_for_as_a_number() -> None:
    """Pydantic's pattern for a Decimal as text has a lookahead, which strict mode refuses."""

    class Price(BaseModel):
        amount: Annotated[Decimal, Field(ge=0)]

    assert answer_schema(Price).schema["properties"]["amount"] == {"minimum": 0, "title": "Amount", "type": "number"}


def test_a_default_that_is_no_json_warns_nobody() -> None:
    """Defaults are dropped anyway; with warnings as errors the call would fail."""

    class Odd(BaseModel):
        a: list[int] = Field(default=object())  # type: ignore[arg-type]

    assert answer_schema(Odd).schema["required"] == ["a"]


class OpenDictionary(BaseModel):
    counts: dict[str, int]


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Pair(BaseModel):
    pair: tuple[int, str]


class Distinct(BaseModel):
    tags: set[str]


class Anything(BaseModel):
    a: Any


class AnyList(BaseModel):
    a: list[Any]


class Function(BaseModel):
    f: Callable[[], int]


def of(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (OpenDictionary, ["properties.counts", "free keys", "list of objects"]),
        (Extra, ["the root", "extra='allow'"]),
        (Pair, ["properties.pair", "prefixItems", "object with one property"]),
        (Distinct, ["properties.tags", "uniqueItems", "list"]),
        (Anything, ["properties.a", "no type"]),
        (AnyList, ["properties.a.items", "no type"]),
        (Function, ["Function", "Callable"]),
        (BaseModel, ["Pydantic model class"]),
        (pydantic.RootModel[list[int]], ["root", "object", "field"]),
        (Dog(kind="dog", bark=1), ["not an instance"]),
        ("a text", ["'a text'", "Pydantic model class"]),
        (None, ["None is no schema"]),
        ({}, ["root", "object"]),
        ({"team": "string"}, ["root", "object"]),
        ({"type": "object"}, ["root", "properties"]),
        ({"type": "object", "properties": {}}, ["root", "properties"]),
        ({"type": "array", "items": {"type": "string"}}, ["root", "object"]),
        ({"type": ["object", "null"], "properties": {"a": {"type": "string"}}}, ["root", "object"]),
        ({"anyOf": [strict_object(a={"type": "string"})]}, ["root", "union"]),
        ({"type": "json_schema", "json_schema": {"schema": of({})}}, ["response_format", "inside"]),
        ({"name": "n", "strict": True, "schema": of({"type": "string"})}, ["response_format", "inside"]),
        (of({"type": "strng"}), ["properties.a.type", "'strng'", "boolean"]),
        (of({"type": "string", "enum": "abc"}), ["properties.a.enum"]),
        (of({"type": "string", "pattern": "["}), ["properties.a.pattern"]),
        (of({"type": "string", "pattern": "(?<!x)y"}), ["properties.a", "lookbehind"]),
        (of({"$ref": "#/$defs/Nope"}), ["/$defs/Nope"]),
        (of({"$ref": "https://example.invalid/schema.json"}), ["#/", "example.invalid"]),
        ({**of({"$ref": "#/$defs/A", "maxLength": 3}), "$defs": {"A": {"type": "string", "maxLength": 5}}}, ["maxLen"]),
        (of(True), ["properties.a", "any answer"]),
        (of({"type": "string", "nullable": True}), ["properties.a", "nullable", "null"]),
        (of({"oneOf": [{"type": "string"}, {"type": "null"}]}), ["properties.a", "oneOf", "anyOf"]),
        (of({"allOf": [{"type": "string"}, {"minLength": 1}]}), ["properties.a", "allOf"]),
        (of({"type": "object", "additionalProperties": {"type": "string"}}), ["properties.a", "free keys"]),
        (of({"type": "object", "properties": {"b": {"type": "array"}}}), ["properties.a.properties.b", "items"]),
        (of({"type": "string", "not": {"const": "x"}}), ["properties.a", "not"]),
        ({**of({"type": "string"}), "required": ["b"]}, ["'b'", "required"]),
        (of({"enum": {1, 2}}), ["JSON"]),
        (of({"type": "string", "const": float("nan")}), ["JSON"]),
    ],
)  # fmt: skip
def test_what_strict_mode_cannot_express_is_an_error_that_says_where(schema: Any, words: list[str]) -> None:
    """The provider would refuse every row of the batch, hours later and without naming the field."""
    with pytest.raises(SchemaError) as caught:
        answer_schema(schema)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


def test_a_schema_without_end_is_an_error() -> None:
    """A list that holds itself must not take the kernel down."""
    cyclic: dict[str, Any] = of({"type": "array"})
    cyclic["properties"]["a"]["items"] = cyclic
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(5_000):
        deep = {"type": "array", "items": deep}
    for schema in (cyclic, of(deep)):
        with pytest.raises(SchemaError):
            answer_schema(schema)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Triage", "Triage"),
        ("Box[int]", "Box_int"),
        ("Größe der Box", "Gr_e_der_Box"),
        ("名前", "answer"),
        ("", "answer"),
        (None, "answer"),
        ("x" * 100, "x" * 64),
    ],
)
def test_the_name_is_one_the_provider_takes(title: str | None, name: str) -> None:
    """A name with a blank or an accent is a 400 for every row."""
    schema = strict_object(a={"type": "string"})
    assert answer_schema(schema if title is None else {**schema, "title": title}).name == name


def test_a_model_gives_its_name() -> None:
    """The name is what the user recognises in the provider's logs."""
    assert answer_schema(Triage).name == "Triage"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"team":"x","n":1}', "team: 'x' is not one of 'a', 'b'"),
        ('{"team":"a"}', "'n' is missing"),
        ('{"team":"a","n":"1"}', "n: '1' is not of type integer"),
        ('{"team":"a","n":null}', "n: null is not of type integer"),
        ('{"team":"a","n":9}', "n: 9 breaks maximum 5"),
        ('{"team":"a","n":1,"z":2}', "'z' is not asked for"),
        ('{"team":"a","n":1,"sub":{"x":3}}', "sub.x: 3 is not of type string"),
        ('{"team":"a","n":1,"sub":7}', "sub: 7 is not of type object"),
        ("5", "5 is not of type object"),
        ("null", "null is not of type object"),
        ("", "empty"),
        (" \n", "empty"),
        ('{"team":"a","n":', "not JSON: Expecting value: line 1 column 17 (char 16)"),
        ('{"team":"a","n":NaN}', "not JSON: NaN is no JSON number"),
        ('{"team":"a","n":1e999}', "not JSON: 1e999 is no JSON number"),
        ('{"team":"a","n":1} x', "not JSON: Extra data: line 1 column 20 (char 19)"),
    ],
)
def test_an_invalid_answer_gets_a_reason_a_person_can_read(text: str, reason: str) -> None:
    """It stands in the frame beside the row; "is not valid under any of the schemas" helps nobody."""
    schema = {
        "type": "object",
        "properties": {
            "team": {"enum": ["a", "b"]},
            "n": {"type": "integer", "maximum": 5},
            "sub": {"anyOf": [strict_object(x={"type": "string"}), {"type": "null"}]},
        },
        "required": ["team", "n"],
        "additionalProperties": False,
    }
    # Built by hand and not strict, so that each text has one fault only.
    assert validator(AnswerSchema("answer", schema))(text) == reason


def test_a_reason_is_short_whatever_the_answer() -> None:
    """A 10 MB answer must not become a 10 MB error message in every row."""
    strict = answer_schema(strict_object(team={"enum": [f"team {number}" for number in range(900)]}))
    reason = validator(strict)(json.dumps({"team": "x" * 10_000_000}))
    assert reason is not None
    assert len(reason) < 250


@given(st.one_of(st.text(), st.text(alphabet='{}[]",:0\\du18aenlfs. \ud800\x00'), JSON_VALUES.map(json.dumps)))
def test_no_text_makes_the_check_raise(text: str) -> None:
    """It runs in the engine over answers of any kind; an exception would stop a batch that was paid for."""
    assert isinstance(validator(answer_schema(Triage))(text), str)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"value":1,"children":[' * 5_000, "9" * 5_000, '{"value":' + "9" * 5_000 + "}", "\ud800"]
)
def test_hostile_texts_are_invalid_answers_and_nothing_more(text: str) -> None:
    """Depth and length that break parsers come from models stuck in a loop."""
    assert isinstance(validator(answer_schema(Node))(text), str)


def test_a_lone_surrogate_is_read_as_the_replacement_character() -> None:
    """Fast decoders refuse the whole answer for it, and it was paid for."""
    check = validator(answer_schema(strict_object(a={"type": "string"})))
    assert check('{"a":"x\\ud800"}') is None
    assert read_json('{"a\\udfff":["\\ud83d\\ude00\\ud800","\\u0000"]}') == {"a\ufffd": ["😀\ufffd", "\0"]}


def test_formats_are_not_checked() -> None:
    """A time without an offset is no RFC 3339, and more useful than a failed row."""
    schema = strict_object(at={"type": "string", "format": "date-time"})
    for draft in ({}, {"$schema": "http://json-schema.org/draft-07/schema#"}):
        assert validator(answer_schema({**schema, **draft}))('{"at":"2024-05-01 10:00"}') is None
