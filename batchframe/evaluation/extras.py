"""What an evaluation needs beside batchframe itself: the extra `eval`."""

from __future__ import annotations

from importlib.util import find_spec

from batchframe.errors import ConfigurationError

_LIBRARIES = ("scipy", "rapidfuzz", "sacrebleu")


def check_installed() -> None:
    """Raises:
    ConfigurationError: a library is missing; said before anything is stored or paid for.
    """
    missing = [name for name in _LIBRARIES if _is_missing(name)]
    if missing:
        raise ConfigurationError(f"Evaluations need {', '.join(missing)}: pip install 'batchframe[eval]'.")


def _is_missing(name: str) -> bool:
    try:
        return find_spec(name) is None
    except ValueError:  # it is in sys.modules without a specification
        return True
