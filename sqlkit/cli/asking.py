"""A typed query, asked with a watch in hand: its rows, its name, how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.table import Table

from sqlkit.statements import Statement

__all__ = ["Asked", "ask"]

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Asked(Generic[Row]):
    """The answer to a query: ``name`` is its full name (``soleil.songs.get_song``)."""

    rows: list[Row]
    name: str
    milliseconds: float

    def show(self, console: Console, title: str, table: Table) -> None:
        """Print a table of the rows under a title, and below it what there is to say about the query."""
        count = f"{len(self.rows)} row{'s' if len(self.rows) != 1 else ''}"
        console.print(f"\n{title}", style="bold", markup=False)
        console.print(table)
        console.print(f"{count} · {self.milliseconds:.1f} ms · {self.name}", style="dim")


def ask(query: Callable[..., list[Row]], db: Any, **arguments: Any) -> Asked[Row]:
    """Call a query that returns a list."""
    start = time.perf_counter()
    rows = query(db, **arguments)
    return Asked(rows, _name(query), (time.perf_counter() - start) * 1000)


def _name(query: Any) -> str:
    statement: Statement = query.sqlkit_statement
    path = statement.path
    return f"{path.parent.name}.{path.stem}.{statement.name}"
