"""The account's files: records in memory, contents on disk in a directory that dies with the simulator."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchframe.wire.refusals import Refusal


@dataclass(slots=True)
class StoredFile:
    """One file.

    Attributes:
        expires_at: unix seconds; None for a file that stays until it is deleted.
        gone: a fault: the record is there, the content is not.
    """

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: float
    expires_at: float | None
    path: Path
    gone: bool = False

    def view(self) -> dict[str, Any]:
        """The file as the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": int(self.created_at),
            "expires_at": None if self.expires_at is None else int(self.expires_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class Files:
    """Every file of the account. Callers hold the account's lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.directory = Path()
        self._clock = clock
        self._files: dict[str, StoredFile] = {}
        self._serials = itertools.count()

    def new_path(self) -> Path:
        """A place on disk for a content that is about to be written."""
        return self.directory / f"{next(self._serials):06}.jsonl"

    def add(self, path: Path, filename: str, purpose: str, seconds: float | None) -> StoredFile:
        """Make a finished content a file of the account that lives for so many seconds."""
        now = self._clock()
        expires_at = None if seconds is None else now + seconds
        size = path.stat().st_size
        file = StoredFile(f"file-{secrets.token_hex(12)}", filename, purpose, size, now, expires_at, path)
        self._files[file.id] = file
        return file

    def find(self, file_id: str) -> StoredFile | None:
        """The file, unless it was deleted or has expired."""
        file = self._files.get(file_id)
        if file is not None and file.expires_at is not None and file.expires_at <= self._clock():
            self._remove(file)
            return None
        return file

    def get(self, file_id: str) -> StoredFile:
        """The file, or the API's refusal."""
        file = self.find(file_id)
        if file is None:
            raise no_such_file(file_id)
        return file

    def delete(self, file_id: str) -> None:
        """Delete a file and its content; a batch that is reading it reads on."""
        self._remove(self.get(file_id))

    def newest_first(self) -> list[StoredFile]:
        """All files, as the listing has them."""
        found = [self.find(file_id) for file_id in reversed(list(self._files))]
        return [file for file in found if file is not None]

    def _remove(self, file: StoredFile) -> None:
        del self._files[file.id]
        file.path.unlink(missing_ok=True)


def no_such_file(file_id: str) -> Refusal:
    """The 404 of the files API."""
    return Refusal(404, f"No such File object: {file_id}", param="id")
