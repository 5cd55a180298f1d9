"""The verdicts of aggregates and window functions: who has a row to answer for, and a value in each."""

# ruff: noqa: SIM905 - lists of names read best as text

from __future__ import annotations

from sqlkit.describing.nullability.judging import Judge, Place
from sqlkit.describing.nullability.scopes import Scope
from sqlkit.describing.nullability.verdicts import Verdict, nullable, proved
from sqlkit.describing.trees import Node

__all__ = ["aggregate", "window"]

#: Aggregates of pg_catalog that have a value for every group of at least one row: some whatever the rows hold ...
FULL_BY_ROWS = frozenset("array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg".split())
#: ... some where their first argument is never NULL, and two where all are.
FULL_BY_VALUES = frozenset(
    "any_value avg bit_and bit_or bit_xor bool_and bool_or every max min range_agg range_intersect_agg stddev_pop "
    "string_agg sum var_pop xmlagg".split()
)
FULL_BY_ALL = frozenset("percentile_disc mode".split())

#: Window functions that have a value on every row.
RANKS = frozenset("row_number rank dense_rank percent_rank cume_dist".split())

# Of FRAMEOPTION_* in the server's parsenodes.h: a frame holds its own row if it begins at or before it, ends at or
# behind it, and does not leave it out.
BEGINS_IN_TIME = 0x00020 | 0x00200 | 0x00800
ENDS_IN_TIME = 0x00100 | 0x00400 | 0x04000
LEAVES_OUT = 0x08000 | 0x10000

#: Hypothetical-set aggregates, which always have a value.
HYPOTHETICAL = frozenset("rank dense_rank percent_rank cume_dist".split())


def aggregate(judge: Judge, node: Node, scope: Scope, place: Place) -> Verdict:
    """Return the verdict of an aggregate."""
    function = scope.schema.function(node.number("aggfnoid"))
    if function is None or not function.builtin:
        return nullable("an aggregate may answer NULL")
    if function.name in ("count", "regr_count"):
        return proved("count")
    if node["agglevelsup"] != "0":
        return nullable("an aggregate of a level above")
    if function.name in HYPOTHETICAL and node["aggkind"] == "h":
        return proved(f"{function.name} of a hypothetical row")
    if not place.filled:
        return nullable(f"{function.name} of no rows")
    if node["aggfilter"] is not None:
        return nullable(f"{function.name} whose filter may let nothing through")
    return _aggregated(judge, function.name, node, scope)


def _aggregated(judge: Judge, name: str, node: Node, scope: Scope) -> Verdict:
    if name in FULL_BY_ROWS:
        return proved(f"{name} of a group")
    arguments = [entry["expr"] for entry in node.nodes("args") if not entry.flag("resjunk")]
    reason = f"{name} of what is not null, in a group"
    if name in FULL_BY_VALUES and arguments:
        return judge.all_of(arguments[:1], scope, Place(), reason)
    if name in FULL_BY_ALL or (name == "percentile_cont" and arguments):
        return judge.all_of([*node.nodes("aggdirectargs"), *arguments], scope, Place(), reason)
    return nullable(f"{name} may answer NULL")


def window(judge: Judge, node: Node, scope: Scope, place: Place) -> Verdict:
    """Return the verdict of a window function."""
    function = scope.schema.function(node.number("winfnoid"))
    if function is None or not function.builtin:
        return nullable("a window function may answer NULL")
    name, arguments = function.name, node.nodes("args")
    if name in RANKS or name in ("count", "regr_count"):
        return proved(name)
    if name == "ntile":
        return judge.verdict(arguments[0], scope, place)
    if name in ("lag", "lead"):
        if len(arguments) < 3:
            return nullable(f"{name} runs out of its partition")
        return judge.all_of(arguments, scope, place, f"{name} with a default")
    if not _holds_own_row(node, scope) or node["aggfilter"] is not None:
        return nullable(f"{name} over a frame that may be empty")
    if name in FULL_BY_ROWS:
        return proved(f"{name} over a frame with its own row")
    if name in ("first_value", "last_value") or name in FULL_BY_VALUES:
        return judge.all_of(arguments[:1], scope, place, f"{name} over a frame with its own row")
    return nullable(f"{name} may answer NULL")


def _holds_own_row(node: Node, scope: Scope) -> bool:
    clause = scope.query.nodes("windowClause")[node.number("winref") - 1]
    options = clause.number("frameOptions")
    return bool(options & BEGINS_IN_TIME and options & ENDS_IN_TIME and not options & LEAVES_OUT)
