"""What wants attention in what the server says of itself, with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel

from sqlkit.operations.activity import Waiting
from sqlkit.operations.names import written
from sqlkit.operations.overview import Overview
from sqlkit.operations.reach import Reach
from sqlkit.operations.units import bytes_text, count_text, counted, seconds_text, share_text

__all__ = ["Limits", "Remark", "remarks"]

DAY = 86_400.0
#: Below this many blocks a hit ratio says nothing.
FEW_BLOCKS = 10_000
#: Below this many dead rows vacuum has better things to do: autovacuum's own threshold is 50 and a fifth of the rows.
FEW_ROWS = 1_000


class Limits(BaseModel, frozen=True):
    """From where on something wants attention: times in seconds, parts from 0 to 1."""

    transaction_seconds: float = 300
    idle_in_transaction_seconds: float = 60
    connections: float = 0.8
    hit_ratio: float = 0.9
    dead_share: float = 0.2
    bloat_share: float = 0.5
    large_bytes: int = 10 * 1024**2
    seq_scans: int = 100
    lag_seconds: float = 10
    kept_bytes: int = 1024**3
    ahead_seconds: float = 7 * DAY
    transaction_ids: float = 0.25


class Remark(BaseModel):
    """Something that wants attention: ``urgent`` where somebody is held up or soon will be; ``view`` shows more."""

    level: Literal["urgent", "look"]
    view: str
    text: str
    remedy: str | None = None


def remarks(seen: Overview, limits: Limits | None = None) -> list[Remark]:
    """Return what wants attention, the urgent first."""
    limits = limits or Limits()
    found = [
        remark
        for looked_at in (_locks, _transactions, _server, _replication, _partitions, _tables, _indexes)
        for remark in looked_at(seen, limits)
    ]
    return sorted(found, key=lambda remark: remark.level != "urgent")


def _locks(seen: Overview, limits: Limits) -> Iterator[Remark]:  # noqa: ARG001
    for tree in seen.trees:
        held_up = f"{counted(tree.count, 'session waits', 'sessions wait')} for"
        yield Remark(
            level="urgent",
            view="locks",
            text=f"{held_up} {_who(tree)}",
            remedy=f"select pg_terminate_backend({tree.pid})",
        )


def _who(tree: Waiting) -> str:
    if tree.pid == 0 or tree.session is None:
        return "a prepared transaction, see pg_prepared_xacts" if tree.pid == 0 else f"process {tree.pid}"
    session = tree.session
    state = session.state or "at something hidden"
    since = session.state_seconds
    how_long = f" for {seconds_text(since)}" if since is not None else ""
    name = f" ({session.name})" if session.name else ""
    return f"process {tree.pid}{name}, {state}{how_long}"


def _transactions(seen: Overview, limits: Limits) -> Iterator[Remark]:
    blockers = {tree.pid for tree in seen.trees}
    for one in seen.sessions:
        if one.blocked_by or one.pid in blockers:
            continue  # told with the locks
        end = f"select pg_terminate_backend({one.pid})"
        who = f"process {one.pid}" + (f" of {one.application_name}" if one.application_name else "")
        if one.is_idle_in_transaction and (one.state_seconds or 0) >= limits.idle_in_transaction_seconds:
            text = f"{who} is idle in transaction for {seconds_text(one.state_seconds)}"
            yield Remark(level="look", view="sessions", text=text, remedy=end)
        elif (one.transaction_seconds or 0) >= limits.transaction_seconds:
            text = f"{who} has a transaction open for {seconds_text(one.transaction_seconds)}"
            yield Remark(level="look", view="sessions", text=text, remedy=end)


def _server(seen: Overview, limits: Limits) -> Iterator[Remark]:
    server = seen.server
    if server is not None:
        most = server.max_connections or 0
        if most and server.connections >= limits.connections * most:
            text = f"{server.connections} of {most} connections are taken"
            yield Remark(level="urgent", view="server", text=text)
        ratio, blocks = server.hit_ratio, server.hits + server.reads
        if ratio is not None and ratio < limits.hit_ratio and blocks >= FEW_BLOCKS:
            text = f"{share_text(ratio)} of the blocks were in memory"
            yield Remark(level="look", view="server", text=text, remedy="raise shared_buffers, or see sqlkit slow")
        if server.vacuums is False:
            remedy = "alter system set autovacuum = on; select pg_reload_conf()"
            yield Remark(level="urgent", view="server", text="autovacuum is off", remedy=remedy)
    for one in seen.databases:
        if one.used >= limits.transaction_ids:
            text = f"{share_text(one.used)} of the transaction ids of {one.database_name} are used"
            yield Remark(level="urgent", view="databases", text=text, remedy="vacuum freeze its oldest tables")


def _replication(seen: Overview, limits: Limits) -> Iterator[Remark]:
    for replica in seen.replicas:
        if (replica.replay_lag_seconds or 0) >= limits.lag_seconds:
            text = f"the standby {replica.application_name} is {seconds_text(replica.replay_lag_seconds)} behind"
            yield Remark(level="urgent", view="replicas", text=text)
    for slot in seen.slots:
        if not slot.is_active and (slot.kept_bytes or 0) >= limits.kept_bytes:
            text = f"nobody reads the replication slot {slot.name}, which keeps {bytes_text(slot.kept_bytes)} of log"
            remedy = f"select pg_drop_replication_slot('{slot.name}')"
            yield Remark(level="urgent", view="slots", text=text, remedy=remedy)
    standby = seen.standby
    if standby is None:
        return
    if standby.is_paused:
        remedy = "select pg_wal_replay_resume()"
        yield Remark(level="urgent", view="standby", text="this standby's replay is paused", remedy=remedy)
    elif (standby.lag_seconds or 0) >= limits.lag_seconds:
        text = f"this standby is {seconds_text(standby.lag_seconds)} behind what it received"
        yield Remark(level="urgent", view="standby", text=text)
    if not standby.is_receiving:
        yield Remark(level="urgent", view="standby", text="this standby receives nothing from a primary")


def _partitions(seen: Overview, limits: Limits) -> Iterator[Remark]:
    for one in seen.reach:
        if not one.is_locked and (told := _of_reach(one, limits)) is not None:
            level: Literal["urgent", "look"] = "look" if one.holds_now else "urgent"
            yield Remark(
                level=level,
                view="reach",
                text=f"{one.schema_name}.{one.table_name}: {told}",
                remedy="sqlkit partitions",
            )


def _of_reach(one: Reach, limits: Limits) -> str | None:
    if not one.holds_now:
        return "a row of now finds no partition" + (" but the default one" if one.has_default else "")
    if one.ahead_seconds is not None and one.ahead_seconds < limits.ahead_seconds:
        return f"its partitions end in {seconds_text(one.ahead_seconds)}"
    if one.gaps:
        return f"{counted(one.gaps, 'gap')} between its partitions"
    return None


def _tables(seen: Overview, limits: Limits) -> Iterator[Remark]:
    for one in seen.tables:
        name = f"{one.schema_name}.{one.table_name}"
        if one.dead_rows >= FEW_ROWS and one.dead_share >= limits.dead_share:
            text = f"{share_text(one.dead_share)} of the rows of {name} are dead"
            yield Remark(
                level="look",
                view="tables",
                text=text,
                remedy=f"vacuum (analyze) {written(one.schema_name, one.table_name)}",
            )
        elif (one.bloat_bytes or 0) >= limits.large_bytes and (one.bloat_share or 0) >= limits.bloat_share:
            text = f"{name} is {bytes_text(one.bloat_bytes)} larger than its rows need, by estimate"
            yield Remark(level="look", view="tables", text=text, remedy="pg_repack, or vacuum full, which locks it")
    for one in seen.scanned(limits.large_bytes):
        if one.seq_scans >= limits.seq_scans:
            name, size = f"{one.schema_name}.{one.table_name}", bytes_text(one.table_bytes)
            text = f"{name} ({size}) was read from end to end {count_text(one.seq_scans)} times"
            yield Remark(level="look", view="tables", text=text, remedy="see sqlkit slow, then explain the statement")


def _indexes(seen: Overview, limits: Limits) -> Iterator[Remark]:
    for invalid in seen.invalid:
        text = f"{invalid.index_name} is not valid: it costs writes and serves no query"
        yield Remark(level="look", view="indexes", text=text, remedy=invalid.remedy)
    for extra in seen.duplicates:
        text = f"{extra.index_name} is superfluous beside {extra.kept_name}"
        yield Remark(level="look", view="indexes", text=text, remedy=extra.remedy)
    for unused in seen.unused:
        if unused.bytes >= limits.large_bytes:
            text = f"no query has used {unused.index_name} ({bytes_text(unused.bytes)})"
            yield Remark(level="look", view="indexes", text=text, remedy=unused.remedy)
    for key in seen.unindexed_keys:
        text = f"no index begins with {', '.join(key.columns)} of {key.table_name}, which refers to {key.parent}"
        yield Remark(level="look", view="indexes", text=text, remedy=key.remedy)
