"""Tables as the demos print them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

__all__ = ["bar", "table_of"]


def table_of(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table of values, each as its ``str``; a column that begins with > is aligned to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row))
    return table


def bar(value: float, most: float, width: int = 24) -> str:
    """Return a bar for a value, as long as it is of the greatest one."""
    return "▇" * max(1, round(width * value / most)) if most else ""
