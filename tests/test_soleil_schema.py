"""Soleil's tables: their rows, names, constraints, the way up and down, and the role of the application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError

from sqlkit import Database
from sqlkit.apps import MIGRATIONS, soleil
from sqlkit.apps.soleil import sync
from sqlkit.migrate import migrate, rollback
from sqlkit.testing import TestServer

FOLDER = MIGRATIONS / "soleil"
Connection = psycopg.Connection[Any]

COLUMNS = {
    "users": {
        "user_id": "uuid not null",
        "email": "text not null",
        "google_id": "text not null",
        "display_name": "text not null",
        "profile_data": "jsonb not null",
        "is_active": "boolean not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "songs": {
        "song_id": "uuid not null",
        "user_id": "uuid not null",
        "title": "text not null",
        "artist": "text",
        "key": "text",
        "tempo": "integer",
        "genre": "text",
        "rhythm": "text",
        "time_signature": "text",
        "chart": "jsonb",
        "chart_types": "text[] not null",
        "drive_file_id": "text",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "bands": {
        "band_id": "uuid not null",
        "name": "text not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "band_members": {
        "band_id": "uuid not null",
        "user_id": "uuid not null",
        "role": "text not null",
        "joined_at": "timestamp with time zone not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "cache_tags": {
        "tag": "text not null",
        "version": "bigint not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
    "cache_entries": {
        "cache_key": "text not null",
        "body": "text not null",
        "expires_at": "timestamp with time zone not null",
        "created_at": "timestamp with time zone not null",
        "updated_at": "timestamp with time zone not null",
    },
}


def owned(conn: Connection, schema: str = "soleil") -> set[str]:
    """Return the names of all relations of a schema but those that keep its history."""
    rows = conn.execute("select relname from pg_class where relnamespace = %s::regnamespace", [schema]).fetchall()
    return {name for (name,) in rows if not name.lstrip("_").startswith(("yoyo", "sqlkit"))}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns(conn: Connection, table: str) -> None:
    """Each table has exactly the columns, types and NOT NULLs that the system's page gives it."""
    found = conn.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        [table],
    )
    assert {name: type_ + " not null" * not_null for name, type_, not_null in found} == COLUMNS[table]


def test_no_other_table(conn: Connection) -> None:
    """There is no table besides those of the system's page."""
    found = conn.execute("select tablename from pg_tables where schemaname = 'soleil'").fetchall()
    assert {name for (name,) in found if not name.startswith(("_yoyo", "yoyo", "_sqlkit"))} == set(COLUMNS)


def test_names_of_constraints_and_indexes(conn: Connection) -> None:
    """Every constraint and index is named for its table, its columns and its kind."""
    kinds = {"p": "pkey", "u": "key", "f": "fkey", "c": "check", "x": "excl"}
    constraints = conn.execute(
        "select conrelid::regclass::text, conname, contype, conkey from pg_constraint "
        "where connamespace = 'soleil'::regnamespace and contype <> 'n' and conrelid::regclass::text = any(%s)",
        [list(COLUMNS)],
    ).fetchall()
    assert len(constraints) > 15
    for table, name, kind, numbers in constraints:
        columns = [list(COLUMNS[table])[number - 1] for number in numbers]
        wanted = f"{table}_pkey" if kind == "p" else f"{table}_{'_'.join(columns)}_{kinds[kind]}"
        assert name == wanted
    indexes = owned(conn) - set(COLUMNS) - {name for _, name, _, _ in constraints}
    assert indexes == {
        "songs_user_id_title_idx",
        "songs_artist_idx",
        "songs_created_at_idx",
        "songs_title_artist_idx",
        "songs_title_artist_trgm_idx",
        "band_members_user_id_idx",
        "bands_name_band_id_idx",
        "cache_tags_updated_at_idx",
        "cache_entries_expires_at_idx",
    }


def test_every_foreign_key_has_an_index(conn: Connection) -> None:
    """The columns of each foreign key are the first ones of some index."""
    bare = conn.execute(
        "select conname from pg_constraint where contype = 'f' and connamespace = 'soleil'::regnamespace "
        "and not exists (select from pg_index where indrelid = conrelid "
        "and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)"
    ).fetchall()
    assert bare == []


def test_up_down_and_up_again(dsn: str) -> None:
    """All migrations go up, down to an empty schema, and up again to the same tables and indexes."""
    applied = migrate(dsn, FOLDER, schema="soleil")
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
        assert {"users", "songs", "bands", "band_members", "songs_title_artist_trgm_idx"} <= before
        assert rollback(dsn, FOLDER, schema="soleil", count=None) == applied[::-1]
        assert owned(conn) == set()
        assert migrate(dsn, FOLDER, schema="soleil") == applied
        assert owned(conn) == before


def test_one_step_back_and_forth(dsn: str) -> None:
    """Each migration can be rolled back alone and applied again."""
    applied = migrate(dsn, FOLDER, schema="soleil")
    with psycopg.connect(dsn, autocommit=True) as conn:
        before = owned(conn)
    for steps in range(1, len(applied) + 1):
        assert rollback(dsn, FOLDER, schema="soleil", count=steps) == applied[-steps:][::-1]
        assert migrate(dsn, FOLDER, schema="soleil") == applied[-steps:]
    with psycopg.connect(dsn, autocommit=True) as conn:
        assert owned(conn) == before


def test_rollback_keeps_what_is_shared(dsn: str) -> None:
    """The extension belongs to the database and the role to the cluster: both outlive the tables."""
    migrate(dsn, FOLDER, schema="soleil")
    rollback(dsn, FOLDER, schema="soleil", count=None)
    with psycopg.connect(dsn) as conn:
        row = conn.execute(
            "select (select extnamespace::regnamespace::text from pg_extension where extname = 'pg_trgm'), "
            "to_regrole('soleil_app') is not null, has_schema_privilege('soleil_app', 'soleil', 'usage')"
        ).fetchone()
    assert row == ("extensions", True, False)


def test_two_schemas_side_by_side(dsn: str) -> None:
    """Two schemas of one database each have their tables and their history; one goes and the other stays."""
    for schema in ("north", "south"):
        migrate(dsn, FOLDER, schema=schema)
    rollback(dsn, FOLDER, schema="north", count=None)
    with psycopg.connect(dsn) as conn:
        assert owned(conn, "north") == set()
        assert set(COLUMNS) <= owned(conn, "south")


@pytest.fixture
def owner_dsn(server: TestServer, dsn: str) -> Iterator[str]:
    """Give the DSN of a role that owns the schema soleil and may create neither schemas nor extensions nor roles."""
    name = f"owner_{uuid4().hex[:12]}"
    with psycopg.connect(dsn, autocommit=True) as conn:
        role = sql.Identifier(name)
        conn.execute(sql.SQL("create role {} login password 'a password'").format(role))
        conn.execute(sql.SQL("create schema soleil authorization {}").format(role))
        separator = "&" if "?" in dsn else "?"
        try:
            yield f"{dsn}{separator}options=-crole%3D{name}"
        finally:
            conn.execute(sql.SQL("drop schema soleil cascade; drop owned by {0}; drop role {0}").format(role))


def test_migrations_without_rights(owner_dsn: str) -> None:
    """Who owns the schema alone gets all tables, without pg_trgm, and a search that finds what is spelt right."""
    migrate(owner_dsn, FOLDER, schema="soleil")
    with psycopg.connect(owner_dsn, autocommit=True) as conn:
        conn.execute("set search_path = soleil, extensions")
        assert "songs_title_artist_trgm_idx" not in owned(conn)
        assert not sync.songs.has_trigrams(conn)
        new = soleil.NewUser(email="a@b", google_id="g", display_name="A")
        user = sync.users.create_user(conn, user=new)
        sync.songs.create_song(conn, song=soleil.NewSong(user_id=user.user_id, title="Autumn Leaves"))
        assert [song.title for song in sync.search_songs(conn, user_id=user.user_id, term="umn lea")] == [
            "Autumn Leaves"
        ]
        assert sync.search_songs(conn, user_id=user.user_id, term="autum leafs") == []
    rollback(owner_dsn, FOLDER, schema="soleil", count=None)


def test_role_of_the_application(soleil_dsn: str) -> None:
    """soleil_app can do all that the application does and cannot change a table."""
    with Database.connect(soleil_dsn) as db:
        app = db.bound(role="soleil_app")
        user = sync.users.create_user(app, user=soleil.NewUser(email="a@b", google_id="g", display_name="A"))
        sync.songs.import_songs(app, [soleil.NewSong(user_id=user.user_id, title="Autumn Leaves")])
        (song,) = sync.search_songs(app, user_id=user.user_id, term="autum leafs")
        assert sync.songs.update_song(app, song_id=song.song_id, changes=soleil.SongChanges(key="G"))
        assert sync.songs.delete_song(app, song_id=song.song_id) == 1
        for statement in ("drop table songs", "alter table songs add x int", "truncate songs", "create table t ()"):
            with app.transaction() as conn, pytest.raises(errors.InsufficientPrivilege):
                conn.execute(statement)


USER: dict[str, Any] = {"email": "a@b", "google_id": "g", "display_name": "A"}
SONG = {"user_id": uuid4(), "title": "T"}
MEMBER = {"band_id": uuid4(), "user_id": uuid4()}

#: Which CHECK, the table, the model and a good row of it, the column and a value that breaks it.
BROKEN: list[tuple[str, str, type[BaseModel], dict[str, Any], str, Any]] = [
    ("users_email_check", "users", soleil.NewUser, USER, "email", "nobody"),
    ("users_email_check", "users", soleil.NewUser, USER, "email", "a b@c"),
    ("users_email_check", "users", soleil.NewUser, USER, "email", "a@b\n@c"),
    ("users_google_id_check", "users", soleil.NewUser, USER, "google_id", ""),
    ("users_display_name_check", "users", soleil.NewUser, USER, "display_name", ""),
    ("users_profile_data_check", "users", soleil.NewUser, USER, "profile_data", ["a"]),
    ("songs_title_check", "songs", soleil.NewSong, SONG, "title", ""),
    ("songs_tempo_check", "songs", soleil.NewSong, SONG, "tempo", 19),
    ("songs_tempo_check", "songs", soleil.NewSong, SONG, "tempo", 401),
    ("songs_chart_check", "songs", soleil.NewSong, SONG, "chart", {"parts": []}),
    ("songs_chart_check", "songs", soleil.NewSong, SONG, "chart", {"sections": "A"}),
    ("songs_chart_types_check", "songs", soleil.NewSong, SONG, "chart_types", ["guitar", "kazoo"]),
    ("songs_chart_types_check", "songs", soleil.NewSong, SONG, "chart_types", [None]),
    ("bands_name_check", "bands", soleil.NewBand, {"name": "B"}, "name", ""),
    ("band_members_role_check", "band_members", soleil.NewMember, MEMBER, "role", "roadie"),
]


def insert(conn: Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row as it is, past the models."""
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    conn.execute(statement, list(row.values()))


@pytest.mark.parametrize(("check", "table", "model", "row", "column", "value"), BROKEN)
def test_checks_hold_in_the_model_and_around_it(
    conn: Connection, check: str, table: str, model: type[BaseModel], row: dict[str, Any], column: str, value: Any
) -> None:
    """What a CHECK refuses, the input model refuses too, with the field's name."""
    model(**row)
    with pytest.raises(ValidationError) as refused:
        model(**{**row, column: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {column}
    stored = Jsonb(value) if column in ("profile_data", "chart") else value
    with pytest.raises(errors.CheckViolation) as violated:
        insert(conn, table, {**row, column: stored})
    assert violated.value.diag.constraint_name == check


def test_every_check_is_broken_above(conn: Connection) -> None:
    """No CHECK of the schema is without its case; those of the cache have theirs in test_caching_tables.py."""
    found = conn.execute(
        "select conname from pg_constraint where contype = 'c' and connamespace = 'soleil'::regnamespace "
        "and conname !~ '^cache_'"
    ).fetchall()
    assert {name for (name,) in found} == {case[0] for case in BROKEN}


SOMEBODY, SOME_BAND, NOBODY = uuid4(), uuid4(), uuid4()
STANDING: list[tuple[str, dict[str, Any]]] = [
    ("users", {**USER, "user_id": SOMEBODY}),
    ("bands", {"band_id": SOME_BAND, "name": "B"}),
    ("songs", {"user_id": SOMEBODY, "title": "T", "drive_file_id": "d"}),
    ("band_members", {"band_id": SOME_BAND, "user_id": SOMEBODY}),
]

#: Which key, the table, and a row that breaks it where the rows above stand.
TAKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("users_pkey", "users", {"user_id": SOMEBODY, "email": "c@d", "google_id": "h", "display_name": "C"}),
    ("users_email_key", "users", {**USER, "google_id": "h"}),
    ("users_google_id_key", "users", {**USER, "email": "c@d"}),
    ("songs_drive_file_id_key", "songs", {"user_id": SOMEBODY, "title": "U", "drive_file_id": "d"}),
    ("songs_user_id_fkey", "songs", {"user_id": NOBODY, "title": "U"}),
    ("band_members_pkey", "band_members", {"band_id": SOME_BAND, "user_id": SOMEBODY}),
    ("band_members_band_id_fkey", "band_members", {"band_id": NOBODY, "user_id": SOMEBODY}),
    ("band_members_user_id_fkey", "band_members", {"band_id": SOME_BAND, "user_id": NOBODY}),
]


@pytest.mark.parametrize(("key", "table", "row"), TAKEN)
def test_keys_hold(conn: Connection, key: str, table: str, row: dict[str, Any]) -> None:
    """What is there once is not there twice, and nothing refers to what is not there."""
    for standing in STANDING:
        insert(conn, *standing)
    with pytest.raises(errors.IntegrityError) as violated:
        insert(conn, table, row)
    assert violated.value.diag.constraint_name == key


@pytest.mark.parametrize("table", [table for table, _ in STANDING])
def test_the_database_sets_both_times(conn: Connection, table: str) -> None:
    """created_at and updated_at are the database's, with their zone, where nobody gives them."""
    for standing in STANDING:
        insert(conn, *standing)
    query = sql.SQL("select created_at = now(), updated_at = now() from {}").format(sql.Identifier(table))
    assert conn.execute(query).fetchall() == [(True, True)]


#: Which index, and a look-up that it is for.
LOOK_UPS: list[tuple[str, str]] = [
    ("users_email_key", "select from users where email = 'a@b'"),
    ("users_google_id_key", "select from users where google_id = 'g'"),
    (
        "songs_user_id_title_idx",
        f"select from songs where user_id = '{UUID(int=0)}' order by title limit 10",
    ),
    ("songs_artist_idx", "select from songs where artist = 'A'"),
    ("songs_created_at_idx", "select from songs where created_at > now() - interval '1 day'"),
    ("songs_drive_file_id_key", "select from songs where drive_file_id = 'd'"),
    (
        "songs_title_artist_idx",
        "select from songs where to_tsvector('simple', title || ' ' || coalesce(artist, '')) "
        "@@ plainto_tsquery('simple', 'leaves')",
    ),
    ("songs_title_artist_trgm_idx", "select from songs where title % 'autum leafs' or artist % 'autum leafs'"),
    (
        "bands_name_band_id_idx",
        f"select from bands where (name, band_id) > ('B', '{UUID(int=0)}') order by name, band_id limit 10",
    ),
    ("band_members_user_id_idx", f"select from band_members where user_id = '{UUID(int=0)}'"),
]


@pytest.mark.parametrize(("index", "statement"), LOOK_UPS)
def test_look_ups_use_their_indexes(conn: Connection, index: str, statement: str) -> None:
    """Each index serves the look-up that it is for."""
    conn.execute("set local enable_seqscan = off")
    plan = "\n".join(line for (line,) in conn.execute(f"explain {statement}".encode()))
    assert index in plan


@pytest.mark.parametrize("tempo", [20, 400, None])
def test_bounds_are_allowed(conn: Connection, tempo: int | None) -> None:
    """The slowest and the fastest tempo and an unknown one pass in the model and in the database."""
    user = sync.users.create_user(conn, user=soleil.NewUser(**USER))
    new = soleil.NewSong(user_id=user.user_id, title="T", tempo=tempo, chart_types=list(soleil.ChartType))
    song = sync.songs.create_song(conn, song=new)
    assert (song.tempo, song.chart_types) == (tempo, list(soleil.ChartType))


def closed_list(conn: Connection, check: str) -> set[str]:
    """Return the texts that a CHECK lists."""
    row = conn.execute("select pg_get_constraintdef(oid) from pg_constraint where conname = %s", [check]).fetchone()
    assert row is not None
    return set(re.findall(r"'(\w+)'::text", row[0]))


def test_enums_equal_their_checks(conn: Connection) -> None:
    """The enums have the very values that the CHECKs list."""
    assert closed_list(conn, "songs_chart_types_check") == {kind.value for kind in soleil.ChartType}
    assert closed_list(conn, "band_members_role_check") == {role.value for role in soleil.BandRole}


def test_page_draws_the_tables() -> None:
    """docs/soleil.md shows every column of every table, with its type."""
    page = (Path(__file__).parent.parent / "docs" / "soleil.md").read_text(encoding="utf-8")
    for table, columns in COLUMNS.items():
        drawn = re.search(rf"^    {table} {{\n(.*?)^    }}", page, re.MULTILINE | re.DOTALL)
        assert drawn, table
        assert re.findall(r"^ +\S+ (\w+)", drawn[1], re.MULTILINE) == list(columns)
