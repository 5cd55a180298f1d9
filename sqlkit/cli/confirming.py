"""The question that stands before whatever destroys: which database is this."""

from __future__ import annotations

import sys
from typing import Annotated, TypeAlias

import typer

from sqlkit.cli.target import Target, connected
from sqlkit.errors import ConfigurationError

__all__ = ["ConfirmOption", "confirm"]

ConfirmOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--confirm", metavar="DATABASE", help="The database's name, instead of being asked for it."),
]


def confirm(target: Target, given: str | None, what: str) -> None:
    """Go on only where the name of the database was given, or is typed now; ``what`` says what would be destroyed.

    ConfigurationError where it is another name, or where there is nobody to ask.
    """
    with connected(target.settings, "confirm") as conn:
        name = conn.info.dbname
    if given is None:
        place = target.settings.safe_dsn
        typer.echo(f"{what}, in the database {name} ({place}).\nIts name, to go on: ", err=True, nl=False)
        given = sys.stdin.readline().strip() if sys.stdin else ""  # none where it was closed
        if not given:
            typer.echo(err=True)  # the question is still on its line
            raise ConfigurationError(f"nothing was destroyed: to do so, type the name, or give --confirm {name}")
    if given != name:
        raise ConfigurationError(f"nothing was destroyed: this is the database {name}, not {given}")
