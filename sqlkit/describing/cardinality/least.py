"""Whether a query gives at least one row, whatever is in its tables and whatever its parameters are."""

from __future__ import annotations

from sqlkit.describing.cardinality.expressions import Level, is_number
from sqlkit.describing.cardinality.most import INSERT, SELECT, UNREADABLE, common_table, has_rules
from sqlkit.describing.schema import Schema
from sqlkit.describing.trees import Node

__all__ = ["always"]

#: The bit of a row trigger for inserts, and that for updates, in ``Relation.before``.
ON_INSERT, ON_UPDATE = 4, 16

ROWS = tuple(range(1, 1000))


def always(query: Node, schema: Schema) -> str | None:
    """Say why at least one row comes from a query that runs without an error, None where that is not proved.

    ``query`` is an analysed query tree (a QUERY). A tree that cannot be read proves nothing.
    """
    try:
        return _least(Level(query, (), schema))
    except UNREADABLE:
        return None


def _least(level: Level) -> str | None:
    query = level.query
    if query["commandType"] == INSERT:
        return _insert(level)
    if query["commandType"] != SELECT or query.nodes("rowMarks") or query.flag("hasTargetSRFs"):
        return None
    if query["limitOffset"] is not None or not (query["limitCount"] is None or is_number(query["limitCount"], ROWS)):
        return None
    if query["setOperations"] is not None:
        return _combined(query["setOperations"], level)
    if query["havingQual"] is not None:
        return None
    if query.flag("hasAggs") and not query.nodes("groupClause") and not query.nodes("groupingSets"):
        return "aggregate without group by"
    return None if query.nodes("groupingSets") else _source(level)


def _source(level: Level) -> str | None:
    """Say why what a query selects from has a row that nothing takes away."""
    tree = level.query["jointree"]
    if tree["quals"] is not None:
        return None
    return _all(tree.nodes("fromlist"), level) if tree.nodes("fromlist") else "select without from"


def _all(trees: list[Node], level: Level) -> str | None:
    reasons = [_tree(tree, level) for tree in trees]
    return ", ".join(dict.fromkeys(filter(None, reasons))) if all(reasons) else None


def _tree(tree: Node, level: Level) -> str | None:
    if tree.tag == "RANGETBLREF":
        return _entry(level.entry(tree.number("rtindex")), level)
    if tree.tag != "JOINEXPR":
        return None
    kind = tree["jointype"]
    if kind in ("1", "3"):
        return _tree(tree["larg" if kind == "1" else "rarg"], level)
    if kind == "2":
        return _tree(tree["larg"], level) or _tree(tree["rarg"], level)
    return _all([tree["larg"], tree["rarg"]], level) if kind == "0" and tree["quals"] is None else None


def _entry(entry: Node, level: Level) -> str | None:
    above = (*level.above, level)
    match entry["rtekind"]:
        case "0":
            relation = level.schema.relation(entry.number("relid"))
            view = relation.view if relation is not None and relation.kind == "v" else None
            return _least(Level(view, (), level.schema)) if view is not None else None
        case "1":
            return _least(Level(entry["subquery"], above, level.schema))
        case "3":
            first = entry["functions"][0]["funcexpr"]
            return "a function that returns one row" if first["funcretset"] == "false" else None
        case "5":
            return "rows of values"
        case "6":
            table, around = common_table(entry, level)
            return None if table.flag("cterecursive") else _least(Level(table["ctequery"], around, level.schema))
        case "8":
            return "select without from"
    return None


def _combined(tree: Node, level: Level) -> str | None:
    """Say why a set operation gives a row: an arm of a union does."""
    if tree.tag == "RANGETBLREF":
        return _entry(level.entry(tree.number("rtindex")), level)
    if tree["op"] == "1":
        return _combined(tree["larg"], level) or _combined(tree["rarg"], level)
    return None


def _insert(level: Level) -> str | None:
    """Say why an insert returns a row: it is given one, and nothing stands between that and the table."""
    query = level.query
    conflict = query["onConflict"]
    if not query.nodes("returningList") or has_rules(query, level.schema):
        return None
    if conflict is not None and (conflict["action"] != "2" or conflict["onConflictWhere"] is not None):
        return None
    relation = level.schema.relation(level.entry(query.number("resultRelation")).number("relid"))
    if relation is None or relation.kind not in ("r", "p") or relation.foreign or relation.row_security:
        return None
    fired = ON_INSERT | (ON_UPDATE if conflict is not None else 0)
    if relation.before & fired or relation.instead:
        return None
    return "rows that are inserted" if _source(level) else None
