"""Caching: memory, PostgreSQL and Redis tiers behind one interface, invalidated with the write's own commit."""

from sqlkit.caching.cache import AsyncCache, Cache
from sqlkit.caching.circuit import Circuit
from sqlkit.caching.listener import Listener
from sqlkit.caching.opening import opened_async_cache, opened_cache
from sqlkit.caching.postgres import AsyncPostgresTier, PostgresTier
from sqlkit.caching.protocols import AsyncCaching, Caching
from sqlkit.caching.redis import AsyncRedisTier, RedisTier, redis_url
from sqlkit.caching.statements import (
    AsyncEntryQueries,
    EntryQueries,
    FoundEntry,
    install,
    invalidate,
    invalidate_all,
    sweep,
)
from sqlkit.caching.statistics import CacheHealth, CacheStatistics, LookUps
from sqlkit.caching.tags import AsyncDatabaseTags, DatabaseTags, LocalTags
from sqlkit.caching.tiers import AsyncTier, MemoryTier, Tier, TierHealth
from sqlkit.caching.wrapping import cached

__all__ = [
    "AsyncCache",
    "AsyncCaching",
    "AsyncDatabaseTags",
    "AsyncEntryQueries",
    "AsyncPostgresTier",
    "AsyncRedisTier",
    "AsyncTier",
    "Cache",
    "CacheHealth",
    "CacheStatistics",
    "Caching",
    "Circuit",
    "DatabaseTags",
    "EntryQueries",
    "FoundEntry",
    "Listener",
    "LocalTags",
    "LookUps",
    "MemoryTier",
    "PostgresTier",
    "RedisTier",
    "Tier",
    "TierHealth",
    "cached",
    "install",
    "invalidate",
    "invalidate_all",
    "opened_async_cache",
    "opened_cache",
    "redis_url",
    "sweep",
]
