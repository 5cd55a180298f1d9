"""``sqlkit generate``: the Python for a ``.sql`` file, written, printed or compared."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from sqlkit.checking.project import Project
from sqlkit.cli.check import (
    ConfigOption,
    MigrationsOption,
    ProjectOption,
    StandingOption,
    absolute_paths,
    told,
    with_migrations,
)
from sqlkit.cli.describe import chosen_statements, project_of
from sqlkit.cli.output import say
from sqlkit.cli.target import SchemaOption
from sqlkit.errors import ConfigurationError
from sqlkit.statements import Statement

if TYPE_CHECKING:  # slow to import, and wanted by one command
    from sqlkit.generating.writing import Layout

__all__ = ["generate_command"]

DIFFERS = 1


def _names_like(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the names of the file's statements."""
    from sqlkit.errors import SqlkitError

    try:
        source = _read(Path(ctx.params["file"]))
    except (SqlkitError, KeyError, TypeError):
        return []
    return [statement.name for statement in source.statements if statement.name.startswith(incomplete)]


NamesArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Some of its statements; else all.", autocompletion=_names_like),
]
OutputOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write the module here; else it is printed."),
]
ProtocolOption: TypeAlias = Annotated[
    str | None, typer.Option("--protocol", metavar="NAME", help="The Protocol's name; songs.sql has SongQueries.")
]
ModelsOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--models-from", metavar="MODULE", help="Use the models of this module whose fields match."),
]
SqlOutputOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--sql-output", metavar="FILE", dir_okay=False, help="Write an aiosql file in sqlkit's form here."),
]


def generate_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="A .sql file, also one of aiosql's.")],
    names: NamesArgument = None,
    output: OutputOption = None,
    protocol: ProtocolOption = None,
    asynchronous: Annotated[bool, typer.Option("--async", help="Methods for asyncio.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Two Protocols, one of them for asyncio.")] = False,
    models_from: ModelsOption = None,
    sql_output: SqlOutputOption = None,
    config: ConfigOption = None,
    dsn: StandingOption = None,
    schema: SchemaOption = None,
    migrations: MigrationsOption = None,
    project_name: ProjectOption = None,
) -> None:
    """Write the models, the Protocol and the load line for a .sql file, as its statements and the schema want them.

    What exists is never overwritten: the difference is printed. Ends with 1 where there is one, else with 0.
    """
    from sqlkit.generating.placing import layout_for

    if asynchronous and both:
        raise typer.BadParameter("give one of them", param_hint="--async and --both")
    source = _read(file)
    if source.converted is not None:
        _tell(source, file, sql_output)
    chosen: Sequence[str | None] = names or [None]
    statements = [each for name in chosen for each in chosen_statements(source.statements, file, name)]
    project = project_of(file, config, project_name, alone=dsn is not None or migrations is not None)
    project = with_migrations(project.replaced(schema=schema, migrations=absolute_paths(migrations)), dsn)
    if dsn is None and project.migrations is None:
        raise ConfigurationError(f"{file}: there is no schema to generate for: give --migrations DIR or --dsn")
    sql = sql_output if source.converted is not None and sql_output else file
    colours = ("sync", "async") if both else ("async",) if asynchronous else ("sync",)
    layout = layout_for(sql, output, protocol=protocol, colours=colours)
    text = _generated(statements, project, dsn, layout, models_from)
    differs = [
        _write(path, content) for path, content in ((sql_output, source.converted), (output, text)) if path and content
    ]
    if output is None:
        sys.stdout.write(text)
    raise typer.Exit(DIFFERS if any(differs) else 0)


def _generated(
    statements: Sequence[Statement], project: Project, dsn: str | None, layout: Layout, models_from: str | None
) -> str:
    from sqlkit.checking.report.lines import shown_text
    from sqlkit.checking.sources import importable
    from sqlkit.checking.workbench import CannotCheck, Workbench
    from sqlkit.generating.generate import generate

    with told(True) as progress, Workbench(dsn, progress=progress) as workbench:
        try:
            with workbench.bench(project) as bench, importable(project.root):
                for limit in bench.limits:
                    say(shown_text(limit), error=True)
                return generate(bench.conn, statements, layout, models_from=models_from)
        except CannotCheck as reason:
            raise ConfigurationError(shown_text(str(reason))) from None


@dataclass(frozen=True, slots=True)
class _Source:
    """A file's statements; where it is in aiosql's form, the text in sqlkit's and what there is to say of it."""

    statements: Sequence[Statement]
    converted: str | None = None
    remarks: tuple[tuple[int, str], ...] = ()


def _read(file: Path) -> _Source:
    from sqlkit.generating.aiosql import convert, is_aiosql
    from sqlkit.sqlfile.sqltext import read_text
    from sqlkit.statements import parse_statements

    source = read_text(file)
    if not is_aiosql(source):
        return _Source(parse_statements(source.text, file))
    converted = convert(source.text, file)
    return _Source(parse_statements(converted.text, file), converted.text, converted.remarks)


def _tell(source: _Source, file: Path, sql_output: Path | None) -> None:
    for line, remark in source.remarks:
        say(f"{file}:{line}: {remark}")
    if sql_output is None:
        say(f"{file}: is in aiosql's form, which load does not read: --sql-output FILE writes it in sqlkit's")


def _write(path: Path, text: str) -> bool:
    """Write a file that is not there; of one that is, print how it differs. Return whether it does."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            say(f"{path}: written")
            return False
        old = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read or written: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8, so it is not compared: name another file") from None
    if old == text:
        say(f"{path}: is as it would be written")
        return False
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), text.splitlines(keepends=True), str(path), f"{path} (generated)"
    )
    sys.stdout.write(
        "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    )
    say(f"{path}: exists and differs, so it is left as it is: take over what you want of the diff, or remove the file")
    return True
