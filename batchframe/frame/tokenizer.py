"""The tokenizer of a model, if tiktoken is installed and has its file on this machine already.

tiktoken fetches a file it does not have. A plan must not wait for a network, or need one, so tiktoken is asked only for
an encoding whose file is in its cache, unbroken.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

_FILES = {
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}
"""The name of each encoding's file in tiktoken's cache (the SHA-1 of its address) and the file's SHA-256, both from
tiktoken 0.14.0. Every OpenAI model that takes batches has one of the two."""


def offline(model: str) -> Encoding | None:
    """The encoding of a model; None when tiktoken is not installed, does not know the model or lacks the file."""
    try:
        import tiktoken  # an extra, and half a second to load an encoding
    except ImportError:
        return None
    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    return tiktoken.get_encoding(name) if _is_cached(name) else None


def _is_cached(name: str) -> bool:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    if not folder or name not in _FILES:  # an empty folder: the user has switched the cache off
        return False
    file, digest = _FILES[name]
    try:
        # A broken file tiktoken would delete and fetch again.
        return hashlib.sha256((Path(folder) / file).read_bytes()).hexdigest() == digest
    except OSError:
        return False
