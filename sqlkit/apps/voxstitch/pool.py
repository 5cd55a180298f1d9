"""The pool of voxstitch, changed while it runs."""

from __future__ import annotations

from sqlkit.database import Database

__all__ = ["configure_pool"]


def configure_pool(
    db: Database,
    pool_size: int = 5,
    max_overflow: int = 10,
    pool_timeout: float = 30,
    pool_recycle: float = 1800,
) -> None:
    """Give the pool other sizes and times; nobody loses a connection that they hold.

    ``pool_size`` connections are kept, ``max_overflow`` more are opened at need; a caller waits ``pool_timeout``
    seconds for one, and one that is ``pool_recycle`` seconds old is replaced.
    """
    db.resize(pool_size, max(1, pool_size + max_overflow), timeout=pool_timeout, max_lifetime=pool_recycle)
