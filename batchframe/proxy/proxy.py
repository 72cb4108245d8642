"""One proxy process: its database, its provider, and what runs beside the calls."""

from __future__ import annotations

from dataclasses import dataclass

from batchframe.config import Settings
from batchframe.providers.base import Provider
from batchframe.store.database import Database


@dataclass
class Proxy:
    """What the handlers share."""

    database: Database
    settings: Settings
    provider: Provider
