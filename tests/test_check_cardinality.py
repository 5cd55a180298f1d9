"""Which statements are proved to give at most one row, or at least one, and that no proof is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from sqlkit.describing.cardinality import always, single
from sqlkit.describing.describe import describe
from sqlkit.describing.description import Described
from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node, parse_tree, walk
from sqlkit.statements import parse_statement
from sqlkit.testing import TestServer, dropped_afterwards

TABLES = """
create table t (id int primary key, a int, b int, c text unique, d int not null default 0, unique (a, b));
create table u (u_id int primary key, t_id int references t on delete cascade, x int);
create table e (
    e_id int primary key, email varchar, gone int, code text, nick text collate "C", z numeric unique,
    constraint e_x unique nulls not distinct (gone, code, nick)
);
create unique index e_lower on e (lower(email));
create unique index e_code on e (code) where gone is null;
create unique index e_nick on e (nick) where nick is not null;
create unique index e_pair on e (code, (gone + 1)) include (email);
create table late (l_id int, k int, unique (k) deferrable initially deferred);
create table mother (m_id int primary key, v int);
create table child (w int) inherits (mother);
create table part (p_id int, day int, v int, primary key (p_id, day)) partition by range (day);
create table part_1 partition of part for values from (0) to (2);
create table part_2 partition of part for values from (2) to (9);
create table ruled (r_id int primary key, v int);
create rule ruled_rule as on insert to ruled do instead insert into t (id) values (new.r_id) returning id, d;
create table settings (only_one bool primary key default true check (only_one), a int);
create table state (state_id int not null default 1 check (state_id = 1 and a > 0), a int, unique (state_id));
create table loose (loose_id int unique check (loose_id = 1), a int);
create table others (other_id int primary key check (not (other_id = 1)));
create table never (yes bool not null unique check (not yes));
create table notes (a int, gone bool);
create unique index notes_one on notes ((true)) where not gone;
create view tu as select t.id, u.u_id, u.x from t inner join u on u.t_id = t.id;
create view named as select id as k, c, a from t where d >= 0;
create view grouped as select t_id, count(*) as n, max(x) as x from u group by t_id;
create view one as select count(*) as n from t;
create function plus(v int) returns int language sql immutable as 'select v + 1';
create function any_of() returns int language sql volatile as 'select 1 + (random() * 2)::int';
create function two() returns setof int language sql stable as 'select 1 union all select 2';
"""

OLD_TABLES = TABLES.replace("unique nulls not distinct (gone", "unique (gone")

#: Statement, and why one row at most can come; None where more can. Parameters are ``:i``, ``:j`` (int), ``:s`` (text).
SINGLE: list[tuple[str, str | None]] = [
    ("select a from t where id = :i", "unique key t_pkey"),
    ("select a from t where :i = id", "unique key t_pkey"),
    ("select a from t where id = :i::int8", "unique key t_pkey"),
    ("select a from t where id = :i + 1", "unique key t_pkey"),
    ("select a from t where id = plus(:i)", "unique key t_pkey"),
    ("select a from t where id + 0 = :i", None),
    ("select a from t where id = :i or a = 1", None),
    ("select a from t where not (id <> :i)", None),
    ("select a from t where id >= :i", None),
    ("select a from t where id::text = :s", None),
    ("select a from t where a = :i", None),
    ("select a from t where a = :i and b = :j", "unique key t_a_b_key"),
    ("select a from t where (a, b) = (:i, 2)", "unique key t_a_b_key"),
    ("select a from t where a = :i and b is null", None),
    ("select a from t where a = :i and b is not distinct from :j", None),
    ("select a from t where a is not distinct from :i and b = :j", None),
    ("select a from t where a = b and b = :i", "unique key t_a_b_key"),
    ("select a from t where a = b", None),
    ("select a from t where c = :s", "unique key t_c_key"),
    ('select a from t where c = :s collate "C"', "unique key t_c_key"),
    ("select a from t where c like :s", None),
    ("select a from t where id = any(array[:i]::int[])", None),
    ("select a from t where id in (:i)", "unique key t_pkey"),
    ("select a from t where id in (:i, :j)", None),
    ("select a from t where id = (random() * 3)::int", None),
    ("select a from t where id = any_of()", None),
    ("select a from t where id = (select max(u_id) from u)", "unique key t_pkey"),
    ("select a from t where id = (select max(u_id) from u where x = t.a)", None),
    ("select a from t where id in (select t_id from u where u_id = :i)", "unique key t_pkey"),
    ("select a from t where id = any(select max(x) from u)", "unique key t_pkey"),
    ("select a from t where id in (select t_id from u where x = :i)", None),
    ("select a from t where id in (select x from u where u.u_id = t.a)", None),
    ("select a from t where id not in (select t_id from u where u_id = :i)", None),
    ("select a from t where id > any(select t_id from u where u_id = :i)", None),
    ("select a from t where (id, a) in (select t_id, x from u where u_id = :i)", "unique key t_pkey"),
    ("select a from t where id = :i and exists (select from u)", "unique key t_pkey"),
    ("select a from t where id = :i for update", "unique key t_pkey"),
    ("select a from t where id = a", None),
    ("select count(*) from t", "aggregate without group by"),
    ("select max(a), min(a) from t where b = 1", "aggregate without group by"),
    ("select 1 from t having true", "aggregate without group by"),
    ("select count(*), generate_series(1, 2) from t", None),
    ("select count(*) over () from t", None),
    ("select count(*) from t group by a", None),
    ("select count(*) from t group by ()", "aggregate over all rows"),
    ("select count(*) from t group by grouping sets ((), ())", None),
    ("select a, count(*) from t group by rollup (a)", None),
    ("select a, count(*) from t where id = 1 group by rollup (a)", None),
    ("select a, count(*) from t where a = :i group by a", "group by what is fixed"),
    ("select a, b, count(*) from t where a = :i group by a, b", None),
    ("select id, c, count(u_id) from t left join u on t_id = id where id = :i group by id", "group by what is fixed"),
    ("select lower(c), count(*) from t where lower(c) = :s group by lower(c)", "group by what is fixed"),
    ("select :i as p, count(*) from t group by p", "group by what is fixed"),
    ("select a from t order by a limit 1", "limit 1"),
    ("select a from t limit 0", "limit 0"),
    ("select a from t limit 2", None),
    ("select a from t limit :i", None),
    ("select a from t limit null", None),
    ("select a from t order by a fetch first row only", "limit 1"),
    ("select a from t order by a fetch first row with ties", None),
    ("select generate_series(1, 9) limit 1", "limit 1"),
    ("select distinct :i from t", "distinct of what is fixed"),
    ("select distinct a from t where a = :i", "distinct of what is fixed"),
    ("select distinct a, b from t where a = :i", None),
    ("select distinct on (a) a, b from t where a = :i order by a, b", "distinct of what is fixed"),
    ("select distinct generate_series(1, 2) from t where a = :i", None),
    ("select t.a from t inner join u on u.t_id = t.id where u.u_id = :i", "unique key t_pkey, unique key u_pkey"),
    ("select t.a from t, u where u.t_id = t.id and u.u_id = :i", "unique key t_pkey, unique key u_pkey"),
    ("select t.a from t inner join u on u.t_id = t.id where t.id = :i", None),
    ("select t.a from u left join t on u.t_id = t.id where u.u_id = :i", "unique key u_pkey, unique key t_pkey"),
    ("select t.a from t right join u on u.t_id = t.id where u.u_id = :i", "unique key t_pkey, unique key u_pkey"),
    ("select t.a from u left join t on u.t_id = t.id where t.id = :i", None),
    ("select t.a from t left join u on u.t_id = t.id where u.u_id = :i", "unique key t_pkey, unique key u_pkey"),
    ("select t.a from t left join u on u.u_id = :i where t.id = 1", "unique key t_pkey, unique key u_pkey"),
    ("select t.a from t left join u on u.u_id = :i", None),
    ("select t.a from t left join u on t.id = 1 and u.u_id = t.a where t.d = 0", None),
    ("select t.a from t full join u on u.t_id = t.id where u.u_id = :i", "unique key t_pkey, unique key u_pkey"),
    ("select t.a from u full join t on u.t_id = t.id where u.u_id = :i", "unique key u_pkey, unique key t_pkey"),
    ("select t.a from u full join t on u.t_id = t.id where t.id = :i", None),
    ("select t.a from t full join u on u.t_id = t.id and u.u_id = :i and t.id = :i", None),
    (
        "select t.a from t full join u on u.t_id = t.id where u.u_id = :i and t.id = :j",
        "unique key t_pkey, unique key u_pkey",
    ),
    (
        "select 1 from u left join (t left join e on e.e_id = t.a) on t.id = u.t_id where u.u_id = :i",
        "unique key u_pkey, unique key t_pkey, unique key e_pkey",
    ),
    ("select 1 from u left join (t inner join e on e.gone = t.a) on t.id = u.t_id where u.u_id = :i", None),
    ("select 1 from t as s inner join t using (a, b) where s.id = :i", "unique key t_pkey, unique key t_a_b_key"),
    ("select 1 from t as s full join t using (a, b) where a = :i and b = :j", None),
    (
        "select j.a from (t inner join u on u.t_id = t.id) as j where j.u_id = :i",
        "unique key t_pkey, unique key u_pkey",
    ),
    ("select distinct one.n from t left join one on one.n = t.id", None),
    ("select 1 from t left join one on one.n = t.id inner join u on u.u_id = coalesce(one.n, 0) where t.d = 1", None),
    ("select 1 from t cross join u where t.id = :i and u.u_id = :j", "unique key t_pkey, unique key u_pkey"),
    ("select 1 from t cross join u where t.id = :i", None),
    ("select 1 from t, u where t.id = u.x and u.x = :i", None),
    ("select e_id from e where lower(email) = lower(:s)", "unique key e_lower"),
    ("select e_id from e where lower(email) = :s", "unique key e_lower"),
    ('select e_id from e where lower(email collate "C") = :s', None),
    ("select e_id from e where upper(email) = :s", None),
    ("select e_id from e where email = :s", None),
    ("select e_id from e where code = :s", None),
    ("select e_id from e where code = :s and gone is null", "unique key e_code"),
    ("select e_id from e where code = :s and gone is not null", None),
    ("select e_id from e where code = :s and (gone is null or gone = 1)", None),
    ("select e_id from e where nick = :s", "unique key e_nick"),
    ("select e_id from e where nick is not null", None),
    ("select e_id from e where code = :s and gone + 1 = :i", "unique key e_pair"),
    ("select e_id from e where code = :s and gone + 2 = :i", None),
    ("select e_id from e where code = :s and email = :s", None),
    (
        "select 1 from t left join e on e.code = t.c and e.gone is null where t.id = :i",
        "unique key t_pkey, unique key e_code",
    ),
    (
        "select 1 from t left join e on e.code = t.c where t.id = :i and e.gone is null",
        "unique key t_pkey, unique key e_code",
    ),
    ("select 1 from t left join e on e.code = t.c where t.id = :i and e.email is null", None),
    ("select e_id from e where z = :i", "unique key e_z_key"),
    ("select e_id from e where z::int = :i", None),
    ("select e_id from e where z = (:i)::float8", None),
    ("select l_id from late where k = :i", None),
    ("select m_id from mother where m_id = :i", None),
    ("select m_id from only mother where m_id = :i", None),
    ("select m_id from child where m_id = :i", None),
    ("select v from part where p_id = :i and day = :j", "unique key part_pkey"),
    ("select v from part where p_id = :i", None),
    ("select v from part_1 where p_id = :i and day = :j", "unique key part_1_pkey"),
    ("select a from settings", "unique key settings_pkey"),
    ("select u.x from settings inner join u on u.u_id = settings.a", "unique key settings_pkey, unique key u_pkey"),
    ("select a from state", "unique key state_state_id_key"),
    ("select a from loose", None),
    ("select yes from never", "unique key never_yes_key"),
    ("select other_id from others", None),
    ("select a from notes where not gone", "unique key notes_one"),
    ("select a from notes", None),
    ("select * from tu where u_id = :i", "unique key t_pkey, unique key u_pkey"),
    ("select * from tu where id = :i", None),
    ("select * from named where k = :i", "unique key t_pkey"),
    ("select * from named where a = :i", None),
    ("select * from grouped where t_id = :i", "group by what is fixed"),
    ("select * from grouped where n = :i", None),
    ("select * from one", "aggregate without group by"),
    (
        "select * from t left join grouped on grouped.t_id = t.id where t.id = :i",
        "unique key t_pkey, group by what is fixed",
    ),
    ("select * from (select distinct a from t) as s where a = :i", "distinct of what is fixed"),
    ("select * from (select id, row_number() over () as n from t) as s where id = :i", "unique key t_pkey"),
    ("select * from (select id, row_number() over () as n from t) as s where n = :i", None),
    ("select * from (select id + 1 as k from t) as s where k = :i", None),
    ("select * from (select id, generate_series(1, 2) as n from t) as s where id = :i", None),
    ("select * from (select id from t limit 5) as s where id = :i", "unique key t_pkey"),
    ("select * from (select id from t union select u_id from u) as s where id = :i", "set operation on what is fixed"),
    ("select * from (select id from t union all select u_id from u) as s where id = :i", None),
    ("select * from (select id, a from t union select u_id, x from u) as s where id = :i", None),
    (
        "select * from (select a, b from t intersect select t_id, x from u) as s where a = :i and b = :j",
        "set operation on what is fixed",
    ),
    ("select * from (select a from t intersect all select x from u) as s where a = :i", None),
    (
        "select * from (select id, a from t union select u_id, x from u) as s where a = 1 and id = a",
        "set operation on what is fixed",
    ),
    ("with w as (select * from t where id = :i) select * from w", "unique key t_pkey"),
    ("with w as (select * from t) select * from w where id = :i", "unique key t_pkey"),
    (
        "with w as (select a from t where id = :i) select 1 from u inner join w on w.a = u.u_id",
        "unique key u_pkey, unique key t_pkey",
    ),
    ("with w as (select a from t) select 1 from u inner join w on w.a = u.u_id", None),
    ("with recursive w as (select 1 as n union all select n + 1 from w where n < 3) select n from w", None),
    ("with recursive w as (select 1 as n union all select n + 1 from w where n < 3) select n from w where n = 1", None),
    ("with w as (select 1 as id), v as (with w as (select id from t) select * from w) select * from v", None),
    (
        "with w as (insert into t (id) values (:i) on conflict do nothing returning id) select * from w",
        "one row of values",
    ),
    ("with w as (delete from t where d = :i returning id) select * from w where id = 1", None),
    (
        "select 1 from t, lateral (select x from u where u.t_id = t.id limit 1) as l where t.id = :i",
        "unique key t_pkey, limit 1",
    ),
    ("select 1 from t, lateral (select x from u where u.t_id = t.id limit 1) as l", None),
    ("select 1 from t, lateral (select t.a as x limit 1) as l, u where u.u_id = l.x and t.d = 0", None),
    ("select 1 from u, lateral (select u.x as k) as l inner join t on t.id = l.k where u.t_id = :i", None),
    ("select 1 from plus(:i) as p inner join t on t.id = p", "a function that returns one row, unique key t_pkey"),
    ("select 1 from any_of() as p inner join t on t.id = p", "a function that returns one row, unique key t_pkey"),
    ("select 1 from u, plus(u.x) as p inner join t on t.id = p", None),
    ("select 1 from two() as p inner join t on t.id = p", None),
    ("select 1 from generate_series(1, :i) as p", None),
    ("select 1 from unnest(array[:i, :j]) as p", None),
    ("select 1 from (values (1)) as p (k) inner join t on t.id = p.k", "one row of values, unique key t_pkey"),
    ("select 1 from (values (1), (2)) as p (k) inner join t on t.id = p.k", None),
    ("select exists (select from t)", "select without from"),
    ("select 1 where :i = 1", "select without from"),
    ("select generate_series(1, :i)", None),
    ("select two()", None),
    ("values (1)", "one row of values"),
    ("values (1), (2)", None),
    ("select id from t where id = :i union select id from t where id = :i", None),
    ("select id from t where id = :i union all select id from t where id = :i", None),
    ("select id from t intersect select u_id from u where u_id = :i", "unique key u_pkey"),
    ("select id from t where id = :i except select u_id from u", "unique key t_pkey"),
    ("select id from t except select u_id from u where u_id = :i", None),
    ("insert into t (id) values (:i) on conflict do nothing returning id", "one row of values"),
    ("insert into t (id) values (:i) on conflict (id) do update set d = 3 returning id", "one row of values"),
    ("insert into t (id) values (:i), (:j) on conflict do nothing returning id", None),
    ("insert into t (id) select :i on conflict do nothing returning id", "select without from"),
    ("insert into t (id) select u_id from u on conflict do nothing returning id", None),
    ("insert into t (id) select u_id from u where u_id = :i on conflict do nothing returning id", "unique key u_pkey"),
    ("insert into t (id) select generate_series(1, 2) on conflict do nothing returning id", None),
    ("insert into t default values on conflict do nothing returning id", "one row of values"),
    ("insert into ruled (r_id) values (:i) returning r_id", None),
    ("insert into t (id) values (:i) on conflict do nothing", "nothing is returned"),
    ("update t set d = 2 where id = :i returning id", "unique key t_pkey"),
    ("update t set d = 2 where d = :i returning id", None),
    ("update t set d = 2 from u where t.id = :i and u.x = t.a returning t.id", "unique key t_pkey"),
    ("update t set d = 2 from u where t.id = u.t_id and u.x = :i returning t.id", None),
    ("update t set d = 2 from u where t.id = u.t_id and u.u_id = :i returning t.id", "unique key t_pkey"),
    ("update named set a = 9 where k = :i returning k", "unique key t_pkey"),
    ("update mother set v = 2 where m_id = :i returning m_id", None),
    ("delete from t where id = :i returning id", "unique key t_pkey"),
    ("delete from t using u where t.a = u.x and u.u_id = :i returning t.id", None),
    ("delete from t using u where t.id = u.x and u.u_id = :i returning t.id", "unique key t_pkey"),
    ("delete from part where p_id = :i and day = :j returning v", "unique key part_pkey"),
]

#: For PostgreSQL 17 and later.
MERGES: list[tuple[str, str | None]] = [
    (
        "merge into t using (select :i::int as k) as s on s.k = t.id when matched then update set d = 1 "
        "when not matched then insert (id) values (s.k) returning t.id",
        "select without from, unique key t_pkey",
    ),
    (
        "merge into t using (select :i::int as k) as s on s.k = t.d when matched then update set d = 1 returning t.id",
        None,
    ),
    (
        "merge into t using u on u.x = t.id when matched then update set d = 1 returning t.id",
        None,
    ),
    (
        "merge into t using (select :i::int as k) as s on s.k = t.id when matched then update set d = 1 "
        "when not matched by source then update set d = 2 returning t.id",
        None,
    ),
]

#: Statement, and why a row always comes; None where none may.
ALWAYS: list[tuple[str, str | None]] = [
    ("select count(*) from t", "aggregate without group by"),
    ("select max(a) from t where id = :i", "aggregate without group by"),
    ("select count(*) from t having count(*) > 1", None),
    ("select count(*) from t group by a", None),
    ("select count(*) from t limit 0", None),
    ("select count(*) from t limit :i", None),
    ("select count(*) from t limit 1", "aggregate without group by"),
    ("select count(*) from t offset 1", None),
    ("select count(*), generate_series(1, :i) from t", None),
    ("select 1", "select without from"),
    ("select 1 where :i = 1", None),
    ("select exists (select from t where id = :i)", "select without from"),
    ("select generate_series(1, :i)", None),
    ("values (1), (2)", "rows of values"),
    ("select a from t", None),
    ("select a from t where id = :i", None),
    ("select * from one", "aggregate without group by"),
    ("select * from one where n > 1", None),
    ("select * from one left join t on t.id = one.n", "aggregate without group by"),
    ("select * from t right join one on t.id = one.n", "aggregate without group by"),
    ("select * from t full join one on t.id = one.n", "aggregate without group by"),
    ("select * from one inner join t on t.id = one.n", None),
    ("select * from one cross join t", None),
    ("select * from one left join t on t.id = one.n where t.id is null", None),
    ("select 1 from plus(:i) as p", "a function that returns one row"),
    ("select 1 from two() as p", None),
    ("with w as (select count(*) as n from t) select n from w", "aggregate without group by"),
    ("select a from t union all select 1", "select without from"),
    ("select a from t union select 1 order by 1", "select without from"),
    ("select 1 intersect select a from t", None),
    ("select 1 except select a from t", None),
    ("insert into t (id) values (10 + :i) returning id", "rows that are inserted"),
    ("insert into t (id) values (:i) on conflict do nothing returning id", None),
    ("insert into t (id) values (:i) on conflict (id) do update set d = 3 returning id", "rows that are inserted"),
    ("insert into t (id) values (:i) on conflict (id) do update set d = 3 where t.d = 1 returning id", None),
    ("insert into t (id) select u_id + 20 from u returning id", None),
    ("insert into u (u_id) values (10 + :i) returning u_id", None),
    ("insert into ruled (r_id) values (:i) returning r_id", None),
    ("update t set d = 2 where id = :i returning id", None),
    ("delete from t where id = :i returning id", None),
]

TRIGGER = """
create function refuse() returns trigger language plpgsql as 'begin return null; end';
create trigger u_refuse before insert on u for each row execute function refuse();
"""


@pytest.fixture(scope="module")
def scratch(server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in autocommit to a database with the tables, empty."""
    with dropped_afterwards(server) as database, psycopg.connect(server.dsn_for(database), autocommit=True) as conn:
        conn.execute(TABLES if server.version >= 150000 else OLD_TABLES)
        conn.execute(TRIGGER)
        yield conn


def outcome(conn: psycopg.Connection[Any], sql: str) -> Described:
    """Return what is said of a statement."""
    (description,) = describe(conn, [parse_statement(sql)])
    assert isinstance(description.outcome, Described), description.outcome
    assert description.outcome.unproved is None
    return description.outcome


@pytest.mark.parametrize(("sql", "reason"), SINGLE, ids=[sql for sql, _ in SINGLE])
def test_at_most_one_row(scratch: psycopg.Connection[Any], sql: str, reason: str | None) -> None:
    """The reason is said where one row at most can come, and none where more can."""
    assert outcome(scratch, sql).single == reason


@pytest.mark.parametrize(("sql", "reason"), MERGES)
def test_a_merge_reaches_one_row(scratch: psycopg.Connection[Any], sql: str, reason: str | None) -> None:
    """A merge of one row into a key gives one, with what the source lacks it may give more."""
    if scratch.info.server_version < 170000:
        pytest.skip("merge returns rows since PostgreSQL 17")
    assert outcome(scratch, sql).single == reason


@pytest.mark.parametrize(("sql", "reason"), ALWAYS, ids=[sql for sql, _ in ALWAYS])
def test_at_least_one_row(scratch: psycopg.Connection[Any], sql: str, reason: str | None) -> None:
    """The reason is said where a row always comes, and none where none may."""
    assert outcome(scratch, sql).always == reason


#: Texts that are one in capitals and two in small letters, numbers that are one as floats and two as they are.
EMAILS = [None, None, None, None, "a", "A", "i", "\u0131"]
NUMBERS = [None, None, None, None, Decimal("1"), Decimal("1.00000000000000000001"), Decimal("1.0"), Decimal("2")]


def fill(conn: psycopg.Connection[Any], chance: random.Random) -> None:
    """Fill the tables anew at random, as densely as their constraints let."""
    small = [None, 0, 1, 2, 3]
    texts = [None, "a", "A", "b", "c"]

    def add(table: str, columns: str, *kinds: list[Any]) -> None:
        values = ", ".join(["%s"] * len(kinds))
        query = f"insert into {table} ({columns}) values ({values}) on conflict do nothing"
        rows = [[chance.choice(kind) for kind in kinds] for _ in range(chance.choice([0, 2, 12, 40]))]
        with conn.cursor() as cursor:
            cursor.executemany(query, rows)

    conn.execute("alter table u disable trigger user")
    add("t", "id, a, b, c, d", [*range(8)], small, small, texts, small[1:3])
    for key in chance.sample(range(6), chance.randint(0, 6)):
        target = "(select max(id) from t where id <= %s)"
        conn.execute(f"insert into u (u_id, t_id, x) values (%s, {target}, %s)", [key, key, chance.choice(small)])
    add(
        "e",
        "e_id, email, gone, code, nick, z",
        [*range(9)],
        EMAILS,
        small[:3],
        texts[:3],
        texts[:1] * 9 + texts,
        NUMBERS,
    )
    add("settings", "only_one, a", [True], small)
    add("state", "state_id, a", [1], [1, 2])
    add("loose", "loose_id, a", [1, None], small)
    add("others", "other_id", [2, 3])
    add("never", "yes", [False])
    add("notes", "a, gone", small, [True, False])
    add("mother", "m_id, v", small[1:], small)
    add("child", "m_id, v, w", small[1:], small, small)
    add("part", "p_id, day, v", small[1:], small[1:], small)
    conn.execute("insert into late select n, n %% 2 from generate_series(0, %s) as n", [chance.randint(0, 4)])
    conn.execute("alter table u enable trigger user")


def rows_of(conn: psycopg.Connection[Any], sql: str, chance: random.Random) -> int | None:
    """Run a statement with random arguments and undo it; return how many rows came, None for an error."""
    given = {"i": chance.choice([None, 0, 1, 1, 2, 3]), "j": chance.choice([0, 1, 2]), "s": chance.choice("aAbI%")}
    variant = parse_statement(sql).variant()
    arguments = [given[reference.name] for reference in variant.references]
    try:
        with conn.transaction(force_rollback=True):
            return len(psycopg.RawCursor(conn).execute(variant.text.encode(), arguments).fetchall())
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError):
        return None


@pytest.fixture
def filling(scratch: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Give the connection in a transaction, whose deferred keys may be violated, and empty the tables afterwards."""
    scratch.autocommit = False
    yield scratch
    scratch.rollback()
    scratch.autocommit = True


def returns_rows(sql: str) -> bool:
    """Tell whether a statement has a result to be counted."""
    return not sql.startswith(("insert", "update", "delete", "merge")) or "returning" in sql


def test_no_proof_is_refuted_by_rows(filling: psycopg.Connection[Any]) -> None:
    """What is said to give at most one row, or at least one, does so for many fillings and arguments."""
    chance = random.Random(20)
    most = [sql for sql, reason in SINGLE if reason is not None and returns_rows(sql)]
    least = [sql for sql, reason in ALWAYS if reason is not None]
    counted = 0
    for _ in range(12):
        with filling.transaction(force_rollback=True):
            fill(filling, chance)
            for sql in most:
                rows = rows_of(filling, sql, chance)
                assert rows is None or rows <= 1, sql
                counted += rows == 1
            for sql in least:
                assert rows_of(filling, sql, chance) != 0, sql
    assert counted > len(most)


#: Statements that give one row at most, which no proof here shows: what it would take is not worth its price.
UNSHOWN = {
    "insert into ruled (r_id) values (:i) returning r_id",
    "select * from (select id + 1 as k from t) as s where k = :i",
    "select * from (select id, row_number() over () as n from t) as s where n = :i",
    "select 1 from t as s full join t using (a, b) where a = :i and b = :j",
    "select a from t where a = :i and b is not distinct from :j",
    "select a from t where a is not distinct from :i and b = :j",
    "select a from t where id + 0 = :i",
    "select a from t where id = any(array[:i]::int[])",
    "select a from t where id::text = :s",
    "select a from t where not (id <> :i)",
    "select e_id from e where code = :s and email = :s",
    "select e_id from e where code = :s and gone + 2 = :i",
    "select e_id from e where email = :s",
    'select e_id from e where lower(email collate "C") = :s',
    "select id from t where id = :i union select id from t where id = :i",
    "select m_id from only mother where m_id = :i",
    "with recursive w as (select 1 as n union all select n + 1 from w where n < 3) select n from w where n = 1",
    "with w as (delete from t where d = :i returning id) select * from w where id = 1",
}


def test_what_is_not_proved_gives_two_rows(filling: psycopg.Connection[Any]) -> None:
    """For a statement without a reason there are rows that refute it, but for a few that are named."""
    chance = random.Random(21)
    waiting = [sql for sql, reason in SINGLE if reason is None and returns_rows(sql) and sql not in UNSHOWN]
    for _ in range(300):
        with filling.transaction(force_rollback=True):
            fill(filling, chance)
            waiting = [sql for sql in waiting if all((rows_of(filling, sql, chance) or 0) < 2 for _ in range(4))]
        if not waiting:
            break
    assert waiting == []


def tree_of(conn: psycopg.Connection[Any], sql: str) -> Node:
    """Return a statement's tree, as the catalogue keeps it."""
    variant = parse_statement(sql).variant()
    types = ", ".join("text" if reference.name == "s" else "int" for reference in variant.references)
    with conn.transaction(force_rollback=True):
        returns = "setof record" if returns_rows(sql) else "void"
        body = f"begin atomic {variant.text}; end"
        conn.execute(f"create function pg_temp.q({types}) returns {returns} language sql {body}".encode())
        row = conn.execute("select prosqlbody::text from pg_proc where oid = 'pg_temp.q'::regproc").fetchone()
    assert row is not None
    found = parse_tree(row[0])
    while isinstance(found, list):
        found = found[-1]
    assert isinstance(found, Node)
    return found


@pytest.mark.parametrize("prove", [single, always])
def test_a_tree_that_lacks_something_proves_nothing_new(scratch: psycopg.Connection[Any], prove: Any) -> None:
    """Whatever field is gone and whatever node is unknown: no exception, and no reason where there was none."""
    chance = random.Random(5)
    cases = [sql for sql, _ in (SINGLE if prove is single else ALWAYS)]
    with scratch.transaction(force_rollback=True):
        schema = Schema(scratch)
        for sql in cases:
            tree = tree_of(scratch, sql)
            reason = prove(tree, schema)
            for node in chance.sample(nodes := list(walk(tree)), min(12, len(nodes))):
                tag, node.tag = node.tag, "NEWCOMER"
                assert reason or prove(tree, schema) is None, (sql, tag)
                node.tag = tag
                for field in chance.sample(sorted(node), min(3, len(node))):
                    value = node.pop(field)
                    assert reason or prove(tree, schema) is None, (sql, tag, field)
                    node[field] = value


LENIENT = """
create collation lenient (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table words (
    word_id int primary key,
    strict_word text unique,
    lenient_word text collate lenient unique
);
insert into words values (1, 'a', 'a'), (2, 'A', 'b'), (3, 'b', null);
"""


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select word_id from words where strict_word = :s", "unique key words_strict_word_key"),
        ("select word_id from words where strict_word = :s collate lenient", None),
        ("select word_id from words where lenient_word = :s", "unique key words_lenient_word_key"),
        ('select word_id from words where lenient_word = :s collate "C"', "unique key words_lenient_word_key"),
        (
            "select 1 from words as one inner join words as other on other.lenient_word = one.lenient_word "
            "where one.word_id = :i",
            "unique key words_pkey, unique key words_lenient_word_key",
        ),
        (
            "select 1 from words as one inner join words as other on other.strict_word = one.lenient_word "
            "where one.lenient_word = :s",
            None,
        ),
        ("select distinct strict_word from words where strict_word = :s collate lenient", None),
    ],
)
def test_texts_that_differ_and_are_equal(dsn: str, sql: str, reason: str | None) -> None:
    """A key tells apart what its collation does; a condition under a lenient one finds more."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        try:
            conn.execute(LENIENT)
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this PostgreSQL is built without ICU, so it has no such collation")
        assert outcome(conn, sql).single == reason
