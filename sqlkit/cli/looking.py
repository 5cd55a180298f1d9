"""``sqlkit status``, ``slow``, ``locks``, ``tables``, ``indexes``: what the server is doing, in a terminal or as JSON.

Each ends with 0 where it shows something, also where a part is missing, and with 2 where there is no answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from sqlkit.cli import drawn
from sqlkit.cli.output import answers
from sqlkit.cli.target import DsnOption, FolderOption, opened_target
from sqlkit.database import Database
from sqlkit.operations.attention import Limits, Remark, remarks
from sqlkit.operations.looking import look
from sqlkit.operations.overview import Overview
from sqlkit.operations.tables import Table
from sqlkit.operations.units import bytes_text, count_text, seconds_text, share_text

__all__ = [
    "FEW",
    "MEGABYTE",
    "JsonOption",
    "LargeOption",
    "LimitOption",
    "WithinOption",
    "indexes_command",
    "locks_command",
    "opened_database",
    "screen",
    "show",
    "slow_command",
    "status_command",
    "tables_command",
    "width",
]

MEGABYTE = 1024**2
#: What a table is drawn on where nobody looks at a terminal: a pipe, a file.
PIPE_WIDTH = 180
#: Statements in an answer that is about everything.
FEW = 5

JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Answer as one JSON object, with everything in it.")
]
LimitOption: TypeAlias = Annotated[int, typer.Option("--limit", min=1, help="Rows of a table at most.")]
WithinOption: TypeAlias = Annotated[
    float, typer.Option("--within", min=0.1, max=600, help="Seconds that each view may take.")
]
LargeOption: TypeAlias = Annotated[
    float, typer.Option("--large", min=0, metavar="MB", help="From which size on a table or an index is large.")
]


class By(StrEnum):
    """What statements are sorted by."""

    TOTAL = "total"
    MEAN = "mean"
    CALLS = "calls"


class Order(StrEnum):
    """What tables are sorted by."""

    SIZE = "size"
    DEAD = "dead"
    BLOAT = "bloat"
    SCANS = "scans"


def status_command(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
    within: WithinOption = 10.0,
    limit: LimitOption = 10,
    large: LargeOption = 10,
) -> None:
    """Show the server at a glance: what wants attention, who is at what, replication, partitions, transaction ids.

    Example: sqlkit status --json | jq '.remarks[] | select(.level == "urgent")'
    """
    with opened_database("status", dsn, folder) as (db, place):
        seen = look(db, within=within)
    limits = Limits(large_bytes=round(large * MEGABYTE))
    trees = [tree.model_dump(mode="json") for tree in seen.trees]
    show(place, seen, _status(seen, remarks(seen, limits), limit), as_json, limits=limits, trees=trees)


def slow_command(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    by: Annotated[By, typer.Option("--by", help="What takes most time in all, on average, or runs most often.")] = (
        By.TOTAL
    ),
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    within: WithinOption = 10.0,
) -> None:
    """Show the slowest statements with their names, from pg_stat_statements.

    Example: sqlkit slow --by mean --limit 5
    """
    with opened_database("slow", dsn, folder) as (db, place):
        seen = look(db, ("statements",), slow_by=by.value, slow_limit=limit, within=within)
    body = drawn.slow_grid(seen.statements, width())
    note = f"by {by.value}, since the statistics were reset; a name is a hint"
    show(place, seen, [drawn.titled("Slowest statements", body, note)] if seen.statements else [], as_json)


def locks_command(
    dsn: DsnOption = None, folder: FolderOption = None, as_json: JsonOption = False, within: WithinOption = 10.0
) -> None:
    """Show who waits for whom, as a tree, and who holds a transaction open.

    Example: sqlkit locks
    """
    with opened_database("locks", dsn, folder) as (db, place):
        seen = look(db, ("sessions",), within=within)
    trees = seen.trees
    note = "who is in the way, and below who waits"
    parts: list[RenderableType] = [
        drawn.titled("Locks", drawn.locks_tree(trees), note) if trees else Text("nobody waits for a lock\n", "green")
    ]
    if held := [one for one in seen.sessions if one.transaction_seconds is not None]:
        parts.append(drawn.titled("Open transactions", drawn.sessions_grid(held, width()), "the oldest first"))
    show(place, seen, parts, as_json, trees=[tree.model_dump(mode="json") for tree in trees])


def tables_command(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    order: Annotated[Order, typer.Option("--order", help="What comes first.")] = Order.SIZE,
    limit: LimitOption = 20,
    large: LargeOption = 10,
    as_json: JsonOption = False,
    within: WithinOption = 10.0,
) -> None:
    """Show tables: size, rows, dead rows, bloat, how they are read; and which large ones are read from end to end.

    Example: sqlkit tables --order dead

    Example: sqlkit tables --large 100
    """
    with opened_database("tables", dsn, folder) as (db, place):
        seen = look(db, ("tables",), within=within)
    now = seen.server.moment if seen.server else None
    scanned = seen.scanned(round(large * MEGABYTE))
    parts: list[RenderableType] = []
    if seen.tables:
        first = _ordered(seen.tables, order)[:limit]
        parts.append(
            drawn.titled("Tables", drawn.tables_grid(first, now, width()), f"by {order.value}; bloat is an estimate")
        )
    if scanned:
        note = f"of {large:g} MB and more, that with most rows read first"
        parts.append(drawn.titled("Read from end to end", drawn.tables_grid(scanned[:limit], now, width()), note))
    show(place, seen, parts or [Text("no tables")], as_json, scanned=[one.table_name for one in scanned])


def indexes_command(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    within: WithinOption = 10.0,
) -> None:
    """Show indexes: unused, superfluous and broken ones, foreign keys without one, and the largest.

    Example: sqlkit indexes --json | jq -r '.unindexed_keys[].remedy'
    """
    with opened_database("indexes", dsn, folder) as (db, place):
        seen = look(db, ("indexes", "duplicates", "unindexed_keys"), within=within)
    show(place, seen, _indexes(seen, limit), as_json, unused=[one.index_name for one in seen.unused])


@contextmanager
def opened_database(
    command: str, dsn: str | None, folder: Path | None, **settings_given: Any
) -> Iterator[tuple[Database, str]]:
    """Give the database that is meant, by one connection that names its command, and its address without secrets."""
    with opened_target(dsn, folder) as target:
        one = {"application_name": f"sqlkit {command}", "pool_min_size": 1, "pool_max_size": 1, "replicas": ()}
        settings = target.settings.replace(**one, **settings_given)
        with Database.connect(settings) as db:
            yield db, settings.safe_dsn


def show(
    place: str,
    seen: Overview,
    parts: Iterable[RenderableType],
    as_json: bool,
    limits: Limits | None = None,
    **more: Any,
) -> None:
    """Write an answer: the parts of it and what is missing, or all as one JSON object."""
    if as_json:
        body = {"database": place} | seen.model_dump(mode="json") | more
        if limits is not None:
            body["remarks"] = [one.model_dump(mode="json") for one in remarks(seen, limits)]
        typer.echo(json.dumps(body))
        return
    for part in (*parts, *([drawn.missing_lines(seen.missing)] if seen.missing else ())):
        _print(part)


def _print(part: RenderableType) -> None:
    """Write a part of an answer; in a pipe its lines of text stay whole."""
    if isinstance(part, Group):
        for inner in part.renderables:
            _print(inner)
    else:
        screen().print(part, soft_wrap=isinstance(part, Text) and not answers.is_terminal)


def screen() -> Console:
    """Return what an answer is written on."""
    return answers if answers.is_terminal else Console(highlight=False, emoji=False, width=width())


def width() -> int:
    """Return how wide an answer may be: as the terminal, and in a pipe as wide as it wants to be."""
    return answers.width if answers.is_terminal else max(answers.width, PIPE_WIDTH)


def _ordered(tables: list[Table], order: Order) -> list[Table]:
    keys = {
        Order.SIZE: lambda one: one.total_bytes,
        Order.DEAD: lambda one: one.dead_rows,
        Order.BLOAT: lambda one: one.bloat_bytes or 0,
        Order.SCANS: lambda one: one.seq_rows,
    }
    return sorted(tables, key=keys[order], reverse=True)


def head(seen: Overview) -> Text:
    """Return the lines that say which server this is and how much it does."""
    server = seen.server
    if server is None:
        return Text("the server says nothing of itself", style="red")
    role = "a standby" if server.is_standby else "a primary"
    current = next((one for one in seen.databases if one.is_current), None)
    lines = [
        f"PostgreSQL {drawn.plain(server.version)}, {role}, up for {seconds_text(server.uptime_seconds)}",
        f"database {drawn.plain(server.database_name)} as {drawn.plain(server.user_name)}, "
        f"{bytes_text(current.bytes if current else None)}, {share_text(server.hit_ratio)} of its blocks in memory"
        + (f", {share_text(current.used)} of its transaction ids used" if current else ""),
        f"{server.connections} of {server.max_connections} connections: {server.active} active, {server.idle} idle, "
        f"{server.idle_in_transaction} idle in transaction" + (f", {server.hidden} hidden" if server.hidden else ""),
        f"{_some(server.commits, 'commit')}, {_some(server.rollbacks, 'rollback')}, "
        f"{_some(server.deadlocks, 'deadlock')}, {bytes_text(server.temporary_bytes)} of temporary files",
    ]
    return Text("\n".join(lines) + "\n")


def _some(count: int, one: str) -> str:
    return f"{count_text(count)} {one}{'' if count == 1 else 's'}"


def _status(seen: Overview, found: list[Remark], limit: int) -> list[RenderableType]:
    parts: list[RenderableType] = [head(seen), drawn.titled("Attention", drawn.remark_lines(found[:limit]))]
    if len(found) > limit:
        parts.append(Text(f"{len(found) - limit} more: --limit {len(found)}, or --json\n", style="dim"))
    if trees := seen.trees:
        parts.append(drawn.titled("Locks", drawn.locks_tree(trees), "who is in the way, and below who waits"))
    if seen.sessions:
        parts.append(
            drawn.titled("Sessions", drawn.sessions_grid(seen.sessions[:limit], width()), "that are at something")
        )
    if seen.replicas or seen.slots or seen.standby:
        parts.append(drawn.titled("Replication", drawn.replication_grid(seen, width())))
    if seen.reach:
        parts.append(
            drawn.titled("Partitions", drawn.reach_grid(seen.reach[:limit], width()), "that which ends soonest first")
        )
    if seen.statements:
        slowest = drawn.slow_grid(seen.statements[: min(limit, FEW)], width())
        parts.append(drawn.titled("Slowest statements", slowest, "by total time; more by sqlkit slow"))
    if seen.databases:
        parts.append(
            drawn.titled("Databases", drawn.databases_grid(seen.databases[:limit], width()), "by transaction id age")
        )
    return parts


def _indexes(seen: Overview, limit: int) -> list[RenderableType]:
    unused, invalid = seen.unused, seen.invalid
    since = seen.server.counted_since if seen.server else None
    note = f"since {since:%Y-%m-%d}" if since else "since the statistics began"
    parts: list[RenderableType] = []
    if unused:
        size = bytes_text(sum(one.bytes for one in unused))
        note = f"{note}, {size} in all; standbys count their own use"
        parts.append(drawn.titled("Unused", drawn.indexes_grid(unused[:limit], width()), note))
    if seen.duplicates:
        parts.append(drawn.titled("Superfluous", drawn.duplicates_grid(seen.duplicates[:limit], width())))
    if invalid:
        parts.append(
            drawn.titled("Not valid", drawn.indexes_grid(invalid[:limit], width()), "left by a failed create index")
        )
    if seen.unindexed_keys:
        keys = drawn.keys_grid(seen.unindexed_keys[:limit], width())
        parts.append(drawn.titled("Foreign keys without an index", keys, "each delete there reads all rows here"))
    if seen.indexes:
        parts.append(drawn.titled("Largest", drawn.indexes_grid(seen.indexes[:limit], width())))
    return parts or [Text("no indexes")]
