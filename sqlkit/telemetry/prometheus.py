"""The figures of Databases and caches as Prometheus has them, gathered when it asks and at no other time.

::

    from prometheus_client import REGISTRY
    REGISTRY.register(DatabaseCollector({"soleil": db}))

Needs the extra ``prometheus``. ``sqlkit.fastapi.metrics_router`` serves the same as ``/metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from sqlkit.database.options import PoolStatus
from sqlkit.errors import ConfigurationError
from sqlkit.statistics import QueryStatistics, combined, upper_bound
from sqlkit.tally import Tally

try:
    from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector
except ImportError:
    raise ConfigurationError("prometheus-client is not installed: pip install 'sqlkit[prometheus]'") from None

if TYPE_CHECKING:
    from sqlkit.caching.statistics import CacheStatistics

__all__ = ["CONTENT_TYPE", "DatabaseCollector", "metrics_text"]

#: The buckets that are shown, as powers of two of nanoseconds: from 33 microseconds to 34 seconds.
SHOWN = range(15, 36)

QUERY = ("database", "query")


class Watched(Protocol):
    """A Database or an AsyncDatabase."""

    @property
    def tally(self) -> Tally:
        """What counts for it."""
        ...

    def status(self) -> PoolStatus:
        """Return the figures of its pool."""
        ...


class Cached(Protocol):
    """A cache of either colour, or what has one."""

    def statistics(self) -> CacheStatistics | None:
        """Return what it counted; None where nothing is."""
        ...


def metrics_text(databases: Mapping[str, Watched], caches: Iterable[Cached] = ()) -> str:
    """Return the figures of databases, by the names that they are to have, and of caches in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(DatabaseCollector(databases, caches))
    return generate_latest(registry).decode()


class DatabaseCollector(Collector):
    """Gives a registry what databases and caches have counted since they were made, and how the pools are.

    ``databases`` are by the names that they are to have there. A ``statistics(reset=True)`` elsewhere resets nothing
    here. One collector may be registered in a registry: give it all databases.
    """

    def __init__(self, databases: Mapping[str, Watched], caches: Iterable[Cached] = ()) -> None:
        self._databases = dict(databases)
        self._caches = tuple(caches)

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without samples: to register asks nothing."""
        return [*_of_queries({}), *_of_pools({}), _of_timeouts({}), *_of_caches([])]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their samples."""
        yield from _of_queries({name: db.tally.read(whole=True).queries for name, db in self._databases.items()})
        yield from _of_pools({name: db.status() for name, db in self._databases.items()})
        yield _of_timeouts({name: db.tally.timeouts for name, db in self._databases.items()})
        counted = [cache.statistics() for cache in self._caches]
        yield from _of_caches([cache for cache in counted if cache is not None])


def _of_queries(databases: Mapping[str, Iterable[QueryStatistics]]) -> Iterator[Metric]:
    times = HistogramMetricFamily("sqlkit_query_duration_seconds", "The time of a query's calls", labels=QUERY)
    rows = CounterMetricFamily("sqlkit_query_rows", "Rows that a query returned or affected", labels=QUERY)
    hits = CounterMetricFamily("sqlkit_query_cache_hits", "Calls of a query that a cache answered", labels=QUERY)
    errors = CounterMetricFamily(
        "sqlkit_query_errors", "Calls of a query that failed, by the error's class", labels=(*QUERY, "error")
    )
    for database, queries in databases.items():
        for query in _by_name(queries):
            labels = (database, query.name)
            times.add_metric(labels, _cumulative(query), query.seconds)
            rows.add_metric(labels, query.rows)
            hits.add_metric(labels, query.hits)
            for kind, number in query.errors.items():
                errors.add_metric((*labels, kind), number)
    yield from (times, rows, hits, errors)


def _by_name(queries: Iterable[QueryStatistics]) -> Iterable[QueryStatistics]:
    """Add up what has one name and stands in two files: a name is one series."""
    found: dict[str, QueryStatistics] = {}
    for query in queries:
        found[query.name] = combined(found[query.name], query) if query.name in found else query
    return found.values()


def _cumulative(query: QueryStatistics) -> list[tuple[str, float]]:
    sums = list(accumulate(query.histogram))
    return [*((str(upper_bound(bucket)), float(sums[bucket])) for bucket in SHOWN), ("+Inf", float(sums[-1]))]


def _of_pools(pools: Mapping[str, PoolStatus]) -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "sqlkit_pool_connections", "Connections of a pool, idle or used", labels=("database", "state")
    )
    most = GaugeMetricFamily("sqlkit_pool_connections_max", "Connections of a pool at most", labels=("database",))
    waiting = GaugeMetricFamily("sqlkit_pool_waiting", "Callers who wait for a connection", labels=("database",))
    for database, pool in pools.items():
        connections.add_metric((database, "idle"), pool.available)
        connections.add_metric((database, "used"), pool.checked_out)
        most.add_metric((database,), pool.max_size)
        waiting.add_metric((database,), pool.waiting)
    yield from (connections, most, waiting)
    yield from _of_replicas(pools)


def _of_timeouts(timeouts: Mapping[str, int]) -> Metric:
    waited = CounterMetricFamily(
        "sqlkit_pool_timeouts", "Callers who waited for a connection in vain", labels=("database",)
    )
    for database, number in timeouts.items():
        waited.add_metric((database,), number)
    return waited


def _of_replicas(pools: Mapping[str, PoolStatus]) -> Iterator[Metric]:
    labels = ("database", "replica")
    serving = GaugeMetricFamily("sqlkit_replica_serving", "Whether a replica serves reads", labels=labels)
    lag = GaugeMetricFamily("sqlkit_replica_lag_seconds", "How far a replica is behind at most", labels=labels)
    used = GaugeMetricFamily("sqlkit_replica_used", "Connections of a replica that are lent", labels=labels)
    for database, pool in pools.items():
        for replica in pool.replicas:
            serving.add_metric((database, replica.database), replica.serving)
            used.add_metric((database, replica.database), replica.checked_out)
            if replica.lag is not None:
                lag.add_metric((database, replica.database), replica.lag)
    yield from (serving, lag, used)


def _of_caches(caches: Iterable[CacheStatistics]) -> Iterator[Metric]:
    keys = CounterMetricFamily(
        "sqlkit_cache_keys",
        "Keys that were asked of a cache, or kept in it, by what became of them",
        labels=("cache", "result"),
    )
    hears = GaugeMetricFamily("sqlkit_cache_hears", "Whether a cache hears of others' writes", labels=("cache",))
    circuits = GaugeMetricFamily(
        "sqlkit_cache_circuit_open", "Whether the circuit of a cache's tier is open", labels=("cache", "tier")
    )
    failures = CounterMetricFamily("sqlkit_cache_failures", "Calls of a tier that failed", labels=("cache", "tier"))
    for cache in caches:
        for result in ("hits", "misses", "fills", "stale", "unfit"):
            keys.add_metric((cache.name, result), getattr(cache, result))
        if cache.hears is not None:
            hears.add_metric((cache.name,), cache.hears)
        for tier in cache.tiers:
            circuits.add_metric((cache.name, tier.name), tier.state != "closed")
            failures.add_metric((cache.name, tier.name), tier.failures)
    yield from (keys, hears, circuits, failures)
