"""Engines that do what batchframe must not, so that the judge has somebody to convict."""

from __future__ import annotations

from batchframe.config import Settings
from batchframe.providers.openai import OpenAIProvider


class RetryingProvider(OpenAIProvider):
    """Leaves the SDK's retries on, as its default is."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._client = self._client.with_options(max_retries=2)
