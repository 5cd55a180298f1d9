"""How the views of the server look in a terminal; what comes from the server is shown as text, without its controls."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text
from rich.tree import Tree

from sqlkit.cli.folding import Folded
from sqlkit.operations.activity import Session, Waiting
from sqlkit.operations.attention import Remark
from sqlkit.operations.indexes import Duplicate, Index, UnindexedKey
from sqlkit.operations.overview import Missing, Overview
from sqlkit.operations.reach import Reach
from sqlkit.operations.server import DatabaseState
from sqlkit.operations.slow import SlowStatement
from sqlkit.operations.tables import Table
from sqlkit.operations.units import (
    UNKNOWN,
    bytes_text,
    count_text,
    milliseconds_text,
    seconds_text,
    share_text,
)

__all__ = [
    "databases_grid",
    "duplicates_grid",
    "indexes_grid",
    "keys_grid",
    "locks_tree",
    "missing_lines",
    "plain",
    "reach_grid",
    "remark_lines",
    "replication_grid",
    "sessions_grid",
    "slow_grid",
    "tables_grid",
    "titled",
]

#: What a terminal obeys instead of showing it: a statement's text is anybody's.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


#: Characters of a statement in a tree.
SHOWN = 300
#: From how many characters on all columns are shown.
WIDE = 130
#: Below how many characters not even those are that are left at less than that.
NARROW = 60


def plain(value: object) -> str:
    """Write a value of the server's on one line, without what a terminal would obey; a dash for None."""
    return UNKNOWN if value is None else " ".join(CONTROLS.sub(" ", str(value)).split())


def cell(value: object, style: str = "") -> Text:
    """Return a value as a cell."""
    return Text(plain(value), style=style)


class Lines:
    """A table that leaves out, where the screen is narrow, the columns that matter less.

    Of the columns' names, one that begins with ``>`` is of numbers, one in brackets is left out where it is narrow,
    one that ends with ``…`` takes the rest of the line, cut off where it ends, and with ``¶`` goes on below.
    """

    def __init__(self, width: int, *columns: str) -> None:
        self._kept = [width >= WIDE or not column.startswith("(") for column in columns]
        if width < NARROW:  # the first, the last, and the first number between
            last = len(columns) - 1
            numbers = (place for place in range(1, last) if columns[place].startswith(">"))
            shown = {0, next(numbers, 0), last}
            self._kept = [kept and place in shown for place, kept in enumerate(self._kept)]
        names = [column.strip("()") for column, kept in zip(columns, self._kept, strict=True) if kept]
        self._folded = [not name.startswith(">") and not name.endswith("…") for name in names]
        expands = names[-1][-1] in "…¶"
        self.drawn = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", expand=expands)
        for name in names:
            if name.endswith("…"):
                self.drawn.add_column(name.rstrip("…"), ratio=1, no_wrap=True, overflow="ellipsis")
            elif name.startswith(">"):
                self.drawn.add_column(name[1:], justify="right", no_wrap=True)
            elif name.endswith("¶"):
                self.drawn.add_column(name.rstrip("¶"), ratio=1)
            else:
                self.drawn.add_column(name, max_width=max(24, width * 2 // 5))

    def add(self, *cells: str | Text) -> None:
        """Add a row, a cell for each column."""
        shown = [one for one, kept in zip(cells, self._kept, strict=True) if kept]
        self.drawn.add_row(
            *(
                Folded(one if isinstance(one, Text) else Text(one)) if folded else one
                for one, folded in zip(shown, self._folded, strict=True)
            )
        )


def titled(title: str, body: RenderableType, note: str = "") -> Group:
    """Return something under its title."""
    head = Text.assemble((title, "bold cyan"), (f"  {note}" if note else "", "dim"))
    return Group(head, body, Text())


def statement(name: str | None, query: str | None) -> Text:
    """Return a statement, its name before its text."""
    text = plain(query)
    if not name:
        return Text(text)
    return Text.assemble((f"{plain(name)}  ", "bold"), (text.replace(f"/* {name} */ ", "", 1), "dim"))


def ago(moment: datetime | None, now: datetime | None) -> str:
    """Say how long ago something was."""
    return UNKNOWN if moment is None or now is None else seconds_text(max(0.0, (now - moment).total_seconds()))


def state_of(one: Session) -> Text:
    """Return what a session is at, in the colour of its weight."""
    if one.blocked_by:
        return Text(f"waits for {', '.join(map(str, one.blocked_by))}", style="red")
    if one.is_hidden:
        return Text("hidden", style="dim")
    return cell(one.state or one.kind, "yellow" if one.is_idle_in_transaction else "")


def sessions_grid(sessions: Iterable[Session], width: int) -> Grid:
    """Draw sessions."""
    made = Lines(width, "pid", "(user)", "(database)", "application", "state", ">open for", "(>in state)", "statement…")
    for one in sessions:
        made.add(
            cell(one.pid),
            cell(one.user_name),
            cell(one.database_name),
            cell(one.application_name),
            state_of(one),
            seconds_text(one.transaction_seconds),
            seconds_text(one.state_seconds),
            statement(one.name, one.query),
        )
    return made.drawn


def locks_tree(trees: Iterable[Waiting]) -> Group:
    """Draw who blocks whom, each below whom it waits for."""
    drawn = []
    for waiting in trees:
        root = Tree(_waiting(waiting, "red bold"), guide_style="dim")
        stack = [(root, waiting)]
        while stack:
            branch, parent = stack.pop()
            stack.extend((branch.add(_waiting(child)), child) for child in parent.waiting)
        drawn.append(root)
    return Group(*drawn)


def _waiting(one: Waiting, style: str = "bold") -> Text:
    if one.pid == 0:
        return Text("a prepared transaction, see pg_prepared_xacts", style=style)
    if one.session is None:
        return Text(f"{one.pid}  not listed", style=style)
    session = one.session
    text = Text.assemble((str(one.pid), style), f"  {plain(session.user_name)}@{plain(session.database_name)}")
    if session.application_name:
        text.append(f"  {plain(session.application_name)}", style="dim")
    text.append("  ")
    text.append_text(Text("hidden", style="dim") if session.is_hidden else cell(session.state))
    if not session.is_hidden:
        text.append(f" for {seconds_text(session.state_seconds)}")
    if one.circle:
        text.append("  in a circle of sessions that wait for each other", style="red")
    if session.lock_mode:
        on = f" on {plain(session.lock_table)}" if session.lock_table else ""
        since = f" for {seconds_text(session.waiting_seconds)}" if session.waiting_seconds is not None else ""
        text.append(f"  wants {session.lock_mode}{on} ({plain(session.lock_kind)}){since}", style="yellow")
    if one.also_behind:
        text.append(f"  also behind {', '.join(map(str, one.also_behind))}", style="dim")
    if session.query and not session.is_hidden:
        text.append("\n").append_text(statement(session.name, session.query[:SHOWN]))
    return text


def slow_grid(statements: Iterable[SlowStatement], width: int) -> Grid:
    """Draw the slowest statements."""
    made = Lines(width, ">total", ">share", ">mean", "(>longest)", ">calls", "(>rows)", "(>in memory)", "statement…")
    for one in statements:
        made.add(
            milliseconds_text(one.total_ms),
            share_text(one.share),
            milliseconds_text(one.mean_ms),
            milliseconds_text(one.max_ms),
            count_text(one.calls),
            count_text(one.rows),
            share_text(one.hit_ratio),
            Text("of other roles, hidden", style="dim") if one.is_hidden else statement(one.name, one.query),
        )
    return made.drawn


def tables_grid(tables: Iterable[Table], now: datetime | None, width: int) -> Grid:
    """Draw tables."""
    sizes = (">size", "(>table)", "(>long values)", "(>indexes)", ">bloat")
    uses = (">scans", "(>by index)", "(>in memory)", "(>vacuumed)", "(>id age)")
    made = Lines(width, "table", ">rows", ">dead", *sizes, *uses)
    for one in tables:
        made.add(
            cell(one.title),
            count_text(one.live_rows),
            f"{count_text(one.dead_rows)} ({share_text(one.dead_share)})" if one.dead_rows else "0",
            bytes_text(one.total_bytes),
            bytes_text(one.table_bytes),
            bytes_text(one.toast_bytes),
            bytes_text(one.index_bytes),
            bytes_text(one.bloat_bytes),
            count_text(one.seq_scans),
            count_text(one.index_scans),
            share_text(one.hit_ratio),
            ago(one.vacuumed_at, now),
            count_text(one.transaction_age),
        )
    return made.drawn


def indexes_grid(indexes: Iterable[Index], width: int) -> Grid:
    """Draw indexes."""
    made = Lines(width, "index", "(table)", ">size", "(>bloat)", ">scans", "definition…")
    for one in indexes:
        sizes = (bytes_text(one.bytes), bytes_text(one.bloat_bytes), count_text(one.scans))
        made.add(
            cell(f"{one.schema_name}.{one.index_name}"),
            cell(one.table_name),
            *sizes,
            cell((one.definition or "").partition(" USING ")[2], "dim"),
        )
    return made.drawn


def duplicates_grid(duplicates: Iterable[Duplicate], width: int) -> Grid:
    """Draw superfluous indexes, with what drops them."""
    made = Lines(width, "index", "beside", "(kind)", "remedy¶")
    for one in duplicates:
        made.add(cell(one.index_name), cell(one.kept_name), cell(one.kind), cell(one.remedy, "dim"))
    return made.drawn


def keys_grid(keys: Iterable[UnindexedKey], width: int) -> Grid:
    """Draw foreign keys without an index, with what makes one."""
    made = Lines(width, "table", "columns", "(refers to)", "(>rows)", "remedy¶")
    for one in keys:
        made.add(
            cell(f"{one.schema_name}.{one.table_name}"),
            cell(", ".join(one.columns)),
            cell(one.parent),
            count_text(one.rows),
            cell(one.remedy, "dim"),
        )
    return made.drawn


def databases_grid(databases: Iterable[DatabaseState], width: int) -> Grid:
    """Draw the databases of the server."""
    made = Lines(width, "database", ">size", ">connections", "(>in memory)", ">ids used", ">oldest id")
    for one in databases:
        made.add(
            cell(one.database_name, "bold" if one.is_current else ""),
            bytes_text(one.bytes),
            count_text(one.connections),
            share_text(one.hit_ratio),
            share_text(one.used),
            count_text(one.transaction_age),
        )
    return made.drawn


def reach_grid(reach: Iterable[Reach], width: int) -> Grid:
    """Draw how far partitions reach."""
    made = Lines(width, "table", ">partitions", ">from", ">to", ">ahead", ">gaps")
    for one in reach:
        ahead = "locked" if one.is_locked else "no end" if one.is_endless else seconds_text(one.ahead_seconds)
        made.add(
            cell(f"{one.schema_name}.{one.table_name}"),
            count_text(one.partitions),
            f"{one.reaches_from:%Y-%m-%d}" if one.reaches_from else UNKNOWN,
            f"{one.reaches_to:%Y-%m-%d}" if one.reaches_to else UNKNOWN,
            Text(ahead, style="" if one.holds_now else "red"),
            count_text(one.gaps),
        )
    return made.drawn


def replication_grid(seen: Overview, width: int) -> Grid:
    """Draw standbys and slots, or what this standby says of itself."""
    made = Lines(width, "who", "state", ">behind", ">in seconds")
    for replica in seen.replicas:
        state = "hidden" if replica.is_hidden else f"{replica.state}, {replica.synchronous}"
        lag = bytes_text(replica.unreplayed_bytes), seconds_text(replica.replay_lag_seconds)
        made.add(cell(f"standby {plain(replica.application_name)}"), cell(state), *lag)
    for slot in seen.slots:
        state = f"{slot.kind}, {'read' if slot.is_active else 'read by nobody'}, {plain(slot.state)}"
        made.add(cell(f"slot {plain(slot.name)}"), cell(state), f"keeps {bytes_text(slot.kept_bytes)}", "")
    if (standby := seen.standby) is not None:
        state = "paused" if standby.is_paused else "receiving" if standby.is_receiving else "receives nothing"
        made.add("this standby", state, bytes_text(standby.unreplayed_bytes), seconds_text(standby.lag_seconds))
    return made.drawn


def remark_lines(remarks: Iterable[Remark]) -> Text:
    """Write what wants attention, a line each and what mends it below."""
    text = Text()
    for one in remarks:
        text.append("! " if one.level == "urgent" else "- ", style="red bold" if one.level == "urgent" else "yellow")
        text.append(plain(one.text) + "\n")
        if one.remedy:
            text.append(f"  {plain(one.remedy)}\n", style="dim")
    text.rstrip()
    return text or Text("nothing wants attention", style="green")


def missing_lines(missing: Iterable[Missing]) -> Text:
    """Write what is not shown, or only in part, and what mends it."""
    text = Text()
    for one in missing:
        text.append("not all is shown: ", style="yellow").append(plain(one) + "\n")
    text.rstrip()
    return text
