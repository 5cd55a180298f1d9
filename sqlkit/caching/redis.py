"""The tier in Redis or Valkey (6.2 or later), through redis-py; a call never waits longer than its timeout."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlkit.caching.circuit import Circuit
from sqlkit.caching.counted import Counted
from sqlkit.caching.deadlines import Deadline
from sqlkit.caching.entries import Entry
from sqlkit.errors import ConfigurationError
from sqlkit.settings import SecretDsn

__all__ = ["AsyncRedisTier", "RedisTier", "redis_url"]


def redis_url(environment: Mapping[str, str] | None = None) -> SecretDsn | None:
    """Return where Redis is: ``REDIS_URL``, or ``REDIS_HOST`` with ``REDIS_PORT`` and ``REDIS_DB``; None where nowhere.

    Raises ConfigurationError for a port or a number that is none.
    """
    given = os.environ if environment is None else environment
    if url := given.get("REDIS_URL"):
        return SecretDsn(url)
    host = given.get("REDIS_HOST")
    if not host:
        return None
    port, number = given.get("REDIS_PORT") or "6379", given.get("REDIS_DB") or "0"
    for name, value, most in (("REDIS_PORT", port, 65_535), ("REDIS_DB", number, 2**31)):
        if not (value.isascii() and value.isdigit() and int(value) <= most):
            raise ConfigurationError(f"{name}: a whole number up to {most} is wanted")
    return SecretDsn(f"redis://{f'[{host}]' if ':' in host else host}:{port}/{number}")


def _client(module: str, url: str, timeout: float) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a client that tries a call once, and what its calls may raise."""
    from importlib import import_module

    try:
        redis, retries, backoff = (import_module(name) for name in (module, f"{module}.retry", "redis.backoff"))
    except ImportError:
        raise ConfigurationError("redis is not installed: pip install 'sqlkit[redis]'") from None
    once = retries.Retry(backoff.NoBackoff(), 0)
    try:
        client = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=once)
    except ValueError:  # its text may quote the password, where that has a / or a #
        raise ConfigurationError(
            "RedisTier(url=): not a well-formed Redis URL (redis://:password@host:port/number); special characters "
            "of the password are written as %40 for @, %3A for :, %2F for /, %23 for #, %25 for %"
        ) from None
    return client, (redis.RedisError, OSError, TimeoutError)


def _unpacked(keys: Sequence[str], found: Sequence[bytes | None]) -> dict[str, Entry]:
    unpacked = {key: Entry.unpack(data) for key, data in zip(keys, found, strict=True) if data is not None}
    return {key: entry for key, entry in unpacked.items() if entry is not None}


class RedisTier(Counted):
    """Keeps entries in Redis or Valkey, under ``prefix``.

    A call that takes longer than ``timeout`` seconds in all, a new connection included, fails; after three in a row the
    circuit opens for two seconds. Raises ConfigurationError where redis-py is not installed (the extra ``redis``), or
    the URL is not well-formed.
    """

    def __init__(
        self, url: str, *, prefix: str = "sqlkit:", timeout: float = 0.25, circuit: Circuit | None = None
    ) -> None:
        super().__init__("redis", circuit)
        self._client, self._failures = _client("redis", url, timeout)
        self._deadline = Deadline(timeout)
        self._deadline.hold(self._client.connection_pool)
        self._prefix = prefix

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        found = self._ask(lambda: self._client.mget([self._prefix + key for key in keys])) if keys else None
        return {} if found is None else self.counted(keys, _unpacked(keys, found))

    def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        if (milliseconds := int(entry.seconds * 1000)) > 0:
            data = entry.pack()
            if self._ask(lambda: self._client.set(self._prefix + key, data, px=milliseconds)) is not None:
                self.filled()

    def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        if self._ask(lambda: self._client.delete(self._prefix + key)) is not None:
            self.circuit.went_well()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _ask(self, command: Callable[[], Any]) -> Any:
        """Return what a command answers; None where it was not asked or failed."""
        if not self.admits():
            return None
        try:
            with self._deadline:
                return command()
        except self._failures as error:
            self.failed(error)
            return None


class AsyncRedisTier(Counted):
    """Keeps entries in Redis or Valkey, on asyncio; otherwise as ``RedisTier``."""

    def __init__(
        self, url: str, *, prefix: str = "sqlkit:", timeout: float = 0.25, circuit: Circuit | None = None
    ) -> None:
        super().__init__("redis", circuit)
        self._client, self._failures = _client("redis.asyncio", url, timeout)
        self._prefix = prefix
        self._timeout = timeout

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries that are there."""
        found = await self._ask(lambda: self._client.mget([self._prefix + key for key in keys])) if keys else None
        return {} if found is None else self.counted(keys, _unpacked(keys, found))

    async def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        if (milliseconds := int(entry.seconds * 1000)) > 0:
            data = entry.pack()
            if await self._ask(lambda: self._client.set(self._prefix + key, data, px=milliseconds)) is not None:
                self.filled()

    async def delete(self, key: str) -> None:
        """Forget the entry of a key."""
        if await self._ask(lambda: self._client.delete(self._prefix + key)) is not None:
            self.circuit.went_well()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def _ask(self, command: Callable[[], Any]) -> Any:
        """Return what a command answers; None where it was not asked or failed."""
        if not self.admits():
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await command()
        except self._failures as error:
            self.failed(error)
            return None
