"""A large result as it comes: a chunk becomes objects while the server sends the next.

Read whole, a result is first sent, then kept by libpq, then loaded, then made; each of these waits for the one before
and finds the memory cold. In chunks (libpq 17 and later) client and server work at the same time, and a chunk's rows
are loaded and made while they are in the processor's cache. A small result would only pay for it, so a statement is
read in chunks when it gave many rows the time before.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Wait

from sqlkit.execution.collecting import LARGE_ROWS, make
from sqlkit.execution.prepared import FAILED, Prepared, flushed
from sqlkit.execution.query import Query
from sqlkit.rows.collector import CollectorPause

__all__ = ["chunked"]

CHUNK_ROWS = 500
WAIT_R = Wait.R

#: How long the collector stays off, over all waits for a result. A chunk that is on its way comes at once.
PATIENCE_SECONDS = 0.1


def chunked(pgconn: PGconn, query: Query, prepared: Prepared, pause: CollectorPause) -> PQGen[list[Any]]:
    """Return the objects of a statement that was just sent; ``pause`` is held but for waits that are not short."""
    pgconn.set_chunked_rows_mode(CHUNK_ROWS)
    yield from flushed(pgconn)
    patience = PATIENCE_SECONDS
    made: list[Any] = []
    while True:
        patience = yield from _awaited(pgconn, pause, patience)
        result: PGresult | None = yield from generators.fetch(pgconn)
        if result is None:
            break
        pause.hold()
        try:
            made += _objects(pgconn, query, prepared, result)
        except Exception:
            while (yield from generators.fetch(pgconn)) is not None:  # the rest is of no use
                pass
            raise
    prepared.large = len(made) >= LARGE_ROWS
    return made


def _awaited(pgconn: PGconn, pause: CollectorPause, patience: float) -> PQGen[float]:
    """Wait for the next chunk; what is left of the patience."""
    while pgconn.is_busy():
        if patience <= 0:
            pause.release()
        began = monotonic()
        yield WAIT_R  # which psycopg ends after a tenth of a second, if nothing comes
        patience -= monotonic() - began
        pgconn.consume_input()
    return patience


def _objects(pgconn: PGconn, query: Query, prepared: Prepared, result: PGresult) -> list[Any]:
    if result.status in FAILED:
        raise psycopg.errors.error_from_result(result, encoding=pgconn._encoding)
    return make(query, prepared, result)
