"""Migrations: atomic, locked, watched, and at peace with plain yoyo."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sqlkit.errors import MigrationError
from sqlkit.migrate import database_url, history, migrate, new_migration, pending, rollback, yoyo_url
from sqlkit.migrate.lock import lock_key, migration_lock

ROOT = Path(__file__).parent.parent
Write = Callable[..., Path]

USERS = "create table users (user_id int primary key);\n"
SONGS = "-- depends: 0001.users\ncreate table songs (song_id int primary key, user_id int references users);\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write migrations into a folder: ``write("0001.users", "create ...", "drop ...")``."""
    folder = tmp_path / "migrations"
    folder.mkdir()

    def write_it(name: str, apply: str | bytes, undo: str | None = None) -> Path:
        content = apply if isinstance(apply, bytes) else apply.encode()
        (folder / f"{name}.sql").write_bytes(content)
        if undo is not None:
            (folder / f"{name}.rollback.sql").write_text(undo)
        return folder

    return write_it


@pytest.fixture
def folder(write: Write) -> Path:
    """Give a folder with two migrations that can be rolled back."""
    write("0001.users", USERS, "drop table users;\n")
    return write("0002.songs", SONGS, "drop table songs;\n")


def rows(dsn: str, statement: str) -> list[Any]:
    """Return the first column of a statement's rows."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        return [row[0] for row in conn.execute(statement.encode())]


def run_on(dsn: str, *statements: str) -> None:
    """Execute statements, each by itself."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def tables(dsn: str, schema: str = "public") -> set[str]:
    """Return the tables of a schema, without those that keep the history."""
    found = rows(dsn, f"select tablename from pg_tables where schemaname = '{schema}'")
    return {name for name in found if "yoyo" not in name and "sqlkit" not in name}


def marked(dsn: str, schema: str | None = None) -> list[str]:
    """Return the ids of what is applied."""
    return [mark.migration_id for mark in history(dsn, schema=schema)]


def yoyo(command: str, dsn: str, folder: Path, schema: str | None = None, *options: str) -> str:
    """Run plain yoyo from the command line; return what it says."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "yoyo",
            command,
            "--batch",
            "--no-config-file",
            "-vv",
            *options,
            "-d",
            yoyo_url(dsn, schema),
            folder,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


# Forth


def test_apply(dsn: str, folder: Path) -> None:
    """All pending migrations are applied in order, and a second run has nothing to do."""
    assert pending(dsn, folder) == ["0001.users", "0002.songs"]
    assert migrate(dsn, folder) == ["0001.users", "0002.songs"]
    assert tables(dsn) == {"users", "songs"}
    assert marked(dsn) == ["0001.users", "0002.songs"]
    assert pending(dsn, folder) == []
    assert migrate(dsn, folder) == []


def test_listing_writes_nothing(dsn: str, folder: Path) -> None:
    """To ask what is pending or applied makes no table and no schema."""
    before = rows(dsn, "select count(*) from pg_class")
    assert pending(dsn, folder, schema="soleil") == ["0001.users", "0002.songs"]
    assert history(dsn, schema="soleil") == []
    assert rows(dsn, "select count(*) from pg_class") == before


def test_migration_and_mark_are_one_transaction(dsn: str, folder: Path) -> None:
    """The row that marks a migration was written by the transaction that made its table."""
    migrate(dsn, folder)
    made = rows(dsn, "select xmin::text from pg_type where typname in ('users', 'songs') order by oid")
    assert made == rows(dsn, "select xmin::text from _yoyo_migration order by applied_at_utc")
    assert made == rows(dsn, "select xmin::text from _sqlkit_checksums order by applied_at_utc")


def test_depends_decides_the_order(dsn: str, write: Write) -> None:
    """A migration is applied after those that it depends on, whatever its name."""
    write("0001.songs", "-- depends: 0002.users\nalter table users add title text;")
    assert migrate(dsn, write("0002.users", USERS)) == ["0002.users", "0001.songs"]


def test_same_ids_in_two_folders(dsn: str, tmp_path: Path) -> None:
    """Two applications may name their migrations alike; each depends on its own."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0001.users.sql").write_text(USERS)
        (tmp_path / name / "0002.songs.sql").write_text(SONGS)
    assert migrate(dsn, tmp_path / "one", schema="one") == ["0001.users", "0002.songs"]
    assert migrate(dsn, tmp_path / "two", schema="two") == ["0001.users", "0002.songs"]
    assert migrate(dsn, tmp_path / "one", schema="one") == []


def test_statements_of_every_kind(dsn: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Dollar quotes, percent signs, comments and semicolons in strings survive; nothing is printed."""
    folder = write(
        "0001.all",
        """-- what it does; and why
        /* a /* nested */ comment */
        create table songs (title text default '100 %; -- no comment', key text check (key like '%:name%'));
        create function f() returns text language plpgsql as $$ begin return '; %s'; end $$;
        do $$ begin perform f(); end $$;
        create function g() returns int language sql begin atomic select 1; select 2; end;
        insert into songs (title) values ('%s'), (E'it\\'s; "fine"');
        select title from songs;
        ;
        """,
    )
    migrate(dsn, folder)
    assert rows(dsn, "select title from songs") == ["%s", 'it\'s; "fine"']
    assert capsys.readouterr().out == ""


def test_python_migration_and_post_apply(dsn: str, write: Write) -> None:
    """Migrations in Python and yoyo's hooks after a run work, and are atomic as well."""
    folder = write("0001.users", USERS)
    (folder / "0002.songs.py").write_text(
        "from yoyo import step\n__depends__ = {'0001.users'}\n"
        "step(lambda conn: conn.execute('create table songs ()'), 'drop table songs')\n"
    )
    write("post-apply", "create table if not exists hooks (); ")
    assert migrate(dsn, folder) == ["0001.users", "0002.songs"]
    assert tables(dsn) == {"users", "songs", "hooks"}
    assert rollback(dsn, folder) == ["0002.songs"]
    assert tables(dsn) == {"users", "hooks"}


def test_python_migration_fails(dsn: str, write: Write) -> None:
    """A migration in Python that fails leaves nothing behind either."""
    folder = write("0001.users", USERS)
    (folder / "0002.songs.py").write_text("from yoyo import step\nstep('create table songs ()')\nstep('nonsense')\n")
    with pytest.raises(MigrationError, match=r"0002.songs.py: syntax error"):
        migrate(dsn, folder)
    assert tables(dsn) == {"users"}
    assert marked(dsn) == ["0001.users"]


def test_what_a_migration_sets_ends_with_it(dsn: str, write: Write) -> None:
    """A search path and a role that a migration sets neither misplace its mark nor reach the next one."""
    write(
        "0001.dump", "select set_config('search_path', '', false); create table public.users (); set role pg_monitor;"
    )
    assert migrate(dsn, write("0002.songs", "create table songs ();")) == ["0001.dump", "0002.songs"]
    assert tables(dsn) == {"users", "songs"}
    assert rows(dsn, "select distinct tableowner from pg_tables where schemaname = 'public'") == ["postgres"]


# Back


def test_rollback_one(dsn: str, folder: Path) -> None:
    """A rollback undoes the last migration, which is pending again."""
    migrate(dsn, folder)
    assert rollback(dsn, folder) == ["0002.songs"]
    assert tables(dsn) == {"users"}
    assert pending(dsn, folder) == ["0002.songs"]
    assert migrate(dsn, folder) == ["0002.songs"]


@pytest.mark.parametrize(
    ("options", "undone"),
    [
        ({"count": 0}, []),
        ({"count": 2}, ["0002.songs", "0001.users"]),
        ({"count": None}, ["0002.songs", "0001.users"]),
        ({"count": 99}, ["0002.songs", "0001.users"]),
        ({"to": "0001.users"}, ["0002.songs"]),
        ({"to": "0002.songs"}, []),
    ],
)
def test_rollback_how_many(dsn: str, folder: Path, options: dict[str, Any], undone: list[str]) -> None:
    """A rollback goes back by a number, to a migration that stays, or to the beginning; latest first."""
    migrate(dsn, folder)
    assert rollback(dsn, folder, **options) == undone


@pytest.mark.parametrize(
    ("options", "message"),
    [({"to": "0009.none"}, "0009.none is not applied"), ({"count": -1}, "count is -1")],
)
def test_rollback_of_nonsense(dsn: str, folder: Path, options: dict[str, Any], message: str) -> None:
    """A rollback to what is not applied is refused."""
    migrate(dsn, folder)
    with pytest.raises(MigrationError, match=message):
        rollback(dsn, folder, **options)
    assert len(marked(dsn)) == 2


@pytest.mark.parametrize("undo", [None, "", "-- nothing\n;\n"])
def test_rollback_that_is_missing(dsn: str, write: Write, undo: str | None) -> None:
    """If one of the migrations has no way back, none is rolled back."""
    write("0001.users", USERS, undo)
    folder = write("0002.songs", SONGS, "drop table songs;")
    migrate(dsn, folder)
    with pytest.raises(MigrationError, match=r"0001.users.*(write 0001.users.rollback.sql|has no statement)"):
        rollback(dsn, folder, count=2)
    assert tables(dsn) == {"users", "songs"}
    assert len(marked(dsn)) == 2


def test_rollback_that_fails(dsn: str, write: Write) -> None:
    """A rollback that fails is undone as a whole and keeps its mark."""
    folder = write("0001.users", USERS, "drop table users;\n\ndrop table nobody;\n")
    migrate(dsn, folder)
    with pytest.raises(MigrationError, match=r'0001.users.rollback.sql:3:1: table "nobody" does not exist \(42P01\)'):
        rollback(dsn, folder)
    assert tables(dsn) == {"users"}
    assert marked(dsn) == ["0001.users"]


def test_rollback_of_another_folders(dsn: str, write: Write, tmp_path: Path) -> None:
    """What was applied from elsewhere stands in the way of what was applied before it."""
    folder = write("0001.users", USERS, "drop table users;")
    migrate(dsn, folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0002.songs.sql").write_text("create table songs ();")
    migrate(dsn, tmp_path / "other")
    with pytest.raises(MigrationError, match=r"0002.songs is applied, but not in this folder"):
        rollback(dsn, folder)


# What fails


def test_failure(dsn: str, write: Write) -> None:
    """A migration that fails names its place, leaves nothing, and stops the run; those before it stay."""
    write("0001.users", USERS)
    write("0002.songs", "create table songs ();\n\ninsert into songs\n  select nope from users;\n")
    folder = write("0003.bands", "create table bands ();")
    with pytest.raises(
        MigrationError, match=r'/0002.songs.sql:4:10: column "nope" does not exist \(42703\)$'
    ) as caught:
        migrate(dsn, folder)
    assert isinstance(caught.value.__cause__, psycopg.errors.UndefinedColumn)
    assert tables(dsn) == {"users"}
    assert marked(dsn) == ["0001.users"]
    write("0002.songs", "create table songs ();")
    assert migrate(dsn, folder) == ["0002.songs", "0003.bands"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("select 1;\r\nselect 2;\r\n  nonsense;\r\n", ":3:3: "),
        ("-- ünï\n\n/* çö */ select 'ü', nope;\n", ":3:22: "),
        ("-- transactional: false\n\n-- x\nselect 1; nonsense", ":4:11: "),
        ("do $$\nbegin\n  raise exception 'no';\nend $$;", ":1:1: no "),
        ("create table t (a int primary key deferrable initially deferred);\ninsert into t values (1), (1);", ": "),
    ],
)
def test_place_of_a_failure(dsn: str, write: Write, text: str, place: str) -> None:
    """The place is that in the file, in characters, whatever its newlines, comments and directives are."""
    with pytest.raises(MigrationError) as caught:
        migrate(dsn, write("0001.first", text.encode()))
    assert f"0001.first.sql{place}" in str(caught.value)
    assert marked(dsn) == []


@pytest.mark.parametrize(
    "statement",
    [
        "insert into users values ('hunter2')",
        "insert into users values (1), (1)",
        "create role r password 'hunter2' nonsense",
        "alter table users alter user_id type date using 'hunter2'::date",
    ],
)
def test_failure_shows_no_value(dsn: str, write: Write, statement: str) -> None:
    """Values of rows and passwords in a statement are not in the message."""
    write("0001.users", USERS)
    with pytest.raises(MigrationError, match=r"0002.more.sql:1:\d+: ") as caught:
        migrate(dsn, write("0002.more", statement))
    assert "hunter2" not in str(caught.value)
    assert "(1)" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbfselect 1;", r":1:1: begins with a BOM"),
        (b"select 1;\n-- \xff\xfe\n", r":2: is not UTF-8"),
        (b"select 1;\n\x00", r":2: holds a zero byte"),
        (b"", r":1:1: has no statement"),
        (b"-- to do\n/* later */ ;\n", r":1:1: has no statement"),
        (b"select 1;\n begin;\nselect 2;\ncommit;", r":2:2: `begin` in a migration"),
        (b"select 1;\nCOMMIT;", r":2:1: `commit` in a migration"),
        (b"/* x */ start transaction;", r":1:9: `start` in a migration"),
        (b"select 1; rollback to savepoint x", r":1:11: `rollback` in a migration"),
        (b"select 1;\ncopy songs (title) from\n stdin;\na\n\\.\n", r":2:1: `copy from stdin`"),
        (b"\\set x 1\nselect 1;", r":1:1: `\\set` is a command of psql"),
        (b"-- depends: 0000.none\nselect 1;", r":1: depends on 0000.none, which is not in "),
        (b"-- transactional: no\nselect 1;", r":1: transactional is true or false, not 'no'"),
        (b"select 1;\n-- transactional: false\n", r":2: `transactional` is read in the first comment block only"),
    ],
)
def test_bad_file(dsn: str, write: Write, content: bytes, message: str) -> None:
    """A file that yoyo would misread or half apply is refused with its place, before anything is applied."""
    write("0001.users", USERS)
    with pytest.raises(MigrationError, match=rf"/0002.bad.sql{message}"):
        migrate(dsn, write("0002.bad", content))
    assert tables(dsn) == set()


def test_old_sins_do_not_matter(dsn: str, write: Write) -> None:
    """A file that plain yoyo applied long ago is not refused for what it is."""
    folder = write("0001.users", "begin;\n" + USERS + "commit;\n")
    run_on(dsn, USERS)
    yoyo("mark", dsn, folder)
    assert migrate(dsn, write("0002.songs", SONGS)) == ["0002.songs"]


def test_bad_folder(dsn: str, tmp_path: Path) -> None:
    """A folder that is not there, and a rollback without its migration, are refused."""
    with pytest.raises(MigrationError, match=r"/nowhere: no such folder"):
        migrate(dsn, tmp_path / "nowhere")
    (tmp_path / "0001.user.rollback.sql").write_text("select 1;")
    with pytest.raises(MigrationError, match=r"0001.user.rollback.sql: undoes nothing: there is no 0001.user.sql"):
        migrate(dsn, tmp_path)


def test_circle(dsn: str, write: Write) -> None:
    """Migrations that depend on each other in a circle are refused."""
    write("0001.one", "-- depends: 0002.two\nselect 1;")
    with pytest.raises(MigrationError, match="depend on each other in a circle"):
        migrate(dsn, write("0002.two", "-- depends: 0001.one\nselect 1;"))


def test_folder_with_a_pattern_in_its_name(dsn: str, tmp_path: Path) -> None:
    """The folder's name is a name, not a pattern."""
    folder = tmp_path / "a[b]*?"
    folder.mkdir()
    (folder / "0001.users.sql").write_text(USERS)
    assert migrate(dsn, folder) == ["0001.users"]


# Edited files


def test_edited(dsn: str, folder: Path, write: Write) -> None:
    """A migration that was edited after it was applied is named, and nothing is applied or rolled back."""
    migrate(dsn, folder)
    write("0001.users", USERS + "-- a thought\n")
    write("0003.bands", "create table bands ();")
    for work in (migrate, rollback):
        with pytest.raises(
            MigrationError, match=r"0001.users.sql: was edited after it was applied \(20..-..-.. ..:.. UTC"
        ):
            work(dsn, folder)
    assert tables(dsn) == {"users", "songs"}
    write("0001.users", USERS.replace("\n", "\r\n"))  # as another system checks it out
    assert migrate(dsn, folder) == ["0003.bands"]


def test_edited_after_plain_yoyo(dsn: str, folder: Path, write: Write) -> None:
    """Of what plain yoyo applied, the checksum is learned by our next run, and an edit after it noticed."""
    yoyo("apply", dsn, folder)
    assert [mark.checksum for mark in history(dsn)] == [None, None]
    assert migrate(dsn, folder) == []
    assert None not in [mark.checksum for mark in history(dsn)]
    write("0002.songs", SONGS + "select 1;")
    with pytest.raises(MigrationError, match=r"0002.songs.sql: was edited"):
        migrate(dsn, folder)


def test_edited_between_two_applications_by_plain_yoyo(dsn: str, folder: Path, write: Write) -> None:
    """What plain yoyo rolled back and applied again, edited, is as it now is."""
    migrate(dsn, folder)
    yoyo("rollback", dsn, folder, None, "-r", "0002.songs")
    write("0002.songs", SONGS + "create index songs_user_id_idx on songs (user_id);\n")
    yoyo("apply", dsn, folder)
    assert migrate(dsn, folder) == []


# Schemas


def test_schema(dsn: str, folder: Path) -> None:
    """Tables and history go into the schema, which is made, as is the one for extensions."""
    assert migrate(dsn, folder, schema="soleil") == ["0001.users", "0002.songs"]
    assert tables(dsn, "soleil") == {"users", "songs"}
    assert tables(dsn) == set()
    assert rows(dsn, "select count(*) from pg_tables where schemaname = 'public'") == [0]
    assert "extensions" in rows(dsn, "select nspname from pg_namespace")


def test_two_schemas_two_histories(dsn: str, folder: Path) -> None:
    """Each schema has its own history."""
    migrate(dsn, folder, schema="one")
    assert pending(dsn, folder, schema="two") == ["0001.users", "0002.songs"]
    migrate(dsn, folder, schema="two")
    rollback(dsn, folder, schema="two")
    assert marked(dsn, "one") == ["0001.users", "0002.songs"]
    assert marked(dsn, "two") == ["0001.users"]


@pytest.mark.parametrize("schema", ["My Schema", 'quo"te', "back\\slash", "select", "ünï", "per%cent", "a,b"])
def test_any_schema_name(dsn: str, folder: Path, schema: str) -> None:
    """The schema may be called anything, for us and for plain yoyo."""
    assert migrate(dsn, folder, schema=schema) == ["0001.users", "0002.songs"]
    with psycopg.connect(database_url(dsn, schema=schema)) as conn:
        assert conn.execute("select current_schema()").fetchone() == (schema,)
        assert conn.execute("select count(*) from songs").fetchone() == (0,)
    yoyo("rollback", dsn, folder, schema, "-r", "0002.songs")
    assert marked(dsn, schema) == ["0001.users"]


@pytest.mark.parametrize("schema", ["", "a\0b"])
def test_no_schema_name(dsn: str, folder: Path, schema: str) -> None:
    """What is no name is refused."""
    with pytest.raises(MigrationError, match="is no name"):
        migrate(dsn, folder, schema=schema)


def test_extensions_are_found(dsn: str, write: Write) -> None:
    """An extension goes into the schema of its own, is found from every other, and created once."""
    if "citext" not in rows(dsn, "select name from pg_available_extensions"):
        pytest.skip("the server has no citext")
    folder = write(
        "0001.users", "create extension if not exists citext with schema extensions; create table users (email citext);"
    )
    for schema in ("one", "two"):
        migrate(dsn, folder, schema=schema)
    with psycopg.connect(database_url(dsn, schema="two")) as conn:
        conn.execute("insert into users values ('A@b')")
        assert conn.execute("select count(*) from users where email = 'a@B'").fetchone() == (1,)


def test_schemas_at_once(dsn: str, write: Write) -> None:
    """Migrations of several schemas run at the same time, though they meet in extensions and roles."""
    if "citext" not in rows(dsn, "select name from pg_available_extensions"):
        pytest.skip("the server has no citext")
    folder = write("0001.users", "create extension if not exists citext with schema extensions; create table users ();")
    write("0002.grant", "grant usage on schema extensions to public; select pg_sleep(0.05);")
    schemas = [f"tenant_{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda schema: migrate(dsn, folder, schema=schema), schemas))
    assert done == [["0001.users", "0002.grant"]] * 6


def test_a_role_with_few_rights(dsn: str, folder: Path) -> None:
    """A role that owns its schema and may not create others migrates all the same."""
    role = f"limited_{os.getpid()}_{threading.get_native_id()}"
    run_on(dsn, f"create role {role} login", f"create schema soleil authorization {role}")
    try:
        limited = make_conninfo(dsn, user=role)
        assert migrate(limited, folder, schema="soleil") == ["0001.users", "0002.songs"]
        assert rollback(limited, folder, schema="soleil", count=None) == ["0002.songs", "0001.users"]
    finally:
        run_on(dsn, f"drop owned by {role} cascade", f"drop role {role}")


def test_no_schema_in_the_path(dsn: str, folder: Path) -> None:
    """A path without any schema that exists is refused, not filled by chance."""
    with pytest.raises(MigrationError, match="search_path: no schema in it exists"):
        migrate(make_conninfo(dsn, options="-csearch_path=nowhere"), folder)


# Without a transaction

INDEX = "-- transactional: false\ncreate index concurrently users_key on users (user_id);\n"
UNIQUE_INDEX = "-- transactional: false\ncreate unique index concurrently titles_key on titles (title);\n"


def test_concurrent_index(dsn: str, write: Write) -> None:
    """A migration without a transaction creates an index concurrently, and drops it so."""
    write("0001.users", USERS, "drop table users;")
    folder = write("0002.key", INDEX, "-- transactional: false\ndrop index concurrently users_key;\n")
    assert migrate(dsn, folder) == ["0001.users", "0002.key"]
    assert rollback(dsn, folder) == ["0002.key"]
    assert migrate(dsn, folder) == ["0002.key"]


def test_failed_concurrent_index(dsn: str, write: Write) -> None:
    """The INVALID index that a failed one leaves is dropped, the message says so, and the next run works."""
    write("0001.titles", "create table titles (title text); insert into titles values ('Misty'), ('Misty');")
    folder = write("0002.key", UNIQUE_INDEX)
    with pytest.raises(
        MigrationError,
        match=r"0002.key.sql:2:1: UniqueViolation of titles titles_key \(23505\) "
        r"\(the INVALID index titles_key that it left was dropped\)$",
    ):
        migrate(dsn, folder)
    assert rows(dsn, "select count(*) from pg_class where relname = 'titles_key'") == [0]
    assert marked(dsn) == ["0001.titles"]
    run_on(dsn, "delete from titles")
    assert migrate(dsn, folder) == ["0002.key"]


@pytest.mark.parametrize("text", [UNIQUE_INDEX, UNIQUE_INDEX.replace("tly ", "tly if not exists ")])
def test_invalid_index_of_a_killed_run(dsn: str, write: Write, text: str) -> None:
    """An INVALID index that a killed run left is dropped by the next one, which makes it anew."""
    write("0001.titles", "create table titles (title text); insert into titles values ('Misty'), ('Misty');")
    folder = write("0002.key", text)
    with pytest.raises(psycopg.errors.UniqueViolation):
        run_on(
            dsn,
            "create table titles (title text)",
            "insert into titles values ('Misty'), ('Misty')",
            "create unique index concurrently titles_key on titles (title)",
        )
    run_on(dsn, "delete from titles")
    yoyo("mark", dsn, folder, None, "-r", "0001.titles")
    assert migrate(dsn, folder) == ["0002.key"]
    assert rows(dsn, "select indisvalid from pg_index where indexrelid = 'titles_key'::regclass") == [True]


# Several at once, and killed

RUN = "import sys; from sqlkit.migrate import migrate; print(migrate(*sys.argv[1:3], schema=sys.argv[3]))"


def run_migrate(dsn: str, folder: Path, schema: str = "public") -> subprocess.Popen[str]:
    """Start a run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, dsn, str(folder), schema], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_two_processes_at_once(dsn: str, write: Write) -> None:
    """Of two runs at once both succeed, and each migration is applied once."""
    folder = write("0001.log", "create table log (line int);")
    for number in range(2, 8):
        write(f"{number:04}.line", f"insert into log values ({number}); select pg_sleep(0.1);")
    runs = [run_migrate(dsn, folder) for _ in range(2)]
    said = sorted(run.communicate(timeout=60)[0] for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert said[0].count("000") + said[1].count("000") == 7
    assert rows(dsn, "select line from log order by line") == [2, 3, 4, 5, 6, 7]


def test_threads_at_once_with_a_concurrent_index(dsn: str, write: Write) -> None:
    """Runs that wait for the lock do not stop CREATE INDEX CONCURRENTLY, which waits for every snapshot."""
    write("0001.users", USERS + "insert into users select generate_series(1, 100000);")
    folder = write("0002.key", INDEX)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(dsn, folder), range(4)))
    assert sorted(len(ids) for ids in done) == [0, 0, 0, 2]


@pytest.mark.parametrize("transactional", ["true", "false"])
def test_killed_run(dsn: str, write: Write, transactional: str) -> None:
    """A run that is killed in the middle leaves no lock and no half, and the next one completes soon."""
    write("0001.users", USERS)
    folder = write("0002.songs", f"-- transactional: {transactional}\nselect pg_sleep(30);")
    run = run_migrate(dsn, folder)
    try:
        deadline = time.monotonic() + 20
        while not rows(dsn, "select 1 from pg_stat_activity where query ~ '^select pg_sleep'"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    write("0002.songs", "create table songs ();")
    begin = time.monotonic()
    assert migrate(dsn, folder) == ["0002.songs"]
    assert time.monotonic() - begin < 10


def test_killed_while_it_builds_an_index(dsn: str, write: Write) -> None:
    """A run that is killed while its index is being built leaves what the next one clears away."""
    write("0001.users", USERS)
    folder = write("0002.key", INDEX)
    with psycopg.connect(dsn) as conn:  # whose open transaction the index waits for
        run_on(dsn, USERS)
        conn.execute("insert into users values (1)")
        yoyo("mark", dsn, folder, None, "-r", "0001.users")
        run = run_migrate(dsn, folder)
        try:
            deadline = time.monotonic() + 20
            while not rows(dsn, "select 1 from pg_stat_progress_create_index"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            run.kill()
            run.communicate()
    assert migrate(dsn, folder) == ["0002.key"]
    assert rows(dsn, "select indisvalid from pg_index where indexrelid = 'users_key'::regclass") == [True]


def test_lock_is_held_too_long(dsn: str, folder: Path) -> None:
    """Who waits too long is told who holds the lock."""
    with psycopg.connect(dsn, autocommit=True, application_name="other run") as conn:
        with migration_lock(conn, "public", 1):
            with pytest.raises(
                MigrationError,
                match=rf"^public: another migration has run for 0.3 s: process {conn.info.backend_pid} of the server "
                r"\(other run, from this machine, since ..:..:..\)$",
            ):
                migrate(dsn, folder, timeout=0.3)
            assert migrate(dsn, folder, schema="soleil", timeout=0.3) == ["0001.users", "0002.songs"]
        assert migrate(dsn, folder, timeout=0.3) == ["0001.users", "0002.songs"]


@pytest.mark.parametrize("schema", ["public", "soleil", "x", "ünï"])
def test_lock_keys_fit(dsn: str, schema: str) -> None:
    """The key of any schema fits what the server shows of it, so that the holder is found."""
    with psycopg.connect(dsn, autocommit=True) as one, psycopg.connect(dsn, autocommit=True) as other:
        holder = str(one.info.backend_pid)
        with (
            migration_lock(one, schema, 1),
            pytest.raises(MigrationError, match=holder),
            migration_lock(other, schema, 0),
        ):
            pytest.fail("two hold one lock")
    assert -(1 << 63) <= lock_key(schema) < 1 << 63


def test_waiting_is_logged(dsn: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who waits for another run says so in the log, once."""
    caplog.set_level(logging.INFO, "sqlkit.migrate")
    with (
        psycopg.connect(dsn, autocommit=True) as conn,
        migration_lock(conn, "public", 1),
        pytest.raises(MigrationError),
    ):
        migrate(dsn, folder, timeout=0.5)
    assert sum("waiting for another migration" in record.message for record in caplog.records) == 1


# Plain yoyo


def test_plain_yoyo_after_ours(dsn: str, folder: Path, write: Write) -> None:
    """Plain yoyo finds nothing to do after us, goes on, and goes back."""
    migrate(dsn, folder, schema="soleil")
    assert "Applying" not in yoyo("apply", dsn, folder, "soleil")
    write("0003.bands", "-- depends: 0002.songs\ncreate table bands ();", "drop table bands;")
    assert "Applying 0003.bands" in yoyo("apply", dsn, folder, "soleil")
    assert migrate(dsn, folder, schema="soleil") == []
    yoyo("rollback", dsn, folder, "soleil", "-r", "0002.songs")
    assert tables(dsn, "soleil") == {"users"}
    assert migrate(dsn, folder, schema="soleil") == ["0002.songs", "0003.bands"]


def test_plain_yoyo_before_ours(dsn: str, folder: Path) -> None:
    """We find nothing to do after plain yoyo, and go back what it did."""
    run_on(dsn, "create schema soleil")
    yoyo("apply", dsn, folder, "soleil")
    assert tables(dsn, "soleil") == {"users", "songs"}
    assert migrate(dsn, folder, schema="soleil") == []
    assert rollback(dsn, folder, schema="soleil", count=None) == ["0002.songs", "0001.users"]
    assert "Applying 0001.users" in yoyo("apply", dsn, folder, "soleil")


def test_lock_of_a_killed_yoyo(dsn: str, folder: Path) -> None:
    """The lock that a killed yoyo has left is removed, for nobody is connected who could hold it."""
    yoyo("apply", dsn, folder)
    run_on(dsn, "insert into yoyo_lock values (1, now(), 4711)")
    assert migrate(dsn, folder, timeout=5) == []
    assert rows(dsn, "select count(*) from yoyo_lock") == [0]


def test_lock_of_a_living_yoyo(dsn: str, folder: Path) -> None:
    """The lock of a yoyo that may be running is waited for, then named."""
    yoyo("apply", dsn, folder)
    run_on(dsn, "insert into yoyo_lock values (1, now(), 4711)")
    with psycopg.connect(dsn), pytest.raises(MigrationError, match=r"public: yoyo \(process 4711 .* `yoyo break-lock`"):
        migrate(dsn, folder, timeout=0.3)


# DSNs


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgresql://u:p%40:@h:5433/db", "postgresql+psycopg://u:p%40%3A@/db?host=h&port=5433"),
        ("host=/run/pg dbname=db user=u", "postgresql+psycopg://u@/db?host=/run/pg"),
        ("postgresql:///db?host=/a%20b&port=6", "postgresql+psycopg:///db?host=/a%20b&port=6"),
        ("host=a,b port=1,2 dbname='x y'", "postgresql+psycopg:///?host=a,b&port=1,2&dbname=x%20y"),
        ("", "postgresql+psycopg:///"),
    ],
)
def test_yoyo_url(given: str, url: str) -> None:
    """Every form of DSN becomes a URL that yoyo reads as libpq reads the original."""
    assert yoyo_url(given) == url


@pytest.mark.parametrize("password", ["p@:/?#&=", "100%", "a+b c", "ü'\"\\"])
def test_yoyo_reads_the_password(password: str) -> None:
    """What yoyo reads is the very password of the DSN, whatever is in it."""
    from yoyo.connections import parse_uri  # type: ignore[import-untyped]

    given = make_conninfo(host="h", user="u@x", password=password, dbname="db")
    for schema in (None, "My Schema"):
        found = parse_uri(yoyo_url(given, schema))
        assert (found.username, found.password, found.database, found.args["host"]) == ("u@x", password, "db", "h")


def test_yoyo_url_with_a_schema() -> None:
    """A schema becomes the path's one entry, and the DSN's own options stay."""
    url = yoyo_url("postgresql://h/db?options=-cjit%3Doff", "soleil")
    assert url == "postgresql+psycopg:///db?host=h&options=-cjit%3Doff%20-csearch_path%3Dsoleil"


def test_database_url_keeps_the_rest() -> None:
    """Another database of the same server, with the schema and ``extensions`` as its path."""
    url = database_url("postgresql://u:p@h/db?sslmode=require", database="other", schema="soleil")
    assert conninfo_to_dict(url) == {
        "user": "u",
        "password": "p",
        "host": "h",
        "dbname": "other",
        "sslmode": "require",
        "options": "-csearch_path=soleil,extensions",
    }


@pytest.mark.parametrize("given", ["postgresql://u:hunter2@h/db?what=1", "password=hunter2 'x", "nonsense=hunter2"])
def test_bad_dsn_shows_no_password(given: str, folder: Path) -> None:
    """A DSN that cannot be read is refused without being shown."""
    with pytest.raises(MigrationError, match=r"^dsn: not a PostgreSQL DSN") as caught:
        migrate(given, folder)
    assert "hunter2" not in str(caught.value)


def test_key_value_dsn(dsn: str, folder: Path) -> None:
    """A DSN of ``key=value`` words works as a URL does."""
    assert migrate(make_conninfo(dsn), folder) == ["0001.users", "0002.songs"]


# New ones


def test_new_migration(dsn: str, tmp_path: Path) -> None:
    """A new migration has the next number, depends on the last, and is refused until it is filled in."""
    folder = tmp_path / "new"
    apply, undo = new_migration(folder, "create-songs")
    assert (apply.name, undo.name) == ("0001.create-songs.sql", "0001.create-songs.rollback.sql")
    with pytest.raises(MigrationError, match=r"0001.create-songs.sql:1:1: has no statement"):
        migrate(dsn, folder)
    apply.write_text(apply.read_text() + "create table songs ();\n")
    undo.write_text(undo.read_text() + "drop table songs;\n")
    second, _ = new_migration(folder, "create-bands")
    assert second.name == "0002.create-bands.sql"
    assert second.read_text().startswith("-- depends: 0001.create-songs\n")
    second.write_text(second.read_text() + "create table bands ();\n")
    assert migrate(dsn, folder) == ["0001.create-songs", "0002.create-bands"]


@pytest.mark.parametrize("slug", ["", "Create", "a b", "../x", "a--b", "x.y"])
def test_new_migration_with_a_bad_name(tmp_path: Path, slug: str) -> None:
    """A name that would not be a good file name is refused."""
    with pytest.raises(MigrationError, match="is no name for a migration"):
        new_migration(tmp_path, slug)


def test_soleils_migrations_go_there_and_back(dsn: str) -> None:
    """Soleil's own migrations can all be rolled back, and applied again, by us and by plain yoyo."""
    folder = ROOT / "migrations" / "soleil"
    ids = migrate(dsn, folder, schema="soleil")
    assert rollback(dsn, folder, schema="soleil", count=None) == ids[::-1]
    assert tables(dsn, "soleil") == set()
    yoyo("apply", dsn, folder, "soleil")
    assert migrate(dsn, folder, schema="soleil") == []
    yoyo("rollback", dsn, folder, "soleil", "--all")
    assert tables(dsn, "soleil") == set()
