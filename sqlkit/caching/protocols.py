"""What every cache does, in both colours: what an application's own double would have to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from sqlkit.caching.entries import Seconds

__all__ = ["AsyncCaching", "Caching"]

T = TypeVar("T")
HOUR = 3600.0


class Caching(Protocol):
    """What every cache does; ``AsyncCaching`` is the same with ``await``."""

    def get(self, key: str, kind: type[T]) -> T | None:
        """Return the value of a key, or None."""
        ...

    def get_many(self, keys: Iterable[str], kind: type[T]) -> dict[str, T]:
        """Return the values of those keys that have one."""
        ...

    def set(self, key: str, value: object, *, kind: Any = None, ttl: Seconds = HOUR, tags: Iterable[str] = ()) -> None:
        """Keep a value."""
        ...

    def delete(self, key: str) -> None:
        """Forget a key."""
        ...

    def invalidate(self, *tags: str) -> None:
        """Make every entry under these tags invalid."""
        ...


class AsyncCaching(Protocol):
    """What every cache does, on asyncio."""

    async def get(self, key: str, kind: type[T]) -> T | None:
        """Return the value of a key, or None."""
        ...

    async def get_many(self, keys: Iterable[str], kind: type[T]) -> dict[str, T]:
        """Return the values of those keys that have one."""
        ...

    async def set(
        self, key: str, value: object, *, kind: Any = None, ttl: Seconds = HOUR, tags: Iterable[str] = ()
    ) -> None:
        """Keep a value."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key."""
        ...

    async def invalidate(self, *tags: str) -> None:
        """Make every entry under these tags invalid."""
        ...
