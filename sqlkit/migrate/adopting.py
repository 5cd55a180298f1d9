"""A database whose tables something else has made, taken over: what the migrations would make is marked as made."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from sqlkit.errors import MigrationError
from sqlkit.migrate.adopt_catalogue import Catalogue, Thing, read_catalogue, read_relations
from sqlkit.migrate.adopt_compare import Comparison, Difference, State, compare
from sqlkit.migrate.adopt_places import Place, find_places, moves, quoted
from sqlkit.migrate.adopt_scratch import Made, make_all
from sqlkit.migrate.backend import ATTEMPTS, AppliedMigration, AtomicBackend, applied_migrations, met_another_run
from sqlkit.migrate.files import MigrationFile, read_folder
from sqlkit.migrate.lock import migration_lock, wait_for_yoyo
from sqlkit.migrate.run import (
    APPLICATION,
    LOCK_SECONDS,
    Folder,
    connected,
    first_schema,
    refuse_edited,
    with_extensions,
)
from sqlkit.migrate.urls import search_path, url

__all__ = ["Adoption", "adopt"]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was found of each migration, and what was marked.

    ``states``: migration ids in order. ``statements``: SQL that would bring names and schemas in line; nobody has run
    it. ``unknown``: tables of the schema that no migration makes, which are left alone.
    """

    schema: str
    states: dict[str, State]
    differences: tuple[Difference, ...]
    statements: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def adopted(self) -> list[str]:
        """The migrations that were marked now, or would be without ``dry_run``."""
        return [name for name, state in self.states.items() if state is State.ADOPTED]

    @property
    def complete(self) -> bool:
        """Whether the database is what the migrations make: all of them are marked, and nothing differs."""
        return not self.differences and set(self.states.values()) <= {State.APPLIED, State.ADOPTED}


def adopt(
    dsn: str,
    folder: Folder | Sequence[Folder],
    *,
    schema: str | None = None,
    prefix: str = "",
    dry_run: bool = False,
    timeout: float = LOCK_SECONDS,
) -> Adoption:
    """Mark those migrations as applied whose whole effect is there already, and tell what differs.

    The migrations (of one folder, or of several that build on each other) are made in a scratch schema, in a
    transaction that is rolled back, and what PostgreSQL then says of it is compared with what is in ``schema``.
    Constraints and indexes are compared by what they say. Tables named with ``prefix``, or in another schema of the
    search path, are compared too, but cannot be adopted before they are renamed or moved.

    Nothing but marks is written; with ``dry_run`` none is. MigrationError for what ``migrate`` would refuse, for a
    migration written in Python, and for a role that may not create schemas.
    """
    folders = [folder] if isinstance(folder, (str, os.PathLike)) else folder
    migrations = [migration for each in folders for migration in read_folder(each).migrations]
    with connected(dsn) as conn:
        name = schema or first_schema(conn)
        if name is None:
            raise MigrationError("search_path: no schema in it exists: name one by schema=")
        with migration_lock(conn, name, timeout):
            marks = {mark.migration_id: mark for mark in applied_migrations(conn, name)}
            refuse_edited(migrations, marks)
            adoption = examine_again(conn, migrations, name, prefix, marks)
            todo = [migration for migration in migrations if migration.migration_id in adoption.adopted]
            if todo and not dry_run:
                mark_all(conn, dsn, schema, name, todo, timeout)
    return adoption


def examine_again(
    conn: psycopg.Connection[Any],
    migrations: Sequence[MigrationFile],
    schema: str,
    prefix: str,
    marks: dict[str, AppliedMigration],
) -> Adoption:
    """Examine a schema; again, when another run made the same thing of the cluster at the same time."""
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # what others commit meanwhile is not seen
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with conn.transaction(force_rollback=True):
                return examine(conn, migrations, schema, prefix, set(marks))
        except MigrationError as error:
            cause = error.__cause__
            if attempt == ATTEMPTS or not isinstance(cause, psycopg.Error) or not met_another_run(cause):
                raise
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311  so that they do not meet again
    raise AssertionError("unreachable")


def examine(
    conn: psycopg.Connection[Any], migrations: Sequence[MigrationFile], schema: str, prefix: str, marked: set[str]
) -> Adoption:
    """Make the migrations, take them back, and compare; in a transaction that is rolled back."""
    with conn.transaction(force_rollback=True):
        before, made = make_all(conn, migrations)
    places = find_places(conn, schema, prefix, tables_of(made))
    known = read_relations(conn, schema)
    actual, types = read_actual(conn, schema, places)
    elsewhere = {table: place for table, place in places.items() if place != Place(schema, table)}
    stray = {*(Thing(table, "table", "") for table in elsewhere), *(Thing("", "type", name) for name in types)}
    comparison = compare(before, made, actual, marked, exists=schema_exists(conn, schema), stray=stray)
    moved = [
        Difference(table, f"is there as {place.schema}.{place.name}: it has to be {schema}.{table}", None)
        for table, place in elsewhere.items()
    ]
    own = {place.name for place in places.values() if place.schema == schema}
    return Adoption(
        schema,
        comparison.states,
        (*moved, *comparison.differences),
        (*moves(conn, schema, elsewhere, types), *renames(conn, schema, comparison)),
        tuple(name for name in known if name not in own),
    )


def tables_of(made: Sequence[Made]) -> dict[str, set[str]]:
    """Return the tables that migrations make, those that others drop again too, with their columns."""
    tables: dict[str, set[str]] = {}
    for step in made:
        tables |= {thing.table: set() for thing in step.catalogue if thing.kind == "table"}
        for thing in step.catalogue:
            if thing.kind == "column":
                tables[thing.table].add(thing.name)
    return tables


def read_actual(
    conn: psycopg.Connection[Any], schema: str, places: dict[str, Place]
) -> tuple[Catalogue, dict[str, str]]:
    """Read what is in the schema, and tables that stand elsewhere, as what they are to be, with the types beside them.

    Returns the types' schemas, too, by their names.
    """
    found: Catalogue = {}
    types = {}
    for home in dict.fromkeys([schema, *(place.schema for place in places.values())]):
        names = {place.name: table for table, place in places.items() if place.schema == home}
        for thing, facets in read_catalogue(conn, home, names).items():
            if thing.table or home == schema:
                found[thing] = facets
            elif thing.kind == "type" and thing not in found:
                found[thing] = facets
                types[thing.name] = home
    return found, types


def schema_exists(conn: psycopg.Connection[Any], schema: str) -> bool:
    """Say whether a schema exists."""
    return conn.execute("select from pg_namespace where nspname = %s", [schema]).fetchone() is not None


def renames(conn: psycopg.Connection[Any], schema: str, comparison: Comparison) -> list[str]:
    """Return the statements that would give constraints and indexes their names."""
    statements = []
    for thing, old, new in comparison.renamed:
        table = f"{quoted(conn, schema)}.{quoted(conn, thing.table)}"
        if thing.kind == "constraint":
            statements.append(f"alter table {table} rename constraint {quoted(conn, old)} to {quoted(conn, new)};")
        else:
            statements.append(f"alter index {quoted(conn, schema)}.{quoted(conn, old)} rename to {quoted(conn, new)};")
    for thing, index, constraint in comparison.unique_indexes:
        table = f"{quoted(conn, schema)}.{quoted(conn, thing.table)}"
        named = f"add constraint {quoted(conn, constraint)} unique using index {quoted(conn, index)}"
        statements.append(f"alter table {table} {named};")
    return statements


def mark_all(
    conn: psycopg.Connection[Any],
    dsn: str,
    schema: str | None,
    name: str,
    migrations: Sequence[MigrationFile],
    timeout: float,
) -> None:
    """Mark migrations as applied, all in one transaction. For the holder of the lock."""
    wait_for_yoyo(conn, sql.Identifier(name, AtomicBackend.lock_table), name, timeout)
    path = search_path(schema) if schema is not None else with_extensions(conn)
    address = url("postgresql+psycopg", dsn, None, path, application_name=APPLICATION)
    with AtomicBackend(address, name) as backend:
        backend.prepare()
        backend.mark_all(migrations)
