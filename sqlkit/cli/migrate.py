"""``sqlkit migrate``: the migrations of an application or of a folder."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.table import Column, Table

from sqlkit.apps import MIGRATIONS
from sqlkit.checking.project import read_projects
from sqlkit.cli.confirming import ConfirmOption, confirm
from sqlkit.cli.looking import screen
from sqlkit.cli.output import answers
from sqlkit.cli.target import DsnOption, FolderOption, SchemaOption, Target, connected, opened_target
from sqlkit.database.options import migrating_dsn
from sqlkit.errors import ConfigurationError

__all__ = ["Action", "AppOption", "FilesOption", "chosen_migrations", "migrate", "rolled_back"]


FOLDER = Path("migrations")  # what is meant where neither option says so


def apps() -> list[str]:
    """Return the names of sqlkit's applications."""
    return sorted(path.name for path in MIGRATIONS.iterdir() if path.is_dir())


class Action(StrEnum):
    """What to do with the migrations."""

    UP = "up"
    DOWN = "down"
    CURRENT = "current"
    STATUS = "status"
    HISTORY = "history"
    NEW = "new"


AppOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--app", metavar="NAME", help=f"An application of sqlkit's: {', '.join(apps())}.", autocompletion=apps
    ),
]
FilesOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--migrations",
        metavar="DIR",
        help=f"Or a folder of your own; else the one of pyproject.toml, or {FOLDER}, where there is one.",
    ),
]
AdoptOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--adopt",
        help="Apply nothing: compare a database whose tables something else has made (an ORM) with what the "
        "migrations would make, mark what is there as applied, and say what differs (then the status is 1).",
    ),
]
PrefixOption: TypeAlias = Annotated[
    str, typer.Option("--prefix", metavar="PREFIX", help="For --adopt: what table names begin with, such as app_.")
]


def migrate(
    action: Annotated[
        Action,
        typer.Argument(
            metavar="ACTION",
            help="up: apply all; down: roll back the last; current: which is the last; status: which are not applied; "
            "history: which are, and when; new: write the files of the next.",
        ),
    ] = Action.UP,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="For new: what it does, as create-songs.")] = None,
    app: AppOption = None,
    migrations: FilesOption = None,
    dsn: DsnOption = None,
    folder: FolderOption = None,
    schema: SchemaOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="For down: how many.")] = 1,
    adopt: AdoptOption = False,
    prefix: PrefixOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="For --adopt: mark nothing.")] = False,
    confirmed: ConfirmOption = None,
) -> None:
    """Apply the migrations that are not applied yet, or look at them, or go back.

    The schema is --schema, else the one of the settings, else the application's name or the project's. Going back
    drops tables with their rows, so it asks for the database's name, or takes it by --confirm.
    """
    _refuse_what_stands_alone(action, name, adopt=adopt, prefix=prefix, dry_run=dry_run)
    if action is Action.NEW:
        _new(*chosen_migrations(app, migrations, new=True), name or "")
        return
    places, default_schema = chosen_migrations(app, migrations)
    with opened_target(dsn, folder, schema=schema, made=True) as target:
        settings = target.settings
        if dsn is None:
            migrating_dsn(settings)  # which is not a pooler's
        where = settings.schema or default_schema
        with connected(settings, "migrate"):  # a server that does not answer is named
            pass
        if adopt:
            _adopt(settings.dsn(), places, where, prefix, dry_run)
            return
        if action is Action.DOWN:
            _confirm_down(target, confirmed, where, count)
        screen().print(_do(action, settings.dsn(), places, where, count), markup=False, soft_wrap=True)


def _refuse_what_stands_alone(action: Action, name: str | None, *, adopt: bool, prefix: str, dry_run: bool) -> None:
    """Refuse words that mean nothing beside each other."""
    if adopt and action is not Action.UP:
        raise typer.BadParameter("stands alone: nothing is applied or rolled back", param_hint="--adopt")
    if (prefix or dry_run) and not adopt:
        raise typer.BadParameter("belongs to --adopt", param_hint="--prefix" if prefix else "--dry-run")
    if (action is Action.NEW) is (name is None):
        raise typer.BadParameter("new takes a name, such as create-songs, and nothing else does", param_hint="name")


def chosen_migrations(app: str | None, folder: Path | None, *, new: bool = False) -> tuple[list[Path], str | None]:
    """Return the folders that are meant and the schema of the application or the project, if it has one.

    It is one folder, but for an application whose modules have chains of their own and a project with several.
    ``new`` takes a folder that is empty or not there yet, too.
    """
    if app is not None and folder is not None:
        raise ConfigurationError("--app and --migrations: give one of them")
    if folder is not None:
        return [folder], None
    if app is None:
        return _own_migrations(new)
    if app not in apps():
        raise ConfigurationError(
            f"--app {app}: there is no such application; give --app ({', '.join(apps())}) or --migrations DIR"
        )
    chains = getattr(import_module(f"sqlkit.apps.{app}"), "CHAINS", ())
    return [chain.folder for chain in chains] or [MIGRATIONS / app], app


def _own_migrations(new: bool) -> tuple[list[Path], str | None]:
    """Return the folders of the one project in pyproject.toml, else the one that is named migrations."""
    projects = read_projects()
    if len(projects) == 1 and projects[0].migrations:
        here = Path.cwd()
        folders = [path.relative_to(here) if path.is_relative_to(here) else path for path in projects[0].migrations]
        return folders, projects[0].schema
    if any(FOLDER.glob("*.sql")) or (new and not any(FOLDER.glob("*/*.sql"))):
        return [FOLDER], None
    raise ConfigurationError(
        f"which migrations? there are none in {FOLDER}; write the first with sqlkit migrate new create-songs, or give "
        f"--migrations DIR, or --app for an application of sqlkit's ({', '.join(apps())})"
    )


def _confirm_down(target: Target, confirmed: str | None, schema: str | None, count: int) -> None:
    """Ask for the database's name before the last migrations are rolled back, and say which those are."""
    from sqlkit.migrate import history

    names = [applied.migration_id for applied in history(target.settings.dsn(), schema=schema)[-count:]][::-1]
    if names:
        confirm(target, confirmed, f"This rolls back {', '.join(names)}, with all that came of it")


def _do(action: Action, dsn: str, places: list[Path], schema: str | None, count: int) -> str | Table:
    import sqlkit.migrate as migrations

    if action is Action.HISTORY:
        return _history(dsn, schema)
    if action is Action.CURRENT:
        return _current(dsn, places, schema)
    if action is Action.STATUS:
        pending = [name for place in places for name in migrations.pending(dsn, place, schema=schema)]
        return _listed(pending, "not applied yet", "everything is applied", schema)
    if action is Action.DOWN:
        return _listed(rolled_back(dsn, places, schema, count), "rolled back", "there is nothing to roll back", schema)
    applied = [name for place in places for name in migrations.migrate(dsn, place, schema=schema)]
    return _listed(applied, "applied", "everything is applied", schema)


def _adopt(dsn: str, places: list[Path], schema: str | None, prefix: str, dry_run: bool) -> None:
    """Mark what is there, and say what is not; status 1 where anything differs."""
    from sqlkit.migrate import State, adopt

    adoption = adopt(dsn, places, schema=schema, prefix=prefix, dry_run=dry_run)
    marked = "would be marked as applied" if dry_run else "marked as applied"
    lines = [
        f"{name}: {state.value}{f', {marked}' if state is State.ADOPTED else ''}"
        for name, state in adoption.states.items()
    ]
    if adoption.differences:
        lines += ["", "What differs:", *map(str, adoption.differences)]
    if adoption.statements:
        lines += ["", "What would set names right, and was not run:", *adoption.statements]
    if adoption.unknown:
        lines += ["", f"Left alone, for no migration makes them: {', '.join(adoption.unknown)}"]
    answers.print("\n".join(lines), markup=False, soft_wrap=True)
    if not adoption.complete:
        raise typer.Exit(1)


def rolled_back(dsn: str, places: list[Path], schema: str | None, count: int | None) -> list[str]:
    """Roll back the last migrations (None: all), whichever of the chains each is of."""
    from sqlkit.migrate import history, rollback

    if len(places) == 1:
        return rollback(dsn, places[0], schema=schema, count=count)
    undone: list[str] = []
    for applied in reversed(history(dsn, schema=schema)[-count if count else None :]):
        place = next((one for one in places if (one / f"{applied.migration_id}.sql").exists()), places[0])
        undone += rollback(dsn, place, schema=schema)
    return undone


def _listed(names: list[str], done: str, nothing: str, schema: str | None) -> str:
    where = f" (schema {schema})" if schema else ""
    return "\n".join(f"{name}: {done}" for name in names) or f"{nothing}{where}"


def _history(dsn: str, schema: str | None) -> Table:
    from sqlkit.migrate import history

    table = Table(Column("migration", overflow="fold"), "applied (UTC)", "SHA-256")
    for applied in history(dsn, schema=schema):
        checksum = (applied.checksum or "")[:12] or "by plain yoyo"
        table.add_row(applied.migration_id, f"{applied.applied_at:%Y-%m-%d %H:%M:%S}", checksum)
    return table


def _current(dsn: str, places: list[Path], schema: str | None) -> str:
    """Say which migration was applied last, and whether others wait."""
    from sqlkit.migrate import history, pending

    waiting = sum(len(pending(dsn, place, schema=schema)) for place in places)
    rest = f"{waiting} not applied yet" if waiting else "everything is applied"
    applied = history(dsn, schema=schema)
    if not applied:
        return _listed([], "", f"nothing is applied, {rest}", schema)
    return f"{applied[-1].migration_id}: applied {applied[-1].applied_at:%Y-%m-%d %H:%M:%S} UTC, {rest}"


def _new(places: list[Path], _schema: str | None, name: str) -> None:
    from sqlkit.migrate import new_migration

    if len(places) > 1:
        raise ConfigurationError(f"which chain? give --migrations ({', '.join(map(str, places))})")
    for path in new_migration(places[0], name):
        answers.print(str(path), markup=False, soft_wrap=True)
