"""Files of the proxy's clients: what they uploaded, kept in parts, and the result files of their batches.

A result file is not stored: it is made from outcomes whenever it is read (`client_results.py`). Its id is that of its
batch with some bits turned, so each is found from the other without a column for it. A file past its expiry is as good
as deleted.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

PART_BYTES = 1_000_000
_BATCH = "batch"


class Result(enum.Enum):
    """The two result files of a batch; the value is what its id differs by from the batch's."""

    OUTPUT = 0x0F1E2D3C4B5A69788796A5B4C3D2E1F0
    ERROR = 0x1E0F3C2D5A4B78698796A5B4C3D2E1F0

    def file_id(self, batch_id: UUID) -> UUID:
        """The file's id."""
        return UUID(int=batch_id.int ^ self.value)

    def batch_id(self, file_id: UUID) -> UUID:
        """The batch whose file has this id, if any has."""
        return UUID(int=file_id.int ^ self.value)


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file as a client sees it.

    Attributes:
        source: of a result file its batch and which of the two it is; None for an upload.
    """

    id: UUID
    purpose: str
    filename: str
    n_bytes: int
    created_at: datetime
    expires_at: datetime | None
    source: tuple[UUID, Result] | None = None


_FILES = """
    SELECT id AS base, 0 AS kind, purpose, filename, n_bytes, created_at, expires_at FROM client_file
    WHERE api_key_id = :key AND (expires_at IS NULL OR expires_at > now())
    UNION ALL
    SELECT id, 1, 'batch_output', 'output', output_bytes, ended_at, NULL FROM client_batch
    WHERE api_key_id = :key AND output_bytes > 0 AND NOT output_gone
    UNION ALL
    SELECT id, 2, 'batch_output', 'error', error_bytes, ended_at, NULL FROM client_batch
    WHERE api_key_id = :key AND error_bytes > 0 AND NOT error_gone
"""
"""All files of a key: uploads by their own id, result files by their batch's."""

_RESULTS = {1: Result.OUTPUT, 2: Result.ERROR}


def add(
    connection: Connection, file_id: UUID, key: int, path: Path, filename: str, purpose: str, seconds: int
) -> ClientFile:
    """Keep a file from disk, in parts, for so many seconds."""
    n_bytes = path.stat().st_size
    row = connection.execute(
        text("""
            INSERT INTO client_file (id, api_key_id, purpose, filename, n_bytes, expires_at)
            VALUES (:id, :key, :purpose, :filename, :n_bytes, now() + make_interval(secs => :seconds))
            RETURNING created_at, expires_at
        """),
        {
            "id": file_id,
            "key": key,
            "purpose": purpose,
            "filename": filename,
            "n_bytes": n_bytes,
            "seconds": seconds,
        },
    ).one()
    insert = text("INSERT INTO client_file_part (file_id, part_no, data) VALUES (:file, :part, :data)")
    with path.open("rb") as content:
        for part_no, data in enumerate(iter(lambda: content.read(PART_BYTES), b"")):
            connection.execute(insert, {"file": file_id, "part": part_no, "data": data})
    return ClientFile(file_id, purpose, filename, n_bytes, row.created_at, row.expires_at)


def find(connection: Connection, file_id: UUID, key: int) -> ClientFile | None:
    """A file of a key; None when it has none of this id."""
    places = [(file_id, 0), *((result.batch_id(file_id), kind) for kind, result in _RESULTS.items())]
    for base, kind in places:
        row = connection.execute(
            text(f"SELECT * FROM ({_FILES}) f WHERE base = :base AND kind = :kind"),
            {"key": key, "base": base, "kind": kind},
        ).first()
        if row is not None:
            return _file(row)
    return None


def listed(
    connection: Connection, key: int, *, after: ClientFile | None, limit: int, newest_first: bool, purpose: str | None
) -> list[ClientFile]:
    """Files of a key in the order of their making, those behind `after`."""
    base, kind = _place(after) if after else (None, None)
    sign, direction = ("<", "DESC") if newest_first else (">", "ASC")
    rows = connection.execute(
        text(f"""
            SELECT * FROM ({_FILES}) f
            WHERE (CAST(:purpose AS text) IS NULL OR purpose = :purpose)
                AND (CAST(:base AS uuid) IS NULL OR (created_at, base, kind) {sign} (:created_at, :base, :kind))
            ORDER BY created_at {direction}, base {direction}, kind {direction} LIMIT :limit
        """),
        {
            "key": key,
            "purpose": purpose,
            "created_at": after.created_at if after else None,
            "base": base,
            "kind": kind,
            "limit": limit,
        },
    )
    return [_file(row) for row in rows]


def delete(connection: Connection, file_id: UUID, key: int) -> bool:
    """Delete a file of a key; False when it has none of this id."""
    found = find(connection, file_id, key)
    if found is None:
        return False
    if found.source is None:
        _drop(connection, [file_id])
        return True
    batch_id, result = found.source
    column = "output_gone" if result is Result.OUTPUT else "error_gone"
    connection.execute(text(f"UPDATE client_batch SET {column} = true WHERE id = :id"), {"id": batch_id})
    return True


def drop_expired(connection: Connection, most: int) -> int:
    """Delete the content of files past their expiry, a few at a time; how many those were."""
    ids = connection.execute(
        text("SELECT id FROM client_file WHERE expires_at <= now() ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED"),
        {"most": most},
    ).scalars()
    expired = list(ids)
    _drop(connection, expired)
    return len(expired)


def part(connection: Connection, file_id: UUID, part_no: int) -> bytes | None:
    """A part of an uploaded file; None after the last one, or when it was deleted meanwhile."""
    query = text("SELECT data FROM client_file_part WHERE file_id = :file AND part_no = :part")
    data = connection.execute(query, {"file": file_id, "part": part_no}).scalar()
    return None if data is None else bytes(data)


def parts(connection: Connection, file_id: UUID) -> Iterator[bytes]:
    """The parts of an uploaded file, one statement each, so that others may be made in between."""
    part_no = 0
    while (data := part(connection, file_id, part_no)) is not None:
        yield data
        part_no += 1


def _drop(connection: Connection, ids: list[UUID]) -> None:
    for table, column in (("client_file_part", "file_id"), ("client_file", "id")):
        connection.execute(text(f"DELETE FROM {table} WHERE {column} = ANY(:ids)"), {"ids": ids})


def _file(row: Row[Any]) -> ClientFile:
    result = _RESULTS.get(row.kind)
    if result is None:
        return ClientFile(row.base, row.purpose, row.filename, row.n_bytes, row.created_at, row.expires_at)
    return ClientFile(
        result.file_id(row.base),
        row.purpose,
        f"batch_{row.base.hex}_{row.filename}.jsonl",
        row.n_bytes,
        row.created_at,
        row.expires_at,
        (row.base, result),
    )


def _place(file: ClientFile) -> tuple[UUID, int]:
    """Where a file stands among those made at the same moment."""
    if file.source is None:
        return file.id, 0
    batch_id, result = file.source
    return batch_id, 1 if result is Result.OUTPUT else 2
