"""The database that a restore fills: made under a name of its own, and renamed when all is in it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from sqlkit.database.unreachable import unreachable
from sqlkit.errors import BackupError
from sqlkit.migrate.urls import EXTENSIONS, database_url
from sqlkit.operations.backups.catalogue import catalogue
from sqlkit.operations.backups.manifest import Locale, Manifest
from sqlkit.settings import Settings

__all__ = ["Place", "connected", "drop_schemas", "make_extension", "make_roles", "opened_place", "prepare"]

MARK = "sqlkit: a restore that is not finished"
LEAVING_SECONDS = 10.0


@dataclass(slots=True)
class Place:
    """A database to restore into: its DSN, whether it was made for that, and what there is to say about it."""

    dsn: str
    is_new: bool
    remarks: list[str]


@contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect in autocommit, without bounds on time; BackupError where that cannot be done."""
    try:
        conn = psycopg.connect(dsn, autocommit=True, application_name="sqlkit restore")
    except psycopg.OperationalError as error:
        raise BackupError(unreachable(Settings(url=dsn).safe_dsn, error)) from error
    with conn:
        catalogue.lift_timeouts(conn)
        catalogue.see_all_rows(conn)
        yield conn


@contextmanager
def opened_place(dsn: str, name: str, locale: Locale | None, *, throw_away: bool = False) -> Iterator[Place]:
    """Give a database for the block, which bears ``name`` after it, or is dropped where the block failed.

    One that stands already is taken where it is empty: BackupError where it is not. Two restores into one name
    exclude each other; what one that was killed left is dropped. ``throw_away`` drops it in any case.
    """
    with _maintenance(dsn) as conn:
        if not catalogue.try_restore_lock(conn, key=_key(name)):
            raise BackupError(f"{name}: somebody else is restoring into it")
        for left in catalogue.list_unfinished(conn, mark=MARK):
            if catalogue.try_restore_lock(conn, key=_key(left)):  # else its restore is still at it
                with suppress(errors.InsufficientPrivilege):  # it is somebody else's
                    _drop(conn, left)
        if not throw_away and catalogue.has_database(conn, name=name):
            yield _standing(database_url(dsn, database=name), name)
            return
        made = f"sqlkit_restoring_{os.urandom(6).hex()}"
        catalogue.try_restore_lock(conn, key=_key(made))
        try:  # from before it is made: an interrupt may come when the server has made it, and has not said so
            remarks = _create(conn, made, name, locale)
            yield Place(database_url(dsn, database=made), True, remarks)
            if not throw_away:
                _rename(conn, made, name)
                made = ""
        finally:
            if made:
                _drop(conn, made)


def _standing(dsn: str, name: str) -> Place:
    with connected(dsn) as conn:
        if not catalogue.is_empty(conn):
            raise BackupError(f"{name}: is not empty: a restore makes a new database; name another, or drop this one")
    return Place(dsn, False, [f"{name} stood already, and was empty"])


@contextmanager
def _maintenance(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect to a database of the server's own: every restore to the same one, for locks are of one database."""
    reason: BackupError | None = None
    with ExitStack() as stack:
        for address in (database_url(dsn, database="postgres"), dsn):  # not template1, which must be free to be copied
            try:
                conn = stack.enter_context(connected(address))
            except BackupError as error:
                reason = reason or error
                continue
            yield conn
            return
    assert reason is not None  # noqa: S101 - there are two to try
    raise reason


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"sqlkit.restore:{name}".encode()).digest()[:8], "big", signed=True)


def _create(conn: psycopg.Connection[Any], made: str, name: str, locale: Locale | None) -> list[str]:
    """Make a database like the one that the backup is of; what this server cannot make so is said."""
    statement = sql.SQL("create database {} template template0").format(sql.Identifier(made))
    like = _like(locale) if locale is not None else sql.SQL("")
    remarks: list[str] = []
    try:
        try:
            conn.execute(statement + like)
        except (errors.InvalidParameterValue, errors.WrongObjectType, errors.FeatureNotSupported, errors.SyntaxError):
            assert locale is not None  # noqa: S101 - nothing else was asked for
            conn.execute(statement + sql.SQL(" encoding {}").format(sql.Literal(locale.encoding)))
            remarks.append(f"this server has no {locale.locale or locale.collation}: texts are sorted by its own rules")
    except errors.InsufficientPrivilege as error:
        raise BackupError(
            f"{name}: the role {conn.info.user} may not make databases: make an empty one, which it owns, "
            "or restore as a role that may"
        ) from error
    conn.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(made), sql.Literal(MARK)))
    return remarks


def _like(locale: Locale) -> sql.Composed:
    words = [
        sql.SQL(" encoding {}").format(sql.Literal(locale.encoding)),
        sql.SQL(" lc_collate {}").format(sql.Literal(locale.collation)),
        sql.SQL(" lc_ctype {}").format(sql.Literal(locale.character_type)),
    ]
    kinds = {
        "i": sql.SQL(" locale_provider icu icu_locale {}"),
        "b": sql.SQL(" locale_provider builtin builtin_locale {}"),
    }
    if locale.provider in kinds and locale.locale is not None:
        words.append(kinds[locale.provider].format(sql.Literal(locale.locale)))
    return sql.Composed(words)


def _rename(conn: psycopg.Connection[Any], made: str, name: str) -> None:
    conn.execute(sql.SQL("comment on database {} is null").format(sql.Identifier(made)))
    statement = sql.SQL("alter database {} rename to {}").format(sql.Identifier(made), sql.Identifier(name))
    deadline = time.monotonic() + LEAVING_SECONDS
    while True:
        try:
            conn.execute(statement)
            break
        except errors.DuplicateDatabase:
            raise BackupError(f"{name}: somebody else has made it meanwhile") from None
        except errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise BackupError(f"{name}: cannot be given its name: somebody is connected to {made}") from None
            time.sleep(0.05)


def _drop(conn: psycopg.Connection[Any], name: str) -> None:
    with suppress(errors.InvalidCatalogName):
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def drop_schemas(dsn: str, before: list[str]) -> None:
    """Drop the schemas that were not there before a restore into a standing database, which has failed."""
    with connected(dsn) as conn:
        for name in catalogue.list_schemas(conn):
            if name not in before:
                conn.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(name)))


def prepare(place: Place, manifest: Manifest) -> None:
    """Make what a dump of one schema leaves out, before its tables come: extensions, roles, settings.

    BackupError where an extension is missing that the schema cannot do without.
    """
    with connected(place.dsn) as conn:
        make_roles(conn, manifest.roles, place.remarks)
        if manifest.schema_name is not None:
            _make_extensions(conn, manifest, place.remarks)
        if place.is_new:
            _set_settings(conn, manifest.settings, place.remarks)


def make_roles(conn: psycopg.Connection[Any], names: list[str], remarks: list[str]) -> list[str]:
    """Make the roles that are missing, without login or rights of their own; return them."""
    made = []
    for name in catalogue.list_missing_roles(conn, names=names):
        try:
            conn.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
        except errors.DuplicateObject:
            continue
        except errors.InsufficientPrivilege:
            raise BackupError(
                f"{name}: rights are granted to this role, which is not there and may not be made by "
                f"{conn.info.user}: have an administrator run: create role {name} nologin"
            ) from None
        made.append(name)
        remarks.append(f"the role {name} was not there, and is: without a login; grant it to who acts for it")
    return made


def _make_extensions(conn: psycopg.Connection[Any], manifest: Manifest, remarks: list[str]) -> None:
    names = [one.name for one in manifest.extensions]
    missing = set(catalogue.list_missing_extensions(conn, names=names))
    if needed := sorted(one.name for one in manifest.extensions if one.is_used and one.name in missing):
        raise BackupError(
            f"{manifest.schema_name}: needs {', '.join(needed)}, which this server has not: install PostgreSQL's "
            "contrib package, or what else brings it"
        )
    for one in manifest.extensions:
        if one.name in missing:
            remarks.append(f"the extension {one.name} is not on this server, and nothing in the schema uses it")
            continue
        make_extension(conn, one.name, one.schema_name, needed=one.is_used, remarks=remarks)


def make_extension(conn: psycopg.Connection[Any], name: str, schema: str, *, needed: bool, remarks: list[str]) -> None:
    """Create an extension in its schema, which is made where it is missing."""
    try:
        with conn.transaction():
            if schema not in catalogue.list_schemas(conn) and not schema.startswith("pg_"):
                conn.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
                if schema == EXTENSIONS:  # as migrations make it
                    conn.execute(sql.SQL("grant usage on schema {} to public").format(sql.Identifier(schema)))
            statement = sql.SQL("create extension if not exists {} with schema {} cascade")
            conn.execute(statement.format(sql.Identifier(name), sql.Identifier(schema)))
    except errors.InsufficientPrivilege:
        if needed:
            raise BackupError(
                f"{name}: this extension may not be made by {conn.info.user}: have an administrator make it in an "
                "empty database, and restore into that one"
            ) from None
        remarks.append(f"the extension {name} may not be made by this role, and nothing in the schema uses it")


def _set_settings(conn: psycopg.Connection[Any], settings: list[str], remarks: list[str]) -> None:
    """Give the database the settings that the old one had: its search path, for one."""
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            with conn.transaction():
                conn.execute("select set_config(%s, %s, true)", [name, value])
                database = sql.Identifier(conn.info.dbname)
                parts = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
                conn.execute(sql.SQL("alter database {} set {} from current").format(database, parts))
        except psycopg.Error as error:
            remarks.append(f"the setting {name} of the old database is not set: {type(error).__name__}")
