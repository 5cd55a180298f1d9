"""What makes two values one, and two rows of a relation one: operator families and unique keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from sqlkit.describing.cardinality.expressions import conjuncts
from sqlkit.describing.schema import Relation, Schema
from sqlkit.describing.trees import Node, TreeError, parse_tree

__all__ = ["Key", "KeyFacts", "KeyPart", "facts_of"]

#: The operators that are equality in a btree family (403 is btree in every PostgreSQL, 3 the strategy).
EQUALITIES = "select amopopr, amopfamily from pg_amop where amopmethod = 403 and amopstrategy = 3"

CLASSES = "select oid, opcfamily from pg_opclass where opcmethod = 403"

#: Collations under which texts can be equal that differ.
LENIENT = "select oid from pg_collation where not collisdeterministic"

#: The trees of unique keys that are partial or on expressions; inheritance's parents have none.
TREES = """
select i.indrelid, c.relname, i.indexprs::text, i.indpred::text
from pg_index as i
inner join pg_class as c on c.oid = i.indexrelid
where
    i.indisunique
    and i.indisvalid
    and i.indimmediate
    and (i.indexprs is not null or i.indpred is not null)
"""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A column, or an expression (``column`` is 0), and what the index takes for equal in it.

    ``collation`` is 0 unless texts that differ can be equal under it.
    """

    column: int
    expression: Node | None
    family: int
    collation: int


@dataclass(frozen=True, slots=True)
class Key:
    """A unique key that no two rows share of which ``predicate`` is true; None means of all rows."""

    name: str
    parts: tuple[KeyPart, ...]
    predicate: Node | None


@dataclass(slots=True)
class KeyFacts:
    """What is known of equality in one database, and the keys of its relations."""

    schema: Schema
    families: dict[int, frozenset[int]]
    classes: dict[int, int]
    lenient: frozenset[int]
    trees: dict[tuple[int, str], tuple[str | None, str | None]]
    keys: dict[int, tuple[Key, ...]] = field(default_factory=dict)

    def keys_of(self, relation: int) -> tuple[Key, ...]:
        """Return the unique keys of a relation, those of the fewest words first."""
        if relation not in self.keys:
            found = sorted(self._read(relation), key=lambda key: key.predicate is not None)
            self.keys[relation] = tuple(found)
        return self.keys[relation]

    def lenience(self, collation: int) -> int:
        """Return a collation where texts that differ can be equal under it, else 0."""
        return collation if collation in self.lenient else 0

    def equality(self, operator: int) -> frozenset[int]:
        """Return the families in which an operator is the equality: one that NULL does not meet, the same at any time.

        ``date = timestamptz`` hangs on the time zone, where a day may be left out, so that two days begin at once.
        """
        families = self.families.get(operator, frozenset())
        function = self.schema.operator(operator) if families else None
        return families if function is not None and function.strict and function.volatility == "i" else frozenset()

    def _read(self, oid: int) -> Iterator[Key]:
        relation = self.schema.relation(oid)
        if relation is None or relation.foreign or relation.kind not in ("r", "p", "m"):
            return
        if relation.descendants and relation.kind != "p":
            return
        for key in relation.keys:
            if not key.immediate:
                continue
            families = [self.classes.get(opclass) for opclass in key.opclasses]
            expressions, predicate = self._trees_of(oid, key.name) if not key.certain else ([], None)
            if None in families or key.columns.count(0) != len(expressions) or key.partial != (predicate is not None):
                continue
            waiting = iter(expressions)
            parts = [
                KeyPart(column, None if column else next(waiting), family, self.lenience(collation))
                for column, family, collation in zip(key.columns, families, key.collations, strict=True)
                if family is not None
            ]
            yield Key(key.name, tuple(part for part in parts if not self._is_constant(part, relation)), predicate)

    def _is_constant(self, part: KeyPart, relation: Relation) -> bool:
        """Tell whether a part is the same in all rows: a constant, or a column that a check holds to one."""
        if part.expression is not None:
            return part.expression.tag == "CONST" and part.expression["constisnull"] == "false"
        if part.column not in relation.columns or not relation.columns[part.column].not_null:
            return False
        return any(self._holds(condition, part) for check in relation.checks for condition in conjuncts(check))

    def _holds(self, condition: Node, part: KeyPart) -> bool:
        """Tell whether a condition is ``column = constant``, or the column itself or its negation."""
        negated = condition.tag == "BOOLEXPR" and condition["boolop"] == "not"
        if (value := condition.nodes("args")[0] if negated else condition).tag == "VAR":
            return value.number("varattno") == part.column
        if condition.tag != "OPEXPR" or part.family not in self.equality(condition.number("opno")):
            return False
        sides = [side["arg"] if side.tag == "RELABELTYPE" else side for side in condition.nodes("args")]
        tags = [side.tag for side in sides]
        if sorted(tags) != ["CONST", "VAR"] or self.lenience(int(condition.get("inputcollid", "0"))) != 0:
            return False
        return sides[tags.index("VAR")].number("varattno") == part.column

    def _trees_of(self, relation: int, name: str) -> tuple[list[Node], Node | None]:
        expressions, predicate = self.trees.get((relation, name), (None, None))
        try:
            found = parse_tree(expressions) if expressions else []
            condition = parse_tree(predicate) if predicate else None
        except TreeError:
            return [], None
        return found, condition if isinstance(condition, Node) else None


_KNOWN: WeakKeyDictionary[Schema, KeyFacts] = WeakKeyDictionary()


def facts_of(schema: Schema) -> KeyFacts:
    """Return what is known of equality in a schema's database: read once, at the first proof that wants it."""
    if schema not in _KNOWN:
        families: dict[int, set[int]] = {}
        for operator, family in schema.ask(EQUALITIES):
            families.setdefault(operator, set()).add(family)
        _KNOWN[schema] = KeyFacts(
            schema,
            {operator: frozenset(found) for operator, found in families.items()},
            dict(schema.ask(CLASSES)),
            frozenset(oid for (oid,) in schema.ask(LENIENT)),
            {
                (relation, name): (expressions, predicate)
                for relation, name, expressions, predicate in schema.ask(TREES)
            },
        )
    return _KNOWN[schema]
