"""From a schema and texts to typed columns."""

import json
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from batchframe.core.schema import AnswerSchema, answer_schema, validator
from batchframe.core.typed import field_arrays, field_types

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def fields(**properties: Any) -> AnswerSchema:
    """A schema of one object with these properties, `$defs` apart."""
    definitions = properties.pop("defs", {})
    return answer_schema({"type": "object", "properties": properties, "$defs": definitions})


class Node(BaseModel):
    value: int
    children: list["Node"]


class Nothing(BaseModel):
    pass


class Point(BaseModel):
    x: int
    y: float


@pytest.mark.parametrize(
    ("part", "type_"),
    [
        ({"type": "integer"}, pa.int64()),
        ({"type": "number"}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": "string"}, pa.string()),
        ({"type": "null"}, pa.string()),
        ({"type": "string", "format": "date-time"}, pa.string()),
        ({"type": ["integer", "null"]}, pa.int64()),
        ({"type": ["integer", "number"]}, pa.float64()),
        ({"type": ["integer", "string"]}, pa.string()),
        ({"enum": ["a", "b"]}, pa.string()),
        ({"enum": [1, 2, None]}, pa.int64()),
        ({"enum": [1, 2.5]}, pa.float64()),
        ({"enum": [True, False]}, pa.bool_()),
        ({"enum": ["a", 1]}, pa.string()),
        ({"const": "a"}, pa.string()),
        ({"const": 7}, pa.int64()),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, pa.bool_()),
        ({"anyOf": [{"const": "a"}, {"type": "string", "minLength": 3}]}, pa.string()),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, pa.float64()),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, pa.string()),
        ({"$ref": "#/$defs/Team"}, pa.string()),
        ({"$ref": "#/$defs/a~1b"}, pa.int64()),
        ({"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]}, pa.int64()),
        ({"type": "array", "items": {"type": "integer"}}, pa.list_(pa.int64())),
        ({"type": "array", "items": {"type": "null"}}, pa.list_(pa.string())),
        ({"type": "array", "items": {"type": ["integer", "string"]}}, pa.string()),
        (
            {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": ["number", "null"]}}},
            pa.struct([("x", pa.int64()), ("y", pa.float64())]),
        ),
        ({"type": "object", "properties": {"x": {"enum": [1, "a"]}}}, pa.string()),
        ({"type": "object", "properties": {}}, pa.string()),
        ({"$ref": "#"}, pa.string()),
    ],
)
def test_a_field_has_the_type_its_schema_says(part: dict[str, Any], type_: pa.DataType) -> None:
    """Integers that turn into floats or objects make every later step of an analysis a clean-up."""
    schema = fields(field=part, defs={"Team": {"enum": ["a", "b"]}, "a/b": {"type": "integer"}})
    assert field_types(schema) == {"field": type_}
    assert field_arrays(schema, [None])["field"].type == type_


def test_fields_come_in_the_order_of_the_schema() -> None:
    """The columns of the frame follow it."""
    assert list(field_types(fields(b={"type": "string"}, a={"type": "string"}))) == ["b", "a"]


def test_recursion_in_two_steps_ends() -> None:
    """A type that contains itself through another one must not hang the notebook."""
    schema = fields(
        root={"$ref": "#/$defs/A"},
        defs={
            "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}},
            "B": {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}},
        },
    )
    assert field_types(schema) == {"root": pa.string()}


def instances(part: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that are valid under a part of a schema as `PARTS` makes them."""
    if "enum" in part:
        return st.sampled_from(part["enum"])
    if "anyOf" in part:
        return st.one_of([instances(branch) for branch in part["anyOf"]])
    if part["type"] == "array":
        return st.lists(instances(part["items"]), max_size=2)
    if part["type"] == "object":
        return st.fixed_dictionaries({name: instances(value) for name, value in part["properties"].items()})
    return {
        "string": TEXTS,
        "integer": st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([3.0, -0.0])),
        "number": st.one_of(NUMBERS, st.integers(-(2**60), 2**60)),
        "boolean": st.booleans(),
        "null": st.none(),
    }[part["type"]]


PARTS = st.recursive(
    st.one_of(
        st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda name: {"type": name}),
        st.sampled_from([["a", "b"], [1, 2], [1, "a"], ["a", None]]).map(lambda values: {"enum": values}),
    ),
    lambda parts: st.one_of(
        parts.map(lambda items: {"type": "array", "items": items}),
        st.lists(parts, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
        st.dictionaries(st.sampled_from("xyz"), parts, max_size=2).map(
            lambda properties: {"type": "object", "properties": properties}
        ),
    ),
    max_leaves=4,
)
ROWS = st.dictionaries(st.sampled_from(["team", "a b", "é"]), PARTS, min_size=1, max_size=3).flatmap(
    lambda properties: st.tuples(
        st.just(properties),
        st.lists(
            st.none() | st.fixed_dictionaries({name: instances(part) for name, part in properties.items()}), max_size=4
        ),
    )
)


@given(ROWS)
@settings(max_examples=300)
def test_every_value_of_every_answer_arrives(drawn: tuple[dict[str, Any], list[dict[str, Any] | None]]) -> None:
    """A value lost, shifted to another row or changed here is lost for the user: the text is all there was."""
    properties, answers = drawn
    schema = fields(**properties)
    check = validator(schema)
    texts = [None if answer is None else json.dumps(answer) for answer in answers]
    assert [check(text) for text in texts if text is not None] == [None] * sum(text is not None for text in texts)
    arrays = field_arrays(schema, texts)
    assert {name: array.type for name, array in arrays.items()} == field_types(schema)
    for name, array in arrays.items():
        assert len(array) == len(answers)
        for answer, value in zip(answers, array.to_pylist(), strict=True):
            expected = None if answer is None else answer[name]
            found = json.loads(value) if _is_json(properties[name], array.type) and value is not None else value
            assert found == _rounded(expected, array.type)


def _is_json(part: dict[str, Any], type_: pa.DataType) -> bool:
    """Whether a string column holds JSON text: it does unless every value is a string or null."""
    if type_ != pa.string():
        return False
    if "enum" in part:
        return any(not isinstance(value, str | None) for value in part["enum"])
    if "anyOf" in part:
        return any(_is_json(branch, type_) for branch in part["anyOf"])
    return part["type"] not in ("string", "null")


def _rounded(value: Any, type_: pa.DataType) -> Any:
    """The value with whole numbers as the floats a float column makes of them."""
    if value is None:
        return None
    if pa.types.is_floating(type_):
        return float(value)
    if pa.types.is_list(type_):
        return [_rounded(item, type_.value_type) for item in value]
    if pa.types.is_struct(type_):
        return {field.name: _rounded(value[field.name], field.type) for field in type_}
    return value


@pytest.mark.parametrize("rows_between", [0, 1_000])
def test_an_integer_beyond_int64_keeps_every_digit(rows_between: int) -> None:
    """An identifier of 20 digits rounded to a float is another identifier; the other field stays typed."""
    schema = fields(id={"type": "integer"}, n={"type": "integer"})
    huge = 12345678901234567890123
    texts = ['{"id":7,"n":1}', *[None] * rows_between, f'{{"id":{huge},"n":2}}']
    arrays = field_arrays(schema, texts)
    assert arrays["id"].to_pylist() == ["7", *[None] * rows_between, str(huge)]
    assert arrays["n"].type == pa.int64()
    nested = field_arrays(fields(ids={"type": "array", "items": {"type": "integer"}}), [f'{{"ids":[1,{huge}]}}'])
    assert nested["ids"].to_pylist() == [f"[1,{huge}]"]


def test_whole_numbers_beyond_2_to_the_53_fit_a_float_column() -> None:
    """Arrow refuses them by default, which would cost the whole column."""
    schema = fields(x={"type": "number"}, points={"type": "array", "items": Point.model_json_schema()})
    arrays = field_arrays(schema, [f'{{"x":{2**53 + 1},"points":[{{"x":1,"y":{2**70}}}]}}', '{"x":0.5,"points":[]}'])
    assert arrays["x"].to_pylist() == [float(2**53 + 1), 0.5]
    assert arrays["points"].to_pylist() == [[{"x": 1, "y": float(2**70)}], []]


def test_a_whole_float_is_an_integer() -> None:
    """JSON does not tell 3.0 from 3, and models write both."""
    assert field_arrays(fields(n={"type": "integer"}), ['{"n":3.0}', '{"n":1e18}'])["n"].to_pylist() == [3, 10**18]


def test_text_that_breaks_things_stays_what_it_is() -> None:
    """NUL and line separators are text; a lone surrogate has no place in Arrow and becomes U+FFFD."""
    schema = fields(a={"type": "string"}, b={"type": ["integer", "string"]})
    text = '{"a":"x\\u0000\\u2028\\ud800y","b":"\\u0000\\udc00"}'
    arrays = field_arrays(schema, [text, None])
    assert arrays["a"].to_pylist() == ["x\0\u2028\ufffdy", None]
    assert [json.loads(value) for value in arrays["b"].to_pylist() if value] == ["\0\ufffd"]


def test_what_arrow_cannot_type_is_compact_json_text() -> None:
    """Equal values must be equal texts, or counting them counts blanks."""

    class Odd(BaseModel):
        tree: Node
        nothing: Nothing
        either: Literal[1, "one"] | None

    texts = [
        '{"tree": {"value": 1, "children": [{"value": 2, "children": []}]}, "nothing": {}, "either": "one"}',
        '{"tree":{"value":1,"children":[]},"nothing":{},"either":null}',
    ]
    arrays = field_arrays(answer_schema(Odd), texts)
    assert arrays["tree"].to_pylist() == [
        '{"value":1,"children":[{"value":2,"children":[]}]}',
        '{"value":1,"children":[]}',
    ]
    assert arrays["nothing"].to_pylist() == ["{}", "{}"]
    assert arrays["either"].to_pylist() == ['"one"', None]


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 200])
def test_rows_stay_in_place_across_chunks(n_rows: int) -> None:
    """Answers are parsed a few at a time; none may be lost or repeated at the seams."""
    texts = [None if row % 3 == 0 else f'{{"n":{row}}}' for row in range(n_rows)]
    array = field_arrays(fields(n={"type": "integer"}), texts)["n"]
    assert array.to_pylist() == [None if row % 3 == 0 else row for row in range(n_rows)]
    assert array.type == pa.int64()
