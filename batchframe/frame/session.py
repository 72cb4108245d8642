"""The session: a database, a provider, and an engine in the background. `bf.connect()` makes it, every call uses it."""

from __future__ import annotations

import html
from typing import Any

from batchframe.config import Settings, load_settings, veiled
from batchframe.engine.background import Background
from batchframe.engine.detached import Detached
from batchframe.errors import ConfigurationError, DatabaseError
from batchframe.frame.refreshing import Refresher
from batchframe.providers.base import Provider
from batchframe.store import embedded, jobs
from batchframe.store.database import Database


class Session:
    """Where state lives and who works on it. Its repr says so."""

    def __init__(self, settings: Settings, *, works: bool = True) -> None:
        """Connect to Postgres, starting the embedded server when no URL is set, and migrate.

        Args:
            works: whether handles may start an engine here; without one they only look and write to the database.

        Raises:
            DatabaseError: the server cannot be reached, started or migrated.
        """
        self.settings = settings
        self.works = works
        url = settings.database_url
        self.database = Database(url.get_secret_value() if url else embedded.start(settings.home))
        kind = Detached if settings.worker == "process" else Background
        self.background = kind(self.database, self.providers, settings)
        self.views = Refresher(self.background.wait_for_change)

    @property
    def provider_id(self) -> str:
        """The provider new jobs go to."""
        from batchframe.providers.openai import provider_id  # imports the SDK, which takes 0.6 s

        return provider_id(self.settings)

    def require_key(self) -> None:
        """Raises:
        ConfigurationError: there is no API key, so nothing can be sent.
        """
        if self.settings.openai_api_key is None:
            raise ConfigurationError("No OpenAI API key. Set OPENAI_API_KEY, or pass bf.connect(openai_api_key=…).")

    def close(self) -> None:
        """Stop the engine and close the connections; open jobs stay open, for the next session or a worker."""
        self.views.stop()
        self.background.stop()
        self.database.close()

    def providers(self) -> list[Provider]:
        """New clients for every provider of this session.

        Raises:
            ConfigurationError: there is no API key.
        """
        from batchframe.providers.openai import OpenAIProvider  # imports the SDK, which takes 0.6 s

        return [OpenAIProvider(self.settings)]

    def _lines(self) -> list[tuple[str, str]]:
        where = self.database.place
        state = where if self.settings.database_url else f"embedded Postgres in {self.settings.home}"
        try:
            with self.database.transaction() as connection:
                every = jobs.newest_first(connection)
        except DatabaseError as error:
            return [("state", state), ("trouble", str(error))]
        still_open = [job for job in every if not job.closed]
        names = ", ".join(job.name or str(job.id) for job in still_open[:5]) + (", …" if len(still_open) > 5 else "")
        key = "" if self.settings.openai_api_key else " (no API key set)"
        return [
            ("state", state),
            ("provider", self.settings.openai_address + key),
            ("jobs", f"{len(every)}, of which {len(still_open)} open" + (f": {names}" if names else "")),
        ]

    def __repr__(self) -> str:
        if not hasattr(self, "database"):
            return "batchframe (not connected)"  # in a traceback that shows local variables
        return "\n".join(["batchframe", *(f"  {name:<9} {value}" for name, value in self._lines())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self._lines()
        )
        return f"<b>batchframe</b><table>{rows}</table>"


_current: Session | None = None


def connect(**settings: Any) -> Session:
    """Connect, and make it the session every later call uses; an earlier one is closed.

    Args:
        settings: names of `Settings`, such as `database_url`, `home`, `openai_api_key` or `openai_base_url`; they win
            over the environment.

    Raises:
        ConfigurationError: a setting that cannot be used.
        DatabaseError: Postgres cannot be reached, started or migrated.
    """
    global _current
    settings = veiled(settings)
    new = Session(load_settings(**settings))
    if _current is not None:
        _current.close()
    _current = new
    return new


def current() -> Session:
    """The session in use; connects with the settings of the environment when there is none yet."""
    return _current or connect()
