"""A transaction of our own around a call: its begin, a bound view's settings in it, its rollback."""

from __future__ import annotations

from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from sqlkit.execution.lending import Local
from sqlkit.execution.prepared import command

__all__ = ["begin", "roll_back", "set_configs"]


def begin(pgconn: PGconn, local: Local | None) -> PQGen[None]:
    """Begin a transaction and set what a bound view sets."""
    yield from command(pgconn, b"BEGIN")
    if local is not None and local.settings:
        yield from command(pgconn, *set_configs(local))


def set_configs(local: Local) -> tuple[bytes, list[bytes]]:
    """Return the statement that sets a view's settings for one transaction, and its parameters."""
    calls = [
        b"pg_catalog.set_config($%d, $%d, true)" % (2 * index + 1, 2 * index + 2)
        for index in range(len(local.settings))
    ]
    return b"select " + b", ".join(calls), [part.encode() for pair in local.settings for part in pair]


def roll_back(pgconn: PGconn) -> PQGen[None]:
    """Roll back the transaction that is open, if one is and the connection can still say so."""
    if pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        yield from command(pgconn, b"ROLLBACK")
