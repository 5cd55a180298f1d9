"""The sections of the page: activity, statements, tables, indexes, replication, partitions, databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlkit.operations.activity import Session
from sqlkit.operations.attention import Limits
from sqlkit.operations.indexes import Index
from sqlkit.operations.overview import Overview
from sqlkit.operations.page.charts import bar, legend, position, span, stacked
from sqlkit.operations.page.markup import Html, joined, tag
from sqlkit.operations.page.parts import code, section, statement, table, tree
from sqlkit.operations.reach import Reach
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

__all__ = ["activity", "databases", "indexes", "partitions", "replication", "statements", "tables"]

SIZES = (("s1", "table"), ("s2", "long values"), ("s3", "indexes"))
SIZE_COLUMNS = ("table", "=size", ">in all", ">rows", ">in memory")
DEAD_COLUMNS = ("table", "=dead rows", ">dead", ">share", ">bloat, estimated", ">vacuumed")
SCAN_COLUMNS = ("table", "=rows read so", ">rows", ">times", ">by index")


def activity(seen: Overview, most: int) -> Html | None:
    """Return who is connected, who waits for whom, and who is at what."""
    server = seen.server
    if server is None:
        return None
    whole = server.max_connections or max(1, server.connections)
    counts = [
        (server.active, "s1", "active"),
        (server.idle, "s2", "idle"),
        (server.idle_in_transaction, "warn", "idle in transaction"),
        (server.connections - server.active - server.idle - server.idle_in_transaction, "s3", "other or hidden"),
    ]
    counts = [one for one in counts if one[0] > 0]
    told = ", ".join(f"{count} {name}" for count, _, name in counts)
    children: list[Html | None] = [
        stacked([(count / whole, kind) for count, kind, _ in counts], f"{told} of {whole} connections"),
        legend([(kind, f"{count} {name}") for count, kind, name in counts]),
    ]
    if trees := seen.trees:
        children += [tag("h3", "Who waits for whom"), tree(trees)]
    if seen.sessions:
        rows = [_session(one) for one in seen.sessions[:most]]
        columns = ("session", "state", ">open for", ">in state", "*statement")
        children += [tag("h3", "Who is at what"), table("Sessions", columns, rows)]
    note = f"{server.connections} of {whole} connections are taken; idle ones are counted, not listed."
    return section("activity", "Activity", note, *children)


def _session(one: Session) -> tuple[Html | str, ...]:
    state = f"waits for {', '.join(map(str, one.blocked_by))}" if one.blocked_by else one.state or one.kind or UNKNOWN
    who = ", ".join(part for part in (one.application_name, one.user_name, one.database_name) if part)
    return (
        joined([tag("b", f"{one.pid} "), who]),
        "hidden" if one.is_hidden else state,
        seconds_text(one.transaction_seconds),
        seconds_text(one.state_seconds),
        "" if one.is_hidden else statement(one.name, one.query),
    )


def statements(seen: Overview, most: int) -> Html | None:
    """Return the statements that take most time in all, and on average."""
    if not seen.statements:
        return None
    mean = sorted(seen.statements, key=lambda one: -one.mean_ms)
    note = "A name is a hint: statements that differ in nothing but their comments are counted as one."
    return section(
        "statements",
        "Slowest statements",
        f"Since the statistics were reset. {note}",
        tag("h3", "By total time"),
        _slow("Statements by total time", seen.statements[:most], "total"),
        tag("h3", "By mean time"),
        _slow("Statements by mean time", mean[:most], "mean"),
    )


def _slow(caption: str, listed: Sequence[SlowStatement], by: str) -> Html:
    times = [one.total_ms if by == "total" else one.mean_ms for one in listed]
    longest = max(times, default=0.0) or 1.0
    rows = [
        (
            "of other roles, hidden" if one.is_hidden else statement(one.name, one.query),
            bar(time / longest, f"{milliseconds_text(time)} {by}"),
            milliseconds_text(one.total_ms),
            share_text(one.share),
            milliseconds_text(one.mean_ms),
            milliseconds_text(one.max_ms),
            count_text(one.calls),
            share_text(one.hit_ratio),
        )
        for one, time in zip(listed, times, strict=True)
    ]
    columns = ("*statement", f"={by} time", ">total", ">share", ">mean", ">longest", ">calls", ">in memory")
    return table(caption, columns, rows)


def tables(seen: Overview, limits: Limits, most: int) -> Html | None:
    """Return the largest tables, those with dead rows or bloat, and those that are read from end to end."""
    if not seen.tables:
        return None
    largest = seen.tables[:most]
    whole = max(one.total_bytes for one in largest) or 1
    sizes = table("Largest tables", SIZE_COLUMNS, [_size(one, whole) for one in largest])
    children = [tag("h3", "Largest"), legend(SIZES), sizes]
    wasting = [one for one in seen.tables if one.dead_rows or (one.bloat_bytes or 0) > 0]
    wasting = sorted(wasting, key=lambda one: -max(one.dead_share * one.table_bytes, one.bloat_bytes or 0))[:most]
    if wasting:
        now = seen.server.moment if seen.server else None
        dead = table("Dead rows", DEAD_COLUMNS, [_dead(one, now) for one in wasting])
        children += [tag("h3", "Dead rows and bloat"), dead]
    if scanned := seen.scanned(limits.large_bytes)[:most]:
        longest = max(one.seq_rows for one in scanned) or 1
        title = f"Read from end to end, of {bytes_text(limits.large_bytes)} and more"
        reads = table("Sequential scans", SCAN_COLUMNS, [_scanned(one, longest) for one in scanned])
        children += [tag("h3", title), reads]
    return section("tables", "Tables", "Partitions are counted with the table that they are of.", *children)


def _size(one: Table, whole: int) -> tuple[Html | str, ...]:
    sizes = (one.table_bytes, one.toast_bytes, one.index_bytes)
    told = ", ".join(f"{name} {bytes_text(size)}" for size, (_, name) in zip(sizes, SIZES, strict=True))
    parts = [(size / whole, kind) for size, (kind, _) in zip(sizes, SIZES, strict=True)]
    total, rows = bytes_text(one.total_bytes), count_text(one.live_rows)
    return one.title, stacked(parts, told), total, rows, share_text(one.hit_ratio)


def _dead(one: Table, now: datetime | None) -> tuple[Html | str, ...]:
    share = share_text(one.dead_share)
    vacuumed = seconds_text((now - one.vacuumed_at).total_seconds()) + " ago" if now and one.vacuumed_at else UNKNOWN
    return (
        one.title,
        bar(one.dead_share, f"{share} of the rows are dead", "warn"),
        count_text(one.dead_rows),
        share,
        bytes_text(one.bloat_bytes),
        vacuumed,
    )


def _scanned(one: Table, longest: int) -> tuple[Html | str, ...]:
    told = f"{count_text(one.seq_rows)} rows read from end to end"
    counts = (count_text(one.seq_rows), count_text(one.seq_scans), count_text(one.index_scans))
    return one.title, bar(one.seq_rows / longest, told), *counts


def indexes(seen: Overview, most: int) -> Html | None:
    """Return the indexes that serve nobody, and the foreign keys that lack one."""
    children: list[Html] = []
    if seen.unused:
        size = bytes_text(sum(one.bytes for one in seen.unused))
        children += [tag("h3", f"Unused: {len(seen.unused)}, {size} in all"), _unused(seen.unused[:most])]
    if seen.duplicates:
        extra = [(one.index_name, f"{one.kept_name} ({one.kind})", code(one.remedy)) for one in seen.duplicates[:most]]
        children += [tag("h3", "Superfluous"), table("Superfluous indexes", ("index", "beside", "*remedy"), extra)]
    if seen.invalid:
        broken = [(one.index_name, one.table_name, code(one.remedy)) for one in seen.invalid[:most]]
        children += [tag("h3", "Not valid"), table("Invalid indexes", ("index", "table", "*remedy"), broken)]
    if seen.unindexed_keys:
        keys = [
            (f"{one.schema_name}.{one.table_name} ({', '.join(one.columns)})", one.parent, code(one.remedy))
            for one in seen.unindexed_keys[:most]
        ]
        title = tag("h3", "Foreign keys without an index")
        children += [title, table("Foreign keys without an index", ("columns", "refer to", "*remedy"), keys)]
    if not children:
        return None
    note = "An index is unused where no query of this server scanned it; standbys count their own use."
    return section("indexes", "Indexes", note, *children)


def _unused(unused: Sequence[Index]) -> Html:
    whole = max(one.bytes for one in unused) or 1
    rows = [
        (
            f"{one.schema_name}.{one.index_name}",
            bar(one.bytes / whole, bytes_text(one.bytes), "s3"),
            bytes_text(one.bytes),
            code(one.remedy),
        )
        for one in unused
    ]
    return table("Unused indexes", ("index", "=by size", ">size", "*remedy"), rows)


def replication(seen: Overview) -> Html | None:
    """Return how far standbys are behind, and what slots keep."""
    rows: list[tuple[Html | str, ...]] = []
    behind = [one.unreplayed_bytes or 0 for one in seen.replicas] + [one.kept_bytes or 0 for one in seen.slots]
    whole = max([*behind, 1])
    for replica in seen.replicas:
        state = "hidden" if replica.is_hidden else f"{replica.state}, {replica.synchronous}"
        size, lag = bytes_text(replica.unreplayed_bytes), seconds_text(replica.replay_lag_seconds)
        drawn = bar((replica.unreplayed_bytes or 0) / whole, f"{size} behind")
        rows.append((f"standby {replica.application_name or UNKNOWN}", state, drawn, size, lag))
    for slot in seen.slots:
        state, size = "read" if slot.is_active else "read by nobody", bytes_text(slot.kept_bytes)
        drawn = bar((slot.kept_bytes or 0) / whole, f"keeps {size}", "s2" if slot.is_active else "bad")
        rows.append((f"slot {slot.name}", state, drawn, size, UNKNOWN))
    if (standby := seen.standby) is not None:
        size, lag = bytes_text(standby.unreplayed_bytes), seconds_text(standby.lag_seconds)
        state = "paused" if standby.is_paused else "receiving" if standby.is_receiving else "receives nothing"
        rows.append(("this standby", state, bar((standby.unreplayed_bytes or 0) / whole, f"{size} behind"), size, lag))
    if not rows:
        return None
    columns = ("who", "state", "=write-ahead log", ">behind or kept", ">in seconds")
    note = "How much write-ahead log a standby has still to replay, and how much a slot keeps from being removed."
    return section("replication", "Replication", note, table("Replication", columns, rows))


def partitions(seen: Overview, most: int) -> Html | None:
    """Return how far partitions reach, on one axis of time."""
    listed = seen.reach[:most]
    if not listed or seen.server is None:
        return None
    now = seen.server.moment
    ends = [end for one in listed for end in (one.reaches_from, one.reaches_to) if end is not None]
    first, last = min([now, *ends]) - timedelta(days=1), max([now, *ends]) + timedelta(days=1)
    rows = [(f"{one.schema_name}.{one.table_name}", _reach(one, now, first, last), *_reached(one)) for one in listed]
    columns = ("table", "=reach", ">partitions", ">from", ">to", ">ahead")
    note = f"From {first:%Y-%m-%d} to {last:%Y-%m-%d}; the line is now. What ends before it takes no new rows."
    return section("partitions", "Partitions", note, table("Partitions", columns, rows))


def _reach(one: Reach, now: datetime, first: datetime, last: datetime) -> Html:
    start = position(one.reaches_from or first, first, last)
    end = position(one.reaches_to or (last if one.is_endless else first), first, last)
    told = f"reaches {seconds_text(one.ahead_seconds)} ahead" if one.ahead_seconds is not None else "has no end"
    return span(start, end, position(now, first, last), told, "s1" if one.holds_now else "bad")


def _reached(one: Reach) -> tuple[str, ...]:
    ahead = "locked" if one.is_locked else "no end" if one.is_endless else seconds_text(one.ahead_seconds)
    start = f"{one.reaches_from:%Y-%m-%d}" if one.reaches_from else UNKNOWN
    end = f"{one.reaches_to:%Y-%m-%d}" if one.reaches_to else UNKNOWN
    return count_text(one.partitions), start, end, ahead


def databases(seen: Overview, most: int) -> Html | None:
    """Return the databases with their sizes and the age of their transaction ids."""
    if not seen.databases:
        return None
    whole = max(one.bytes or 0 for one in seen.databases) or 1
    rows = [
        (
            one.database_name,
            bar((one.bytes or 0) / whole, bytes_text(one.bytes)),
            bytes_text(one.bytes),
            bar(one.used, f"{share_text(one.used)} of the transaction ids", "bad" if one.used > 0.5 else "s2"),
            share_text(one.used),
            count_text(one.transaction_age),
        )
        for one in seen.databases[:most]
    ]
    columns = ("database", "=by size", ">size", "=transaction ids", ">ids used", ">oldest id")
    note = "The server freezes old transaction ids by itself; where all two billion are used it writes no more."
    return section("databases", "Databases", note, table("Databases", columns, rows))
