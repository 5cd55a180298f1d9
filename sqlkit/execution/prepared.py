"""Statements as one connection has prepared them, and the round trips below psycopg's cursors.

Generators here speak to libpq as psycopg's own do: both colours drive them by ``connection.wait``, so interrupts,
cancellation, timeouts and notices work as everywhere in psycopg. Nothing decides how many rows are right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg import abc as psycopg_abc
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from sqlkit.connection import Memory
from sqlkit.errors import ConfigurationError
from sqlkit.poolers import lasting
from sqlkit.rows.shapes import Column, RowMaker, RowType
from sqlkit.sqlfile.naming import with_name
from sqlkit.values.catalog import CATALOG_QUERY, CatalogRow, PgType, base_adapters, builtin_types, learn, unknown
from sqlkit.values.parameters import DumpTable

__all__ = [
    "CATALOGUE",
    "Connection",
    "Prepared",
    "command",
    "execute",
    "flushed",
    "forget",
    "known_path",
    "named",
    "prepare",
    "round_trip",
    "search_path",
    "settle",
    "until_sync",
]

Connection: TypeAlias = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]

#: Stands in for the search path of a statement that names its schema.
CATALOGUE = "pg_catalog"

#: Statements kept prepared on a connection; the oldest goes when one more comes.
PREPARED_MAX = 1000

#: What may leave something behind in the session, so that a pool has to put it back.
TOUCHES = re.compile(
    r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:set|reset|listen|unlisten|load|discard|deallocate|prepare|declare)\b"
    r"|\bset_config\b|\bpg_(?:try_)?advisory_lock|\btemp(?:orary)?\b|\bpg_temp\b",
    re.IGNORECASE | re.DOTALL,
).search

WAIT_RW, READY_R = Wait.RW, Ready.R

FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED)


@dataclass(slots=True, eq=False)
class Prepared:
    """A statement as the server has prepared it: its parameters' and columns' types, and how to load them.

    It is good under one search ``path``. ``oids`` are the types of parameters, ``heads`` types and names of columns,
    ``touches`` tells whether it may change the session's state, ``composite`` whether there is a composite type among
    the columns. Without a ``name`` the server keeps nothing: the text is parsed anew with each call, as a pooler needs
    it that lends another server connection to each transaction. ``large`` tells that it gave many rows the last time,
    so that they are read in chunks the next.
    """

    path: object
    name: bytes
    text: bytes
    oids: tuple[int, ...]
    heads: tuple[tuple[int, bytes | None], ...]
    touches: bool
    composite: bool
    tables: tuple[DumpTable, ...]
    formats: list[Format] | None
    columns: tuple[Column, ...]
    transformer: psycopg_abc.Transformer
    result_format: Format
    loaders_set: bool = False
    large: bool = False
    makers: dict[RowType, RowMaker] = field(default_factory=dict)

    @property
    def takes(self) -> tuple[object, ...]:
        """What the statement takes, to be compared with what it takes when it is prepared anew."""
        return self.oids, *(table.pgtype for table in self.tables)

    def send(self, pgconn: PGconn, dumped: Sequence[bytes | None]) -> None:
        """Queue an execution."""
        if self.name:
            pgconn.send_query_prepared(self.name, dumped, self.formats, self.result_format)
        else:
            pgconn.send_query_params(self.text, dumped, self.oids, self.formats, self.result_format)

    def fits(self, result: PGresult) -> bool:
        """Tell whether a result has the columns that were described; a named statement's always has."""
        return bool(self.name) or heads_of(result) == self.heads

    def expect(self, result: PGresult) -> PGresult:
        """Return a result whose columns are those that were described."""
        if not self.fits(result):
            raise psycopg.errors.FeatureNotSupported("the columns of the statement have changed since it was described")
        return result

    def load(self, result: PGresult) -> list[tuple[Any, ...]]:
        """Load all rows of a result as tuples."""
        transformer = self.transformer
        if self.loaders_set:
            transformer.set_pgresult(result, set_loaders=False)
        else:
            transformer.set_pgresult(result)
            self.loaders_set = True
        return transformer.load_rows(0, result.ntuples, tuple)


class Context:
    """What a Transformer needs to know: adapters, and the connection for encoding and time zone."""

    def __init__(self, adapters: AdaptersMap, connection: Connection) -> None:
        self.adapters = adapters
        self.connection = connection


def round_trip(pgconn: PGconn) -> PQGen[PGresult]:
    """Send what was queued, wait for its result and return it; raise what the server says against it."""
    if pgconn.pipeline_status == PipelineStatus.OFF:
        results = yield from generators.execute(pgconn)
    else:
        # The borrower's own pipeline, already synchronised: one more statement and its sync.
        pgconn.pipeline_sync()
        yield from flushed(pgconn)
        results = yield from generators.fetch_many(pgconn)
        yield from generators.fetch_many(pgconn)
    return check(results[-1], pgconn)


def check(result: PGresult, pgconn: PGconn) -> PGresult:
    """Return a result that is none of an error; raise psycopg's error otherwise."""
    if result.status in FAILED:
        raise psycopg.errors.error_from_result(result, encoding=pgconn._encoding)
    return result


def command(pgconn: PGconn, text: bytes, values: Sequence[bytes | None] | None = None) -> PQGen[PGresult]:
    """Run a statement of our own that is not worth preparing."""
    pgconn.send_query_params(text, values)
    return (yield from round_trip(pgconn))


def known_path(conn: Connection, memory: Memory) -> bytes | None:
    """Return the search path of the next statement, as a key, where nobody has to be asked for it.

    PostgreSQL 18 and later report it. Before, it is known on a connection that only sqlkit uses, once it was asked for.
    """
    reported = conn.pgconn.parameter_status(b"search_path")
    if reported is not None:
        return reported
    return None if memory.touched else memory.path or memory.home


def search_path(conn: Connection, memory: Memory, path: str | None = None) -> PQGen[bytes]:
    """Return the search path of the next statement, as a key; ``path`` is what a bound view sets.

    Where it is not known it is asked for: each time where raw SQL ran, which may have changed it.
    """
    if path is not None:
        return path.encode(conn.pgconn._encoding)
    known = known_path(conn, memory)
    if known is not None:
        return known
    asked = yield from _ask_path(conn)
    if not memory.touched:
        memory.home = asked
    return asked


def _ask_path(conn: Connection) -> PQGen[bytes]:
    result = yield from command(conn.pgconn, b"select pg_catalog.current_setting('search_path')")
    return result.get_value(0, 0) or b""


def named(conn: Connection, memory: Memory, text: str, called: str) -> str:
    """Return a statement with the name that the server is to know it by, unless the connection sends none."""
    if not memory.names:
        return text
    encoding = conn.pgconn._encoding
    return with_name(text, called.encode(encoding, "replace").decode(encoding))


def prepare(conn: Connection, memory: Memory, path: object, text: str, called: str = "") -> PQGen[Prepared]:
    """Prepare a statement under a name of its own, describe it, and learn the types that it uses.

    Where psycopg may prepare nothing (``prepare_threshold`` is None), neither do we: it gets no name. ``called`` is
    what the server is told in a comment: no part of the key, so that equal texts stay one statement. ConfigurationError
    for a statement that would change the session behind a pooler.
    """
    touches = TOUCHES(text) is not None
    if touches and memory.shared and (reason := lasting(text)) is not None:
        raise ConfigurationError(f"{called or 'a statement'}: {reason}")
    memory.serial += 1
    name = b"" if conn.prepare_threshold is None else b"sqlkit_%d" % memory.serial
    encoded = named(conn, memory, text, called).encode(conn.pgconn._encoding)
    described = yield from _prepare_and_describe(conn, name, encoded)
    parameters = [described.param_type(index) for index in range(described.nparams)]
    columns = [described.ftype(index) for index in range(described.nfields)]
    yield from learn_types(conn, memory, parameters + columns)
    prepared = _describe(conn, memory, path, name, encoded, touches, described, parameters, columns)
    if len(memory.prepared) >= PREPARED_MAX:
        yield from take_off(conn, memory.prepared.pop(next(iter(memory.prepared))))
    memory.prepared[path, text] = prepared
    return prepared


def _prepare_and_describe(conn: Connection, name: bytes, text: bytes) -> PQGen[PGresult]:
    """Do both in one round trip, for without a name both must reach one and the same server connection."""
    pgconn = conn.pgconn
    ours = pgconn.pipeline_status == PipelineStatus.OFF
    if ours:
        pgconn.enter_pipeline_mode()
    # No types are given, so the server infers them: one text is one statement, whatever the values.
    pgconn.send_prepare(name, text)
    pgconn.send_describe_prepared(name)
    pgconn.pipeline_sync()
    try:
        results = yield from until_sync(pgconn)
    finally:
        if ours:
            with suppress(psycopg.Error):  # a connection that is lost, whose error is on its way
                pgconn.exit_pipeline_mode()
    for result in results:
        check(result, pgconn)
    return results[-1]


def flushed(pgconn: PGconn) -> PQGen[None]:
    """Wait until all that is queued is on its way.

    As psycopg's own ``generators.send``, which in C cannot go on where it was interrupted (Ctrl-C, a cancelled task)
    while the server takes no more: psycopg then closes the connection.
    """
    while pgconn.flush():
        while not (ready := (yield WAIT_RW)):
            pass
        if ready & READY_R:
            pgconn.consume_input()


def until_sync(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """Send what is queued and return all results up to the sync."""
    yield from flushed(pgconn)
    results: list[PGresult] = []
    while True:
        fetched = yield from generators.fetch_many(pgconn)
        if fetched and fetched[-1].status == ExecStatus.PIPELINE_SYNC:
            return results
        results.extend(fetched)


def settle(conn: Connection) -> PQGen[None]:
    """Read what a call of ours left on its way when it was interrupted (Ctrl-C), and leave its pipeline."""
    pgconn = conn.pgconn
    if pgconn.status != ConnStatus.OK or conn._pipeline is not None:
        return
    if pgconn.pipeline_status == PipelineStatus.OFF:
        while (result := (yield from generators.fetch(pgconn))) is not None:
            if result.status == ExecStatus.COPY_IN:
                with suppress(psycopg.errors.QueryCanceled):  # what the server says to it
                    yield from generators.copy_end(pgconn, b"interrupted")
        return
    pgconn.pipeline_sync()
    yield from flushed(pgconn)
    while pgconn.transaction_status == TransactionStatus.ACTIVE:
        yield from generators.fetch_many(pgconn)
    pgconn.exit_pipeline_mode()


def forget(conn: Connection, memory: Memory, key: tuple[object, object]) -> PQGen[None]:
    """Take a prepared statement out of memory and off the server.

    What was learnt of types goes too, to be learnt again by who needs it: a composite type keeps its OID when its
    columns change.
    """
    memory.types.clear()
    memory.batches.clear()
    prepared: Prepared | None = memory.prepared.pop(key, None)
    if prepared is not None:
        yield from take_off(conn, prepared)


def take_off(conn: Connection, prepared: Prepared) -> PQGen[None]:
    """Take a prepared statement off the server."""
    if not prepared.name or conn.pgconn.status != ConnStatus.OK:
        return
    if psycopg.capabilities.has_send_close_prepared():
        conn.pgconn.send_close_prepared(prepared.name)
        yield from round_trip(conn.pgconn)
    elif conn.pgconn.transaction_status != TransactionStatus.INERROR:
        with suppress(psycopg.errors.InvalidSqlStatementName):  # somebody was faster
            yield from command(conn.pgconn, b"DEALLOCATE " + prepared.name)


def learn_types(conn: Connection, memory: Memory, oids: list[int]) -> PQGen[None]:
    """Ask the catalogue for the types that this connection does not know yet."""
    if memory.adapters is None:
        memory.adapters = AdaptersMap(base_adapters())
    missing = unknown(oids, memory.types)
    if not missing:
        return
    listed = "{" + ",".join(map(str, missing)) + "}"
    result = yield from command(conn.pgconn, CATALOG_QUERY, [listed.encode()])
    encoding = conn.pgconn._encoding
    rows = [
        CatalogRow.read([(result.get_value(row, column) or b"").decode(encoding) for column in range(result.nfields)])
        for row in range(result.ntuples)
    ]
    learn(rows, memory.types, memory.adapters)
    _take_over(conn, memory.adapters, missing)


def _take_over(conn: Connection, adapters: AdaptersMap, oids: list[int]) -> None:
    """Use the borrower's loaders for types that nobody else knows (hstore, PostGIS)."""
    for oid in oids:
        for form in (Format.TEXT, Format.BINARY):
            loader = conn.adapters.get_loader(oid, form)
            if loader is not None and adapters.get_loader(oid, form) is None:
                adapters.register_loader(oid, loader)


def type_of(memory: Memory, oid: int) -> PgType:
    """Return what is known of a type."""
    return builtin_types().get(oid) or memory.types.get(oid) or PgType("unknown")


def _describe(
    conn: Connection,
    memory: Memory,
    path: object,
    name: bytes,
    text: bytes,
    touches: bool,
    described: PGresult,
    parameters: list[int],
    columns: list[int],
) -> Prepared:
    assert memory.adapters is not None  # noqa: S101 - set by _learn
    adapters = memory.adapters
    transformer = Transformer(Context(adapters, conn))
    tables = tuple(DumpTable(type_of(memory, oid), transformer) for oid in parameters)
    formats = [table.format for table in tables]
    binary = all(adapters.get_loader(oid, Format.BINARY) is not None for oid in columns)
    encoding = conn.pgconn._encoding
    return Prepared(
        path,
        name,
        text,
        tuple(parameters),
        heads_of(described),
        touches,
        any(type_of(memory, oid).has_composite() for oid in columns),
        tables,
        formats if Format.BINARY in formats else None,
        tuple(
            Column((described.fname(index) or b"").decode(encoding), type_of(memory, oid))
            for index, oid in enumerate(columns)
        ),
        Transformer(Context(adapters, conn)),
        Format.BINARY if binary else Format.TEXT,
    )


def heads_of(result: PGresult) -> tuple[tuple[int, bytes | None], ...]:
    """Return the types and names of a result's columns."""
    return tuple([(result.ftype(index), result.fname(index)) for index in range(result.nfields)])


def execute(pgconn: PGconn, prepared: Prepared, dumped: Sequence[bytes | None]) -> PQGen[PGresult]:
    """Execute a prepared statement in one round trip."""
    prepared.send(pgconn, dumped)
    return (yield from round_trip(pgconn))
