"""Partitions made ahead and at need, and dropped past their retention, on a server."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from sqlkit import AsyncDatabase, Database
from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.operations import (
    Partition,
    Partitioned,
    PartitionReport,
    drop_partitions,
    ensure_partitions,
    keep_partitions,
    list_partitions,
    make_partitions,
)
from tests.partitioned_tables import DAYS, MONTHS, NOW, counts, made_tables, months, utc

Connection = psycopg.Connection[Any]


@pytest.fixture
def db(dsn: str) -> Iterator[Connection]:
    """Give a connection in autocommit to a database with the tables, without any partition."""
    with made_tables(dsn) as conn:
        yield conn


def names(report: PartitionReport) -> dict[str, list[str]]:
    """Return what a report says, by names."""
    kinds = ("made", "stood", "detached", "dropped", "busy")
    return {kind: [one.name for one in getattr(report, kind)] for kind in kinds if getattr(report, kind)}


def test_partitions_are_made_ahead(db: Connection) -> None:
    """The month of now and the next ones are made, once; the second time they stand already."""
    wanted = ["logs_2026_11", "logs_2026_12", "logs_2027_01"]
    assert names(ensure_partitions(db, MONTHS, now=NOW)) == {"made": wanted}
    assert names(ensure_partitions(db, MONTHS, now=NOW)) == {"stood": wanted}
    assert list_partitions(db, MONTHS) == months("2026_11", "2026_12", "2027_01")


def test_days_are_made_ahead(db: Connection) -> None:
    """Days are made over the end of a month and a leap day."""
    made = names(ensure_partitions(db, DAYS, now=utc(2024, 2, 27, 23, 59)))["made"]
    assert made == ["events_2024_02_27", "events_2024_02_28", "events_2024_02_29", "events_2024_03_01"]


def test_the_clock_is_the_servers(db: Connection) -> None:
    """Without ``now`` the partition of the server's time is made, and a row of now goes there."""
    ensure_partitions(db, MONTHS)
    db.execute("insert into logs (message) values ('now')")
    assert len(counts(db)) == 1


ZONES = ["Pacific/Auckland", "America/New_York", "Asia/Kolkata", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("style", ["ISO, MDY", "SQL, DMY", "German", "Postgres, YMD"])
def test_bounds_are_of_utc_whatever_the_session_has(db: Connection, zone: str, style: str) -> None:
    """Made and read in a session of another time zone and style of dates, bounds are whole months of UTC."""
    db.execute("select set_config('TimeZone', %s, false), set_config('DateStyle', %s, false)", [zone, style])
    settings = "select current_setting('TimeZone'), current_setting('DateStyle'), current_setting('lock_timeout')"
    before = db.execute(settings).fetchone()
    ensure_partitions(db, MONTHS, now=NOW)
    assert list_partitions(db, MONTHS) == months("2026_11", "2026_12", "2027_01")
    assert names(ensure_partitions(db, MONTHS, now=NOW)).keys() == {"stood"}
    assert db.execute(settings).fetchone() == before
    db.execute("set timezone = 'UTC'; set datestyle = 'ISO'")
    bounds = db.execute("select pg_get_expr(relpartbound, oid) from pg_class where relname = 'logs_2026_11'")
    assert bounds.fetchone() == ("FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')",)


def test_rows_at_the_ends_of_a_month(db: Connection) -> None:
    """The first and the last microsecond of a month of UTC are in it, in a session of Auckland too."""
    db.execute("set timezone = 'Pacific/Auckland'")
    ensure_partitions(db, MONTHS, now=NOW)
    for moment in (utc(2026, 11), utc(2026, 11, 30, 23, 59, 59, 999999), utc(2026, 12)):
        db.execute("insert into logs (message, created_at) values ('m', %s)", [moment])
    assert counts(db) == {"logs_2026_11": 2, "logs_2026_12": 1}


def test_rows_of_2005(db: Connection) -> None:
    """Partitions are made for the times of rows, each once, whatever now is."""
    times = [utc(2005, 12, 5, 19, 15, 57), utc(2005, 12, 4, 4, 47, 44), utc(2004, 2, 29), utc(2005, 12, 4)]
    assert names(make_partitions(db, DAYS, times)) == {
        "made": ["events_2004_02_29", "events_2005_12_04", "events_2005_12_05"]
    }
    with db.cursor() as cursor:
        cursor.executemany("insert into events values ('e', %s)", [[moment] for moment in times])
    assert counts(db, "events") == {"events_2004_02_29": 1, "events_2005_12_04": 2, "events_2005_12_05": 1}


def test_a_clock_that_jumps(db: Connection) -> None:
    """A clock that jumps a century on and back again makes partitions that do not overlap, and costs no row."""
    ensure_partitions(db, MONTHS, now=NOW)
    db.execute("insert into logs (message, created_at) values ('m', %s)", [NOW])
    report = keep_partitions(db, MONTHS, now=utc(2126, 11, 21))
    assert names(report) == {"made": ["logs_2126_11", "logs_2126_12", "logs_2127_01"]}
    assert names(keep_partitions(db, MONTHS, now=NOW - timedelta(days=40))) == {
        "made": ["logs_2026_10"],
        "stood": ["logs_2026_11", "logs_2026_12"],
    }
    assert counts(db) == {"logs_2026_11": 1}


def test_a_partition_is_what_its_table_is(db: Connection) -> None:
    """Keys, checks, foreign keys, indexes, defaults and generated columns are the table's own, none made twice."""
    ensure_partitions(db, MONTHS, now=NOW)
    row = db.execute(
        "insert into logs (user_id, message, created_at) values (1, 'four', %s) returning log_id, level, size", [NOW]
    ).fetchone()
    assert row == (1, "info", 4)
    inherited = "select conname, contype::text from pg_constraint where conrelid = %s::regclass and contype <> 'n'"
    assert set(db.execute(inherited, ["logs_2026_11"]).fetchall()) == {
        ("logs_2026_11_pkey", "p"),
        ("logs_user_id_fkey", "f"),
        ("logs_level_check", "c"),
    }
    indexes = db.execute("select indexrelid::regclass::text from pg_index where indrelid = 'logs_2026_11'::regclass")
    assert {name for (name,) in indexes} == {"logs_2026_11_pkey", "logs_2026_11_level_created_at_idx"}
    with pytest.raises(errors.CheckViolation, match="logs_level_check"):
        db.execute("insert into logs (message, level, created_at) values ('m', 'loud', %s)", [NOW])
    with pytest.raises(errors.ForeignKeyViolation):
        db.execute("insert into logs (message, user_id, created_at) values ('m', 2, %s)", [NOW])


def test_retention_drops_whole_months(db: Connection) -> None:
    """Twelve whole months before this one stay; older ones go with their rows, and nothing else does."""
    kept = Partitioned("logs", by="month", ahead=0, keep=2)
    clock = db.execute("select now()").fetchone()
    assert clock is not None
    now: datetime = clock[0]
    old = [utc(2005, 12), utc(2024, 2, 29)]
    recent = [now - timedelta(days=31), now]
    make_partitions(db, kept, [*old, *recent])
    with db.cursor() as cursor:
        cursor.executemany(
            "insert into logs (message, created_at) values ('m', %s)", [[moment] for moment in (*old, *recent)]
        )
    report = keep_partitions(db, kept)
    assert names(report)["dropped"] == names(report)["detached"] == ["logs_2005_12", "logs_2024_02"]
    assert sum(counts(db).values()) == 2
    assert db.execute("select to_regclass('logs_2005_12')").fetchone() == (None,)


def test_what_is_wholly_older_is_dropped(db: Connection) -> None:
    """A partition goes when all of it is older than the time that is given, to the microsecond."""
    make_partitions(db, MONTHS, [utc(2005, month) for month in (10, 11, 12)])
    assert names(drop_partitions(db, MONTHS, before=utc(2005, 12) - timedelta(microseconds=1)))["dropped"] == [
        "logs_2005_10"
    ]
    assert names(drop_partitions(db, MONTHS, before=utc(2005, 12)))["dropped"] == ["logs_2005_11"]
    assert names(drop_partitions(db, MONTHS, before=utc(2005, 12))) == {}
    assert list_partitions(db, MONTHS) == months("2005_12")


def test_a_table_without_retention_keeps_all(db: Connection) -> None:
    """``keep=None`` drops nothing."""
    forever = Partitioned("logs", by="month", ahead=0)
    make_partitions(db, forever, [utc(2005, 12)])
    assert names(keep_partitions(db, forever, now=NOW)) == {"made": ["logs_2026_11"]}


def test_odd_partitions_hold_what_they_hold(db: Connection) -> None:
    """Where a year stands already, its months are not missing; a month that is held in part gets its rest."""
    db.execute("create table logs_old partition of logs for values from (minvalue) to ('2005-12-10+00')")
    db.execute("create table logs_far partition of logs for values from ('2005-12-20+00') to (maxvalue)")
    report = make_partitions(db, MONTHS, [utc(2001), utc(2005, 12, 4), utc(2005, 12, 15), utc(2030)])
    assert names(report) == {"made": ["logs_2005_12"], "stood": ["logs_old", "logs_far"]}
    assert report.made == (Partition("logs_2005_12", utc(2005, 12, 10), utc(2005, 12, 20)),)
    db.execute("insert into logs (message, created_at) values ('m', '2005-12-19 23:59+00')")
    assert counts(db) == {"logs_2005_12": 1}
    assert names(drop_partitions(db, MONTHS, before=utc(9999)))["dropped"] == ["logs_old", "logs_2005_12"]


def test_bounds_beyond_the_calendar(db: Connection) -> None:
    """What lies before Christ or after 9999 has no such bound, or holds no time at all; the oldest of it is dropped."""
    bounds = ["minvalue", "'-infinity'", "'0044-03-15 BC'", "'2005-12-04'", "'12000-01-01'", "'infinity'", "maxvalue"]
    for number, (lower, upper) in enumerate(itertools.pairwise(bounds)):
        db.execute(f"create table logs_{number} partition of logs for values from ({lower}) to ({upper})".encode())
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert {one.name: (one.lower, one.upper) for one in list_partitions(db, MONTHS)} == {
        "logs_0": (None, first),
        "logs_1": (None, first),
        "logs_2": (None, utc(2005, 12, 4)),
        "logs_3": (utc(2005, 12, 4), None),
        "logs_4": (last, None),
        "logs_5": (last, None),
    }
    assert make_partitions(db, MONTHS, [utc(2005, 12, 3), NOW]).made == ()
    assert names(drop_partitions(db, MONTHS, before=utc(2006)))["dropped"] == ["logs_0", "logs_1", "logs_2"]


def left(conn: Connection) -> list[str]:
    """Return the tables of logs that are no partitions."""
    rows = conn.execute(
        "select relname from pg_class where relname ~ '^logs_\\d' and relkind = 'r' and not relispartition"
    )
    return sorted(name for (name,) in rows)


def test_files_are_left_to_the_next_run(db: Connection) -> None:
    """With leave_files a partition goes out of sight now, with its rows, and is dropped by the next run of any kind."""
    make_partitions(db, MONTHS, [utc(2005, 10), utc(2005, 11), NOW])
    db.execute("insert into logs (message, created_at) values ('old', '2005-10-04+00'), ('new', %s)", [NOW])
    report = drop_partitions(db, MONTHS, before=utc(2005, 11), leave_files=True)
    assert names(report) == {"detached": ["logs_2005_10"]}
    assert str(report) == "logs: detached logs_2005_10"
    assert counts(db) == {"logs_2026_11": 1}
    assert left(db) == ["logs_2005_10"]
    report = drop_partitions(db, MONTHS, before=utc(2005, 12), leave_files=True)
    assert names(report) == {"detached": ["logs_2005_11"], "dropped": ["logs_2005_10"]}
    assert left(db) == ["logs_2005_11"]
    assert names(keep_partitions(db, MONTHS))["dropped"] == ["logs_2005_11"]
    assert left(db) == []


def test_what_is_left_can_be_brought_back(db: Connection) -> None:
    """A partition that was detached by mistake is there until the next run: attached again, it has its rows."""
    make_partitions(db, MONTHS, [utc(2005, 10)])
    db.execute("insert into logs (message, created_at) values ('old', '2005-10-04+00')")
    drop_partitions(db, MONTHS, before=utc(2006), leave_files=True)
    db.execute("alter table logs attach partition logs_2005_10 for values from ('2005-10-01+00') to ('2005-11-01+00')")
    assert names(drop_partitions(db, MONTHS, before=utc(2005))) == {}
    assert counts(db) == {"logs_2005_10": 1}


def test_all_go_out_of_sight_before_the_first_is_dropped(db: Connection) -> None:
    """Where one cannot be dropped for a while, the others are detached all the same, and it is reported as busy."""
    make_partitions(db, MONTHS, [utc(2005, 10), utc(2005, 11), utc(2005, 12)])
    drop_partitions(db, MONTHS, before=utc(2005, 11), leave_files=True)
    with psycopg.connect(db.info.dsn) as reader:
        reader.execute("select count(*) from logs_2005_10")
        report = drop_partitions(db, MONTHS, before=utc(2006), patience=0.3)
    assert names(report)["detached"] == ["logs_2005_11", "logs_2005_12"]
    assert "logs_2005_10" in names(report)["busy"]
    assert list_partitions(db, MONTHS) == []
    assert len(names(drop_partitions(db, MONTHS, before=utc(2006)))["dropped"]) == len(report.busy)


REFUSED = {
    "logs": "there is no such table on the search path",
    "plain": "it is not partitioned by range on one timestamptz column",
    "listed": "it is not partitioned by range",
    "dated": "it is not partitioned by range on one timestamptz",
    "doubled": "it is not partitioned by range on one",
    "computed": "it is not partitioned by range on one",
    "safe": "it has a default partition, safe_rest",
}


@pytest.mark.parametrize("table", REFUSED)
def test_tables_that_are_not_so_are_refused(dsn: str, table: str) -> None:
    """What is no table partitioned by time, or has a default partition, is named and said why."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(
            """
            create table plain (created_at timestamptz);
            create table listed (created_at timestamptz) partition by list (created_at);
            create table dated (created_at date) partition by range (created_at);
            create table doubled (a int, created_at timestamptz) partition by range (created_at, a);
            create table computed (created_at timestamptz) partition by range ((coalesce(created_at, '2026-01-01+00')));
            create table safe (created_at timestamptz) partition by range (created_at);
            create table safe_rest partition of safe default;
            """
        )
        with pytest.raises(ConfigurationError, match=f"^{table}: {REFUSED[table]}"):
            ensure_partitions(conn, Partitioned(table, by="day"), now=NOW)


def test_a_name_that_is_taken(db: Connection) -> None:
    """A table that bears a partition's name and is none is never dropped or overwritten."""
    db.execute("create table logs_2026_11 (precious int)")
    with pytest.raises(ConfigurationError, match="logs: logs_2026_11 exists and does not hold these rows"):
        ensure_partitions(db, MONTHS, now=NOW)
    assert names(drop_partitions(db, MONTHS, before=utc(9999))) == {}
    assert db.execute("select count(precious) from logs_2026_11").fetchone() == (0,)


def test_times_without_a_zone(db: Connection) -> None:
    """A time whose zone is not known is refused before anything is done."""
    with pytest.raises(ArgumentError, match="without a time zone"):
        make_partitions(db, MONTHS, [utc(2005), datetime(2005, 1, 1)])
    with pytest.raises(ArgumentError, match="without a time zone"):
        drop_partitions(db, MONTHS, before=datetime(2005, 1, 1))
    assert list_partitions(db, MONTHS) == []


def test_made_in_a_transaction(db: Connection) -> None:
    """Inside a transaction partitions are made in it and go with it; its settings are as before."""
    db.execute("set timezone = 'Asia/Kolkata'")
    with db.transaction(force_rollback=True):
        db.execute("set local lock_timeout = '7s'")
        assert names(ensure_partitions(db, MONTHS, now=NOW)).keys() == {"made"}
        settings = "select current_setting('lock_timeout'), current_setting('TimeZone')"
        assert db.execute(settings).fetchone() == ("7s", "Asia/Kolkata")
        assert len(list_partitions(db, MONTHS)) == 3
    assert list_partitions(db, MONTHS) == []


def test_nothing_is_dropped_in_a_transaction(db: Connection) -> None:
    """DETACH CONCURRENTLY runs in no transaction, so the error says where it would."""
    with db.transaction(), pytest.raises(ArgumentError, match="logs: partitions are detached concurrently"):
        drop_partitions(db, MONTHS, before=NOW)
    with db.transaction(), pytest.raises(ArgumentError, match="logs: partitions are detached concurrently"):
        keep_partitions(db, MONTHS)


def test_the_owner_of_the_table_owns_its_partitions(db: Connection) -> None:
    """Made by a superuser, a partition is its table's owner's all the same."""
    db.execute("create role sqlkit_partition_owner; grant all on schema public to sqlkit_partition_owner")
    try:
        db.execute("alter table logs owner to sqlkit_partition_owner")
        db.execute("grant references on users to sqlkit_partition_owner")
        ensure_partitions(db, MONTHS, now=NOW)
        owner = db.execute("select pg_get_userbyid(relowner) from pg_class where relname = 'logs_2026_11'")
        assert owner.fetchone() == ("sqlkit_partition_owner",)
    finally:
        db.execute("drop owned by sqlkit_partition_owner cascade; drop role sqlkit_partition_owner")


def test_nobody_goes_around_row_level_security(db: Connection) -> None:
    """Who is granted all new tables sees, in a partition itself, no row that the table's policies hide."""
    db.execute("create role sqlkit_partition_reader")
    try:
        db.execute("alter default privileges grant select on tables to sqlkit_partition_reader")
        db.execute("grant select on events to sqlkit_partition_reader; alter table events enable row level security")
        db.execute("create policy mine on events using (name = 'mine')")
        make_partitions(db, DAYS, [NOW])
        db.execute("insert into events select unnest(array['mine', 'theirs']), %s", [NOW])
        with db.transaction():
            db.execute("set local role sqlkit_partition_reader")
            assert db.execute("select name from events").fetchall() == [("mine",)]
            assert db.execute("select name from events_2026_11_21").fetchall() == []
    finally:
        db.execute("drop owned by sqlkit_partition_reader; drop role sqlkit_partition_reader")


@pytest.mark.parametrize("pooler", ["none", "transaction"])
def test_a_database_makes_partitions(dsn: str, pooler: str) -> None:
    """A Database lends a connection for it, also one that sets nothing in its sessions."""
    made_tables(dsn).close()
    with Database.connect(dsn, pooler=pooler) as database:
        assert names(ensure_partitions(database, MONTHS, now=NOW)).keys() == {"made"}
        assert len(list_partitions(database, MONTHS)) == 3
        assert database.status().checked_out == 0


def test_retention_wants_a_direct_connection(dsn: str) -> None:
    """Through a pooler of transactions nothing is detached: its lock would stay with another client."""
    made_tables(dsn).close()
    with (
        Database.connect(dsn, pooler="transaction") as database,
        pytest.raises(ConfigurationError, match=r"keep_partitions.logs.: not through a pooler"),
    ):
        keep_partitions(database, MONTHS)


def test_each_tenant_has_partitions_of_its_own(dsn: str) -> None:
    """A bound view makes and drops the partitions of its schema's table, and no other's."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for schema in ("tenant_1", 'tenant "2"'):
            conn.execute(f"""create schema "{schema.replace('"', '""')}" """.encode())
            conn.execute(
                f"""create table "{schema.replace('"', '""')}".events (name text, created_at timestamptz)
                partition by range (created_at)""".encode()
            )
    with Database.connect(dsn) as database:
        first, second = database.bound(schema="tenant_1"), database.bound(schema='tenant "2"')
        make_partitions(first, DAYS, [utc(2005, 12, 4)])
        make_partitions(second, DAYS, [utc(2005, 12, 4), utc(2005, 12, 5)])
        assert names(drop_partitions(second, DAYS, before=utc(2005, 12, 5)))["dropped"] == ["events_2005_12_04"]
        assert [one.name for one in list_partitions(first, DAYS)] == ["events_2005_12_04"]
        assert [one.name for one in list_partitions(second, DAYS)] == ["events_2005_12_05"]


def test_the_same_on_asyncio(dsn: str) -> None:
    """Given an asynchronous connection or database, each function is awaited and does the same."""
    made_tables(dsn).close()

    async def main() -> None:
        async with AsyncDatabase.connect(dsn) as database:
            assert names(await ensure_partitions(database, MONTHS, now=NOW)).keys() == {"made"}
            await make_partitions(database, MONTHS, [utc(2005, 12)])
            assert names(await keep_partitions(database, MONTHS))["dropped"] == ["logs_2005_12"]
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            assert names(await drop_partitions(conn, MONTHS, before=utc(2026, 12)))["dropped"] == ["logs_2026_11"]
            assert [one.name for one in await list_partitions(conn, MONTHS)][:1] == ["logs_2026_12"]

    asyncio.run(main())


def test_the_page_on_partitions_runs(dsn: str) -> None:
    """The program of docs/partitions.md does what the page says."""
    page = (Path(__file__).parent.parent / "docs/partitions.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"dsn": dsn}
    exec(compile(program, "docs/partitions.md", "exec", dont_inherit=True), names)
    with names["db"] as db, db.connection() as conn:
        assert counts(conn) == {}
        assert left(conn) == []
