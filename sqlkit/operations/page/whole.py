"""The page: its head, the figures that matter most, the sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlkit.operations.attention import Limits, Remark, remarks
from sqlkit.operations.overview import Overview
from sqlkit.operations.page import sections
from sqlkit.operations.page.charts import bar
from sqlkit.operations.page.markup import Html, joined, tag
from sqlkit.operations.page.parts import missing_list, remark_list, section, tile
from sqlkit.operations.server import ServerState
from sqlkit.operations.units import bytes_text, count_text, counted, seconds_text, share_text

__all__ = ["html_report"]

#: The sections, by the names that links lead to.
NAMES = ("activity", "statements", "tables", "indexes", "replication", "partitions", "databases")

#: The page loads nothing, runs nothing and sends nothing, whatever it is made to hold.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def html_report(seen: Overview, place: str, *, limits: Limits | None = None, most: int = 10) -> str:
    """Return what was seen of a server as one HTML page without any other resource, ``most`` rows in each table.

    ``place`` names the database for people, without its password.
    """
    limits = limits or Limits()
    found = remarks(seen, limits)
    parts = [
        sections.activity(seen, most),
        sections.statements(seen, most),
        sections.tables(seen, limits, most),
        sections.indexes(seen, most),
        sections.replication(seen),
        sections.partitions(seen, most),
        sections.databases(seen, most),
    ]
    body = joined(
        [
            _header(seen, place, [name for name, part in zip(NAMES, parts, strict=True) if part is not None]),
            tag("main", _tiles(seen, limits), _attention(found, 2 * most), _missing(seen), *parts),
            tag("footer", tag("p", "Made by sqlkit report. Counts are since the statistics were last reset.")),
        ]
    )
    title = seen.server.database_name if seen.server and seen.server.database_name else "PostgreSQL"
    return f"<!doctype html>\n{tag('html', _head(title), tag('body', body), lang='en')}\n"


def _head(title: str) -> Html:
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title}: what the server is doing"),
        tag("style", Html(css)),
    )


def _header(seen: Overview, place: str, names: Sequence[str]) -> Html:
    server = seen.server
    if server is None:
        return tag("header", tag("h1", place))
    links = [tag("li", tag("a", name.capitalize(), href=f"#{name}")) for name in ("attention", *names)]
    role = "standby" if server.is_standby else "primary"
    line = (
        f"{place}, as {server.user_name}. PostgreSQL {server.version}, {role}, up for "
        f"{seconds_text(server.uptime_seconds)}. Seen {server.moment:%Y-%m-%d %H:%M:%S} UTC."
    )
    nav = tag("nav", tag("ul", *links), aria_label="Sections")
    return tag("header", tag("h1", server.database_name), tag("p", line, class_="soft"), nav)


def _tiles(seen: Overview, limits: Limits) -> Html | None:
    server = seen.server
    if server is None:
        return None
    current = next((one for one in seen.databases if one.is_current), None)
    waiting = [one for one in seen.sessions if one.blocked_by]
    oldest = max((one.transaction_seconds or 0 for one in seen.sessions), default=0.0)
    cells = [
        _connections(server, limits),
        tile("Waiting for a lock", count_text(len(waiting)), f"behind {counted(len(seen.trees), 'session')}"),
        tile("Longest transaction", seconds_text(oldest), f"{server.idle_in_transaction} idle in transaction"),
        _hits(server, limits),
        tile(
            "Size",
            bytes_text(current.bytes if current else None),
            f"{counted(len(seen.tables), 'table')}, {counted(len(seen.indexes), 'index', 'indexes')}",
        ),
        tile("Commits", count_text(server.commits), f"rolled back: {count_text(server.rollbacks)}"),
        tile("Deadlocks", count_text(server.deadlocks), f"{bytes_text(server.temporary_bytes)} of temporary files"),
    ]
    if current is not None:
        kind = "bad" if current.used >= limits.transaction_ids else "s2"
        told = f"{share_text(current.used)} of the transaction ids are used"
        note = f"the oldest is {count_text(current.transaction_age)} old"
        cells.append(tile("Transaction ids used", share_text(current.used), note, bar(current.used, told, kind)))
    lag = max((one.replay_lag_seconds or 0 for one in seen.replicas), default=None)
    if lag is not None:
        cells.append(tile("Replication lag", seconds_text(lag), counted(len(seen.replicas), "standby")))
    return tag("div", *cells, class_="tiles")


def _connections(server: ServerState, limits: Limits) -> Html:
    most = server.max_connections or 1
    part = server.connections / most
    kind = "bad" if part >= limits.connections else "s1"
    chart = bar(part, f"{server.connections} of {most} connections", kind)
    return tile("Connections", count_text(server.connections), f"of {most}", chart)


def _hits(server: ServerState, limits: Limits) -> Html:
    ratio = server.hit_ratio
    chart = None
    if ratio is not None:
        kind = "warn" if ratio < limits.hit_ratio else "s1"
        chart = bar(ratio, f"{share_text(ratio)} of the blocks were in memory", kind)
    return tile("Cache hit ratio", share_text(ratio), f"blocks read: {count_text(server.reads)}", chart)


def _attention(found: list[Remark], most: int) -> Html:
    note = "What holds somebody up or soon will, then what is worth a look; each with what mends it."
    left = len(found) - most
    more = tag("p", f"And {left} more: sqlkit status --json tells all.", class_="soft") if left > 0 else None
    return section("attention", "Attention", note, remark_list(found[:most]), more)


def _missing(seen: Overview) -> Html | None:
    if not seen.missing:
        return None
    return section(
        "missing", "Not all is shown", "What is missing, why, and what mends it.", missing_list(seen.missing)
    )
