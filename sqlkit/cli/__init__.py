"""The command line: ``sqlkit demo``, ``migrate``, ``check``, ``describe``, ``generate``, ``psql``, ``status``, ...

One file for each family of commands; ``target`` says which database they mean, ``app`` how they end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper

__all__ = ["imported", "main"]

EXTRA = ("typer", "rich")


def main() -> None:
    """Run the command line; exit with 0, with 1 for an unhealthy database, 2 for an error, 130 for Ctrl-C."""
    try:
        imported()()
    except KeyboardInterrupt:  # while the application is still being imported
        print("sqlkit: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def imported() -> Callable[[], None]:
    """Import the application and return what runs it; say which package it lacks, and exit with 2."""
    try:
        from sqlkit.cli.app import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in EXTRA:
            raise
        print(f"sqlkit: the command line needs {missing}: pip install 'sqlkit[cli]'", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that has no letters for a title shows ? for them
            stream.reconfigure(errors="replace")
    return partial(app, prog_name="sqlkit")
