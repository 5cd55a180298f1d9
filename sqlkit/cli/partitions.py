"""``sqlkit partitions``: make partitions ahead and drop those past their retention."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer

from sqlkit.cli.confirming import ConfirmOption, confirm
from sqlkit.cli.diagram import app_named
from sqlkit.cli.output import answers
from sqlkit.cli.target import DsnOption, FolderOption, SchemaOption, opened_target
from sqlkit.database import Database
from sqlkit.errors import ConfigurationError
from sqlkit.operations import Partitioned, keep_partitions
from sqlkit.operations.units import counted

__all__ = ["By", "partitions_command", "tables_of_app"]


class By(StrEnum):
    """How long a partition is."""

    DAY = "day"
    MONTH = "month"


def partitions_command(
    app: Annotated[
        str | None, typer.Argument(metavar="APP", help="An application of sqlkit's: its partitioned tables.")
    ] = None,
    dsn: DsnOption = None,
    folder: FolderOption = None,
    schema: SchemaOption = None,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help="One table, with --by.")] = None,
    by: Annotated[By | None, typer.Option("--by", help="What a partition of --table holds, in UTC.")] = None,
    ahead: Annotated[int | None, typer.Option("--ahead", min=0, help="How many to make after today's.")] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=0, help="How many whole ones before today's stay; else all of a --table."),
    ] = None,
    leave_files: Annotated[
        bool,
        typer.Option("--leave-files", help="Only detach what is past its retention now; the next run drops it."),
    ] = False,
    confirmed: ConfirmOption = None,
) -> None:
    """Make the partitions that are missing and drop those past their retention, with their rows; say what was done.

    To be run daily, by as many at once as there are. Status 1 where something could not be locked in time, and is
    left to the next run. A retention that an application declares needs no question; one that --keep gives asks for
    the database's name, or takes it by --confirm.
    """
    tables = _tables(app, table, by, {"ahead": ahead, "keep": keep})
    with opened_target(dsn, folder, schema=schema) as target:
        if keep is not None:
            names = ", ".join(one.table for one in tables)
            kept = counted(keep, "whole partition")
            confirm(target, confirmed, f"This drops all but the last {kept} of {names}, with their rows")
        settings = target.settings.replace(schema=target.settings.schema or app)
        busy = False
        with Database.connect(settings, application_name="sqlkit partitions") as db:
            for one in tables:
                report = keep_partitions(db, one, leave_files=leave_files)
                answers.print(str(report), markup=False, soft_wrap=True)
                busy = busy or bool(report.busy)
    raise typer.Exit(1 if busy else 0)


def _tables(app: str | None, table: str | None, by: By | None, numbers: dict[str, int | None]) -> list[Partitioned]:
    """Return the tables that are meant, with the numbers that are given."""
    given: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    if app is None:
        if table is None or by is None:
            raise ConfigurationError("which tables? give an application, or --table and --by")
        return [Partitioned(table, by="day" if by is By.DAY else "month", **given)]
    if by is not None:
        raise ConfigurationError(f"--by: the tables of {app} say it themselves")
    found = tables_of_app(app)
    chosen = [replace(one, **given) for one in found if table in (None, one.table)]
    if not chosen:
        names = ", ".join(one.table for one in found)
        wanted = f" {table}" if table else ""
        raise ConfigurationError(f"{app}: has no partitioned table{wanted} (it has {names or 'none'})")
    return chosen


def tables_of_app(app: str) -> list[Partitioned]:
    """Return the partitioned tables that the modules of an application declare, by name."""
    app_named(app)
    found = {one.table: one for module in _modules(app) for one in _declared(module)}
    return [found[name] for name in sorted(found)]


def _modules(app: str) -> Iterator[ModuleType]:
    package = import_module(f"sqlkit.apps.{app}")
    yield package
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(".http"):  # which needs an extra, and declares routes alone
            yield import_module(module.name)


def _declared(module: ModuleType) -> Iterator[Partitioned]:
    for value in vars(module).values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Partitioned):
                yield one
