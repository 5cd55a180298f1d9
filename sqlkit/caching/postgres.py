"""The tier in PostgreSQL: an unlogged table that all processes share."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from sqlkit.caching.circuit import Circuit
from sqlkit.caching.counted import Counted
from sqlkit.caching.entries import Entry
from sqlkit.caching.statements import AsyncEntryQueries, EntryQueries, FoundEntry, async_cache, cache
from sqlkit.errors import SqlkitError
from sqlkit.execution.lending import AsyncLender, Lender

__all__ = ["AsyncPostgresTier", "PostgresTier"]

FAILURES = (psycopg.Error, SqlkitError)


def _entries(rows: Sequence[FoundEntry]) -> dict[str, Entry]:
    unpacked = {row.cache_key: Entry.unpack(row.body.encode()) for row in rows}
    return {key: entry for key, entry in unpacked.items() if entry is not None}


class PostgresTier(Counted):
    """Keeps entries in the table ``cache_entries`` of a database's schema (see ``install``).

    ``statements`` is for a table of the application's own: a loaded Protocol with the methods of ``EntryQueries``.
    """

    def __init__(self, db: Lender, *, statements: EntryQueries = cache, circuit: Circuit | None = None) -> None:
        super().__init__("postgres", circuit)
        self._db = db
        self._statements = statements

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        if not keys or not self.admits():
            return {}
        try:
            return self.counted(keys, _entries(self._statements.find_entries(self._db, keys=list(keys))))
        except FAILURES as error:
            self.failed(error)
            return {}

    def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        if entry.seconds > 0 and self.admits():
            try:
                body = entry.pack().decode()
                self._statements.keep_entry(self._db, key=key, body=body, seconds=entry.seconds)
                self.filled()
            except FAILURES as error:
                self.failed(error)

    def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        if self.admits():
            try:
                self._statements.delete_entry(self._db, key=key)
                self.circuit.went_well()
            except FAILURES as error:
                self.failed(error)


class AsyncPostgresTier(Counted):
    """Keeps entries in the table ``cache_entries``, on asyncio; otherwise as ``PostgresTier``."""

    def __init__(
        self, db: AsyncLender, *, statements: AsyncEntryQueries = async_cache, circuit: Circuit | None = None
    ) -> None:
        super().__init__("postgres", circuit)
        self._db = db
        self._statements = statements

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        if not keys or not self.admits():
            return {}
        try:
            return self.counted(keys, _entries(await self._statements.find_entries(self._db, keys=list(keys))))
        except FAILURES as error:
            self.failed(error)
            return {}

    async def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        if entry.seconds > 0 and self.admits():
            try:
                body = entry.pack().decode()
                await self._statements.keep_entry(self._db, key=key, body=body, seconds=entry.seconds)
                self.filled()
            except FAILURES as error:
                self.failed(error)

    async def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        if self.admits():
            try:
                await self._statements.delete_entry(self._db, key=key)
                self.circuit.went_well()
            except FAILURES as error:
                self.failed(error)
