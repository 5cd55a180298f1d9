"""What the catalogue knows of relations, functions and types, as far as a proof may rest on it.

Facts are asked for by OID, when they are first wanted, and kept: one ``Schema`` belongs to one connection and one
state of the database. What is not enforced for every row that a query can see is left out here, so that no proof has
to think of it: constraints that are not valid or not enforced, what a child or a partition lacks, keys that may be
violated until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from sqlkit.describing.catalogue import ATTRIBUTES, CONSTRAINTS, DOMAINS, FUNCTIONS, KEYS, RELATIONS
from sqlkit.describing.trees import Node, TreeError, parse_tree, walk

__all__ = [
    "ON_DELETE",
    "ON_INSERT",
    "ON_UPDATE",
    "Attribute",
    "ForeignKey",
    "Function",
    "Relation",
    "Schema",
    "UniqueKey",
]

#: Bits of pg_trigger.tgtype.
ON_INSERT, ON_DELETE, ON_UPDATE = 4, 8, 16


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column. ``not_null`` holds for every row of the relation and its descendants, ``own_not_null`` for its own.

    ``generated`` is "s" (stored), "v" (virtual) or empty, ``identity`` "a", "d" or empty; ``default`` is the tree of
    the default or of the generating expression.
    """

    number: int
    name: str
    type: int
    typmod: int
    not_null: bool
    own_not_null: bool
    generated: str
    identity: str
    default: Node | None


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique index: its columns with their operator classes and collations; ``certain`` where no two rows share it.

    An index that is partial, on expressions or deferred (``immediate`` is False) is none; its columns are told all the
    same, 0 for an expression.
    """

    name: str
    columns: tuple[int, ...]
    opclasses: tuple[int, ...]
    collations: tuple[int, ...]
    primary: bool
    partial: bool
    expressions: bool
    immediate: bool

    @property
    def certain(self) -> bool:
        """Tell whether no two rows share it, at any time."""
        return self.immediate and not self.partial and not self.expressions


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key that holds whenever a statement begins and hides no row: columns here, and those that they name.

    ``operators`` compare the one with the other.
    """

    name: str
    columns: tuple[int, ...]
    target: int
    target_columns: tuple[int, ...]
    operators: tuple[int, ...]


@dataclass(slots=True)
class Relation:
    """A table, view or other relation.

    ``kind`` is pg_class's relkind. ``before`` and ``instead`` are the bits of its row triggers (4 insert, 8 delete, 16
    update), those of descendants included. ``rules`` tells of rules beside a view's own, ``view`` is a view's query,
    ``checked`` the columns that CHECK constraints keep from being NULL, once somebody has read them.
    """

    oid: int
    schema: str
    name: str
    kind: str
    row_security: bool
    descendants: bool
    foreign: bool
    before: int
    instead: int
    rules: bool
    view: Node | None
    columns: dict[int, Attribute] = field(default_factory=dict)
    checks: list[Node] = field(default_factory=list)
    checked: frozenset[int] | None = None
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    keys: list[UniqueKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Function:
    """A function: ``builtin`` where PostgreSQL ships it, ``source`` is the name of its C function then."""

    oid: int
    builtin: bool
    name: str
    source: str
    language: str
    strict: bool
    returns_set: bool
    volatility: str
    kind: str
    returns: int


class Schema:
    """The catalogue of one connection, read as it is wanted; ``idle`` makes the connection ready to be asked."""

    def __init__(self, conn: psycopg.Connection[Any], idle: Callable[[], None] | None = None) -> None:
        self._conn = conn
        self._idle = idle
        self._relations: dict[int, Relation | None] = {}
        self._functions: dict[int, Function | None] = {}
        self._operators: dict[int, int] = {}
        self._commutators: dict[int, int] = {}
        self._domains: dict[int, bool] = {}

    def relation(self, oid: int) -> Relation | None:
        """Return a relation, None where there is none."""
        if oid not in self._relations:
            self.learn_relations([oid])
        return self._relations[oid]

    def function(self, oid: int) -> Function | None:
        """Return a function, None where there is none."""
        if oid not in self._functions:
            self.learn_functions([oid])
        return self._functions[oid]

    def operator(self, oid: int) -> Function | None:
        """Return the function of an operator, None where there is none."""
        if oid not in self._operators:
            row = self._rows("select oprcode::oid from pg_operator where oid = %s", oid)
            self._operators[oid] = row[0][0] if row else 0
        return self.function(self._operators[oid])

    def commutator(self, oid: int) -> int:
        """Return the operator that says the same with its sides changed, 0 where there is none."""
        if oid not in self._commutators:
            row = self._rows("select oprcom::oid from pg_operator where oid = %s", oid)
            self._commutators[oid] = row[0][0] if row else 0
        return self._commutators[oid]

    def refuses_null(self, oid: int) -> bool:
        """Tell whether a type is a domain that takes no NULL."""
        if oid < 16384:  # PostgreSQL ships no domain but those of information_schema
            return False
        if oid not in self._domains:
            self._domains[oid] = False
            self._domains.update(self._rows(DOMAINS, [oid]))
        return self._domains[oid]

    def learn_functions(self, oids: Iterable[int]) -> None:
        """Read functions that are not known yet, all at once."""
        wanted = [oid for oid in set(oids) if oid not in self._functions]
        if not wanted:
            return
        self._functions |= dict.fromkeys(wanted)
        for row in self._rows(FUNCTIONS, wanted):
            self._functions[row[0]] = Function(*row)

    def learn_relations(self, oids: Iterable[int]) -> None:
        """Read relations that are not known yet, all at once, and those that the trees of views name."""
        wanted = [oid for oid in set(oids) if oid not in self._relations]
        while wanted:
            self._read_relations(wanted)
            inner = [self._relations[oid] for oid in wanted]
            named = {
                int(node["relid"])
                for relation in inner
                if relation is not None and relation.view is not None
                for node in _entries(relation.view)
            }
            wanted = [oid for oid in named if oid not in self._relations]

    def _read_relations(self, wanted: list[int]) -> None:
        self._relations |= dict.fromkeys(wanted)
        for *facts, view in self._rows(RELATIONS, wanted, wanted):
            facts.append(_first(view))
            self._relations[facts[0]] = Relation(*facts)
        for oid, *column, has_default, default in self._rows(ATTRIBUTES, wanted, wanted):
            column.append(_read(default) if has_default else None)
            attribute = Attribute(*column)
            self._of(oid).columns[attribute.number] = attribute
        for oid, kind, name, columns, target, target_columns, operators, actions, tree in self._rows(
            CONSTRAINTS, wanted, wanted
        ):
            if kind == "f":
                if not self._kept(self._of(oid), actions):
                    continue
                key = ForeignKey(name, tuple(columns), target, tuple(target_columns), tuple(operators or ()))
                self._of(oid).foreign_keys.append(key)
            elif (check := _read(tree)) is not None:
                self._of(oid).checks.append(check)
        for oid, name, columns, opclasses, collations, *flags in self._rows(KEYS, wanted):
            self._of(oid).keys.append(UniqueKey(name, tuple(columns), tuple(opclasses), tuple(collations), *flags))

    def ask(self, query: str) -> list[Any]:
        """Return the rows of a query on the catalogue, for facts that are kept elsewhere."""
        return self._rows(query)

    @staticmethod
    def _kept(relation: Relation, actions: str) -> bool:
        """Tell whether nothing can stop what a foreign key does when the row that it names changes or goes.

        A trigger that answers NULL, or a rule, leaves a row behind that points nowhere.
        """
        return set(actions) <= {"a", "r"} or not (relation.before & (ON_DELETE | ON_UPDATE) or relation.rules)

    def _of(self, oid: int) -> Relation:
        relation = self._relations[oid]
        assert relation is not None  # noqa: S101 - its columns are read after itself
        return relation

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        if self._idle is not None:
            self._idle()
        return self._conn.execute(query.encode(), parameters).fetchall()


def _entries(tree: Node) -> Iterable[Node]:
    return (node for node in walk(tree) if node.tag in ("RTE", "RANGETBLENTRY") and node.get("rtekind") == "0")


def _read(text: str | None) -> Node | None:
    if text is None:
        return None
    try:
        tree = parse_tree(text)
    except TreeError:
        return None
    return tree if isinstance(tree, Node) else None


def _first(text: str | None) -> Node | None:
    """Return the query of a view, which is the one action of its rule."""
    if text is None:
        return None
    try:
        tree = parse_tree(text)
    except TreeError:
        return None
    return tree[0] if isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], Node) else None
