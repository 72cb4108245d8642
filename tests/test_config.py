"""Settings."""

from pathlib import Path

import pytest

from batchframe.config import Settings, load_settings
from batchframe.errors import ConfigurationError


def test_the_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name, lower case without the prefix, as an argument."""
    monkeypatch.setenv("BATCHFRAME_POLL_SECONDS", "0.5")
    monkeypatch.setenv("BATCHFRAME_LEASE_SECONDS", "7")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://host/v1")
    settings = load_settings(lease_seconds=9, grace_seconds=None)
    assert (settings.poll_seconds, settings.lease_seconds, settings.grace_seconds) == (0.5, 9, 900)
    assert settings.openai_base_url == "http://host/v1"


def test_a_wrong_value_is_named_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable by the variable's name, an argument by the argument's, and never its value."""
    with pytest.raises(ConfigurationError, match=r"^poll_seconds: .*greater than 0"):
        load_settings(poll_seconds=0)
    with pytest.raises(ConfigurationError, match="Unknown setting 'pol_seconds'"):
        load_settings(pol_seconds=1)
    monkeypatch.setenv("BATCHFRAME_ROW_ATTEMPTS", "canary")
    with pytest.raises(ConfigurationError, match=r"^BATCHFRAME_ROW_ATTEMPTS: ") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are printed in notebooks."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    settings = load_settings(database_url="postgresql://me:canary@host/db")
    assert "canary" not in repr(settings) + str(settings) + str(settings.model_dump())


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    """`OPENAI_API_KEY=` in a compose file means that there is none."""
    monkeypatch.setenv("OPENAI_API_KEY", empty)
    assert load_settings(database_url=empty).openai_api_key is None
    assert load_settings(database_url=empty).database_url is None


def test_the_home_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook may change its folder."""
    assert load_settings(home="~/x").home == Path("~/x").expanduser()
    assert load_settings(home="x").home.is_absolute()
    assert Settings().home.is_absolute()
