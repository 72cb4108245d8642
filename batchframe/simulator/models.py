"""The models the simulator knows by name, and the dated ids they resolve to. Any other name stands for itself."""

from __future__ import annotations

from typing import Any

from batchframe.simulator.settings import Settings

_RESOLVED = {
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
}
_OTHERS = ("gpt-6-luna", "gpt-6-sol", "gpt-6-astra", "text-embedding-3-small", "text-embedding-3-large")
_CREATED = 1_754_524_800


def resolved(model: str) -> str:
    """The id a response names: the dated one where there is one."""
    return _RESOLVED.get(model, model)


def exists(model: str, settings: Settings) -> bool:
    """Whether the account may use a model."""
    return settings.models is None or model in settings.models


def names(settings: Settings) -> list[str]:
    """The models to list."""
    return sorted(settings.models if settings.models is not None else (*_RESOLVED, *_OTHERS))


def model_object(model: str) -> dict[str, Any]:
    """A model as `/v1/models` shows it."""
    return {"id": model, "object": "model", "created": _CREATED, "owned_by": "batchframe-simulator"}
