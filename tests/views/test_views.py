"""What the server says of itself: each view shows the state that it is for, provoked on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sqlkit import ArgumentError, AsyncDatabase, Database
from sqlkit.operations import Limits, Overview, blocking_trees, look, remarks
from sqlkit.operations.activity import Session
from sqlkit.operations.indexes import UnindexedKey
from sqlkit.operations.rates import rates_between, statements_between
from sqlkit.operations.units import bytes_text, count_text, milliseconds_text, seconds_text, share_text
from sqlkit.testing import TestServer
from tests.views.busy_server import actors, chain_of_three, eventually, opened_shop


@pytest.fixture(scope="module")
def shop(server: TestServer) -> Iterator[str]:
    """Give the DSN of a shop, for tests that change nothing for others."""
    with opened_shop(server) as dsn:
        yield dsn


@pytest.fixture
def conn(shop: str) -> Iterator[psycopg.Connection]:
    """Give a connection to the shop, in autocommit."""
    with psycopg.connect(shop, autocommit=True) as connection:
        yield connection


# Activity, and who waits for whom.


def test_chain_of_three(shop: str, conn: psycopg.Connection) -> None:
    """Of three sessions in a row the tree has the holder at its root, and each below the one that it waits for."""
    with chain_of_three(shop) as (holder, second, third):
        seen = look(conn, ["sessions"])
        (tree,) = seen.trees
    assert tree.session is not None
    assert (tree.pid, tree.session.name, tree.count) == (holder.pid, "shop.orders.pay", 2)
    assert tree.session.is_idle_in_transaction
    (below,) = tree.waiting
    (last,) = below.waiting
    assert (below.pid, last.pid, last.waiting) == (second.pid, third.pid, [])
    assert below.session is not None
    assert (below.session.lock_table, below.session.lock_mode) == ("orders", "ShareLock")
    assert below.session.blocked_by == [holder.pid]
    assert below.session.waiting_seconds is not None
    assert below.session.query_seconds is not None
    assert 0 <= below.session.waiting_seconds <= below.session.query_seconds
    (remark,) = [one for one in remarks(seen) if one.view == "locks"]
    assert remark.level == "urgent"
    assert remark.text.startswith(
        f"2 sessions wait for process {holder.pid} (shop.orders.pay), idle in transaction for"
    )
    assert remark.remedy == f"select pg_terminate_backend({holder.pid})"


def test_queue_at_one_row(shop: str, conn: psycopg.Connection) -> None:
    """Of several that wait for one row each stands once, and says whom else it waits for."""
    with actors(shop, "holder", "one", "two", "three") as (holder, *waiting):
        holder.do("select from orders where order_id = 5 for update")
        for count, actor in enumerate(waiting, 1):
            actor.start("update orders set note = '' where order_id = 5")
            eventually(lambda: len([one for one in look(conn, ["sessions"]).sessions if one.blocked_by]) == count)  # noqa: B023
        (tree,) = look(conn, ["sessions"]).trees
    assert (tree.pid, tree.count) == (holder.pid, 3)
    (first,) = tree.waiting
    assert [one.pid for one in first.waiting] == sorted(actor.pid for actor in waiting[1:])
    assert sum(len(one.also_behind) for one in first.waiting) == 1


def test_idle_session_that_is_waited_for(shop: str, conn: psycopg.Connection) -> None:
    """A session that is idle and holds an advisory lock is listed, since another one waits for it."""
    with actors(shop, "holder", "waiting") as (holder, waiting):
        holder.do("select pg_advisory_lock(7)")
        holder.conn.commit()
        waiting.start("select pg_advisory_lock(7)")
        (tree,) = eventually(lambda: look(conn, ["sessions"]).trees)
        assert tree.session is not None
        assert (tree.pid, tree.session.state, tree.waiting[0].pid) == (holder.pid, "idle", waiting.pid)
        holder.do("select pg_advisory_unlock_all()")


def test_idle_session_is_not_listed(shop: str, conn: psycopg.Connection) -> None:
    """Who does nothing and is waited for by nobody is counted, not listed."""
    with actors(shop, "idler") as (idler,):
        idler.conn.rollback()
        seen = look(conn, ["sessions"])
    assert seen.server is not None
    assert seen.server.idle >= 1
    assert idler.pid not in [one.pid for one in seen.sessions]


def test_idle_in_transaction(shop: str, conn: psycopg.Connection) -> None:
    """A session that holds a transaction open and does nothing is shown with what it did last, and remarked on."""
    with actors(shop, "a forgetful one") as (idler,):
        idler.do("select /* shop.orders.count */ count(*) from orders")
        seen = look(conn, ["sessions"])
    (found,) = [one for one in seen.sessions if one.pid == idler.pid]
    assert (found.state, found.name) == ("idle in transaction", "shop.orders.count")
    assert found.transaction_seconds is not None
    assert found.state_seconds is not None
    assert found.transaction_seconds >= found.state_seconds >= 0
    assert remarks(seen) == []
    (remark,) = remarks(seen, Limits(idle_in_transaction_seconds=0))
    assert remark.text.startswith(f"process {idler.pid} of a forgetful one is idle in transaction for")


def test_long_transaction(shop: str, conn: psycopg.Connection) -> None:
    """A transaction that is open for long is remarked on while its session works, too."""
    with actors(shop, "a reporter") as (reporter,):
        reporter.start("select /* shop.reports.yearly */ pg_sleep(60)")
        (found,) = eventually(
            lambda: [one for one in look(conn, ["sessions"]).sessions if one.name == "shop.reports.yearly"]
        )
        seen = look(conn, ["sessions"])
    assert (found.pid, found.state) == (reporter.pid, "active")
    (remark,) = remarks(seen, Limits(transaction_seconds=0))
    assert remark.text.startswith(f"process {reporter.pid} of a reporter has a transaction open for")


def test_session_of_another_encoding(server: TestServer, conn: psycopg.Connection) -> None:
    """A text that is none in this database's encoding is shown with escapes for what is not ASCII."""
    with psycopg.connect(server.dsn, autocommit=True) as maker:
        maker.execute("create database sqlkit_test_latin encoding 'LATIN1' template template0 locale 'C'")
    try:
        with actors(server.dsn_for("sqlkit_test_latin"), "a latin one") as (latin,):
            latin.do("select /* cafes.list */ 'é' as café")
            (found,) = [one for one in look(conn, ["sessions"]).sessions if one.pid == latin.pid]
    finally:
        server.drop("sqlkit_test_latin")
    assert (found.name, found.query) == ("cafes.list", r"select /* cafes.list */ '\351' as caf\351")


def test_two_that_wait_for_each_other(shop: str, conn: psycopg.Connection) -> None:
    """Until the server ends one of them, a deadlock is shown as a circle."""
    with actors(shop, "one", "two") as (one, two):
        for actor, order in ((one, 11), (two, 12)):
            actor.do("set local deadlock_timeout = '60s'")
            actor.do(f"update orders set note = '' where order_id = {order}")
        one.start("update orders set note = '' where order_id = 12")
        two.start("update orders set note = '' where order_id = 11")
        eventually(lambda: len([each for each in look(conn, ["sessions"]).sessions if each.blocked_by]) == 2)
        (tree,) = look(conn, ["sessions"]).trees
    assert (tree.pid, tree.circle) == (min(one.pid, two.pid), True)
    assert [each.pid for each in tree.waiting] == [max(one.pid, two.pid)]


def session(pid: int, *blocked_by: int) -> Session:
    """Return a session that waits for others."""
    rest = dict.fromkeys(Session.model_fields)
    return Session.model_validate(rest | {"pid": pid, "blocked_by": list(blocked_by), "is_hidden": False})


def test_circle() -> None:
    """Two that wait for each other, before the server ends one of them, are a tree of their own."""
    (tree,) = blocking_trees([session(1, 2), session(2, 1), session(3)])
    assert (tree.pid, tree.circle, [one.pid for one in tree.waiting]) == (1, True, [2])


def test_prepared_transaction() -> None:
    """A lock that a prepared transaction holds has no session: its root is 0."""
    (tree,) = blocking_trees([session(4, 0)])
    assert (tree.pid, tree.session, [one.pid for one in tree.waiting]) == (0, None, [4])
    (remark,) = remarks(Overview(sessions=[session(4, 0)]))
    assert remark.text == "1 session waits for a prepared transaction, see pg_prepared_xacts"


# Tables.


def test_sizes(shop: str, conn: psycopg.Connection) -> None:
    """A table's sizes are those that the server says."""
    seen = look(conn, ["tables"])
    orders = next(one for one in seen.tables if one.table_name == "orders")
    told = conn.execute(
        "select pg_table_size(oid), pg_total_relation_size(reltoastrelid), pg_indexes_size(oid),"
        " pg_total_relation_size(oid) from pg_class where relname = 'orders'"
    ).fetchone()
    whole = orders.table_bytes + orders.toast_bytes
    assert (whole, orders.toast_bytes, orders.index_bytes, orders.total_bytes) == told
    assert seen.tables == sorted(seen.tables, key=lambda one: -one.total_bytes)


def test_rows_of_a_table_that_was_never_analyzed(conn: psycopg.Connection) -> None:
    """Before anybody analyzed a table, its rows are those that were counted as they were written."""
    conn.execute("create table fresh (a int) with (autovacuum_enabled = off)")
    conn.execute("insert into fresh select generate_series(1, 7)")
    conn.commit()
    conn.execute("select pg_stat_force_next_flush()")
    conn.commit()
    (fresh,) = [one for one in look(conn, ["tables"]).tables if one.table_name == "fresh"]
    conn.rollback()
    conn.execute("drop table fresh")
    conn.commit()
    assert fresh.live_rows == 7


def test_dead_rows(conn: psycopg.Connection) -> None:
    """Rows that were deleted and not vacuumed are counted and remarked on."""
    seen = look(conn, ["tables"])
    orders = next(one for one in seen.tables if one.table_name == "orders")
    assert orders.live_rows == 18000
    assert 2000 <= orders.dead_rows <= 2010  # other tests update some and roll back
    assert orders.dead_share == pytest.approx(0.1, abs=0.001)
    (remark,) = [one for one in remarks(seen, Limits(dead_share=0.09)) if "dead" in one.text]
    assert remark.text == "10 % of the rows of public.orders are dead"
    assert remark.remedy == "vacuum (analyze) public.orders"


def test_bloat(server: TestServer, dsn: str) -> None:
    """A table most of whose rows are gone is estimated to be mostly bloat, and a dense one to have nearly none."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for table in ("dense", "holey"):
            conn.execute(
                f"create table {table} as select n::integer as number, repeat('x', 50) as note"
                " from generate_series(1, 20000) as n"
            )
            conn.execute(f"alter table {table} set (autovacuum_enabled = off)")
            conn.execute(f"create index {table}_number_idx on {table} (number)")
        conn.execute("delete from holey where number % 10 > 0")
        conn.execute("select pg_stat_force_next_flush()")
        conn.execute("vacuum (analyze) holey, dense")
        seen = look(conn, ["tables", "indexes"])
    shares = {one.table_name: one.bloat_share for one in seen.tables}
    assert shares["dense"] is not None
    assert shares["holey"] is not None
    assert shares["dense"] < 0.1
    assert 0.7 < shares["holey"] < 0.95
    bloat = {one.index_name: (one.bloat_bytes or 0) / one.bytes for one in seen.indexes}
    assert bloat["dense_number_idx"] < 0.1
    assert bloat["holey_number_idx"] > 0.7
    (remark,) = [
        one for one in remarks(seen, Limits(large_bytes=1024)) if one.view == "tables" and "larger" in one.text
    ]
    assert "public.holey" in remark.text


def test_table_that_was_never_analyzed(dsn: str) -> None:
    """The bloat of a table that was never analyzed is unknown, and it is said how it becomes known."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table fresh as select n from generate_series(1, 10) as n")
        seen = look(conn, ["tables"])
    assert seen.tables[0].bloat_bytes is None
    assert [str(one) for one in seen.missing] == [
        "tables: the bloat of fresh is unknown: they were never analyzed: analyze"
    ]


def test_sequential_scans(shop: str, conn: psycopg.Connection) -> None:
    """A large table that is read from end to end, and by no index, is shown with how many rows were read so."""
    conn.execute("select count(*) from order_lines where what = 'nothing'")
    conn.execute("select pg_stat_force_next_flush()")
    seen = look(conn, ["tables"])
    assert seen.scanned(large_bytes=10 * 1024**2) == []
    found = {one.table_name: one for one in seen.scanned(large_bytes=16 * 1024)}
    assert found["order_lines"].seq_scans >= 1
    assert found["order_lines"].seq_rows >= 1000
    told = [one.text for one in remarks(seen, Limits(large_bytes=16 * 1024, seq_scans=1))]
    assert any(text.startswith("public.order_lines (") and "was read from end to end" in text for text in told)


def test_partitions_are_one_table(conn: psycopg.Connection) -> None:
    """A table's partitions are counted and summed with it, and not listed."""
    names = {one.table_name: one for one in look(conn, ["tables"]).tables}
    assert (names["ending"].kind, names["ending"].partitions) == ("partitioned table", 2)
    assert "ending_1" not in names


def test_locked_table(shop: str, conn: psycopg.Connection) -> None:
    """While a table is locked against readers, and while somebody waits to lock it so, the view does not wait."""
    with actors(shop, "reader", "alterer") as (reader, alterer):
        reader.do("select from orders limit 1")
        alterer.start("lock table orders in access exclusive mode")
        eventually(lambda: look(conn, ["sessions"]).trees)
        seen = look(conn, ["tables", "indexes"])
        assert {one.table_name for one in seen.tables if one.is_locked} == {"orders"}
        assert "orders_pkey" in [one.index_name for one in seen.indexes]
        assert [str(one) for one in seen.missing] == [
            "tables: the sizes of orders are old: they are locked",
            "indexes: sizes of the indexes of orders are old, definitions and duplicates unknown: they are locked",
        ]
        reader.conn.rollback()
        eventually(lambda: not look(conn, ["sessions"]).trees)
        held = look(conn)
        alone = look(conn, ["indexes", "duplicates", "unindexed_keys"])
        duplicates = look(conn, ["duplicates"])
    assert (held.locked, alone.locked, duplicates.locked) == (["orders"], ["orders"], ["orders"])
    assert [str(one) for one in duplicates.missing] == ["duplicates: those of orders are left out: they are locked"]
    eventually(lambda: not look(conn, ["duplicates"]).missing)
    assert [one.view for one in alone.missing] == ["indexes"]
    assert {one.table_name for one in alone.indexes if one.definition is None} == {"orders"}
    orders = next(one for one in held.tables if one.table_name == "orders")
    assert orders.total_bytes > 1024**2
    assert {one.view for one in held.missing} == {"statements", "tables", "indexes"}
    assert held.duplicates == []  # they are all of the locked table
    assert [one.table_name for one in held.unindexed_keys] == ["orders"]


def test_locked_partition(shop: str, conn: psycopg.Connection) -> None:
    """How far partitions reach is told as unknown while one of them is locked against readers, of its table alone."""
    with actors(shop, "alterer") as (alterer,):
        alterer.do("lock table past_1 in access exclusive mode")
        seen = look(conn, ["reach"])
    assert [one.table_name for one in seen.reach if one.is_locked] == ["past"]
    assert [str(one) for one in seen.missing] == ["reach: how far past reaches is unknown: a partition is locked"]
    assert not any("past" in one.text for one in remarks(seen))


# Indexes.


def test_unused_index(shop: str, conn: psycopg.Connection) -> None:
    """An index that no query used is unused, until one does; one that keeps rows unique never is."""
    with psycopg.connect(shop, autocommit=True) as other:
        other.execute(
            "create table used (number integer primary key, kept integer unique, by_it integer, aside integer)"
        )
        other.execute("create index used_by_it_idx on used (by_it)")
        other.execute("create index used_aside_idx on used (aside)")
        other.execute("set enable_seqscan = off")
        other.execute("select from used where by_it = 1")
        other.execute("select pg_stat_force_next_flush()")
    unused = [one for one in look(conn, ["indexes"]).unused if one.table_name == "used"]
    assert [(one.index_name, one.scans) for one in unused] == [("used_aside_idx", 0)]
    assert unused[0].remedy == "drop index concurrently public.used_aside_idx"
    (remark,) = remarks(Overview(indexes=unused), Limits(large_bytes=0))
    assert remark.text.startswith("no query has used used_aside_idx (")


def test_superfluous_indexes(conn: psycopg.Connection) -> None:
    """Of two equal indexes the younger is superfluous, and one that another begins with."""
    found = look(conn, ["duplicates"]).duplicates
    assert sorted((one.index_name, one.kept_name, one.kind) for one in found) == [
        ("orders_note_idx", "orders_note_placed_idx", "prefix"),
        ("orders_placed_again_idx", "orders_placed_idx", "equal"),
    ]
    told = {one.text: one.remedy for one in remarks(Overview(duplicates=found))}
    assert told["orders_note_idx is superfluous beside orders_note_placed_idx"] == (
        "drop index concurrently public.orders_note_idx"
    )


#: An index beside ``parent (a, b)``, which may or may not be superfluous, and beside which.
BESIDE = [
    ("create index t_a_idx on t (a)", [("t_a_idx", "t_a_b_idx", "prefix")]),
    ("create index t_b_idx on t (b)", []),
    ("create index t_b_a_idx on t (b, a)", []),
    ("create index t_a_desc_idx on t (a desc)", []),
    ("create index t_a_like_idx on t (c text_pattern_ops, a); create index t_c_idx on t (c, a)", []),
    ("create index t_a_some_idx on t (a) where b > 0", []),
    ("create unique index t_a_key on t (a)", []),
    ("create unique index t_a_b_key on t (a, b)", [("t_a_b_idx", "t_a_b_key", "equal")]),
    ("create index t_a_with_idx on t (a) include (c)", []),
    ("create index t_a_hash_idx on t using hash (a)", []),
    ("create index t_expression_idx on t (lower(c)); create index t_expression_a_idx on t (lower(c), a)", []),
    (
        "create index t_lower_idx on t (lower(c)); create index t_lower_again_idx on t (lower(c))",
        [("t_lower_again_idx", "t_lower_idx", "equal")],
    ),
    ("create index t_lower_idx on t (lower(c)); create index t_upper_idx on t (upper(c))", []),
    (
        "alter table t add constraint t_a_b_key unique (a, b); create unique index t_own_key on t (a, b)",
        [("t_a_b_idx", "t_a_b_key", "equal"), ("t_own_key", "t_a_b_key", "equal")],
    ),
]


@pytest.mark.parametrize(("statements", "superfluous"), BESIDE)
def test_what_is_superfluous(dsn: str, statements: str, superfluous: list[tuple[str, str, str]]) -> None:
    """Only what another index serves as well, in order, operators and rows, is superfluous; what is unique is not."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table t (a integer, b integer, c text); create index t_a_b_idx on t (a, b)")
        conn.execute(statements)
        found = look(conn, ["duplicates"]).duplicates
    assert sorted((one.index_name, one.kept_name, one.kind) for one in found) == superfluous


def test_superfluous_constraint(dsn: str) -> None:
    """A constraint that another one makes superfluous goes as a constraint."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute('create table "T" (a integer primary key)')
        conn.execute('alter table "T" add constraint again unique (a)')
        (found,) = look(conn, ["duplicates"]).duplicates
    assert found.remedy == 'alter table public."T" drop constraint again'


def test_constraint_that_is_referred_to(dsn: str) -> None:
    """A unique constraint that a foreign key refers to is not superfluous: it cannot go."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table parents (a integer constraint by_a unique)")
        conn.execute("create table children (a integer references parents (a))")
        conn.execute("alter table parents add primary key (a)")
        assert look(conn, ["duplicates"]).duplicates == []


def test_remedies_can_be_run(dsn: str) -> None:
    """What is said to mend indexes mends them when it is run as it stands, of odd names and partitions too."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute('create schema "Odd"')
        for schema in ("public", '"Odd"'):
            conn.execute(f"create table {schema}.users (user_id integer primary key)")
            conn.execute(f'create table {schema}."order" ("user" integer references {schema}.users, b integer)')
            conn.execute(f'create index "Twice" on {schema}."order" (b)')
            conn.execute(f'create index on {schema}."order" (b)')
            conn.execute(f'create unique index "key" on {schema}."order" (b)')
            conn.execute(f'alter table {schema}."order" add constraint "same" unique (b)')
        conn.execute("create table logs (at date, user_id integer references users) partition by range (at)")
        conn.execute("create table logs_1 partition of logs for values from ('2026-01-01') to ('2027-01-01')")
        conn.execute("create index on logs (at); create index on logs (at)")
        seen = look(conn)
        assert len(seen.duplicates) == 7
        assert len(seen.unindexed_keys) == 3
        for remedy in [*(one.remedy for one in seen.duplicates), *(one.remedy for one in seen.unindexed_keys)]:
            conn.execute(remedy)
        mended = look(conn)
        assert (mended.duplicates, mended.unindexed_keys) == ([], [])
        assert mended.unused != []
        for unused in mended.unused:
            conn.execute(unused.remedy)
        assert look(conn).unused == []


def test_index_that_is_being_built(shop: str, conn: psycopg.Connection) -> None:
    """An index that is being built concurrently is not yet valid, and not called broken."""
    with actors(shop, "writer", "builder") as (writer, builder):
        writer.do("update customers set name = name where customer_id = 1")
        builder.conn.commit()
        builder.conn.autocommit = True
        builder.start("create index concurrently customers_name_idx on customers (name)")
        seen = eventually(
            lambda: next(
                (seen for seen in [look(conn, ["indexes"])] if any(one.is_building for one in seen.indexes)), None
            )
        )
        assert seen is not None
        assert seen.invalid == []
    conn.execute("drop index if exists customers_name_idx")


def test_foreign_keys_without_an_index(conn: psycopg.Connection) -> None:
    """A foreign key whose column no index begins with is told with what makes one; one with an index is not."""
    found = look(conn, ["unindexed_keys"]).unindexed_keys
    assert [(one.table_name, one.columns, one.parent) for one in found] == [("orders", ["customer_id"], "customers")]
    assert found[0].remedy == "create index concurrently orders_customer_id_idx on public.orders (customer_id)"
    (remark,) = remarks(Overview(unindexed_keys=found))
    assert remark.text == "no index begins with customer_id of orders, which refers to customers"


#: What beside a foreign key on (a, b) and one on (c), and which keys lack an index then.
KEYS = [
    ("", [["a", "b"], ["c"]]),
    ("create index on t (b, a, c); create index on t (c)", []),
    ("create index on t (a); create index on t (a, c)", [["a", "b"], ["c"]]),
    ("create index on t (a, b); create index on t (c) where c is not null", []),
    ("create index on t (a, b); create index on t (c) where c > 0", [["c"]]),
    ("create index on t (a) include (b); create index on t using hash (c)", [["a", "b"]]),
]


@pytest.mark.parametrize(("statements", "lacking"), KEYS)
def test_which_keys_lack_an_index(dsn: str, statements: str, lacking: list[list[str]]) -> None:
    """A foreign key has an index that begins with its columns, in any order, for all rows that refer to one."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table p (a integer, b integer, c integer unique, primary key (a, b))")
        conn.execute(
            "create table t (a integer, b integer, c integer references p (c), foreign key (a, b) references p (a, b))"
        )
        if statements:
            conn.execute(statements)
        found = look(conn, ["unindexed_keys"]).unindexed_keys
    assert sorted(one.columns for one in found) == lacking


def test_index_for_a_partitioned_table() -> None:
    """A partitioned table takes no index concurrently."""
    key = UnindexedKey(
        schema_name="Shop", table_name="logs", constraint_name="k", parent="users", columns=["user_id", "At"],
        is_partitioned=True, rows=0, changes_on_delete=False,
    )  # fmt: skip
    assert key.remedy == 'create index "logs_user_id_At_idx" on "Shop".logs (user_id, "At")'


def test_invalid_index(dsn: str) -> None:
    """What a failed CREATE INDEX CONCURRENTLY left is told, and is no index that another is superfluous beside."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table twice as select 1 as number from generate_series(1, 2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("create unique index concurrently twice_number_key on twice (number)")
        conn.execute("create index twice_number_idx on twice (number)")
        seen = look(conn, ["indexes", "duplicates"])
    assert [one.index_name for one in seen.invalid] == ["twice_number_key"]
    assert seen.duplicates == []
    assert "twice_number_key is not valid: it costs writes and serves no query" in [one.text for one in remarks(seen)]


# Partitions.


def test_reach(conn: psycopg.Connection) -> None:
    """How far ahead partitions reach, that which ends soonest first; where a row of now finds none it is urgent."""
    seen = look(conn, ["reach"])
    found = {one.table_name: one for one in seen.reach}
    assert list(found) == ["past", "ending", "with_gap", "endless", "none_yet"]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert found["ending"].reaches_to in (today + timedelta(days=3), today + timedelta(days=2))
    assert found["ending"].ahead_seconds is not None
    assert 1 < found["ending"].ahead_seconds / 86_400 <= 3
    assert [one.table_name for one in seen.reach if not one.holds_now] == ["past", "none_yet"]
    assert (found["with_gap"].gaps, found["ending"].gaps, found["past"].has_default) == (1, 0, True)
    assert (found["endless"].is_endless, found["endless"].ahead_seconds) == (True, None)
    told = {one.text.partition(":")[0]: one for one in remarks(seen)}
    assert told["public.past"].text == "public.past: a row of now finds no partition but the default one"
    assert told["public.past"].level == told["public.none_yet"].level == "urgent"
    assert told["public.ending"].text.startswith("public.ending: its partitions end in")
    assert told["public.with_gap"].text == "public.with_gap: 1 gap between its partitions"
    assert "public.endless" not in told


def test_reach_does_not_depend_on_the_session(conn: psycopg.Connection) -> None:
    """Bounds are read the same whatever time zone and style of dates a session has, which it keeps."""
    plain = look(conn, ["reach"]).reach
    conn.execute("set timezone to 'Pacific/Auckland'; set datestyle to 'German'")
    seen = look(conn, ["reach"]).reach
    assert [one.reaches_to for one in seen] == [one.reaches_to for one in plain]
    assert conn.execute("show timezone").fetchone() == ("Pacific/Auckland",)


# The server.


def test_server(conn: psycopg.Connection) -> None:
    """The server is told with its version, its connections and what it did since the statistics were reset."""
    seen = look(conn, ["databases"]).server
    assert seen is not None
    assert seen.version_number == conn.info.server_version
    assert seen.connections >= seen.active >= 1
    assert seen.max_connections is not None
    assert seen.connections <= seen.max_connections
    assert (seen.is_standby, seen.reads_all, seen.counts) == (False, True, True)
    assert seen.hit_ratio is not None
    assert 0.5 < seen.hit_ratio <= 1
    assert seen.commits > 0
    assert seen.uptime_seconds is not None
    assert seen.uptime_seconds > 0


def test_transaction_ids(conn: psycopg.Connection) -> None:
    """Each database has the age of its oldest transaction id, and where too many are used it is urgent."""
    seen = look(conn, ["databases"])
    (current,) = [one for one in seen.databases if one.is_current]
    told = conn.execute("select age(datfrozenxid) from pg_database where datname = current_database()").fetchone()
    assert told is not None
    assert current.transaction_age is not None
    assert 0 < current.transaction_age <= told[0]
    assert current.bytes is not None
    assert remarks(seen) == []
    old = current.model_copy(update={"transaction_age": 1_500_000_000})
    (remark,) = remarks(Overview(databases=[old]))
    assert remark.level == "urgent"
    assert remark.text == f"69.8 % of the transaction ids of {current.database_name} are used"
    many = current.model_copy(update={"multixact_age": 2_000_000_000})
    assert remarks(Overview(databases=[many]))[0].text.startswith("93.1 % of the transaction ids")
    tables = look(conn, ["tables"]).tables
    assert all(one.transaction_age is not None for one in tables if one.kind == "table")


def test_limits_of_the_server(conn: psycopg.Connection) -> None:
    """Too many connections, few hits and a switched-off autovacuum want attention."""
    server = look(conn, []).server
    assert server is not None
    full = server.model_copy(
        update={
            "connections": 90,
            "max_connections": 100,
            "hits": 50_000,
            "reads": 50_000,
            "hit_ratio": 0.5,
            "vacuums": False,
        }
    )
    assert [(one.level, one.text) for one in remarks(Overview(server=full))] == [
        ("urgent", "90 of 100 connections are taken"),
        ("urgent", "autovacuum is off"),
        ("look", "50 % of the blocks were in memory"),
    ]


def test_rates(conn: psycopg.Connection) -> None:
    """Between two looks, what the server did is told by the second; after a reset nothing is."""
    before = look(conn, [])
    conn.execute("update customers set name = name where customer_id <= 50")
    conn.execute("select pg_stat_force_next_flush()")
    after = look(conn, [])
    assert before.server is not None
    assert after.server is not None
    rates = rates_between(before.server, after.server)
    assert rates is not None
    assert rates.rows_written * rates.seconds == pytest.approx(50)
    assert rates.commits > 0
    assert rates_between(after.server, before.server) is None
    assert statements_between(before, after) == []


# Both colours, whichever executor.


def test_all_views(shop: str) -> None:
    """All views are there, on a Database, a bound view of one, a connection and a transaction, and asynchronously."""

    async def asked() -> list[Overview]:
        async with AsyncDatabase.connect(shop) as db, db.connection() as conn:
            await conn.execute("select 1")
            return [await look(db), await look(db.bound(settings={"app.owner": "1"})), await look(conn)]

    with Database.connect(shop) as db:
        found = [look(db), look(db.bound(schema="public"))]
        with db.transaction() as conn:
            conn.execute("create table half_made (number integer)")
            found.append(look(conn))
            assert conn.execute("show transaction_read_only").fetchone() == ("off",)
            conn.execute("drop table half_made")
    found += asyncio.run(asked())
    for seen in found:
        assert seen.server is not None
        assert {one.table_name for one in seen.tables} >= {"orders", "customers"}
        assert len(seen.duplicates) == 2
        assert len(seen.reach) == 5
        assert [one.view for one in seen.missing if one.view == "statements"] == ["statements"]


def test_a_view_that_is_none(conn: psycopg.Connection) -> None:
    """A view that there is not is an error that names those that there are."""
    with pytest.raises(ArgumentError, match=r"look: there is no view 'tabels': server, databases, sessions, .*tables"):
        look(conn, ["tabels"])  # type: ignore[list-item]


def test_nothing_is_left_behind(shop: str) -> None:
    """A look leaves the connection as it was: its timeouts, its path, no transaction."""
    with psycopg.connect(shop, autocommit=True, options="-c lock_timeout=7s -c statement_timeout=8s") as conn:
        look(conn)
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert conn.execute("show lock_timeout").fetchone() == ("7s",)
        assert conn.execute("show statement_timeout").fetchone() == ("8s",)
        assert conn.execute("show transaction_read_only").fetchone() == ("off",)


# Numbers as people read them.

TEXTS = [
    (bytes_text, 0, "0 B"), (bytes_text, 1023, "1023 B"), (bytes_text, 1024, "1.00 kB"),
    (bytes_text, 1024**2 - 1, "1.00 MB"), (bytes_text, 35.2 * 1024**2, "35.2 MB"), (bytes_text, None, "–"),
    (bytes_text, 3 * 1024**6, "3072 PB"),
    (count_text, 0, "0"), (count_text, 999, "999"), (count_text, 1000, "1.00 k"), (count_text, 2_147_483_648, "2.15 G"),
    (seconds_text, 0, "0 s"), (seconds_text, 0.0000254, "25 µs"), (seconds_text, 0.00125, "1.25 ms"),
    (seconds_text, 3.2, "3.20 s"), (seconds_text, 59.4, "59.4 s"), (seconds_text, 60, "1 min"),
    (seconds_text, 7200, "2 h"), (seconds_text, 260_000, "3 days"), (seconds_text, -86_400 * 3, "-3 days"),
    (seconds_text, None, "–"), (milliseconds_text, 1.5, "1.50 ms"), (milliseconds_text, None, "–"),
    (share_text, 1, "100 %"), (share_text, 0.99999, "99.99 %"), (share_text, 0.5, "50 %"),
    (share_text, 0.1234, "12.3 %"), (share_text, None, "–"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "value", "written"), TEXTS)
def test_numbers_as_people_read_them(write: object, value: object, written: str) -> None:
    """Numbers have three digits and a unit, what is not known is a dash, and a part is never rounded to all."""
    assert callable(write)
    assert write(value) == written
