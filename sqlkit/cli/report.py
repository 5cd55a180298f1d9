"""``sqlkit report``: all views of the server as one HTML page."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from sqlkit.cli.looking import MEGABYTE, LargeOption, LimitOption, WithinOption, opened_database
from sqlkit.cli.output import say
from sqlkit.cli.target import DsnOption, FolderOption
from sqlkit.errors import ConfigurationError
from sqlkit.operations.attention import Limits
from sqlkit.operations.looking import look
from sqlkit.operations.page import html_report

__all__ = ["report_command"]

#: Statements to sort by their mean, too: the slowest on average is among those that took most.
COMPARED = 200


def report_command(
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="The page to write; - for standard output.")],
    dsn: DsnOption = None,
    folder: FolderOption = None,
    limit: LimitOption = 10,
    large: LargeOption = 10,
    within: WithinOption = 10.0,
) -> None:
    """Write one self-contained HTML page with all views of the server, with charts, to be sent to a colleague.

    It holds the texts of statements: those of sessions with whatever values they were sent with.

    Example: sqlkit report --html report.html

    Example: sqlkit report --html - | ssh elsewhere 'cat > report.html'
    """
    with opened_database("report", dsn, folder) as (db, place):
        seen = look(db, slow_limit=COMPARED, within=within)
    page = html_report(seen, place, limits=Limits(large_bytes=round(large * MEGABYTE)), most=limit)
    if str(html) == "-":
        typer.echo(page, nl=False)
        return
    _write(html, page)
    say(f"written: {html}")


def _write(path: Path, page: str) -> None:
    """Write a file whole or not at all; readable by its owner, for statements may hold what is nobody's business."""
    temporary: str | None = None
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(page)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error
