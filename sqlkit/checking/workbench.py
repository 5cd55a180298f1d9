"""A database for each project: one that stands, or one that is migrated for the check on a server that goes with it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sqlkit.checking.extensions import copy_without, made_extensions
from sqlkit.checking.project import Project
from sqlkit.database.unreachable import unreachable
from sqlkit.embedded.binaries import OLDEST
from sqlkit.embedded.server import Embedded
from sqlkit.errors import ConfigurationError, EmbeddedError, MigrationError
from sqlkit.settings import Settings

__all__ = ["Bench", "CannotCheck", "Workbench", "old_server", "said_by"]

FOLDER_PREFIX = "sqlkit-check-"
COPY_PREFIX = "sqlkit-migrations-"
SERVER_SETTINGS = {"autovacuum": "off", "max_wal_size": "256MB"}
APPLICATION = "sqlkit check"

WHAT_IT_PROVES = "what is never NULL and what returns one row at most"

FACTS = """
select
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('transaction_read_only') = 'on',
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),
    array(select extname::text from pg_catalog.pg_extension)
"""

Progress = Callable[[str], None]


class CannotCheck(Exception):  # never leaves the package: a Trouble is made of it
    """A project has no database to be checked against; the text says why."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A project's database: a connection, whether it was named by a DSN, and what stays unproved there.

    ``missing`` are the extensions that the migrations make and the database lacks.
    """

    conn: psycopg.Connection[Any]
    standing: bool
    limits: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Workbench:
    """Databases for projects; a context manager, behind which no server and no folder is left.

    With a ``dsn`` every project uses that database, in which nothing is migrated. Without one a server is started when
    the first project asks. ``progress`` is told what takes a while.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        bindir: str | os.PathLike[str] | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        self.dsn = dsn
        self.bindir = bindir
        self.progress = progress
        self._server: Embedded | None = None
        self._stack = contextlib.ExitStack()
        self._databases = 0
        self._lacking: list[str] = []

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def bench(self, project: Project) -> Iterator[Bench]:
        """Give a project's database; whatever happens there is rolled back.

        Raises CannotCheck for a server that does not start or answer, that is too old, and for a migration that fails.
        """
        self._lacking.clear()
        dsn = self._dsn(project)
        from sqlkit.migrate import database_url

        try:
            conn = psycopg.connect(
                database_url(dsn, schema=project.schema),
                autocommit=True,
                application_name=APPLICATION,
                prepare_threshold=None,
            )
        except psycopg.OperationalError as error:
            raise CannotCheck(unreachable(_shown(dsn), error)) from None
        except (psycopg.Error, MigrationError) as error:
            raise CannotCheck(said_by(error)) from None
        with contextlib.closing(conn):
            try:
                bench = _look(conn, project, standing=self.dsn is not None)
                lacking = (f"{each}: what needs it is not checked" for each in self._lacking)
                yield replace(bench, limits=(*lacking, *bench.limits))
            finally:
                with contextlib.suppress(psycopg.Error):
                    conn.rollback()

    def _dsn(self, project: Project) -> str:
        if self.dsn is not None:
            return self.dsn
        server = self._started()
        self._databases += 1
        name = f"check_{self._databases}"
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        dsn = server.dsn_for(name)
        for folder in project.migrations or ():
            self._migrate(dsn, project, folder)
        return dsn

    def _started(self) -> Embedded:
        if self._server is None:
            self.progress("starting a PostgreSQL")
            from sqlkit.embedded.scratch import scratch_server

            server = scratch_server(FOLDER_PREFIX, bindir=self.bindir, settings=SERVER_SETTINGS)
            try:
                self._server = self._stack.enter_context(server)
            except EmbeddedError as error:
                raise CannotCheck(str(error)) from None
        return self._server

    def _migrate(self, dsn: str, project: Project, folder: Path) -> None:
        from sqlkit.migrate import migrate

        self.progress(f"migrating {project.name or folder.name}")
        try:
            with self._possible(dsn, folder) as applied:
                try:
                    migrate(dsn, applied, schema=project.schema)
                except MigrationError as error:
                    raise MigrationError(str(error).replace(str(applied), str(folder))) from None
        except (MigrationError, ConfigurationError, psycopg.Error) as error:
            lacking = "".join(f"; {each}" for each in self._lacking)
            raise CannotCheck(f"{said_by(error)} (without its migrations nothing else is proved){lacking}") from None

    @contextlib.contextmanager
    def _possible(self, dsn: str, folder: Path) -> Iterator[Path]:
        """Give a folder of migrations, or a copy that makes nothing of extensions which the server lacks."""
        made = made_extensions(folder)
        with psycopg.connect(dsn, autocommit=True) as conn:
            there = {name for (name,) in conn.execute("select name::text from pg_catalog.pg_available_extensions")}
        missing = set(made) - there
        if not missing:
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix=COPY_PREFIX) as place:
            copy = Path(place, folder.name)
            for name, where in copy_without(folder, missing, copy):
                self._lacking.append(f"{where}: the server that is started lacks the extension {name}")
            yield copy


def old_server(version: int) -> str | None:
    """Say that a server is too old, by its version number (130021 is 13.21, 90624 is 9.6.24); None where it is not."""
    if version >= OLDEST * 10000:
        return None
    minor = version % 10000 if version >= 100000 else f"{version // 100 % 100}.{version % 100}"
    return f"PostgreSQL {version // 10000}.{minor} is older than {OLDEST}: check against a newer one"


def _shown(dsn: str) -> str:
    """Return a DSN without its password."""
    try:
        return Settings(url=dsn).safe_dsn
    except ConfigurationError:  # what surrounds it does not fit it; the connection's error says enough
        return "--dsn"


def said_by(error: Exception) -> str:
    """Return what an error says in one line; of the server's, the message without the detail, which quotes rows."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.diag.message_primary} ({type(error).__name__}, {error.sqlstate})"
    return " ".join(str(error).split()) or type(error).__name__


def _look(conn: psycopg.Connection[Any], project: Project, *, standing: bool) -> Bench:
    """Ask what can be proved on a database."""
    if old := old_server(conn.info.server_version):
        raise CannotCheck(old)
    row = conn.execute(FACTS).fetchone()
    assert row is not None  # noqa: S101 - there is no table that could be empty
    standby, read_only, temporary, extensions = row
    if project.schema is not None:
        _find_schema(conn, project.schema)
    conn.rollback()
    limits = []
    if standby or read_only:
        kind = "a standby" if standby else "read-only"
        limits.append(f"the server is {kind}: {WHAT_IT_PROVES} is not known here; name a writable one")
    elif not temporary:
        user = conn.info.user
        limits.append(f"{user} has no TEMP right on {conn.info.dbname}: {WHAT_IT_PROVES} is not known; grant it")
    wanted = [name for folder in project.migrations or () for name in made_extensions(folder)]
    missing = [name for name in dict.fromkeys(wanted) if name not in extensions]
    return Bench(conn, standing, tuple(limits), tuple(missing))


def _find_schema(conn: psycopg.Connection[Any], schema: str) -> None:
    if conn.execute("select from pg_catalog.pg_namespace where nspname = %s", [schema]).fetchone() is None:
        raise CannotCheck(f"schema {schema}: is not in the database {conn.info.dbname}; sqlkit migrate makes it")
