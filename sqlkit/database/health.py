"""What a server answers when it is asked how it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg import errors as e

from sqlkit.database.options import Health, PoolStatus

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

__all__ = ["QUESTION", "answered", "unanswered"]

QUESTION = b"select pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery()"


def answered(results: Sequence[PGresult], seconds: float, pool: PoolStatus) -> Health:
    """Read the answer to QUESTION, which took some seconds."""
    version, recovery = (results[0].get_value(0, column) or b"" for column in (0, 1))
    return Health(True, (), version.decode(), recovery == b"t", seconds * 1000, pool)


def unanswered(error: Exception, within: float, pool: PoolStatus) -> Health:
    """Say why there is no answer."""
    reason = " ".join(str(error).split())
    if isinstance(error, e._WaitTimeout):
        reason = f"the server did not answer within {within:g} s"
    return Health(False, (reason or type(error).__name__,), None, None, None, pool)
