"""A large result as it comes: a chunk becomes objects while the server sends the next.

Read whole, a result is first sent, then kept by libpq, then loaded, then made; each of these waits for the one before
and finds the memory cold. In chunks (libpq 17 and later) client and server work at the same time, and a chunk's rows
are loaded and made while they are in the processor's cache. A small result would only pay for it, so a statement is
read in chunks when it gave many rows the time before.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq.abc import PGconn, PGresult

from sqlkit.execution.collecting import LARGE_ROWS, make
from sqlkit.execution.prepared import FAILED, Prepared
from sqlkit.execution.query import Query
from sqlkit.rows.collector import CollectorPause

__all__ = ["chunked"]

CHUNK_ROWS = 500

#: How often what the server has sent is taken in before a chunk must be waited for: libpq takes in 16 kB at a time.
TAKES = 4


def chunked(pgconn: PGconn, query: Query, prepared: Prepared, pause: CollectorPause) -> PQGen[list[Any]]:
    """Return the objects of a statement that was just sent; ``pause`` is held while there is work, not in a wait."""
    pgconn.set_chunked_rows_mode(CHUNK_ROWS)
    yield from generators.send(pgconn)
    made: list[Any] = []
    while (result := (yield from _next(pgconn, pause))) is not None:
        try:
            made += _objects(pgconn, query, prepared, result)
        except Exception:
            while (yield from generators.fetch(pgconn)) is not None:  # the rest is of no use
                pass
            raise
    prepared.large = len(made) >= LARGE_ROWS
    return made


def _next(pgconn: PGconn, pause: CollectorPause) -> PQGen[PGresult | None]:
    for _ in range(TAKES):
        if not pgconn.is_busy():
            break
        pgconn.consume_input()
    else:
        pause.release()
    result: PGresult | None = yield from generators.fetch(pgconn)
    pause.hold()
    return result


def _objects(pgconn: PGconn, query: Query, prepared: Prepared, result: PGresult) -> list[Any]:
    if result.status in FAILED:
        raise psycopg.errors.error_from_result(result, encoding=pgconn._encoding)
    return make(query, prepared, result)
