"""Adoption: what is there already is marked, what differs is told, and nothing else is written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from sqlkit.apps import MIGRATIONS
from sqlkit.cli import output
from sqlkit.cli.app import app as commands
from sqlkit.errors import MigrationError
from sqlkit.migrate import Adoption, State, adopt, history, migrate, pending, rollback

Write = Callable[..., Path]

CHAINS = {
    "analysis": [MIGRATIONS / "analysis"],
    "openai_frontend": [MIGRATIONS / "openai_frontend" / chain for chain in ("users", "keys", "usage", "logs")],
    "presentations": [MIGRATIONS / "presentations"],
    "soleil": [MIGRATIONS / "soleil"],
    "voxstitch": [MIGRATIONS / "voxstitch"],
}
MARKS = {"_yoyo_log", "_yoyo_migration", "_yoyo_version", "_sqlkit_checksums"}
USERS = """
create table users (
    user_id bigint not null generated always as identity,
    email text not null,
    age integer default 18,
    created_at timestamptz not null default now(),
    constraint users_pkey primary key (user_id),
    constraint users_email_key unique (email),
    constraint users_age_check check (age between 0 and 150)
);
create index users_created_at_idx on users (created_at);
"""
SONGS = """
-- depends: 0001.create-users
create table songs (
    song_id bigint not null generated always as identity,
    user_id bigint not null,
    title text not null,
    constraint songs_pkey primary key (song_id),
    constraint songs_user_id_fkey foreign key (user_id) references users (user_id) on delete cascade
);
"""
INDEX = """
-- depends: 0002.create-songs
-- transactional: false
create index concurrently songs_user_id_idx on songs (user_id);
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a migration and its rollback into a folder, and return the folder."""
    folder = tmp_path / "migrations"
    folder.mkdir()

    def write_it(name: str, text: str, ending: str = ".sql") -> Path:
        (folder / f"{name}{ending}").write_text(text)
        return folder

    return write_it


@pytest.fixture
def folder(write: Write) -> Path:
    """Give a folder of three migrations: two tables, and an index that is built concurrently."""
    write("0001.create-users", USERS)
    write("0002.create-songs", SONGS)
    return write("0003.index-songs", INDEX)


@pytest.fixture
def made(dsn: str, folder: Path) -> str:
    """Give the DSN of a database that has all that the folder makes, but no mark of it."""
    run_on(
        dsn,
        USERS,
        SONGS.partition("\n-- depends")[2].partition("\n")[2],
        "create index songs_user_id_idx on songs (user_id)",
    )
    return dsn


def run_on(dsn: str, *statements: str) -> None:
    """Execute statements, each by itself."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def rows(dsn: str, statement: str) -> list[Any]:
    """Return the rows of a statement."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        return conn.execute(statement.encode()).fetchall()


def relations(dsn: str) -> set[str]:
    """Return all tables, indexes, sequences and views of the database, and its schemas."""
    found = rows(
        dsn,
        "select relname from pg_class inner join pg_namespace on pg_namespace.oid = relnamespace "
        "where nspname not like 'pg\\_%' and nspname <> 'information_schema' and relkind <> 'i' "
        "union select nspname from pg_namespace",
    )
    return {row[0] for row in found if not row[0].startswith("pg_t")}


def forget(dsn: str, schema: str) -> None:
    """Take away the history of a schema, as of a database whose tables something else has made."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for name in (*sorted(MARKS), "yoyo_lock", "_sqlkit_started"):
            conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(schema, name)))


def texts(adoption: Adoption) -> list[str]:
    """Return what differs, as it is told."""
    return [str(difference) for difference in adoption.differences]


def states(adoption: Adoption) -> list[State]:
    """Return the states of all migrations, in order."""
    return list(adoption.states.values())


# What is there


@pytest.mark.parametrize("name", CHAINS)
def test_every_application_is_adopted(name: str, dsn: str) -> None:
    """What an application's migrations made is adopted whole, and then there is nothing to apply."""
    for chain in CHAINS[name]:
        migrate(dsn, chain, schema=name)
    applied = {mark.migration_id: mark.checksum for mark in history(dsn, schema=name)}
    forget(dsn, name)
    adoption = adopt(dsn, CHAINS[name], schema=name)
    assert (texts(adoption), adoption.statements, adoption.unknown) == ([], (), ())
    assert adoption.complete
    assert set(states(adoption)) == {State.ADOPTED}
    assert {mark.migration_id: mark.checksum for mark in history(dsn, schema=name)} == applied
    assert [migrate(dsn, chain, schema=name) for chain in CHAINS[name]] == [[] for _ in CHAINS[name]]


@pytest.mark.parametrize("count", range(1, 5))
def test_a_database_that_stopped_on_the_way(count: int, dsn: str) -> None:
    """Wherever the tables stopped, those migrations are adopted, the others are not there, and migrate goes on."""
    folder = MIGRATIONS / "voxstitch"
    names = migrate(dsn, folder, schema="voxstitch")
    rollback(dsn, folder, schema="voxstitch", count=len(names) - count)
    forget(dsn, "voxstitch")
    adoption = adopt(dsn, folder, schema="voxstitch")
    assert adoption.adopted == names[:count]
    assert states(adoption)[count:] == [State.PENDING] * (len(names) - count)
    assert texts(adoption) == []
    assert adoption.complete is (count == len(names))
    assert migrate(dsn, folder, schema="voxstitch") == names[count:]
    assert adopt(dsn, folder, schema="voxstitch").complete


def test_partitions_are_no_difference(analysis_dsn: str) -> None:
    """Partitions that were made ahead are no tables that nobody knows, nor their indexes anything too many."""
    forget(analysis_dsn, "analysis")
    assert rows(analysis_dsn, "select count(*) > 0 from pg_class where relispartition") == [(True,)]
    adoption = adopt(analysis_dsn, CHAINS["analysis"], schema="analysis")
    assert (adoption.complete, adoption.unknown) == (True, ())


def test_an_index_that_is_built_concurrently(made: str, folder: Path) -> None:
    """A migration that takes no transaction is compared like any other, and nothing is left of the comparison."""
    before = relations(made)
    adoption = adopt(made, folder)
    assert adoption.adopted == ["0001.create-users", "0002.create-songs", "0003.index-songs"]
    assert adoption.complete
    assert pending(made, folder) == []
    assert relations(made) - before == MARKS


def test_adopting_twice(made: str, folder: Path) -> None:
    """What is marked stays marked, and the second time there is nothing to do."""
    adopt(made, folder)
    marks = history(made)
    adoption = adopt(made, folder)
    assert set(states(adoption)) == {State.APPLIED}
    assert adoption.complete
    assert history(made) == marks


def test_serials_and_sequences_are_known_by_their_column(dsn: str, write: Write) -> None:
    """A serial's sequence may have whatever name."""
    folder = write("0001.create-things", "create table things (thing_id bigserial primary key);")
    run_on(
        dsn,
        "create sequence whatever",
        "create table things (thing_id bigint primary key default nextval('whatever'))",
        "alter sequence whatever owned by things.thing_id",
    )
    assert adopt(dsn, folder).complete


# What is not there


def test_an_empty_database(dsn: str) -> None:
    """Nothing is there, nothing is marked, and not even the schema is made."""
    before = relations(dsn)
    adoption = adopt(dsn, MIGRATIONS / "voxstitch", schema="voxstitch")
    assert set(states(adoption)) == {State.PENDING}
    assert (adoption.complete, texts(adoption)) == (False, [])
    assert relations(dsn) == before


def test_dry_run_writes_nothing(made: str, folder: Path) -> None:
    """With dry_run the same is found, and none is marked."""
    before = relations(made)
    adoption = adopt(made, folder, dry_run=True)
    assert adoption.complete
    assert len(adoption.adopted) == 3
    assert relations(made) == before
    assert history(made) == []


DIFFERENCES = [
    (
        "alter table users alter email type varchar(255)",
        "users: column email: type is character varying(255), not text",
    ),
    ("alter table users alter email drop not null", "users: column email: may be null, but should not"),
    ("alter table users alter age set not null", "users: column age: may not be null, but should be allowed to"),
    ("alter table users alter age drop default", "users: column age: default is none, not 18"),
    (
        "alter table users alter user_id drop identity",
        "users: column user_id: default is none, not generated always as identity",
    ),
    ('alter table users alter email type text collate "C"', 'users: column email: collation is "C", not of its type'),
    ("alter table users drop column age", "users: column age (integer) is not there"),
    (
        "alter table users drop constraint users_email_key",
        "users: constraint users_email_key: UNIQUE (email) is not there",
    ),
    (
        "alter table users drop constraint users_age_check, "
        "add constraint users_age_check check (age between 0 and 99)",
        "users: constraint users_age_check says CHECK (age >= 0 AND age <= 99), not CHECK (age >= 0 AND age <= 150)",
    ),
    ("drop index users_created_at_idx", "users: index users_created_at_idx: btree (created_at) is not there"),
    (
        "drop index users_created_at_idx; create index users_created_at_idx on users (created_at desc)",
        "users: index users_created_at_idx says btree (created_at DESC), not btree (created_at)",
    ),
    ("alter table users set unlogged", "users: table: storage is unlogged, not logged"),
    ("alter table users enable row level security", "users: table: row-level security is enabled, not off"),
]


@pytest.mark.parametrize(("change", "text"), DIFFERENCES)
def test_differences(change: str, text: str, dsn: str, write: Write) -> None:
    """Each kind of difference is told in words, and keeps its migration from being marked, not those of others."""
    write("0001.create-users", USERS)
    folder = write("0002.create-bands", "create table bands (band_id int primary key);")
    run_on(dsn, USERS, change, "create table bands (band_id int primary key)")
    adoption = adopt(dsn, folder)
    assert f"{text} (0001.create-users)" in texts(adoption)
    assert states(adoption) == [State.DIFFERENT, State.ADOPTED]
    assert not adoption.complete
    assert [mark.migration_id for mark in history(dsn)] == ["0002.create-bands"]


@pytest.mark.parametrize("kind", ["constraint", "index", "column"])
def test_everything_is_compared(kind: str, voxstitch_dsn: str) -> None:
    """Whatever constraint or index of voxstitch, or column of its chats, has another name: it is missed."""
    forget(voxstitch_dsn, "voxstitch")
    asked = {
        "constraint": """
            select conrelid::regclass::text, conname from pg_constraint
            where contype in ('c', 'f', 'u', 'x') and connamespace = 'voxstitch'::regnamespace
        """,
        "index": """
            select '', indexrelid::regclass::text from pg_index
            inner join pg_class on pg_class.oid = indexrelid
            where relnamespace = 'voxstitch'::regnamespace and not indisprimary
        """,
        "column": """
            select attrelid::regclass::text, attname from pg_attribute
            inner join pg_class on pg_class.oid = attrelid
            where relnamespace = 'voxstitch'::regnamespace and relname = 'chats' and attnum > 0
        """,
    }[kind]
    found = rows(voxstitch_dsn, asked)
    assert len(found) > 2
    for table, name in found:
        if kind == "index":
            change = f"alter index {name} rename to other_name"
            back = f"alter index other_name rename to {name}"
        else:
            change, back = (
                f"alter table {table} rename {kind} {old} to {new}" for old, new in ((name, "other"), ("other", name))
            )
        run_on(voxstitch_dsn, change)
        adoption = adopt(voxstitch_dsn, CHAINS["voxstitch"], schema="voxstitch", dry_run=True)
        assert any(name in text for text in texts(adoption)), name
        assert not adoption.complete
        run_on(voxstitch_dsn, back)
    assert adopt(voxstitch_dsn, CHAINS["voxstitch"], schema="voxstitch").complete


def test_more_than_the_migrations_make(made: str, folder: Path) -> None:
    """A column or an index too many is told, though all is there; tables of others are left alone."""
    run_on(
        made,
        "alter table users add nickname varchar(20)",
        "create index whatever on songs (title)",
        "create table alembic_version (version_num text)",
    )
    adoption = adopt(made, folder)
    assert texts(adoption) == [
        "songs: index whatever: btree (title) is there, and no migration makes it",
        "users: column nickname (character varying(20)) is there, and no migration makes it",
    ]
    assert len(adoption.adopted) == 3
    assert adoption.unknown == ("alembic_version",)
    assert not adoption.complete


def test_half_a_migration(dsn: str, folder: Path) -> None:
    """Of a migration of which a part is there, each part that is not is told; it is not marked."""
    run_on(dsn, "create table users (user_id bigint generated always as identity, email text not null)")
    adoption = adopt(dsn, folder)
    assert states(adoption) == [State.DIFFERENT, State.PENDING, State.PENDING]
    assert "users: constraint users_pkey: PRIMARY KEY (user_id) is not there (0001.create-users)" in texts(adoption)
    assert "users: column created_at (timestamp with time zone) is not there (0001.create-users)" in texts(adoption)
    assert history(dsn) == []


def test_what_a_later_migration_changes(dsn: str, write: Write) -> None:
    """A table as the first of two migrations made it: the first is there, the second is not."""
    write("0001.create-users", USERS)
    folder = write("0002.widen-age", "alter table users alter age type bigint, drop constraint users_age_check;")
    run_on(dsn, USERS)
    adoption = adopt(dsn, folder)
    assert states(adoption) == [State.ADOPTED, State.PENDING]
    assert texts(adoption) == []
    assert migrate(dsn, folder) == ["0002.widen-age"]
    forget(dsn, "public")
    assert adopt(dsn, folder).complete


def test_what_is_made_and_dropped_again(dsn: str, write: Write) -> None:
    """That a table is not there says nothing where one migration makes it and another drops it."""
    write("0001.create-things", "create table things (a int);")
    write("0002.create-users", USERS)
    folder = write("0003.drop-things", "drop table things;")
    assert states(adopt(dsn, folder)) == [State.PENDING] * 3
    run_on(dsn, USERS, "create table things (a int)")
    adoption = adopt(dsn, folder)
    assert states(adoption) == [State.ADOPTED, State.ADOPTED, State.PENDING]
    run_on(dsn, "drop table things")
    forget(dsn, "public")
    assert adopt(dsn, folder).complete


def test_rows_cannot_be_compared(dsn: str, write: Write) -> None:
    """A migration that writes rows alone is neither marked nor said to differ."""
    write("0001.create-users", USERS)
    folder = write(
        "0002.add-a-user", "-- depends: 0001.create-users\ninsert into users (email) values ('a@example.org');"
    )
    run_on(dsn, USERS)
    adoption = adopt(dsn, folder)
    assert states(adoption) == [State.ADOPTED, State.UNSEEN]
    assert texts(adoption) == []
    assert rows(dsn, "select count(*) from users") == [(0,)]


def test_drift_after_it_was_applied(dsn: str, folder: Path) -> None:
    """What was applied by migrate and changed since is told; the marks stay."""
    migrate(dsn, folder)
    run_on(dsn, "drop index songs_user_id_idx")
    adoption = adopt(dsn, folder)
    assert set(states(adoption)) == {State.APPLIED}
    assert texts(adoption) == ["songs: index songs_user_id_idx: btree (user_id) is not there (0003.index-songs)"]
    assert not adoption.complete


BASE = """
create table t (a int primary key);
create function f() returns trigger language plpgsql as 'begin return new; end';
"""
# What makes a thing, what changes it, and how that is told.
THINGS = [
    ("create policy p on t using (a > 0);", "drop policy p on t", "t: policy p is not there"),
    (
        "create policy p on t using (a > 0);",
        "alter policy p on t using (a > 1)",
        "t: policy p: says permissive for all to public using a > 1, not permissive for all to public using a > 0",
    ),
    (
        "create trigger g before insert on t for each row execute function f();",
        "drop trigger g on t",
        "t: trigger g is not there",
    ),
    ("create view v as select a from t;", "drop view v", "view v is not there"),
    ("create type m as enum ('calm', 'wild');", "drop type m", "type m is not there"),
    (
        "create type m as enum ('calm', 'wild');",
        "alter type m rename value 'wild' to 'odd'",
        "type m: says enum 'calm', 'odd', not enum 'calm', 'wild'",
    ),
    (
        "create domain d as int check (value > 0);",
        "alter domain d set not null",
        "type d: says domain integer not null CHECK (VALUE > 0), not domain integer CHECK (VALUE > 0)",
    ),
    ("create type c as (x int, y text);", "alter type c drop attribute y", "type c: says composite x integer, not"),
    (
        "create function h() returns int language sql immutable as 'select 1';",
        "alter function h() volatile",
        "function h(): says () returns integer sql v u select 1, not () returns integer sql i u select 1",
    ),
    ("create sequence s start 7;", "alter sequence s increment 2", "sequence s: says bigint start 7 by 2 from 1"),
    (
        "grant select on t to pg_monitor;",
        "revoke select on t from pg_monitor",
        "t: grant select to pg_monitor is not there",
    ),
    (
        "grant update (a) on t to pg_monitor;",
        "revoke update (a) on t from pg_monitor",
        "t: grant update (a) to pg_monitor is not there",
    ),
    ("comment on column t.a is 'a number';", "comment on column t.a is null", "t: comment a is not there"),
]


@pytest.mark.parametrize(("make", "change", "told"), THINGS)
def test_what_is_no_table(make: str, change: str, told: str, dsn: str, write: Write) -> None:
    """Policies, triggers, views, types, functions, sequences, grants and comments are compared too."""
    write("0001.make-t", BASE)
    folder = write("0002.make-thing", f"{make}\ncreate table u (a int);")
    run_on(dsn, BASE, make, "create table u (a int)")
    assert adopt(dsn, folder, dry_run=True).complete
    run_on(dsn, change)
    adoption = adopt(dsn, folder)
    (text,) = texts(adoption)
    assert text.startswith(told)
    assert states(adoption) == [State.ADOPTED, State.DIFFERENT]


def test_a_column_that_was_dropped(dsn: str, write: Write) -> None:
    """A column that is not there was dropped, where the rest of its table is there, whatever comes later."""
    write("0001.create-users", USERS)
    write("0002.drop-age", "alter table users drop column age;")
    folder = write("0003.create-bands", "create table bands (band_id int primary key);")
    run_on(dsn, USERS, "alter table users drop column age")
    assert states(adopt(dsn, folder)) == [State.ADOPTED, State.ADOPTED, State.PENDING]
    assert migrate(dsn, folder) == ["0003.create-bands"]


# Other names


ORM = """
create table users (
    user_id bigint not null generated always as identity,
    email text not null,
    age integer default 18,
    created_at timestamptz not null default now(),
    constraint pk_users primary key (user_id),
    constraint uq_users_email unique (email),
    constraint ck_users_age check (age between 0 and 150)
);
create index ix_users_created_at on users (created_at);
"""


def test_names_that_an_orm_gave(dsn: str, write: Write) -> None:
    """Constraints and indexes are known by what they say: adopted, with the statements that would rename them."""
    folder = write("0001.create-users", USERS)
    run_on(dsn, ORM)
    adoption = adopt(dsn, folder)
    assert adoption.adopted == ["0001.create-users"]
    assert "users: constraint UNIQUE (email) is named uq_users_email, not users_email_key (0001.create-users)" in texts(
        adoption
    )
    assert len(texts(adoption)) == 4
    assert not adoption.complete
    assert "alter index public.ix_users_created_at rename to users_created_at_idx;" in adoption.statements
    assert rows(dsn, "select to_regclass('ix_users_created_at') is not null") == [(True,)]
    run_on(dsn, *adoption.statements)
    assert adopt(dsn, folder).complete


def test_a_unique_index_for_a_constraint(dsn: str, write: Write) -> None:
    """A unique index is no unique constraint; the statement that makes it one is told."""
    folder = write("0001.create-users", USERS)
    run_on(
        dsn, USERS, "alter table users drop constraint users_email_key", "create unique index ix_email on users (email)"
    )
    adoption = adopt(dsn, folder)
    assert texts(adoption) == [
        "users: constraint users_email_key: UNIQUE (email) is a unique index (ix_email) and no constraint "
        "(0001.create-users)"
    ]
    assert adoption.statements == (
        "alter table public.users add constraint users_email_key unique using index ix_email;",
    )
    assert states(adoption) == [State.DIFFERENT]
    run_on(dsn, *adoption.statements)
    assert adopt(dsn, folder).complete


@pytest.mark.parametrize("prefix", ["app_", "App "])
def test_prefix(prefix: str, made: str, folder: Path) -> None:
    """Tables named with a prefix are compared as those without; the statements that rename them are told, not run."""
    run_on(made, *(f'alter table {name} rename to "{prefix}{name}"' for name in ("users", "songs")))
    before = relations(made)
    adoption = adopt(made, folder, prefix=prefix)
    assert texts(adoption) == [
        f"users: is there as public.{prefix}users: it has to be public.users",
        f"songs: is there as public.{prefix}songs: it has to be public.songs",
    ]
    assert set(states(adoption)) == {State.DIFFERENT}
    assert (history(made), relations(made), adoption.unknown) == ([], before, ())
    run_on(made, *adoption.statements)
    assert adopt(made, folder, prefix=prefix).complete


def test_an_application_with_a_prefix(frontend_dsn: str) -> None:
    """An application whose migrations are four chains, its tables named with a prefix by an ORM."""
    forget(frontend_dsn, "openai_frontend")
    names = [
        row[0]
        for row in rows(
            frontend_dsn,
            "select relname from pg_class where relkind in ('r', 'p') and "
            "relnamespace = 'openai_frontend'::regnamespace and not relispartition",
        )
    ]
    run_on(frontend_dsn, *(f"alter table {name} rename to app_{name}" for name in names))
    adoption = adopt(frontend_dsn, CHAINS["openai_frontend"], schema="openai_frontend", prefix="app_")
    assert set(states(adoption)) == {State.DIFFERENT}
    assert len(adoption.differences) == len(adoption.statements) == len(names)
    run_on(frontend_dsn, *adoption.statements)
    assert adopt(frontend_dsn, CHAINS["openai_frontend"], schema="openai_frontend").complete


def test_tables_as_the_documents_orm_made_them(dsn: str) -> None:
    """Tables that are like ours in part are told to differ, column by column, and nothing is marked."""
    run_on(
        dsn,
        "create table users (id serial primary key, email varchar, hashed_password varchar, is_active boolean)",
        "create unique index ix_users_email on users (email)",
        "create table chats (id serial primary key, user_id int not null references users (id), title varchar, "
        "platform varchar, content json, created_at timestamptz default now(), updated_at timestamptz)",
        "create index ix_chats_id on chats (id)",
    )
    adoption = adopt(dsn, MIGRATIONS / "voxstitch", schema="public")
    told = texts(adoption)
    assert "users: column user_id (bigint) is not there (0001.create-users)" in told
    assert "users: column id (integer) is there, and no migration makes it" in told
    assert any(text.startswith("chats: column content: type is json, not jsonb") for text in told)
    assert states(adoption)[:2] == [State.DIFFERENT, State.DIFFERENT]
    assert history(dsn) == []


def test_tables_of_another_schema(made: str, folder: Path) -> None:
    """Tables in public are found for a schema that has none; the statements that move them are told, not run."""
    adoption = adopt(made, folder, schema="songbook")
    assert texts(adoption)[0] == "users: is there as public.users: it has to be songbook.users"
    assert adoption.statements == (
        "create schema if not exists songbook;",
        "alter table public.users set schema songbook;",
        "alter table public.songs set schema songbook;",
    )
    assert set(states(adoption)) == {State.DIFFERENT}
    run_on(made, *adoption.statements)
    assert adopt(made, folder, schema="songbook").complete


def test_types_of_another_schema(dsn: str, write: Write) -> None:
    """A type moves with the table that needs it."""
    text = "create type mood as enum ('calm', 'wild');\ncreate table songs (song_id int primary key, mood mood);"
    folder = write("0001.create-songs", text)
    run_on(dsn, text)
    adoption = adopt(dsn, folder, schema="songbook")
    assert "alter type public.mood set schema songbook;" in adoption.statements
    run_on(dsn, *adoption.statements)
    assert adopt(dsn, folder, schema="songbook").complete


def test_a_table_of_the_same_name_that_is_anothers(dsn: str, folder: Path) -> None:
    """A table of that name in another schema, with other columns, is not taken for it."""
    run_on(dsn, "create table users (login name, shell text, home text)")
    adoption = adopt(dsn, folder, schema="songbook")
    assert set(states(adoption)) == {State.PENDING}
    assert texts(adoption) == []


# What cannot be done


def test_an_edited_migration(dsn: str, write: Write) -> None:
    """As for migrate: a file that was edited after it was applied is refused."""
    migrate(dsn, write("0001.create-users", USERS))
    with pytest.raises(MigrationError, match=r"0001\.create-users\.sql: was edited after it was applied"):
        adopt(dsn, write("0001.create-users", USERS + "select 1;"))


def test_a_migration_that_fails(dsn: str, write: Write) -> None:
    """A migration that cannot be made is told with its place, behind a blanked `concurrently` too."""
    write("0001.create-users", USERS)
    folder = write("0002.index", "-- transactional: false\ncreate index concurrently x on users (nope);")
    before = relations(dsn)
    with pytest.raises(MigrationError, match=r'0002\.index\.sql:2:\d+: column "nope" does not exist'):
        adopt(dsn, folder)
    assert relations(dsn) == before


def test_a_migration_in_python(dsn: str, write: Write) -> None:
    """A migration that is written in Python cannot be compared."""
    folder = write("0001.python", "from yoyo import step\nstep('create table things (a int)')\n", ".py")
    with pytest.raises(MigrationError, match=r"0001\.python\.py: is written in Python"):
        adopt(dsn, folder)


def test_a_role_that_may_make_no_schema(made: str, folder: Path) -> None:
    """A role that may create no schema is told that the comparison needs one."""
    run_on(made, "create role adopting_few login")
    try:
        few = psycopg.conninfo.make_conninfo(made, user="adopting_few")
        with pytest.raises(MigrationError, match="connect as a role that may create schemas"):
            adopt(few, folder)
    finally:
        run_on(made, "drop role adopting_few")


def test_writers_are_not_stopped(made: str, folder: Path) -> None:
    """Nobody waits for the other: a row that is being written, and the comparison."""
    with psycopg.connect(made) as conn:
        conn.execute("insert into users (email) values ('a@example.org')")
        assert adopt(made, folder, timeout=5).complete


def test_several_at_once(dsn: str) -> None:
    """Several schemas are adopted at the same time, and one schema by several: each migration is marked once."""
    schemas = ["north", "south"]
    for schema in schemas:
        migrate(dsn, MIGRATIONS / "soleil", schema=schema)
        forget(dsn, schema)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda schema: adopt(dsn, MIGRATIONS / "soleil", schema=schema), schemas * 2))
    assert all(adoption.complete for adoption in found)
    for schema in schemas:
        counts = [len(adoption.adopted) for adoption in found if adoption.schema == schema]
        assert sorted(counts) == [0, len(history(dsn, schema=schema))]
        assert counts != [0, 0]


# The command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, made: str, folder: Path) -> Callable[..., Any]:
    """Give the function that runs the command on the made database, on a wide screen."""
    monkeypatch.setattr(output.answers, "_width", 200)

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(
            commands, ["migrate", "--dsn", made, "--migrations", str(folder), *arguments], prog_name="sqlkit"
        )

    return invoke


def test_command(run: Callable[..., Any], made: str) -> None:
    """Status 0 where all is as the migrations make it; a dry run says what would be marked."""
    result = run("--adopt", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "0001.create-users: is there, would be marked as applied"
    assert history(made) == []
    result = run("--adopt")
    assert (result.exit_code, len(history(made))) == (0, 3)
    assert result.stdout.splitlines()[2] == "0003.index-songs: is there, marked as applied"
    assert run("status").stdout == "everything is applied\n"


def test_command_where_something_differs(run: Callable[..., Any], made: str) -> None:
    """Status 1 where something differs, with what, the statements for names, and the tables of others."""
    run_on(
        made,
        "alter index users_created_at_idx rename to ix_time",
        "alter table songs alter title drop not null",
        "create table alembic_version (version_num text)",
    )
    result = run("--adopt")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "0001.create-users: is there, marked as applied",
        "0002.create-songs: differs",
        "0003.index-songs: is there, marked as applied",
        "",
        "What differs:",
        "songs: column title: may be null, but should not (0002.create-songs)",
        "users: index btree (created_at) is named ix_time, not users_created_at_idx (0001.create-users)",
        "",
        "What would set names right, and was not run:",
        "alter index public.ix_time rename to users_created_at_idx;",
        "",
        "Left alone, for no migration makes them: alembic_version",
    ]


def test_the_page_is_true(dsn: str) -> None:
    """What docs/migrations.md shows of the command is what it says."""
    folder = MIGRATIONS / "soleil"
    page = (Path(__file__).parent.parent / "docs" / "migrations.md").read_text()
    asked, _, shown = page.partition("```console\n$ sqlkit ")[2].partition("```")[0].partition("\n")
    names = migrate(dsn, folder, schema="soleil")
    rollback(dsn, folder, schema="soleil", to=names[1])
    forget(dsn, "soleil")
    run_on(dsn, "alter table soleil.songs alter title drop not null")
    result = CliRunner().invoke(commands, [*asked.split(), "--dsn", dsn], prog_name="sqlkit")
    assert result.exit_code == 1
    said = result.stdout.splitlines()
    assert [line for line in shown.splitlines() if line not in said] == []
    assert len(said) == len(shown.splitlines()) + len(names) - 3  # of seven migrations, the page shows three
    assert all(f"`{state.name}`" in page for state in State)


@pytest.mark.parametrize("arguments", [("down", "--adopt"), ("--dry-run",), ("--prefix", "app_")])
def test_command_with_wrong_words(run: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    """Adoption is no way down, and its options are its own."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
