"""What happened between two looks at a server, by the second."""

from __future__ import annotations

from pydantic import BaseModel

from sqlkit.operations.overview import Overview
from sqlkit.operations.server import ServerState
from sqlkit.operations.slow import SlowStatement

__all__ = ["Rates", "rates_between", "statements_between"]


class Rates(BaseModel):
    """What a database did by the second, between two looks ``seconds`` apart; ``hit_ratio`` is of that time."""

    seconds: float
    commits: float
    rollbacks: float
    rows_read: float
    rows_written: float
    blocks_read: float
    hit_ratio: float | None


def rates_between(before: ServerState, after: ServerState) -> Rates | None:
    """Return what happened between two looks; None where no time passed, or the counts began anew."""
    seconds = (after.moment - before.moment).total_seconds()
    hits, reads = after.hits - before.hits, after.reads - before.reads
    counts = {
        "commits": after.commits - before.commits,
        "rollbacks": after.rollbacks - before.rollbacks,
        "rows_read": after.rows_read - before.rows_read,
        "rows_written": after.rows_written - before.rows_written,
        "blocks_read": reads,
    }
    if seconds <= 0 or min(*counts.values(), hits) < 0:
        return None
    ratio = hits / (hits + reads) if hits + reads else None
    return Rates(seconds=seconds, hit_ratio=ratio, **{name: count / seconds for name, count in counts.items()})


def statements_between(before: Overview, after: Overview) -> list[SlowStatement]:
    """Return the statements that ran between two looks, with their calls and time of that span, the longest first.

    A statement that was not among those of the first look counts as it stands only if nothing hides when it ran: it is
    left out.
    """
    earlier = {one.query_id: one for one in before.statements}
    found = []
    for one in after.statements:
        former = earlier.get(one.query_id)
        if former is None or one.calls <= former.calls:
            continue
        calls, total = one.calls - former.calls, max(0.0, one.total_ms - former.total_ms)
        changes = {"calls": calls, "rows": max(0, one.rows - former.rows), "total_ms": total, "mean_ms": total / calls}
        found.append(one.model_copy(update=changes))
    whole = sum(one.total_ms for one in found)
    ranked = sorted(found, key=lambda one: -one.total_ms)
    return [one.model_copy(update={"share": one.total_ms / whole if whole else 0.0}) for one in ranked]
