"""The tier in PostgreSQL: an unlogged table that all processes share."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import psycopg

from sqlkit.caching.circuit import Circuit
from sqlkit.caching.entries import Entry
from sqlkit.caching.statements import FoundEntry, async_cache, cache
from sqlkit.caching.tiers import TierHealth
from sqlkit.errors import SqlkitError
from sqlkit.execution.lending import AsyncLender, Lender

__all__ = ["AsyncPostgresTier", "PostgresTier"]

FAILURES = (psycopg.Error, SqlkitError)


class Counted:
    """What tiers outside the process have in common: a circuit, and what ``health`` tells of them."""

    is_local = False

    def __init__(self, name: str, circuit: Circuit) -> None:
        self.name = name
        self.circuit = circuit
        self._counts = {"hits": 0, "misses": 0, "failures": 0}
        self._lock = threading.Lock()

    def counted(self, keys: Sequence[str], found: dict[str, Entry]) -> dict[str, Entry]:
        """Count hits and misses of an answer."""
        self.circuit.went_well()
        with self._lock:
            self._counts["hits"] += len(found)
            self._counts["misses"] += len(keys) - len(found)
        return found

    def failed(self, error: BaseException) -> None:
        """Count a failure; its class is told, never its text, which may quote a value."""
        self.circuit.failed(type(error).__name__)
        with self._lock:
            self._counts["failures"] += 1

    def health(self) -> TierHealth:
        """Say how it is."""
        with self._lock:
            return TierHealth(self.name, self.circuit.state, reason=self.circuit.reason, **self._counts)


def _entries(rows: Sequence[FoundEntry]) -> dict[str, Entry]:
    unpacked = {row.cache_key: Entry.unpack(row.body.encode()) for row in rows}
    return {key: entry for key, entry in unpacked.items() if entry is not None}


class PostgresTier(Counted):
    """Keeps entries in the table ``cache_entries`` of a database's schema (see ``install``)."""

    def __init__(self, db: Lender, *, circuit: Circuit | None = None) -> None:
        super().__init__("postgres", circuit or Circuit())
        self._db = db

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        if not keys or not self.circuit.admits():
            return {}
        try:
            return self.counted(keys, _entries(cache.find_entries(self._db, keys=list(keys))))
        except FAILURES as error:
            self.failed(error)
            return {}

    def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        if entry.seconds > 0 and self.circuit.admits():
            try:
                cache.keep_entry(self._db, key=key, body=entry.pack().decode(), seconds=entry.seconds)
                self.circuit.went_well()
            except FAILURES as error:
                self.failed(error)

    def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        try:
            cache.delete_entry(self._db, key=key)
        except FAILURES as error:
            self.failed(error)


class AsyncPostgresTier(Counted):
    """Keeps entries in the table ``cache_entries``, on asyncio; otherwise as ``PostgresTier``."""

    def __init__(self, db: AsyncLender, *, circuit: Circuit | None = None) -> None:
        super().__init__("postgres", circuit or Circuit())
        self._db = db

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        if not keys or not self.circuit.admits():
            return {}
        try:
            return self.counted(keys, _entries(await async_cache.find_entries(self._db, keys=list(keys))))
        except FAILURES as error:
            self.failed(error)
            return {}

    async def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        if entry.seconds > 0 and self.circuit.admits():
            try:
                body = entry.pack().decode()
                await async_cache.keep_entry(self._db, key=key, body=body, seconds=entry.seconds)
                self.circuit.went_well()
            except FAILURES as error:
                self.failed(error)

    async def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        try:
            await async_cache.delete_entry(self._db, key=key)
        except FAILURES as error:
            self.failed(error)
