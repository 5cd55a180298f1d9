"""Which database a command means.

::

    --dsn  or  --folder   >   environment, .env, config.yml   >   the embedded PostgreSQL in .sqlkit

The last is made where it is missing for those commands alone that fill a database: to look at an empty one of its
own, or to back it up, would tell a job without its DATABASE_URL that all is well.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import psycopg
import typer

from sqlkit.cli.output import say
from sqlkit.database.unreachable import unreachable
from sqlkit.embedded import Embedded
from sqlkit.errors import ConfigurationError
from sqlkit.settings import Settings

__all__ = ["FOLDER", "DsnOption", "FolderOption", "SchemaOption", "Target", "connected", "opened_target"]

#: Where the embedded server is kept, below the working directory.
FOLDER = Path(".sqlkit")

DsnOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--dsn", metavar="DSN", help="The database. Better in DATABASE_URL, where no process list shows its password."
    ),
]
FolderOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="DIR", file_okay=False, help=f"Use the embedded PostgreSQL of this folder ({FOLDER})."
    ),
]
SchemaOption: TypeAlias = Annotated[
    str | None, typer.Option("--schema", metavar="NAME", help="The schema that tables are in.")
]


@dataclass(frozen=True, slots=True)
class Target:
    """A database: its settings, and its server where that is ours."""

    settings: Settings
    server: Embedded | None = None


@contextmanager
def opened_target(
    dsn: str | None, folder: Path | None, *, schema: str | None = None, configured: bool = True, made: bool = False
) -> Generator[Target]:
    """Give the database that is meant, and stop its server afterwards if this started it.

    ``configured=False`` does not look into the environment. ``made`` makes an embedded one where nothing is named and
    none is there. Raises ConfigurationError.
    """
    if dsn is not None and folder is not None:
        raise ConfigurationError("--dsn and --folder: give one of them")
    schema_given = {} if schema is None else {"schema": schema}
    settings = None
    if dsn is not None:
        settings = _named(dsn, schema_given)
    elif folder is None and configured:
        settings = _configured(schema_given)
    if settings is not None:
        yield Target(settings)
        return
    place = (folder or FOLDER).absolute()
    if folder is None and not made and not (place / "data").is_dir():
        raise ConfigurationError(
            "no database is named: set DATABASE_URL (postgresql://user:password@host:port/database), or give --dsn,"
            f" or --folder for an embedded PostgreSQL (there is none in {place})"
        )
    with Embedded.start(place) as server:
        reason = " (no database is named)" if folder is None and configured else ""
        say(f"using the embedded PostgreSQL {server.version} in {place}{reason}")
        yield Target(Settings(url=server.dsn, **schema_given), server)


@contextmanager
def connected(settings: Settings, command: str) -> Generator[psycopg.Connection[Any]]:
    """Give a connection for a command; ConfigurationError that names the server where there is none."""
    try:
        conn = psycopg.connect(settings.dsn(), application_name=f"sqlkit {command}")
    except psycopg.OperationalError as error:
        raise ConfigurationError(unreachable(settings.safe_dsn, error)) from error
    with conn:
        yield conn


def _named(dsn: str, schema_given: dict[str, str]) -> Settings:
    """Read the settings of a DSN; an error begins with the option, as who gave it knows it."""
    try:
        return Settings(url=dsn, **schema_given)
    except ConfigurationError as error:
        said = str(error).replace("Settings(url=)", "--dsn").replace("Settings(schema=)", "--schema")
        if said.startswith("Settings: no database is named"):
            said = "--dsn: names no database (postgresql://user:password@host:port/database)"
        raise ConfigurationError(said) from None


def _configured(schema_given: dict[str, str]) -> Settings | None:
    """Read the settings; None where nothing names a database, or a server or user that one could be asked of."""
    try:
        return Settings(**schema_given)
    except ConfigurationError:
        try:
            rest = Settings(name="postgres")
        except ConfigurationError:
            rest = None
        if rest is None or rest.model_fields_set & {"host", "port", "user", "password", "parameters"}:
            raise
        return None
