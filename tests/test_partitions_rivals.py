"""Partitions while others are at work: writers, readers, rivals, and runs that were killed in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from sqlkit import AsyncDatabase
from sqlkit.operations import (
    PartitionReport,
    drop_partitions,
    ensure_partitions,
    keep_partitions,
    list_partitions,
    make_partitions,
    with_partition,
)
from sqlkit.operations.partition_queries import partitions
from sqlkit.operations.standing import lock_key
from tests.partitioned_tables import DAYS, MONTHS, NOW, counts, made_tables, months, utc

Connection = psycopg.Connection[Any]
ROOT = Path(__file__).parent.parent
OLD = [utc(2005, month) for month in (10, 11, 12)]

#: A process that drops the partitions of 2005, once it has said that it begins.
DROPPER = """
import sys, psycopg
from datetime import datetime, UTC
from sqlkit.operations import drop_partitions
from tests.partitioned_tables import MONTHS
with psycopg.connect(sys.argv[1], autocommit=True) as conn:
    print("begins", flush=True)
    print(drop_partitions(conn, MONTHS, before=datetime(2006, 1, 1, tzinfo=UTC)), flush=True)
"""

#: A process that makes days ahead and drops old ones, all at the same moment as others.
KEEPER = """
import sys, psycopg
from sqlkit.operations import keep_partitions
from tests.partitioned_tables import DAYS
with psycopg.connect(sys.argv[1], autocommit=True) as conn:
    print("ready", flush=True)
    sys.stdin.readline()
    report = keep_partitions(conn, DAYS)
    print(len(report.made), len(report.stood), len(report.dropped), len(report.busy))
"""


@pytest.fixture
def db(dsn: str) -> Iterator[Connection]:
    """Give a connection in autocommit to a database with the tables, without any partition."""
    with made_tables(dsn) as conn:
        yield conn


@pytest.fixture
def other(dsn: str, db: Connection) -> Iterator[Connection]:
    """Give a second connection, whose first statement begins a transaction."""
    with psycopg.connect(dsn) as conn:
        yield conn


def started(script: str, dsn: str) -> subprocess.Popen[str]:
    """Start a process of Python and wait for its first line."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", script, dsn], stdin=pipe, stdout=pipe, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def eventually(what: Callable[[], object], within: float = 10) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def pending(conn: Connection) -> list[str]:
    """Return the partitions that are in the middle of being detached."""
    rows = conn.execute("select inhrelid::regclass::text from pg_inherits where inhdetachpending order by 1")
    return [name for (name,) in rows]


def test_processes_do_each_thing_once(dsn: str, db: Connection) -> None:
    """Three processes at once make each partition once and drop each once; together they did all."""
    clock = db.execute("select now()").fetchone()
    assert clock is not None
    make_partitions(db, DAYS, [utc(2005, 12, day) for day in range(1, 6)])
    processes = [started(KEEPER, dsn) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [list(map(int, process.communicate(timeout=60)[0].split())) for process in processes]
    made, _, dropped, busy = map(sum, zip(*said, strict=True))
    assert (made, dropped, busy) == (DAYS.ahead + 1, 5, 0)
    assert [one[0] + one[1] for one in said] == [DAYS.ahead + 1] * 3
    assert len(list_partitions(db, DAYS)) == DAYS.ahead + 1


def test_threads_make_one_partition_each_once(dsn: str, db: Connection) -> None:
    """Eight that miss the same partitions at the same moment get them, without an error."""

    def make(_: int) -> PartitionReport:
        with psycopg.connect(dsn, autocommit=True) as conn:
            return make_partitions(conn, DAYS, [utc(2005, 12, day) for day in range(1, 4)])

    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(make, range(8)))
    assert sum(len(report.made) for report in reports) == 3
    assert {len(report.made) + len(report.stood) for report in reports} == {3}


def test_writers_do_not_wait_for_a_new_partition(db: Connection, other: Connection) -> None:
    """While a writer's transaction is open partitions are made, and while they are made in one, writers write."""
    ensure_partitions(db, DAYS, now=NOW)
    other.execute("insert into events values ('open', %s)", [NOW])
    assert make_partitions(db, DAYS, [utc(2005, 12, 4)]).made
    with db.transaction():
        make_partitions(db, DAYS, [utc(2005, 12, 5)])
        other.execute("set local lock_timeout = '2s'")
        other.execute("insert into events values ('written meanwhile', %s)", [NOW])
    other.commit()
    assert counts(db, "events") == {"events_2026_11_21": 2}


def test_a_lock_that_is_not_given_back(db: Connection, other: Connection) -> None:
    """Where somebody keeps the table locked, making gives up in time, says so, and leaves nothing behind."""
    other.execute("lock table logs in access exclusive mode")
    begun = time.monotonic()
    with pytest.raises(errors.LockNotAvailable) as refused:
        ensure_partitions(db, MONTHS, now=NOW, patience=0.5)
    assert time.monotonic() - begun < 5
    assert refused.value.__notes__ == ["logs: given up after 0.5 s: others are in the way"]
    other.rollback()
    assert list_partitions(db, MONTHS) == []
    assert ensure_partitions(db, MONTHS, now=NOW).made


def test_writers_go_on_between_the_tries(dsn: str, db: Connection, other: Connection) -> None:
    """A writer of the referenced table waits for one try at most, however long making it takes."""
    other.execute("lock table users in row exclusive mode")  # against which a foreign key's lock has to wait
    longest = 0.0
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make_partitions, db, MONTHS, [utc(2005, 12)], patience=30)
        with psycopg.connect(dsn, autocommit=True) as writer:
            for number in range(100, 160):
                begun = time.monotonic()
                writer.execute("insert into users values (%s)", [number])
                longest = max(longest, time.monotonic() - begun)
                time.sleep(0.01)
        assert not making.done()
        other.rollback()
        assert making.result(30).made
    assert longest < 2


def test_an_index_is_built_concurrently_meanwhile(dsn: str, db: Connection) -> None:
    """One who waits for its turn has no snapshot, for whose end CREATE INDEX CONCURRENTLY would wait."""
    found = partitions.find_table(db, table_name="logs")
    assert found is not None
    with (
        psycopg.connect(dsn, autocommit=True) as rival,
        psycopg.connect(dsn, autocommit=True) as builder,
        ThreadPoolExecutor(1) as pool,
    ):
        rival.execute("select pg_advisory_lock(%s)", [lock_key(found, MONTHS)])
        making = pool.submit(make_partitions, db, MONTHS, [utc(2005, 12)])
        builder.execute("set lock_timeout = '5s'; create table songs (title text)")
        for _ in range(5):
            builder.execute("create index concurrently songs_title_idx on songs (title)")
            builder.execute("drop index concurrently songs_title_idx")
        assert not making.done()
        rival.execute("select pg_advisory_unlock_all()")
        assert making.result(30).made == tuple(months("2005_12"))


def test_a_reader_of_what_is_dropped(db: Connection, other: Connection) -> None:
    """An open transaction that has read the table keeps a partition, which is busy; the next run finishes it."""
    make_partitions(db, MONTHS, [*OLD, NOW])
    other.execute("select count(*) from logs")
    report = drop_partitions(db, MONTHS, before=utc(2006), patience=0.4)
    assert [one.name for one in report.busy] == ["logs_2005_10", "logs_2005_11", "logs_2005_12"]
    assert report.dropped == ()
    assert pending(db) == ["logs_2005_10"]
    with db.transaction():  # writers and readers go on meanwhile
        db.execute("insert into logs (message, created_at) values ('m', %s)", [NOW])
    other.rollback()
    assert list_partitions(db, MONTHS) == months("2005_11", "2005_12", "2026_11")
    report = drop_partitions(db, MONTHS, before=utc(2006))
    assert [one.name for one in report.dropped] == ["logs_2005_10", "logs_2005_11", "logs_2005_12"]
    assert counts(db) == {"logs_2026_11": 1}


def test_a_row_for_what_is_being_dropped(db: Connection, other: Connection) -> None:
    """A partition that is wanted again while it is half gone is ended first, then made anew."""
    make_partitions(db, MONTHS, OLD)
    db.execute("insert into logs (message, created_at) values ('old', %s)", [OLD[0]])
    other.execute("select count(*) from logs")
    drop_partitions(db, MONTHS, before=utc(2005, 11), patience=0.3)
    other.rollback()
    assert pending(db) == ["logs_2005_10"]
    assert [one.name for one in make_partitions(db, MONTHS, [OLD[0]]).made] == ["logs_2005_10"]
    db.execute("insert into logs (message, created_at) values ('new', %s)", [OLD[0]])
    assert db.execute("select message from logs").fetchall() == [("new",)]


def test_killed_in_the_middle_of_a_detach(dsn: str, db: Connection, other: Connection) -> None:
    """What a process that was killed has left half detached, the next run finishes."""
    make_partitions(db, MONTHS, [*OLD, NOW])
    other.execute("select count(*) from logs")
    process = started(DROPPER, dsn)
    eventually(lambda: pending(db))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    other.rollback()
    report = keep_partitions(db, MONTHS)
    assert [one.name for one in report.dropped] == ["logs_2005_10", "logs_2005_11", "logs_2005_12"]
    assert pending(db) == []


def test_killed_between_detach_and_drop(db: Connection) -> None:
    """A partition that is detached and marked is dropped by the next run; one that nobody marked is left alone."""
    make_partitions(db, MONTHS, OLD)
    db.execute("comment on table logs_2005_10 is 'sqlkit drops this partition of logs'")
    db.execute("alter table logs detach partition logs_2005_10 concurrently")
    db.execute("alter table logs detach partition logs_2005_11 concurrently")
    report = drop_partitions(db, MONTHS, before=utc(2000))
    assert [one.name for one in report.dropped] == ["logs_2005_10"]
    assert db.execute("select to_regclass('logs_2005_11') is not null").fetchone() == (True,)


def test_killed_between_mark_and_detach(db: Connection) -> None:
    """A partition that was marked and then spared by a longer retention loses its mark, and is kept when detached."""
    make_partitions(db, MONTHS, OLD)
    db.execute("comment on table logs_2005_12 is 'sqlkit drops this partition of logs'")
    assert drop_partitions(db, MONTHS, before=utc(2000)) == PartitionReport("logs")
    db.execute("alter table logs detach partition logs_2005_12 concurrently")
    drop_partitions(db, MONTHS, before=utc(2000))
    assert db.execute("select to_regclass('logs_2005_12') is not null").fetchone() == (True,)


def test_the_session_is_as_before(db: Connection, other: Connection) -> None:
    """After a run that dropped, and after one that could not, no lock is held and no setting is changed."""
    make_partitions(db, MONTHS, OLD)
    db.execute("set lock_timeout = '9s'; set timezone = 'Asia/Kolkata'")
    other.execute("select count(*) from logs")
    for _ in range(2):
        drop_partitions(db, MONTHS, before=utc(2006), patience=0.3)
        other.rollback()
        settings = "select current_setting('lock_timeout'), current_setting('TimeZone')"
        assert db.execute(settings).fetchone() == ("9s", "Asia/Kolkata")
        assert db.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone() == (0,)


def test_a_rival_that_drops(dsn: str, db: Connection) -> None:
    """While another process holds the lock of a table's partitions, what is to go is reported as busy."""
    make_partitions(db, MONTHS, OLD)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with psycopg.connect(dsn, autocommit=True) as conn, conn.transaction():
            make_partitions(conn, MONTHS, [utc(2030)])
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(30)
        report = drop_partitions(db, MONTHS, before=utc(2006), patience=0.3)
        assert [one.name for one in report.busy] == ["logs_2005_10", "logs_2005_11", "logs_2005_12"]
    finally:
        done.set()
        thread.join()


def test_a_task_that_is_cancelled(dsn: str, db: Connection, other: Connection) -> None:
    """A task that is cancelled while it tries gives its connection back as it was."""
    other.execute("lock table logs in access exclusive mode")

    async def main() -> None:
        async with AsyncDatabase.connect(dsn, pool_max_size=1) as database:
            task = asyncio.create_task(ensure_partitions(database, MONTHS, now=NOW))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            other.rollback()
            assert database.status().checked_out == 0
            assert len((await ensure_partitions(database, MONTHS, now=NOW)).made) == 3

    asyncio.run(main())


def test_somebodys_own_detach(db: Connection, other: Connection) -> None:
    """A partition that somebody else is detaching is left alone, but where it is in the way; it is never dropped."""
    make_partitions(db, MONTHS, OLD)
    other.execute("select count(*) from logs")
    db.execute("set lock_timeout = '100ms'")
    with pytest.raises(errors.LockNotAvailable):
        db.execute("alter table logs detach partition logs_2005_12 concurrently")
    other.rollback()
    assert drop_partitions(db, MONTHS, before=utc(2000)) == PartitionReport("logs")
    assert pending(db) == ["logs_2005_12"]
    report = drop_partitions(db, MONTHS, before=utc(2005, 11))
    assert [one.name for one in report.detached] == ["logs_2005_12", "logs_2005_10"]
    assert [one.name for one in report.dropped] == ["logs_2005_10"]
    assert db.execute("select to_regclass('logs_2005_12') is not null").fetchone() == (True,)


def test_what_does_not_get_better(db: Connection) -> None:
    """An error that comes again and again is raised after a few tries, not after half a minute."""
    db.execute(
        """
        create function refuse() returns event_trigger language plpgsql as
        $$ begin raise exception using errcode = '42P07'; end $$;
        create event trigger refusing on ddl_command_end when tag in ('CREATE TABLE') execute function refuse();
        """
    )
    begun = time.monotonic()
    with pytest.raises(errors.DuplicateTable):
        make_partitions(db, MONTHS, OLD)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("inside", [False, True])
def test_many_writers_miss_the_same_partitions(dsn: str, db: Connection, inside: bool) -> None:
    """Eight writers whose rows lack the same three partitions at once lose no row, in transactions or not."""
    start = threading.Barrier(8)

    def insert(conn: Any) -> None:
        values = "values ('e', '2005-12-01+00'), ('e', '2005-12-02+00'), ('e', '2005-12-03+00')"
        conn.execute(f"insert into events {values}".encode())

    def write(_: int) -> None:
        with psycopg.connect(dsn, autocommit=not inside) as conn:
            start.wait(30)
            for _ in range(5):
                with_partition(conn, insert, DAYS, times=[utc(2005, 12, day) for day in (1, 2, 3)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert counts(db, "events") == {f"events_2005_12_0{day}": 40 for day in (1, 2, 3)}
