"""What a Database counts, as Prometheus text and as OpenTelemetry's spans and metrics."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol

import psycopg
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

import sqlkit
from sqlkit import (
    Affected,
    AsyncDatabase,
    AsyncExecutor,
    AsyncRows,
    ConfigurationError,
    Database,
    Executor,
    NoRow,
    PoolExhausted,
    Rows,
    fetch_all,
)
from sqlkit.caching import Cache, MemoryTier, RedisTier, cached
from sqlkit.caching.circuit import Circuit
from sqlkit.fastapi import database_of, lifespan_of, metrics_router
from sqlkit.telemetry.otel import BOUNDARIES, instrument
from sqlkit.telemetry.prometheus import DatabaseCollector, metrics_text
from sqlkit.testing import TestServer
from tests.redis_server import RedisServer
from tests.replicas.queries import queries as replica_queries
from tests.replicas.standby import primary_and_standby
from tests.serving import served

WHOLE_PAGE = (Path(__file__).parent.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
#: As far as it is about the process: the rest is about the server.
PAGE = re.split(r"(?<=\n)## ", WHOLE_PAGE.partition("## OpenTelemetry")[2])[0]
PAGE = WHOLE_PAGE.partition("## OpenTelemetry")[0] + PAGE

COUNT = "db.client.connection.count"

SQL = """
-- name: numbers
select generate_series(1, :n::int);

-- name: flow
with numbers (number) as (select generate_series(1, :n::int))
select number from numbers;

-- name: make
create table words (word text primary key);

-- name: add
insert into words (word) values (:word);

-- name: keep
insert into words (word) values (:word) returning word;

-- name: fill
copy words (word) from stdin;

-- name: one
select word from words where word = :word;

-- name: sleep
select pg_sleep(:seconds)::text;
"""


class Word(BaseModel):
    word: str


class Queries(Protocol):
    def numbers(self, db: Executor, *, n: int) -> list[int]: ...
    def flow(self, db: Executor, *, n: int) -> Rows[int]: ...
    def make(self, db: Executor) -> None: ...
    def add(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def keep(self, db: Executor, *, word: str) -> str: ...
    def fill(self, db: Executor, words: Iterable[Word]) -> Affected: ...
    def one(self, db: Executor, *, word: str) -> str: ...
    def sleep(self, db: Executor, *, seconds: float) -> str: ...


class AsyncQueries(Protocol):
    async def numbers(self, db: AsyncExecutor, *, n: int) -> list[int]: ...
    def flow(self, db: AsyncExecutor, *, n: int) -> AsyncRows[int]: ...


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file."""
    path = tmp_path_factory.mktemp("project") / "sql" / "shop" / "words.sql"
    path.parent.mkdir(parents=True)
    path.write_text(SQL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def queries(path: Path) -> Queries:
    """Give the queries."""
    loaded: Queries = sqlkit.load(Queries, path)
    return loaded


@pytest.fixture
def db(dsn: str) -> Iterator[Database]:
    """Give an empty database."""
    with Database.connect(dsn, pool_max_size=2, schema="public") as database:
        yield database


# Prometheus.


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a text by name and the values of labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_has_the_figures_of_queries(db: Database, queries: Queries) -> None:
    """Calls and time as a histogram, rows, errors by class, under the database's name and the query's."""
    queries.make(db)
    queries.numbers(db, n=3)
    queries.numbers(db, n=4)
    with suppress(NoRow):
        queries.one(db, word="a")
    fetch_all(db, int, "select 1")
    found = samples(metrics_text({"shop": db}))
    assert found["sqlkit_query_duration_seconds_count", "shop", "shop.words.numbers"] == 2
    assert 0 < found["sqlkit_query_duration_seconds_sum", "shop", "shop.words.numbers"] < 5
    assert found["sqlkit_query_rows_total", "shop", "shop.words.numbers"] == 7
    assert found["sqlkit_query_rows_total", "shop", "ad hoc"] == 1
    assert found["sqlkit_query_errors_total", "shop", "NoRow", "shop.words.one"] == 1
    assert found["sqlkit_query_duration_seconds_count", "shop", "shop.words.one"] == 1
    assert ("sqlkit_query_errors_total", "shop", "NoRow", "shop.words.numbers") not in found


def test_prometheus_buckets_are_cumulative(db: Database, queries: Queries) -> None:
    """Each bucket has the calls of those below it, the last has all; a call is counted above its time only."""
    queries.sleep(db, seconds=0)
    queries.sleep(db, seconds=0.1)
    (times,) = [
        family
        for family in text_string_to_metric_families(metrics_text({"shop": db}))
        if family.name == "sqlkit_query_duration_seconds"
    ]
    buckets = [(float(each.labels["le"]), each.value) for each in times.samples if each.name.endswith("_bucket")]
    assert times.type == "histogram"
    assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
    assert [calls for _, calls in buckets] == sorted(calls for _, calls in buckets)
    assert {calls for bound, calls in buckets if bound < 0.1} <= {0, 1}
    assert buckets[-1] == (float("inf"), 2)


def test_prometheus_has_cache_hits_and_caches(db: Database, queries: Queries) -> None:
    """Hits of a query, and what its cache says of itself."""
    cache = Cache(MemoryTier(), name="numbers")
    numbers = cached(queries.numbers, cache)
    for _ in range(3):
        numbers(db, n=2)
    found = samples(metrics_text({"shop": db}, [cache]))
    assert found["sqlkit_query_cache_hits_total", "shop", "shop.words.numbers"] == 2
    assert found["sqlkit_cache_keys_total", "numbers", "hits"] >= 2
    assert found["sqlkit_cache_keys_total", "numbers", "fills"] == 1
    assert found["sqlkit_cache_circuit_open", "numbers", cache.statistics().tiers[0].name] == 0


def test_prometheus_is_told_that_redis_is_down(db: Database, queries: Queries, tmp_path: Path) -> None:
    """A circuit that opens is a gauge that is 1, with the calls that failed; calls answer from the database."""
    redis = RedisServer(tmp_path)  # never started
    tier = RedisTier(redis.url, circuit=Circuit(failures=2, pause=60))
    cache = Cache(tier, name="sessions")
    numbers = cached(queries.numbers, cache)
    before = samples(metrics_text({"shop": db}, [cache]))
    assert numbers(db, n=2) == numbers(db, n=2) == [1, 2]
    name = cache.statistics().tiers[0].name
    found = samples(metrics_text({"shop": db}, [cache]))
    assert before["sqlkit_cache_circuit_open", "sessions", name] == 0
    assert found["sqlkit_cache_circuit_open", "sessions", name] == 1
    assert found["sqlkit_cache_failures_total", "sessions", name] >= 2
    assert found["sqlkit_query_duration_seconds_count", "shop", "shop.words.numbers"] == 2
    tier.close()


def test_prometheus_has_the_pool(dsn: str, queries: Queries) -> None:
    """Connections by state, their limit, who waits, and who waited in vain."""
    with Database.connect(dsn, pool_max_size=1, pool_timeout=0.05) as db:
        with db.connection(), pytest.raises(PoolExhausted):
            asyncio.run(asyncio.to_thread(queries.numbers, db, n=1))
        with db.connection():
            found = samples(metrics_text({"shop": db}))
    assert found["sqlkit_pool_connections", "shop", "used"] == 1
    assert found["sqlkit_pool_connections", "shop", "idle"] == 0
    assert found["sqlkit_pool_connections_max", "shop"] == 1
    assert found["sqlkit_pool_waiting", "shop"] == 0
    assert found["sqlkit_pool_timeouts_total", "shop"] == 1


def test_prometheus_counters_only_grow(db: Database, queries: Queries) -> None:
    """A reset of ``statistics`` is not one of Prometheus' counters."""
    queries.numbers(db, n=2)
    db.statistics(reset=True)
    queries.numbers(db, n=2)
    assert samples(metrics_text({"shop": db}))["sqlkit_query_rows_total", "shop", "shop.words.numbers"] == 4


def test_collector_in_a_registry(dsn: str, queries: Queries) -> None:
    """One collector serves several databases, of either colour; to register it asks nothing of them."""

    async def collected() -> str:
        async with AsyncDatabase.connect(dsn) as other:
            with Database.connect(dsn) as db:
                registry = CollectorRegistry()
                registry.register(DatabaseCollector({"a": db, "b": other}))
                queries.numbers(db, n=1)
                return generate_latest(registry).decode()

    text = asyncio.run(collected())
    assert text.count("# TYPE sqlkit_pool_connections gauge") == 1
    found = samples(text)
    assert found["sqlkit_pool_connections", "b", "idle"] == 1
    assert found["sqlkit_query_rows_total", "a", "shop.words.numbers"] == 1


def test_two_files_of_one_name_are_one_series(db: Database, queries: Queries, tmp_path: Path) -> None:
    """Queries of one name in two files add up: Prometheus knows them by their labels alone."""
    path = tmp_path / "sql" / "shop" / "words.sql"
    path.parent.mkdir(parents=True)
    path.write_text(SQL, encoding="utf-8")
    others: Queries = sqlkit.load(Queries, path)
    queries.numbers(db, n=1)
    others.numbers(db, n=2)
    assert len(db.statistics()) == 2
    assert samples(metrics_text({"shop": db}))["sqlkit_query_rows_total", "shop", "shop.words.numbers"] == 3


# OpenTelemetry.


class Told:
    """What was told to an SDK that keeps it in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def providers(self) -> dict[str, Any]:
        """Return what ``instrument`` takes."""
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended."""
        return self.exporter.get_finished_spans()

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Return the attributes of the last span, or of the last of a name."""
        return dict([span for span in self.spans if name in ("", span.name)][-1].attributes or {})

    @staticmethod
    def rows_of(span: ReadableSpan) -> int:
        """Return the rows of a span."""
        return int(str(dict(span.attributes or {})["db.response.returned_rows"]))

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def told() -> Iterator[Told]:
    """Give an SDK in memory."""
    told = Told()
    yield told
    told.meters.shutdown()
    told.tracers.shutdown()


def test_span_of_a_call(db: Database, queries: Queries, told: Told, path: Path) -> None:
    """A call is a CLIENT span by the conventions for PostgreSQL, with the file and line of its statement."""
    with instrument(db, **told.providers()):
        queries.numbers(db, n=3)
    (span,) = told.spans
    assert (span.name, span.kind, span.status.status_code) == ("shop.words.numbers", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "sqlkit"
    assert told.attributes() == {
        "db.system.name": "postgresql",
        "db.namespace": f"{db.settings.name}|public",
        "db.operation.name": "SELECT",
        "db.query.summary": "shop.words.numbers",
        "db.query.text": "select generate_series(1, $1::int);",
        "db.response.returned_rows": 3,
        "code.file.path": str(path),
        "code.line.number": 2,
        **server_of(db),
    }


def server_of(db: Database) -> dict[str, str | int]:
    """Return the attributes of the server, whose port is told unless it is PostgreSQL's own."""
    server: dict[str, str | int] = {"server.address": str(db.settings.host)}
    if db.settings.port not in (None, 5432):
        server["server.port"] = int(str(db.settings.port))
    return server


def test_server_with_a_port_of_its_own() -> None:
    """The port is told where it is not PostgreSQL's; of several hosts none is, for which it is can change."""
    from sqlkit.settings import Settings
    from sqlkit.telemetry.otel import _of_database

    assert _of_database(Settings(url="postgresql://db.example:6432/shop")) == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "server.address": "db.example",
        "server.port": 6432,
    }
    assert "server.address" not in _of_database(Settings(url="postgresql://a,b/shop"))


def test_span_has_the_time_of_its_call(db: Database, queries: Queries, told: Told) -> None:
    """It begins and ends as its call did, though it is made at the end."""
    before = time.time_ns()
    with instrument(db, **told.providers()):
        queries.sleep(db, seconds=0.05)
    (span,) = told.spans
    assert span.start_time is not None
    assert span.end_time is not None
    assert before <= span.start_time <= span.end_time - 50_000_000
    assert span.end_time <= time.time_ns()


def test_span_is_a_child_of_the_current_one(db: Database, queries: Queries, told: Told) -> None:
    """What a request does on the database belongs to the request's span, streams and transactions too."""
    tracer = told.tracers.get_tracer("test")
    with instrument(db, **told.providers()), tracer.start_as_current_span("request") as request:
        queries.numbers(db, n=1)
        list(queries.flow(db, n=1))
        with db.transaction() as conn:
            queries.numbers(conn, n=1)
    *calls, last = told.spans
    assert last.name == "request"
    assert [span.parent.span_id for span in calls if span.parent] == [request.get_span_context().span_id] * 3


def test_spans_on_asyncio(dsn: str, path: Path, told: Told) -> None:
    """Each task's calls are children of the span that is current in it."""
    queries: AsyncQueries = sqlkit.load(AsyncQueries, path)
    tracer = told.tracers.get_tracer("test")

    async def request(db: AsyncDatabase, number: int) -> None:
        with tracer.start_as_current_span(f"request {number}"):
            await queries.numbers(db, n=number)
            assert len([row async for row in queries.flow(db, n=number)]) == number

    async def run() -> None:
        async with AsyncDatabase.connect(dsn) as db:
            with instrument(db, **told.providers()):
                await asyncio.gather(*(request(db, number) for number in (1, 2, 3)))

    asyncio.run(run())
    requests = {span.context.span_id: span.name for span in told.spans if span.context and "request" in span.name}
    calls = [span for span in told.spans if span.kind is SpanKind.CLIENT]
    assert len(calls) == 6
    for span in calls:
        assert span.parent is not None
        assert requests[span.parent.span_id] == f"request {told.rows_of(span)}"


def test_error_of_the_server(db: Database, queries: Queries, told: Told) -> None:
    """What the server refuses has its SQLSTATE as type and status; neither text nor value of the error is told."""
    queries.make(db)
    queries.keep(db, word="secret")
    with instrument(db, **told.providers()), pytest.raises(psycopg.errors.UniqueViolation, match="secret"):
        queries.keep(db, word="secret")
    (span,) = told.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "UniqueViolation")
    assert told.attributes()["error.type"] == told.attributes()["db.response.status_code"] == "23505"
    assert "db.response.returned_rows" not in told.attributes()
    assert span.events == ()
    assert "secret" not in span.to_json()


def test_error_of_the_contract(db: Database, queries: Queries, told: Told) -> None:
    """What sqlkit refuses has the class of its error, and no status of the server."""
    queries.make(db)
    with instrument(db, **told.providers()), pytest.raises(NoRow):
        queries.one(db, word="secret")
    assert told.attributes()["error.type"] == "sqlkit.NoRow"
    assert "db.response.status_code" not in told.attributes()
    assert "secret" not in told.spans[0].to_json()


def test_batches_and_copies(db: Database, queries: Queries, told: Told) -> None:
    """A batch is one span with its size, as a copy is; one item is no batch, by the conventions."""
    queries.make(db)
    with instrument(db, **told.providers()):
        queries.add(db, [Word(word="secret"), Word(word="b")])
        queries.add(db, [Word(word="c")])
        queries.fill(db, [Word(word=f"{number}") for number in range(30)])
    sizes = [dict(span.attributes or {}).get("db.operation.batch.size") for span in told.spans]
    assert sizes == [2, None, 30]
    assert [dict(span.attributes or {})["db.operation.name"] for span in told.spans] == ["INSERT", "INSERT", "COPY"]
    assert all("secret" not in span.to_json() for span in told.spans)


def test_stream_is_one_span(db: Database, queries: Queries, told: Told) -> None:
    """A stream's span comes at its end, with its rows; what it is comes from behind its ``with``."""
    with instrument(db, **told.providers()):
        assert len(list(queries.flow(db, n=2500))) == 2500
    assert told.attributes()["db.response.returned_rows"] == 2500
    assert told.attributes()["db.operation.name"] == "SELECT"


def test_ad_hoc_sql(db: Database, told: Told) -> None:
    """A statement without a name is told by its command; its text has no values."""
    with instrument(db, **told.providers()):
        fetch_all(db, str, "select :word::text", word="secret")
    (span,) = told.spans
    assert span.name == f"SELECT {db.settings.name}|public"
    assert told.attributes()["db.query.text"] == "select $1::text"
    assert "db.query.summary" not in told.attributes()
    assert "secret" not in span.to_json()


def test_duration_metric(db: Database, queries: Queries, told: Told) -> None:
    """``db.client.operation.duration`` is a histogram in seconds, by query and error, with the asked boundaries."""
    queries.make(db)
    with instrument(db, **told.providers()):
        for _ in range(3):
            queries.numbers(db, n=1)
        with suppress(NoRow):
            queries.one(db, word="a")
        points = told.points("db.client.operation.duration")
    found = {point.attributes["db.query.summary"]: point for point in points}
    assert {name: point.count for name, point in found.items()} == {"shop.words.numbers": 3, "shop.words.one": 1}
    assert 0 < found["shop.words.numbers"].sum < 5
    assert found["shop.words.numbers"].explicit_bounds == BOUNDARIES
    assert dict(found["shop.words.one"].attributes) == {
        "db.system.name": "postgresql",
        "db.namespace": f"{db.settings.name}|public",
        "db.operation.name": "SELECT",
        "db.query.summary": "shop.words.one",
        "error.type": "sqlkit.NoRow",
        **server_of(db),
    }


def test_pool_metrics(dsn: str, queries: Queries, told: Told) -> None:
    """The pool's connections by state, its bounds, who waits and who waited in vain."""
    with (
        Database.connect(dsn, pool_min_size=1, pool_max_size=1, pool_timeout=0.05) as db,
        instrument(db, pool_name="shop", **told.providers()),
        db.connection(),
    ):
        with pytest.raises(PoolExhausted):
            asyncio.run(asyncio.to_thread(queries.numbers, db, n=1))
        counts = told.points(COUNT)
        others = {
            name: [(point.value, dict(point.attributes)) for point in told.points(f"db.client.connection.{name}")]
            for name in ("max", "idle.min", "pending_requests", "timeouts")
        }
    assert {point.attributes["db.client.connection.state"]: point.value for point in counts} == {"used": 1, "idle": 0}
    pool = {"db.client.connection.pool.name": "shop"}
    assert others == {
        "max": [(1, pool)],
        "idle.min": [(1, pool)],
        "pending_requests": [(0, pool)],
        "timeouts": [(1, pool)],
    }


def test_nothing_is_told_once_it_is_stopped(db: Database, queries: Queries, told: Told) -> None:
    """After ``stop`` there are no spans, no measurements and no figures of the pool; a second stop does nothing."""
    watching = instrument(db, **told.providers())
    queries.numbers(db, n=1)
    watching.stop()
    watching.stop()
    queries.numbers(db, n=1)
    assert len(told.spans) == 1
    assert told.points(COUNT) == told.points("db.client.connection.pending_requests") == []
    assert [point.count for point in told.points("db.client.operation.duration")] == [1]
    assert db.statistics()["numbers"].calls == 2


def test_two_may_watch_one_database(db: Database, queries: Queries, told: Told) -> None:
    """Each is told, and the log of slow statements goes on as before."""
    other = Told()
    with instrument(db, **told.providers()):
        with instrument(db, **other.providers()):
            queries.numbers(db, n=1)
        queries.numbers(db, n=1)
    assert (len(told.spans), len(other.spans)) == (2, 1)


def test_a_database_that_counts_nothing_cannot_be_watched(dsn: str) -> None:
    """Where statistics are switched off nobody would see a call: that is said."""
    with (
        Database.connect(dsn, statistics=False) as db,
        pytest.raises(ConfigurationError, match=r"instrument: .* leave statistics on"),
    ):
        instrument(db)


def test_the_global_providers_are_the_default(db: Database, queries: Queries) -> None:
    """Without an SDK the API does nothing, and calls go on."""
    with instrument(db):
        assert queries.numbers(db, n=2) == [1, 2]


# FastAPI.


@pytest.mark.parametrize("colour", [Database, AsyncDatabase])
def test_route_for_prometheus(dsn: str, path: Path, colour: type[Database] | type[AsyncDatabase]) -> None:
    """``/metrics`` has the figures of the application's database and of its caches, in Prometheus' text format."""
    app = FastAPI(lifespan=lifespan_of(colour, dsn))
    app.include_router(metrics_router(caches=[Cache(MemoryTier(), name="memory")]))
    queries: AsyncQueries = sqlkit.load(AsyncQueries if colour is AsyncDatabase else Queries, path)

    @app.get("/numbers")
    async def numbers(db: Annotated[Any, database_of()]) -> list[int]:
        found: Any = queries.numbers(db, n=4)
        return list(found) if isinstance(found, list) else await found

    with served(app) as client:
        assert client.get("/numbers").json() == [1, 2, 3, 4]
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    assert found["sqlkit_query_rows_total", str(name), "shop.words.numbers"] == 4
    assert found["sqlkit_cache_keys_total", "memory", "hits"] == 0


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [("prometheus_client", "prometheus", "prometheus"), ("opentelemetry", "otel", "otel")],
)
def test_what_is_not_installed_is_said(package: str, module: str, extra: str) -> None:
    """Without its extra each module says which to install."""
    script = f"import sys; sys.modules[{package!r}] = None\nimport sqlkit.telemetry.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"is not installed: pip install 'sqlkit[{extra}]'" in done.stderr.splitlines()[-1]


def test_the_page_runs(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first half of docs/monitoring.md is a program that does what the page says."""
    blocks = {kind: re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("sql", "python")}
    monkeypatch.chdir(tmp_path)
    file = Path("sql/soleil/songs.sql")
    file.parent.mkdir(parents=True)
    file.write_text("".join(blocks["sql"]), encoding="utf-8")
    page = ModuleType("monitoring_page")
    monkeypatch.setitem(sys.modules, page.__name__, page)
    page.__dict__.update(dsn=dsn)
    try:
        exec(compile("\n".join(blocks["python"]), "docs/monitoring.md", "exec", dont_inherit=True), page.__dict__)
        assert page.__dict__["db"].statistics()["own_text"].calls == 1
    finally:
        REGISTRY.unregister(page.__dict__["collector"])
        page.__dict__["db"].close()


def test_the_page_lists_the_metrics(db: Database) -> None:
    """Each metric that Prometheus is told of stands on the page, and no other."""
    told = {family.name for family in DatabaseCollector({"db": db}, [Cache(MemoryTier())]).describe()}
    listed = set(re.findall(r"`(sqlkit_\w+)`", PAGE))
    assert {name.removesuffix("_total") for name in listed} == told


# Replicas.


def test_replicas_count_for_their_database(server: TestServer, told: Told) -> None:
    """What a replica answers is in the figures and spans of the Database; Prometheus is told how each replica is."""
    with (
        primary_and_standby(server.bindir) as pair,
        Database.connect(pair.dsn, replicas=[pair.standby.dsn], pool_max_size=2) as db,
        instrument(db, **told.providers()),
    ):
        deadline = time.monotonic() + 10
        while not db.status().replicas[0].serving:
            assert time.monotonic() < deadline, "the replica does not serve"
            time.sleep(0.01)
        assert replica_queries.here(db).startswith("standby")
        assert not replica_queries.unmarked(db).startswith("standby")
        found = db.statistics()
        (replica,) = db.status().replicas
        text = samples(metrics_text({"shop": db}))
        pools = {point.attributes["db.client.connection.pool.name"] for point in told.points(COUNT)}
    assert pools == {db.settings.name, f"{db.settings.name} ({replica.database})"}
    assert {query.name.rpartition(".")[2]: query.calls for query in found} == {"here": 1, "unmarked": 1}
    assert [span.name.rpartition(".")[2] for span in told.spans] == ["here", "unmarked"]
    assert text["sqlkit_replica_serving", "shop", replica.database] == 1
    assert 0 <= text["sqlkit_replica_lag_seconds", "shop", replica.database] < 10
    assert text["sqlkit_replica_used", "shop", replica.database] == 0
