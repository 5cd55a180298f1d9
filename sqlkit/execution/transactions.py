"""A transaction of our own around a call: its begin, a bound view's settings in it, its rollback."""

from __future__ import annotations

from functools import cache

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
        text, values = set_configs(local)
        yield from command(pgconn, text.encode(), values)


def set_configs(local: Local) -> tuple[str, list[bytes]]:
    """Return the statement that sets a view's settings for one transaction, and its parameters."""
    return _set_configs(len(local.settings)), [part.encode() for pair in local.settings for part in pair]


@cache
def _set_configs(number: int) -> str:
    calls = (f"pg_catalog.set_config(${2 * index + 1}, ${2 * index + 2}, true)" for index in range(number))
    return f"select {', '.join(calls)}"


def roll_back(pgconn: PGconn) -> PQGen[None]:
    """Roll back the transaction that is open, if one is and the connection can still say so."""
    if pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        yield from command(pgconn, b"ROLLBACK")
