"""OpenTelemetry's spans and metrics of a Database, by its conventions for PostgreSQL clients; never a value.

::

    watching = instrument(db)       # to the providers that the program has set up
    ...
    watching.stop()

Needs the extra ``otel``: the API only, for the program chooses the SDK. A span is made when its call has ended, with
the time at which it began: a call costs nothing while nobody watches, and its span is a child of the one that is
current where it was made. The attributes are those of
https://opentelemetry.io/docs/specs/semconv/database/postgresql/ (1.33 and later).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeAlias

import psycopg

from sqlkit.database.options import PoolStatus
from sqlkit.errors import ConfigurationError
from sqlkit.sqlfile.naming import command_of
from sqlkit.statements import Statement
from sqlkit.statistics import Event
from sqlkit.tally import Tally

try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
except ImportError:
    raise ConfigurationError("opentelemetry-api is not installed: pip install 'sqlkit[otel]'") from None

if TYPE_CHECKING:
    from sqlkit.settings import Settings

__all__ = ["Instrumentation", "instrument"]

SCOPE = "sqlkit"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.33.0"

#: The boundaries in seconds that the conventions ask for.
BOUNDARIES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)

DEFAULT_PORT = 5432

Attributes: TypeAlias = dict[str, str | int]


class Watched(Protocol):
    """A Database or an AsyncDatabase."""

    settings: Settings

    @property
    def tally(self) -> Tally:
        """What counts for it."""
        ...

    def status(self) -> PoolStatus:
        """Return the figures of its pool."""
        ...


def instrument(
    db: Watched,
    *,
    pool_name: str | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Instrumentation:
    """Make a span and a measurement of each call of a Database from now on, and watch its pool.

    The providers are the global ones unless given. ``pool_name`` is what the pool is called, the database's name
    unless given. Raises ConfigurationError for a database with ``statistics=False``, whose calls nobody sees.
    """
    if not db.settings.statistics:
        raise ConfigurationError("instrument: the database counts nothing: leave statistics on in its settings")
    return Instrumentation(db, pool_name, tracer_provider, meter_provider)


class Instrumentation:
    """What tells OpenTelemetry of a Database, until it is stopped; also a context manager."""

    def __init__(
        self,
        db: Watched,
        pool_name: str | None,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider, schema_url=SCHEMA_URL)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider, schema_url=SCHEMA_URL)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        self._database = _of_database(db.settings)
        self._known: dict[Statement, Told] = {}
        self._pool = _Pool(db, pool_name or db.settings.name or "postgresql", meter)
        self._leave: Callable[[], None] = db.tally.observe(self._observe)

    def stop(self) -> None:
        """Tell no more; a second time does nothing."""
        self._leave()
        self._pool.stopped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _observe(self, event: Event) -> None:
        told = self._told(event.statement)
        outcome = _of_error(event.error) if event.error is not None else {}
        self._duration.record(event.nanoseconds / 1e9, {**told.attributes, **outcome})
        end = time.time_ns()
        span = self._tracer.start_span(
            told.name,
            kind=SpanKind.CLIENT,
            attributes={**told.attributes, **told.place, **outcome, **_of_call(event)},
            start_time=end - event.nanoseconds,
            record_exception=False,  # its text may quote a value
        )
        if event.error is not None:
            span.set_status(Status(StatusCode.ERROR, type(event.error).__name__))
        span.end(end)

    def _told(self, statement: Statement) -> Told:
        told = self._known.get(statement)
        if told is None:
            told = _of_statement(statement, self._database)
            if statement.full_name:  # of ad hoc statements there may be any number
                self._known[statement] = told
        return told


class Told(NamedTuple):
    """What is told of a statement: the name of its spans, the attributes of both signals, those of spans alone."""

    name: str
    attributes: Attributes
    place: Attributes


def _of_database(settings: Settings) -> Attributes:
    """Return what is the same in all calls: the namespace is that which the settings say, not a view's."""
    found: Attributes = {"db.system.name": "postgresql"}
    namespace = [part for part in (settings.name, settings.schema) if part]
    if namespace:
        found["db.namespace"] = "|".join(namespace)
    if settings.host and "," not in settings.host:  # with several, which it is can change
        found["server.address"] = settings.host
        if settings.port not in (None, DEFAULT_PORT):
            found["server.port"] = int(settings.port)
    return found


def _of_statement(statement: Statement, database: Attributes) -> Told:
    name, command = statement.full_name, command_of(statement.text)
    attributes = {**database, "db.operation.name": command}
    if not name:
        return Told(f"{command} {database.get('db.namespace', 'postgresql')}", attributes, {})
    attributes["db.query.summary"] = name
    return Told(name, attributes, {"code.file.path": str(statement.path), "code.line.number": statement.line})


def _of_call(event: Event) -> Attributes:
    """Return what only a span has: the text with ``$1`` for values, the rows, the size of a batch."""
    found: Attributes = {"db.query.text": event.text}
    if event.error is None and not event.statement.writes:
        found["db.response.returned_rows"] = event.rows
    if event.size is not None and event.size > 1:  # one is no batch, by the conventions
        found["db.operation.batch.size"] = event.size
    return found


def _of_error(error: BaseException) -> Attributes:
    """Return the SQLSTATE as the error's type and status, or the class where the server did not refuse it."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is not None:
        return {"error.type": state, "db.response.status_code": state}
    return {"error.type": f"{type(error).__module__}.{type(error).__qualname__}"}


class _Pool:
    """The figures of the pool and of its replicas' pools, which are read when they are exported."""

    def __init__(self, db: Watched, name: str, meter: Meter) -> None:
        self._db = db
        self._name = name
        self.stopped = False
        gauge = meter.create_observable_up_down_counter
        gauge("db.client.connection.count", [self._counts], "{connection}", "Connections, idle or used.")
        gauge("db.client.connection.max", [self._of("max_size")], "{connection}", "Connections at most.")
        gauge("db.client.connection.idle.min", [self._of("min_size")], "{connection}", "Connections that are kept.")
        gauge("db.client.connection.pending_requests", [self._waiting], "{request}", "Callers who wait.")
        meter.create_observable_counter(
            "db.client.connection.timeouts", [self._timeouts], "{timeout}", "Callers who waited in vain."
        )

    def _labels(self, replica: str | None = None) -> Attributes:
        return {"db.client.connection.pool.name": self._name if replica is None else f"{self._name} ({replica})"}

    def _counts(self, options: CallbackOptions) -> Iterator[Observation]:  # noqa: ARG002  the API's signature
        if self.stopped:
            return
        status = self._db.status()
        pools = [(self._labels(), status.checked_out, status.available)]
        pools += [(self._labels(one.database), one.checked_out, one.size - one.checked_out) for one in status.replicas]
        for labels, used, idle in pools:
            yield Observation(used, {**labels, "db.client.connection.state": "used"})
            yield Observation(idle, {**labels, "db.client.connection.state": "idle"})

    def _waiting(self, options: CallbackOptions) -> Iterator[Observation]:  # noqa: ARG002  the API's signature
        if self.stopped:
            return
        status = self._db.status()
        yield Observation(status.waiting, self._labels())
        for replica in status.replicas:
            yield Observation(replica.waiting, self._labels(replica.database))

    def _of(self, figure: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG001  the API's signature
            return [] if self.stopped else [Observation(getattr(self._db.status(), figure), self._labels())]

        return read

    def _timeouts(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002  the API's signature
        return [] if self.stopped else [Observation(self._db.tally.timeouts, self._labels())]
