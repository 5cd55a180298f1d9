"""``sqlkit diagram``: a schema as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from sqlkit.apps import MIGRATIONS
from sqlkit.cli.target import DsnOption, FolderOption, SchemaOption, connected, opened_target
from sqlkit.errors import ConfigurationError
from sqlkit.operations.diagram import diagram
from sqlkit.settings import Settings

__all__ = ["app_named", "diagram_command", "migrate_app"]

FOLDER_PREFIX = "sqlkit-diagram-"


def diagram_command(
    app: Annotated[
        str | None, typer.Argument(metavar="APP", help="An application of sqlkit's: its migrations are drawn.")
    ] = None,
    dsn: DsnOption = None,
    folder: FolderOption = None,
    schema: SchemaOption = None,
) -> None:
    """Draw a schema as a Mermaid erDiagram: tables, columns, keys, relations.

    Of an application, its migrations are applied to a PostgreSQL of its own first, which is thrown away; with --dsn or
    --folder, the schema is drawn as it stands there.
    """
    if app is not None:
        app_named(app)
    with _target(app, dsn, folder, schema) as (settings, name), connected(settings, "diagram") as conn:
        typer.echo(diagram(conn, name), nl=False)


@contextmanager
def _target(
    app: str | None, dsn: str | None, folder: Path | None, schema: str | None
) -> Iterator[tuple[Settings, str | None]]:
    """Give the settings of the database to draw, and the schema."""
    if app is None or dsn is not None or folder is not None:
        with opened_target(dsn, folder, schema=schema) as target:
            yield target.settings, target.settings.schema or app
        return
    from sqlkit.embedded.scratch import scratch_server

    with scratch_server(FOLDER_PREFIX) as server:
        migrate_app(server.dsn, app, schema or app)
        yield Settings(url=server.dsn), schema or app


def app_named(name: str) -> Path:
    """Return the folder of an application's migrations; ConfigurationError where there is no such application."""
    folders = (path for path in MIGRATIONS.iterdir() if path.is_dir())
    apps = sorted(path.name for path in folders if find_spec(f"sqlkit.apps.{path.name}"))  # others are of sqlkit's own
    if name not in apps:
        raise ConfigurationError(f"{name}: there is no such application: {', '.join(apps)}")
    return MIGRATIONS / name


def migrate_app(dsn: str, name: str, schema: str) -> None:
    """Apply an application's migrations: those of its folder, or of its chains in their order."""
    from sqlkit.migrate import migrate

    chains = getattr(import_module(f"sqlkit.apps.{name}"), "CHAINS", ())
    for folder in [chain.folder for chain in chains] or [app_named(name)]:
        migrate(dsn, folder, schema=schema)
