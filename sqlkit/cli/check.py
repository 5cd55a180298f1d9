"""``sqlkit check``: PostgreSQL proves that files, contracts and schema agree."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.text import Text

from sqlkit.checking.findings import CODES
from sqlkit.checking.project import Project, known_codes, read_projects
from sqlkit.cli.output import answers, remarks
from sqlkit.cli.target import SchemaOption
from sqlkit.errors import ConfigurationError

if TYPE_CHECKING:  # slow to import, and wanted by one command
    from sqlkit.checking.run import Report

__all__ = [
    "ConfigOption",
    "Format",
    "MigrationsOption",
    "ProjectOption",
    "StandingOption",
    "absolute_paths",
    "check_command",
    "told",
    "with_migrations",
]


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def _codes_like(incomplete: str) -> list[tuple[str, str]]:
    """Complete the last code of a list."""
    before, comma, last = incomplete.rpartition(",")
    return [(f"{before}{comma}{code}", CODES[code][1]) for code in CODES if code.startswith(last.upper())]


def _projects_like(incomplete: str) -> list[str]:
    with contextlib.suppress(ConfigurationError):
        return [project.name for project in read_projects() if project.name.startswith(incomplete)]
    return []


ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", dir_okay=False, help="The pyproject.toml; else the nearest one above."),
]
StandingOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--dsn", metavar="DSN", help="Look at this database, and leave it as it is; else a PostgreSQL is started."
    ),
]
MigrationsOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--migrations", metavar="DIR", file_okay=False, help="The migrations to apply first (migrations); also several."
    ),
]
ProjectOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--project", metavar="NAME", autocompletion=_projects_like, help="One project of several in the configuration."
    ),
]
CodesOption: TypeAlias = list[str] | None
SelectOption: TypeAlias = Annotated[
    CodesOption, typer.Option("--select", metavar="CODES", autocompletion=_codes_like, help="These alone: SK007.")
]
IgnoreOption: TypeAlias = Annotated[
    CodesOption,
    typer.Option("--ignore", metavar="CODES", autocompletion=_codes_like, help="All but these: SK012,SK013."),
]
HintsOption: TypeAlias = Annotated[
    bool | None, typer.Option("--hints/--no-hints", help="Show hints, too.", show_default="the configuration's")
]


def check_command(
    modules: Annotated[
        list[str] | None, typer.Argument(metavar="MODULES", help="Modules to import: app.queries, app.*.")
    ] = None,
    config: ConfigOption = None,
    dsn: StandingOption = None,
    schema: SchemaOption = None,
    migrations: MigrationsOption = None,
    sql: Annotated[
        list[Path] | None, typer.Option("--sql", metavar="DIR", help="A folder whose statements must all be declared.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", metavar="FORM", help="text for people, json for programs, github for Actions.")
    ] = Format.TEXT,
    hints: HintsOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for hints, too (shows them).")] = False,
    select: SelectOption = None,
    ignore: IgnoreOption = None,
    plans: Annotated[
        bool, typer.Option("--plans", help="Look at plans, too, and compare them with the snapshot; needs --dsn.")
    ] = False,
    update_plans: Annotated[
        bool, typer.Option("--update-plans", help="Look at plans and write the snapshot anew; needs --dsn.")
    ] = False,
    name: ProjectOption = None,
) -> None:
    """Prove every statement, in every variant, against the migrated schema, and compare it with its Protocol.

    Configured by the table tool.sqlkit of pyproject.toml, or by arguments. Without --dsn a PostgreSQL is started,
    migrated and thrown away. Ends with 0 when all is well, 1 for errors and warnings, 2 when something could not be
    checked.
    """
    from sqlkit.checking.run import check

    given = {"schema": schema, "migrations": absolute_paths(migrations), "sql": absolute_paths(sql)}
    projects = [with_migrations(project.replaced(**given), dsn) for project in _projects(modules or [], config, name)]
    _expect_enough(projects, dsn, plans or update_plans)
    with told(form is Format.TEXT) as progress:
        report = check(
            projects,
            dsn,
            hints=True if strict else hints,
            select=known_codes(_split(select), "--select"),
            ignore=known_codes(_split(ignore), "--ignore"),
            plans=plans,
            update_plans=update_plans,
            progress=progress,
        )
    _print(report, form, strict=strict)
    raise typer.Exit(report.status(strict=strict))


def with_migrations(project: Project, dsn: str | None) -> Project:
    """Return the project with the folder named migrations beside it, where nothing else says what makes its schema."""
    folder = project.root / "migrations"
    if dsn is None and project.migrations is None and any(folder.glob("*.sql")):
        return replace(project, migrations=(folder,))
    return project


def absolute_paths(paths: Sequence[Path] | None) -> tuple[Path, ...]:
    """Return the paths of an option, as a project has them."""
    return tuple(path.absolute() for path in paths or ())


def _split(codes: Sequence[str] | None) -> list[str]:
    return [code.strip().upper() for part in codes or [] for code in part.split(",") if code.strip()]


def _projects(modules: Sequence[str], config: Path | None, name: str | None) -> list[Project]:
    """Return the projects that are meant, with the modules that are named instead of their own."""
    projects = read_projects(config)
    if name is not None:
        projects = [project for project in projects if project.name == name] or _no_project(projects, name)
    if not projects:
        projects = [Project(Path.cwd())]
    if not modules:
        return projects
    if len(projects) == 1:
        return [replace(projects[0], modules=tuple(modules), sql=())]
    return [_narrowed(projects, module) for module in modules]


def _no_project(projects: Sequence[Project], name: str) -> list[Project]:
    names = ", ".join(project.name for project in projects if project.name)
    raise ConfigurationError(f"--project {name}: there is no such project" + (f" (there are {names})" if names else ""))


def _narrowed(projects: Sequence[Project], module: str) -> Project:
    """Return the project that a module is of, with that module alone."""
    for project in projects:
        for own in project.modules:
            if module == own or (own.endswith(".*") and f"{module}.".startswith(own[:-1])):
                return replace(project, modules=(module,), sql=())
    raise ConfigurationError(f"{module}: is in none of the projects; say which one's by --project")


def _expect_enough(projects: Sequence[Project], dsn: str | None, plans: bool) -> None:
    for project in projects:
        label = f"{project.name}: " if project.name else ""
        if not project.modules and not project.sql:
            raise ConfigurationError(
                f"{label}there is nothing to check: name modules, or write [tool.sqlkit] into pyproject.toml "
                '(modules = ["app.queries"], migrations = "migrations")'
            )
        if dsn is None and project.migrations is None:
            raise ConfigurationError(f"{label}there is no schema to check against: give --migrations DIR or --dsn")
        if plans and project.plans is None:
            raise ConfigurationError(f'{label}--plans: name the snapshot in [tool.sqlkit]: plans = "plans.json"')
    if plans and dsn is None:
        raise ConfigurationError("--plans: needs a --dsn, for plans depend on real statistics")


@contextlib.contextmanager
def told(people: bool) -> Iterator[Callable[[str], None]]:
    """Give what shows on a terminal what is being done; elsewhere it shows nothing."""
    if not people or not remarks.is_terminal:
        yield lambda _: None
        return
    with remarks.status("", spinner="dots") as status:
        yield lambda text: status.update(Text(text, "dim"))


def _print(report: Report, form: Format, *, strict: bool) -> None:
    from sqlkit.checking.report.machines import github_report, json_report
    from sqlkit.checking.report.people import report_lines

    if form is Format.TEXT:
        for line in report_lines(report):
            answers.print(Text.assemble(*line), soft_wrap=True)
        return
    sys.stdout.write(json_report(report, strict=strict) if form is Format.JSON else github_report(report))
