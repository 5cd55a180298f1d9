"""The application that typer runs: the commands, and how an error or Ctrl-C ends each of them."""

from __future__ import annotations

import errno
import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import psycopg
import typer
from typer.core import TyperGroup

from sqlkit.cli import (
    backup,
    check,
    demo,
    describe,
    diagram,
    generate,
    health,
    looking,
    migrate,
    partitions,
    psql,
    report,
    reset,
    top,
)
from sqlkit.cli.output import say
from sqlkit.errors import SqlkitError

__all__ = ["app"]

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


class Commands(TyperGroup):
    """All commands: what sqlkit, PostgreSQL or the system refuses is one line and status 2; Ctrl-C is 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except (SqlkitError, psycopg.Error) as error:
            if ctx.params.get("debug"):
                raise
            say(_reason(error), error=True)
            raise typer.Exit(2) from None
        except OSError as error:
            if error.errno == errno.EPIPE or ctx.params.get("debug"):  # `| head` is no error: typer ends quietly
                raise
            say(f"{error.filename or 'output'}: {error.strerror or type(error).__name__}", error=True)
            _forget_output()
            raise typer.Exit(2) from None


def _forget_output() -> None:
    """Write nowhere what could not be written, else Python would try again at its end, with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reason(error: SqlkitError | psycopg.Error) -> str:
    """Return what an error says: of the server's, what it is without the detail, which quotes rows."""
    if isinstance(error, SqlkitError):
        return str(error)
    if error.diag.message_primary:
        return f"{error.diag.message_primary} ({type(error).__name__}, {error.sqlstate})"
    return " ".join(str(error).split()) or type(error).__name__


app = typer.Typer(
    cls=Commands,
    help="SQL in files, contracts in Python, proof from PostgreSQL.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # which fills its paragraphs; "rich" keeps the breaks of the source
    # Its tracebacks show local variables, and those hold passwords and rows.
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("migrate")(migrate.migrate)
app.command("check")(check.check_command)
app.command("describe")(describe.describe_command)
app.command("generate")(generate.generate_command)
app.command("psql", context_settings={"ignore_unknown_options": True})(psql.psql)
app.command("health")(health.health)
app.command("status")(looking.status_command)
app.command("top")(top.top_command)
app.command("report")(report.report_command)
app.command("slow")(looking.slow_command)
app.command("locks")(looking.locks_command)
app.command("tables")(looking.tables_command)
app.command("indexes")(looking.indexes_command)
app.command("partitions")(partitions.partitions_command)
app.command("diagram")(diagram.diagram_command)
app.command("backup")(backup.backup_command)
app.command("restore")(backup.restore_command)
app.command("reset")(reset.reset)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sqlkit {version('sqlkit')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and warnings.")] = False,
    show_version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take what is said before the command."""
    if not debug:  # the error that ends the command says it; else logging would write each attempt to stderr
        logging.getLogger().addHandler(logging.NullHandler())
