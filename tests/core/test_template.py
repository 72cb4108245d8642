"""Templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.template import parse
from batchframe.errors import TemplateError


def render(template: str, row: dict[str, str]) -> str:
    return next(parse(template, list(row)).render({name: [value] for name, value in row.items()}))


def test_holes_take_the_values_of_their_columns() -> None:
    """The whole point: each row's own values, spaces in names included."""
    assert render("{a} and {my col}, {a}", {"a": "1", "my col": "2"}) == "1 and 2, 1"


def test_doubled_braces_are_literal() -> None:
    """JSON examples in prompts must be possible."""
    assert render('{{"x": {a}}} {{{a}}}', {"a": "1"}) == '{"x": 1} {1}'


@given(st.text())
def test_a_value_is_never_scanned_again(value: str) -> None:
    """A row's text that looks like a template, or a format, stays that text."""
    assert render("<{a}>100%", {"a": value}) == f"<{value}>100%"


@given(st.text(), st.text())
def test_any_text_survives_as_a_literal(text: str, value: str) -> None:
    """No character of a prompt is lost or changed by the parser."""
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert render(escaped + "{a}", {"a": value}) == text + value


@pytest.mark.parametrize("value", ["{b}", "{a.__class__}", "%s", "{{", "}", "{0}"])
def test_format_syntax_in_values_is_only_text(value: str) -> None:
    """Attribute and format access from data would be a hole in the wall."""
    assert render("{a}", {"a": value}) == value


def test_a_missing_column_is_named_and_the_nearest_offered() -> None:
    """A typo must cost seconds, not a batch."""
    with pytest.raises(TemplateError, match=r"\{subjct\}.*Did you mean \{subject\}"):
        parse("{subjct}", ["subject", "body"])


@pytest.mark.parametrize("template", ["{a.real}", "{a[0]}", "{a!r}", "{a:>10}", "{}", "{ a }"])
def test_no_attribute_index_or_format_access(template: str) -> None:
    """The syntax is columns only; anything else is an error at once."""
    with pytest.raises(TemplateError):
        parse(template, ["a"])


@pytest.mark.parametrize("template", ["{a", "a}", "{a {b}}", "}{", "{a}}"])
def test_a_stray_brace_is_an_error_that_shows_where(template: str) -> None:
    """A brace that silently vanished would change the prompt of every row."""
    with pytest.raises(TemplateError, match="Stray"):
        parse(template, ["a", "b"])
