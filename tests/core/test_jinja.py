"""Jinja templates: what they see, what is wrong with one at once, and what of a single row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.jinja import JinjaRowError, JinjaTemplate
from batchframe.errors import TemplateError


def render(source: str, **row: Any) -> str:
    return render_row(source, row)


def render_row(source: str, row: dict[str, Any]) -> str:
    (text,) = JinjaTemplate(source).bind(list(row)).render({name: [value] for name, value in row.items()}, 1)
    return text


def test_values_are_values() -> None:
    """Conditions and loops are what a user takes Jinja for; with texts `score > 3` would fail."""
    source = "{% if score > 3 %}high{% endif %}{% for tag in tags %} {{ loop.index }}{{ tag }}{% endfor %}"
    assert render(source, score=4, tags=["a", "b"]) == "high 1a 2b"


def test_what_is_printed_is_what_a_hole_would_print() -> None:
    """The same column must read the same in both kinds of templates: no None, no Python quotes."""
    assert render("{{ a }}|{{ b }}|{{ c }}|{{ d }}", a=None, b=["é", None], c={"k": 1}, d=0.1) == (
        '|["é", null]|{"k": 1}|0.1'
    )


def test_a_column_of_any_name_is_reached_through_row() -> None:
    """Names with spaces, of Python's words, of a dictionary's own methods, of Jinja's globals, and of row itself."""
    row = {"my col": 1, "class": 2, "items": 3, "range": 4, "row": 5}
    source = "{{ row['my col'] }}{{ row['class'] }}{{ row.items }}{{ range }}{{ row['row'] }}"
    assert render_row(source, row) == "12345"


def test_only_the_columns_it_uses_are_its_columns() -> None:
    """A missing value in another column must not skip the row; globals and its own variables are no columns."""
    source = "{% set x = b %}{% for i in range(2) %}{{ x }}{{ row['my col'] }}{{ i }}{% endfor %}{{ a }}"
    assert JinjaTemplate(source).bind(["a", "b", "c", "my col"]).columns == ("b", "a", "my col")


def test_a_template_without_columns_says_the_same_for_every_row() -> None:
    """As a template without holes does."""
    assert list(JinjaTemplate("x").bind(["a"]).render({}, 3)) == ["x"] * 3


@given(st.text())
def test_a_value_is_never_scanned_again(value: str) -> None:
    """And never escaped as for HTML."""
    assert render("<{{ a }}>", a=value) == f"<{value}>"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ subjct }}", r"\{\{ subjct \}\}, which is no column. Did you mean \{\{ subject \}\}"),
        ("{{ row['my colum'] }}", r"row\['my colum'\], which is no column. Did you mean row\['my col'\]"),
        ("{{ row.subjct }}", "Did you mean"),
        ("{% if other is defined %}{% endif %}", "other"),
    ],
)
def test_a_name_that_is_no_column_is_found_at_once(source: str, says: str) -> None:
    """A typo must cost seconds, not a batch."""
    with pytest.raises(TemplateError, match=says):
        JinjaTemplate(source).bind(["subject", "my col"])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a\n{% if %}", "line 2, '{% if %}'"),
        ("{{ a", "line 1"),
        ("{{ a|shout }}", "shout"),
        ("{{ a|random }}", "random"),
        ("{{ row[a] }}", "which column is meant"),
        ("{% for row in a %}{% endfor %}", "which column is meant"),
        ("{% include 'other' %}", "cannot include"),
        ("{% import 'other' as o %}", "cannot include"),
        ("{% extends 'other' %}", "cannot include"),
    ],
)
def test_a_wrong_template_is_an_error_when_it_is_made(source: str, says: str) -> None:
    """Before there is a frame."""
    with pytest.raises(TemplateError, match=says):
        JinjaTemplate(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ a.nothing }}", "nothing"),
        ("{{ a + 'x' }}", "unsupported operand"),
        ("{{ a / 0 }}", "division"),
        ("{{ b.upper }}", "parentheses"),
        ("{{ b|map('upper') }}", r"\| list"),
        ("{{ c }}", "bytes"),
    ],
)
def test_what_fails_for_a_row_is_said_of_that_row(source: str, says: str) -> None:
    """An address in memory in a prompt would be another request in every process; an undefined name an empty place."""
    with pytest.raises(JinjaRowError, match=says):
        render(source, a=1, b="x", c=b"x")


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ 'x' * 10**10 }}",
        "{{ [0] * 10**10 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}",
    ],
)
def test_output_without_end_is_stopped(source: str) -> None:
    """A slip in a loop must not take the notebook's memory."""
    with pytest.raises(JinjaRowError):
        render(source)


def test_json_is_written_for_a_prompt() -> None:
    """Jinja's own filter would turn < and ' into escapes for HTML."""
    assert render("{{ a|tojson }}", a={"k": "<é'>"}) == '{"k": "<é\'>"}'
