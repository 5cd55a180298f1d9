"""``sqlkit describe``: what a statement takes and returns, as PostgreSQL says."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sqlkit.checking.project import Project, read_projects
from sqlkit.checking.report.lines import shown_text
from sqlkit.cli.check import (
    ConfigOption,
    MigrationsOption,
    ProjectOption,
    StandingOption,
    absolute_paths,
    told,
    with_migrations,
)
from sqlkit.cli.output import answers, say
from sqlkit.cli.target import SchemaOption
from sqlkit.errors import ConfigurationError, SqlkitError
from sqlkit.statements import Statement, read_statements

if TYPE_CHECKING:  # slow to import, and wanted by one command
    from sqlkit.checking.report.descriptions import StatementSummary

__all__ = ["chosen_statements", "describe_command", "project_of"]


def _names_like(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the names of the file's statements."""
    try:
        statements = read_statements(Path(ctx.params["file"]))
    except (SqlkitError, KeyError, TypeError):
        return []
    return [statement.name for statement in statements if statement.name.startswith(incomplete)]


def describe_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="A .sql file.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", autocompletion=_names_like, help="One of its statements; else all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as a JSON list.")] = False,
    config: ConfigOption = None,
    dsn: StandingOption = None,
    schema: SchemaOption = None,
    migrations: MigrationsOption = None,
    project_name: ProjectOption = None,
) -> None:
    """Say which parameters a statement takes and which columns it returns, with the reason why each can be NULL or not.

    The schema is that of --dsn, else that of the migrations of the project in pyproject.toml, or of --migrations. Ends
    with 1 where PostgreSQL refuses a statement, with 2 where one could not be described.
    """
    statements = chosen_statements(read_statements(file), file, name)
    project = project_of(file, config, project_name, alone=dsn is not None or migrations is not None)
    project = with_migrations(project.replaced(schema=schema, migrations=absolute_paths(migrations)), dsn)
    if dsn is None and project.migrations is None:
        say("no migrations: describing against an empty database (--migrations DIR or --dsn name another)")
    summaries, limits = _describe(statements, project, dsn, people=not as_json)
    for limit in limits:
        say(shown_text(limit), error=True)
    if as_json:
        typer.echo(json.dumps([summary.content() for summary in summaries], indent=2, ensure_ascii=False))
    else:
        _show(summaries)
    raise typer.Exit(max([2 if limits else 0, *(summary.status() for summary in summaries)]))


def chosen_statements(statements: Sequence[Statement], file: Path, name: str | None) -> list[Statement]:
    """Return the statement of a name, all without one; ConfigurationError for a name that a file lacks."""
    chosen = [statement for statement in statements if name in (None, statement.name)]
    if not chosen:
        names = [statement.name for statement in statements]
        near = difflib.get_close_matches(name or "", names, 1)
        hint = f", did you mean {near[0]}?" if near else f" (it has {', '.join(names)})"
        raise ConfigurationError(f"{file}: has no statement {name}{hint}")
    return chosen


def project_of(file: Path, config: Path | None, name: str | None, *, alone: bool) -> Project:
    """Return the project that a file belongs to: the one that is named, the one whose folder it is in, the only one."""
    projects = read_projects(config)
    if name is not None:
        projects = [project for project in projects if project.name == name]
        if not projects:
            raise ConfigurationError(f"--project {name}: there is no such project")
    path = file.resolve()
    holding = [each for each in projects if any(path.is_relative_to(folder.resolve()) for folder in each.sql)]
    if len(holding) == 1 or len(projects) == 1:
        return (holding or projects)[0]
    if projects and not alone:
        names = ", ".join(project.name for project in projects)
        raise ConfigurationError(f"{file}: is in the folder of no project, or of several: say --project ({names})")
    return Project(Path.cwd())


def _describe(
    statements: Sequence[Statement], project: Project, dsn: str | None, *, people: bool
) -> tuple[list[StatementSummary], tuple[str, ...]]:
    from sqlkit.checking.report.descriptions import summarise
    from sqlkit.checking.workbench import CannotCheck, Workbench
    from sqlkit.describing.describe import describe

    with told(people) as progress, Workbench(dsn, progress=progress) as workbench:
        try:
            with workbench.bench(project) as bench:
                return summarise(list(describe(bench.conn, statements))), bench.limits
        except CannotCheck as reason:
            raise ConfigurationError(shown_text(str(reason))) from None


def _show(summaries: Sequence[StatementSummary]) -> None:
    for number, summary in enumerate(summaries):
        if number:
            answers.print()
        for line in summary.lines():
            answers.print(Text.assemble(*line), soft_wrap=True)
