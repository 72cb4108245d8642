"""Deleting the provider's files that are no longer needed: a few at a time, each noted as soon as it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from batchframe.errors import ProviderError
from batchframe.providers.base import Provider
from batchframe.store import cleaning
from batchframe.store.database import Database

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Deleted:
    """What came of it.

    Attributes:
        failures: of batches whose files are still there, why.
    """

    files: int
    failures: tuple[str, ...]


async def delete_files(provider: Provider, database: Database, spent: Sequence[cleaning.SpentFiles]) -> Deleted:
    """Delete the files of these batches. Interrupted, it has forgotten none that is still there."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def of_batch(files: cleaning.SpentFiles) -> int | str:
        async with turn:
            try:
                for file_id in files.file_ids:
                    await provider.delete(file_id)
            except ProviderError as error:
                return f"batch {files.batch_id}: {error}"
            await asyncio.to_thread(_forget, database, files.batch_id)
            return len(files.file_ids)

    results = await asyncio.gather(*map(of_batch, spent))
    return Deleted(
        sum(result for result in results if isinstance(result, int)),
        tuple(result for result in results if isinstance(result, str)),
    )


def _forget(database: Database, batch_id: int) -> None:
    with database.transaction() as connection:
        cleaning.forget_files(connection, [batch_id])
