"""``sqlkit top``: who is at what and where the time goes, anew every few seconds."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import psycopg
import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sqlkit.cli import drawn
from sqlkit.cli.keys import Keys, watched_keys
from sqlkit.cli.looking import FEW, WithinOption, opened_database, screen, width
from sqlkit.cli.output import answers
from sqlkit.cli.target import DsnOption, FolderOption
from sqlkit.database import Database
from sqlkit.operations.attention import remarks
from sqlkit.operations.looking import look
from sqlkit.operations.overview import Missing, Overview, ViewName
from sqlkit.operations.rates import Rates, rates_between, statements_between
from sqlkit.operations.server import ServerState
from sqlkit.operations.slow import SlowStatement
from sqlkit.operations.units import bytes_text, count_text, seconds_text, share_text

__all__ = ["Frame", "top_command"]

VIEWS: tuple[ViewName, ...] = ("sessions", "statements", "replicas", "slots", "standby")
#: Statements to compare: what runs between two looks has mostly run before.
COMPARED = 500
INTERRUPTED = 130


def top_command(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    every: Annotated[float, typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end, as where there is no terminal.")] = False,
    within: WithinOption = 5.0,
) -> None:
    """Show who is at what and where the time goes, anew every few seconds; q or Ctrl-C ends it, space looks at once.

    Example: sqlkit top --every 10

    Example: sqlkit top --once > now.txt
    """
    with opened_database("top", dsn, folder, pool_timeout=within) as (db, place):
        if once or not answers.is_terminal or answers.is_dumb_terminal or not sys.stdin.isatty():
            screen().print(Frame(place, look(db, VIEWS, slow_limit=COMPARED, within=within)).drawn(width(), None))
            return
        try:
            _watch(db, place, every, within)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _watch(db: Database, place: str, every: float, within: float) -> None:
    """Draw frame after frame on a screen of its own, until a key ends it."""
    frame: Frame | None = None
    with watched_keys() as keys, Live(console=answers, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            try:
                frame = Frame(place, look(db, VIEWS, slow_limit=COMPARED, within=within), frame.seen if frame else None)
            except psycopg.Error as error:
                live.update(_away(place, error, frame), refresh=True)
            else:
                live.update(frame.drawn(answers.width, answers.height), refresh=True)
            if _ends(keys, began + every):
                return


def _ends(keys: Keys, until: float) -> bool:
    """Wait for the time of the next look; tell whether a key says that there is none. Each wait looks for a key."""
    while True:
        key = keys.within(until - time.monotonic())
        if key in ("q", "Q", "\x03"):
            return True
        if key == " " or (not key and time.monotonic() >= until):
            return False


def _away(place: str, error: psycopg.Error, last: Frame | None) -> Group:
    """Say that there is no answer, above what was seen last."""
    reason = drawn.plain(error) or type(error).__name__
    away = Text(f"no answer, asked again and again: {place}: {reason}\n", style="red bold")
    return Group(away, last.drawn(answers.width, answers.height - 3) if last else Text())


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown at one moment: what was seen, and what was seen before it."""

    place: str
    seen: Overview
    before: Overview | None = None

    def drawn(self, width: int, height: int | None) -> Group:
        """Draw the frame on so many lines; on as many as it takes for None."""
        parts: list[RenderableType] = [self._head()]
        left = None if height is None else height - 6
        if urgent := [one for one in remarks(self.seen) if one.level == "urgent"]:
            shown = urgent[:3]
            parts += [drawn.remark_lines(shown), Text()]
            left = None if left is None else left - 2 * len(shown) - 1
        sessions = sorted(self.seen.sessions, key=lambda one: (not one.blocked_by, one.state == "idle"))
        statements, note = self._statements()
        rows = len(sessions) if left is None else max(3, min(len(sessions), (left - 6) * 2 // 3))
        parts.append(drawn.titled(f"Sessions {len(sessions)}", drawn.sessions_grid(sessions[:rows], width)))
        if statements:
            most = FEW * 2 if left is None else max(3, left - rows - 8)
            parts.append(drawn.titled("Statements", drawn.slow_grid(statements[:most], width), note))
        parts.append(drawn.missing_lines(self._missing()))
        return Group(*parts)

    def _missing(self) -> list[Missing]:
        return [one for one in self.seen.missing if one.view != "databases"]

    def _statements(self) -> tuple[list[SlowStatement], str]:
        if self.before is None:
            return self.seen.statements, "since the statistics were reset, by total time"
        return statements_between(self.before, self.seen), "since the last look, by total time"

    def _head(self) -> Text:
        server = self.seen.server
        if server is None:
            return Text(f"{self.place}: the server says nothing of itself\n", style="red")
        role = "standby" if server.is_standby else "primary"
        lines = [
            f"{server.moment:%H:%M:%S} UTC  {self.place}",
            f"PostgreSQL {drawn.plain(server.version)}, {role}, up for {seconds_text(server.uptime_seconds)}",
            _connections(server),
            _flow(server, self._rates()),
            *self._lag(),
        ]
        return Text("\n".join(lines) + "\n", no_wrap=True, overflow="ellipsis")

    def _rates(self) -> Rates | None:
        if self.before is None or self.before.server is None or self.seen.server is None:
            return None
        return rates_between(self.before.server, self.seen.server)

    def _lag(self) -> list[str]:
        behind = [
            f"{drawn.plain(one.application_name)} {bytes_text(one.unreplayed_bytes)}, "
            f"{seconds_text(one.replay_lag_seconds)}"
            for one in self.seen.replicas
        ]
        if self.seen.standby is not None:
            behind.append(f"this standby {seconds_text(self.seen.standby.lag_seconds)}")
        return ["behind: " + "; ".join(behind)] if behind else []


def _connections(server: ServerState) -> str:
    counts = f"{server.active} active, {server.idle} idle, {server.idle_in_transaction} idle in transaction"
    hidden = f", {server.hidden} hidden" if server.hidden else ""
    return f"{server.connections} of {server.max_connections} connections: {counts}{hidden}"


def _flow(server: ServerState, rates: Rates | None) -> str:
    if rates is None:
        return f"{share_text(server.hit_ratio)} of blocks in memory since the statistics were reset"
    return (
        f"a second: commits {count_text(rates.commits)}, rollbacks {count_text(rates.rollbacks)}, "
        f"rows read {count_text(rates.rows_read)}, written {count_text(rates.rows_written)}; "
        f"in memory {share_text(rates.hit_ratio)}"
    )
