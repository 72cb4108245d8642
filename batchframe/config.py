"""Settings from the environment, as one frozen object; `bf.connect(…)` overrides them by keyword.

Secrets are `SecretStr`, so a repr, a log line or a traceback shows stars, also one that shows local variables: no
function on the way keeps a secret as plain text. Every duration is in seconds and may be a fraction, so that tests run
the real loop fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
import pydantic
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from batchframe.errors import ConfigurationError

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Where state lives, how the engine paces itself, and the provider's account."""

    model_config = SettingsConfigDict(
        env_prefix="BATCHFRAME_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(None, description="A Postgres URL; unset: the embedded server.")
    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("batchframe")),
        description="The embedded database and files in transit.",
    )

    poll_seconds: Seconds = Field(10.0, description="First wait before a batch is asked for; grows.")
    poll_max_seconds: Seconds = Field(60.0, description="Longest wait between two polls of a batch.")
    grace_seconds: Seconds = Field(
        900.0, description="How long a lost create call is looked for before it is made anew."
    )
    lease_seconds: Seconds = Field(60.0, description="How long a silent engine keeps its batches.")
    batch_max_requests: int = Field(50_000, gt=0, le=50_000, description="OpenAI's limit: facts §2.1.")
    batch_max_bytes: int = Field(200_000_000, gt=0, le=209_715_200, description="Encoded bytes of one file.")
    worker: Literal["thread", "process"] = Field(
        "thread", description="Where the engine of a notebook runs: in it, or in a process that outlives it."
    )
    row_attempts: int = Field(5, gt=0, le=100, description="Tries of a row before its failure is final.")

    api_key: SecretStr | None = Field(None, description="A first key of the proxy, named `default`.")
    window_seconds: Seconds = Field(30.0, description="How long the proxy gathers requests for one batch.")
    window_requests: int = Field(50_000, gt=0, description="Requests with which a window closes early.")
    window_bytes: int = Field(200_000_000, gt=0, description="Bytes of bodies with which a window closes early.")
    hold_seconds: Seconds = Field(570.0, description="How long a call waits before it is told to come again.")
    body_max_bytes: int = Field(10_000_000, gt=0, description="The largest request the proxy takes.")
    file_max_bytes: int = Field(2 * 1024**3, gt=0, description="The largest file the proxy takes.")

    openai_api_key: SecretStr | None = Field(None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    openai_base_url: str = Field("https://api.openai.com/v1", validation_alias=AliasChoices("OPENAI_BASE_URL"))
    openai_organization: str | None = Field(None, validation_alias=AliasChoices("OPENAI_ORG_ID"))
    openai_project: str | None = Field(None, validation_alias=AliasChoices("OPENAI_PROJECT_ID"))

    @property
    def openai_address(self) -> str:
        """The provider's address for people: without a user or password in it."""
        parts = urlsplit(self.openai_base_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def as_environment(self) -> dict[str, str]:
        """What another process must have in its environment to load the same settings; the secrets are in it."""
        known = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None:
                alias = field.validation_alias
                variable = alias.choices[0] if isinstance(alias, AliasChoices) else f"BATCHFRAME_{name.upper()}"
                known[str(variable)] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        return known

    @pydantic.field_validator("database_url", "api_key", "openai_api_key")
    @classmethod
    def _empty_is_unset(cls, secret: SecretStr | None) -> SecretStr | None:
        return secret if secret and secret.get_secret_value().strip() else None

    @pydantic.field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()


SECRETS = frozenset({"database_url", "api_key", "openai_api_key"})


def veiled(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as given, with the secret ones as `SecretStr`; the dict itself is emptied."""
    hidden = {name: _veil(settings[name]) if name in SECRETS else settings[name] for name in settings}
    settings.clear()
    return hidden


def _veil(secret: Any) -> Any:
    """What is no text is refused by its type alone, which is all that is left of it."""
    if secret is None or isinstance(secret, SecretStr):
        return secret
    return SecretStr(secret) if isinstance(secret, str) else type(secret)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; keywords that are not None win over it.

    Raises:
        ConfigurationError: a value that cannot be used, named as the variable or argument it came from.
    """
    given = {name: value for name, value in veiled(overrides).items() if value is not None}
    unknown = sorted(given.keys() - Settings.model_fields.keys())
    if unknown:
        known = ", ".join(Settings.model_fields)
        raise ConfigurationError(f"Unknown setting {unknown[0]!r}. Known settings: {known}.")
    try:
        return Settings(**given)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
    setting = str(first["loc"][0]) if first["loc"] else "settings"
    shown = setting if setting in given or setting.isupper() else f"BATCHFRAME_{setting.upper()}"
    # Outside the `except`: pydantic's error knows the input, and would be this one's context.
    raise ConfigurationError(f"{shown}: {first['msg']}.")
