"""The generic plan of a variant, as the lines of a snapshot and the sequential scans in it.

EXPLAIN without ANALYZE runs nothing. What a plan costs is left out, and partitions are named by the table that they are
of: neither is a change that somebody made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from sqlkit.describing.description import Described, Description
from sqlkit.lexer import BLANK, Kind, tokenize

__all__ = ["Plan", "Relations", "Scan", "can_explain", "explain"]

#: What EXPLAIN takes, by its first word.
EXPLAINED = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})

GENERIC_PLAN_SINCE = 160000

PREPARED = "sqlkit_plan"

RELATIONS = """
select
    n.nspname,
    c.relname,
    c.oid,
    coalesce(root.relname, c.relname),
    c.relkind in ('r', 'm'),
    c.relispartition,
    c.reltuples
from unnest(%s::text[], %s::text[]) as wanted (schema_name, relation_name)
inner join pg_catalog.pg_namespace as n on n.nspname = wanted.schema_name
inner join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = wanted.relation_name
left join pg_catalog.pg_class as root on c.relispartition and root.oid = pg_catalog.pg_partition_root(c.oid)
"""


@dataclass(frozen=True, slots=True)
class Scan:
    """A sequential scan that throws rows away by a condition.

    ``table`` is the scanned table, of a partition the table that it is of; ``rows`` is how many it has, None where it
    was never analysed.
    """

    table: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: ``lines`` as EXPLAIN writes it, without costs and conditions, and what matters in it.

    ``unknown`` are the tables in it that were never analysed, so that PostgreSQL guessed.
    """

    lines: tuple[str, ...]
    scans: tuple[Scan, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or index: ``name`` is that of its root where it is a partition, ``rows`` None where nobody counted."""

    oid: int
    name: str
    table: bool
    partition: bool
    rows: int | None


class Relations:
    """What the catalogue knows of the tables and indexes of plans, asked for once."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._known: dict[tuple[str, str], Relation] = {}

    def learn(self, names: set[tuple[str, str]]) -> None:
        """Ask for relations, by schema and name, all at once."""
        wanted = [name for name in names if name not in self._known]
        if not wanted:
            return
        cursor = self._conn.cursor(row_factory=tuple_row)
        schemas, relations = zip(*wanted, strict=True)
        for schema, name, oid, root, table, partition, rows in cursor.execute(
            RELATIONS, [list(schemas), list(relations)]
        ):
            self._known[schema, name] = Relation(oid, root, table, partition, int(rows) if rows >= 0 else None)

    def of(self, schema: str, name: str) -> Relation:
        """Return a relation; one that has gone, or that is none (a CTE's name), stands for itself."""
        return self._known.get((schema, name)) or Relation(0, name, False, False, 0)


def can_explain(description: Description) -> bool:
    """Tell whether a variant has a plan: PostgreSQL takes it, and it is no COPY or utility statement."""
    if not isinstance(description.outcome, Described) or description.statement.copy is not None:
        return False
    text = description.variant.text
    significant = (token for token in tokenize(text) if token.kind not in (*BLANK, Kind.OPEN))
    first = next(significant, None)
    return first is not None and text[first.start : first.end].lower() in EXPLAINED


def explain(conn: psycopg.Connection[Any], description: Description, relations: Relations | None = None) -> Plan:
    """Return the generic plan of a variant for which ``can_explain`` is true.

    Nothing is run and nothing is left behind: neither a prepared statement nor a setting nor a lock. Raises what
    PostgreSQL raises. Pass ``relations`` to have their names asked for once for many plans.
    """
    with conn.transaction(force_rollback=True):
        tree = _explained(conn, description)
    relations = relations or Relations(conn)
    relations.learn(set(_names(tree)))
    read = list(_read(tree, relations))
    return Plan(
        tuple(_lines(tree, relations)),
        tuple(_added([relation for node, relation in read if node["Node Type"] == "Seq Scan" and "Filter" in node])),
        tuple(scan.table for scan in _added([relation for _, relation in read]) if scan.rows is None),
    )


def _explained(conn: psycopg.Connection[Any], description: Description) -> dict[str, Any]:
    text, references = description.variant.text, description.variant.references
    cursor = conn.cursor(row_factory=tuple_row)
    if conn.info.server_version >= GENERIC_PLAN_SINCE:
        return _tree(cursor.execute(f"explain (generic_plan, verbose, format json)\n{text}".encode()))
    cursor.execute(f"prepare {PREPARED} as\n{text}".encode())
    try:
        with conn.transaction(force_rollback=True):
            cursor.execute("set local plan_cache_mode = force_generic_plan")
            arguments = f"({', '.join(['null'] * len(references))})" if references else ""
            return _tree(cursor.execute(f"explain (verbose, format json) execute {PREPARED}{arguments}".encode()))
    finally:
        with contextlib.suppress(psycopg.OperationalError):
            cursor.execute(f"deallocate {PREPARED}")


def _tree(cursor: psycopg.Cursor[Any]) -> dict[str, Any]:
    row = cursor.fetchone()
    if row is None:
        raise psycopg.InterfaceError("EXPLAIN returned nothing")
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)


def _names(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the tables of a plan, and the indexes, which are in the schema of the table above or beside them."""
    schemas = {node["Schema"] for node in _nodes(tree) if "Schema" in node}
    for node in _nodes(tree):
        if "Relation Name" in node:
            yield node.get("Schema", ""), node["Relation Name"]
        if "Index Name" in node:
            yield from ((schema, node["Index Name"]) for schema in schemas)


def _read(tree: Mapping[str, Any], relations: Relations) -> Iterator[tuple[Mapping[str, Any], Relation]]:
    """Yield the nodes that read a table, and the table."""
    for node in _nodes(tree):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            yield node, relations.of(node.get("Schema", ""), node["Relation Name"])


def _added(scanned: list[Relation]) -> Iterator[Scan]:
    """Yield a scan for each table, with the rows of all its partitions: a new one may not be analysed yet."""
    for name in dict.fromkeys(relation.name for relation in scanned if relation.table):
        known = [rows for relation in set(scanned) if relation.name == name and (rows := relation.rows) is not None]
        yield Scan(name, sum(known) if known else None)


def _lines(node: Mapping[str, Any], relations: Relations, schema: str = "") -> list[str]:
    """Return a node's line with those below it indented; an index is in the schema of the table above it."""
    schema = node.get("Schema", schema)
    parts = node.get("Plans", ())
    if node["Node Type"] in ("Append", "Merge Append"):
        parts = _telling(parts, relations)
        if len(parts) == 1:
            return _lines(parts[0], relations, schema)
    below = [_lines(part, relations, schema) for part in parts]
    title = _title(node, relations, schema)
    if name := node.get("Subplan Name"):
        title = f"{name}: {title}"
    return [title, *(f"  {line}" for lines in below for line in lines)]


def _telling(parts: Sequence[Mapping[str, Any]], relations: Relations) -> list[Mapping[str, Any]]:
    """Return what an Append joins, of one table's partitions the largest alone: a new one is small, and read so."""
    largest: dict[tuple[object, ...], tuple[int, Mapping[str, Any]]] = {}
    for index, part in enumerate(parts):
        read = [relation for _, relation in _read(part, relations)]
        partitions = all(relation.partition for relation in read) and bool(read)
        key = tuple(relation.name for relation in read) if partitions else (index,)
        rows = sum(relation.rows or 0 for relation in read)
        if key not in largest or rows > largest[key][0]:
            largest[key] = (rows, part)
    return [part for _, part in largest.values()]


def _title(node: Mapping[str, Any], relations: Relations, schema: str) -> str:
    kind: str = node["Operation"] if node["Node Type"] == "ModifyTable" else node["Node Type"]
    if (join := node.get("Join Type", "Inner")) != "Inner":
        kind = f"{kind.removesuffix(' Join')} {join} Join"
    for detail in ("Strategy", "Partial Mode", "Command"):
        if (value := node.get(detail)) not in (None, "Plain", "Simple"):
            kind += f" ({value})"
    if node.get("Scan Direction") == "Backward":
        kind += " Backward"
    if "Index Name" in node:
        kind += f" using {relations.of(schema, node['Index Name']).name}"
    if "Relation Name" in node:
        return f"{kind} on {relations.of(schema, node['Relation Name']).name}"
    named = next((node[key] for key in ("Function Name", "CTE Name", "Table Function Name") if key in node), None)
    return f"{kind} on {named}" if named else kind
