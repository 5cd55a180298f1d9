"""The tables that the tests of partitions share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from sqlkit.operations import Partition, Partitioned

__all__ = ["DAYS", "MONTHS", "NOW", "TABLES", "counts", "made_tables", "months", "utc"]

MONTHS = Partitioned("logs", by="month", ahead=2, keep=12)
DAYS = Partitioned("events", by="day", ahead=3, keep=7)
NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)

TABLES = """
create table users (user_id int, constraint users_pkey primary key (user_id));
insert into users values (1);
create table logs (
    log_id bigint generated always as identity,
    user_id int,
    level text not null default 'info',
    message text not null,
    size int generated always as (length(message)) stored,
    created_at timestamptz not null default now(),
    constraint logs_pkey primary key (log_id, created_at),
    constraint logs_user_id_fkey foreign key (user_id) references users (user_id),
    constraint logs_level_check check (level in ('info', 'error'))
) partition by range (created_at);
create index logs_level_created_at_idx on logs (level, created_at);
create table events (
    name text not null,
    created_at timestamptz not null default now()
) partition by range (created_at);
"""


def utc(
    year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
) -> datetime:
    """Return a moment of UTC."""
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)


def made_tables(dsn: str) -> psycopg.Connection[Any]:
    """Make the tables, without any partition, and return a connection in autocommit."""
    conn = psycopg.connect(dsn, autocommit=True)
    conn.execute(TABLES.encode())
    return conn


def months(*names: str) -> list[Partition]:
    """Return the partitions of logs by names such as 2026_11."""
    found = []
    for name in names:
        year, month = map(int, name.split("_"))
        upper = utc(year + month // 12, month % 12 + 1)
        found.append(Partition(f"logs_{name}", utc(year, month), upper))
    return found


def counts(conn: psycopg.Connection[Any], table: str = "logs") -> dict[str, int]:
    """Return how many rows stand in each partition that has rows."""
    rows = conn.execute(f"select tableoid::regclass::text, count(*) from {table} group by 1 order by 1".encode())
    return dict(rows.fetchall())
