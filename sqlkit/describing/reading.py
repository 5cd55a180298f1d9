"""A described text and its tree to a ``Described``: types, verdicts with their reasons, targets, shapes of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.pq.abc import PGresult

from sqlkit.describing.cardinality import always, single
from sqlkit.describing.checkedvalues import checked_values
from sqlkit.describing.copied import describe_copy
from sqlkit.describing.description import Described, DescribedColumn, DescribedParameter, JsonShape, Refused
from sqlkit.describing.jsonshapes import json_shape
from sqlkit.describing.locating import JoinLines
from sqlkit.describing.nullability.prover import Prover
from sqlkit.describing.nullability.verdicts import Verdict, nullable
from sqlkit.describing.schema import Relation, Schema
from sqlkit.describing.servertypes import ServerTypes
from sqlkit.describing.targets import targets
from sqlkit.describing.trees import Node, TreeError, parse_tree
from sqlkit.statements import Statement, Variant

__all__ = ["Reader", "Shape"]

RELATIONS = re.compile(r":relid (\d+)")
FUNCTIONS = re.compile(r":(?:opfuncid|funcid|aggfnoid|winfnoid) (\d+)")

NUMBERED = re.compile(r"\$(\d+)\b")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the server says of a prepared text: types of parameters; name, type, modifier and origin of columns."""

    parameters: tuple[int, ...]
    columns: tuple[tuple[str, int, int, int, int], ...]

    @classmethod
    def of(cls, result: PGresult, encoding: str) -> Shape:
        """Read the result of a description."""
        return cls(
            tuple(result.param_type(index) for index in range(result.nparams)),
            tuple(
                (
                    (result.fname(index) or b"").decode(encoding),
                    result.ftype(index),
                    result.fmod(index),
                    result.ftable(index),
                    result.ftablecol(index),
                )
                for index in range(result.nfields)
            ),
        )

    def oids(self) -> Iterator[tuple[int, int]]:
        """Yield the types that occur, with their modifiers."""
        for oid in self.parameters:
            yield oid, -1
        for _, oid, modifier, _, _ in self.columns:
            yield oid, modifier


class Reader:
    """Reads what one connection describes; facts of the catalogue and of views are kept from one text to the next."""

    def __init__(self, schema: Schema, types: ServerTypes) -> None:
        self._schema = schema
        self._types = types
        self._views: dict[tuple[int, bool, bool], list[Verdict]] = {}
        self._values: dict[tuple[int, int], tuple[str | int, ...] | None] = {}
        self._views_in_row: dict[tuple[int, bool, bool], list[Verdict]] = {}

    def learn(self, trees: list[str]) -> None:
        """Read the relations and functions that trees name, all at once."""
        self._schema.learn_relations({int(oid) for tree in trees for oid in RELATIONS.findall(tree)} - {0})
        self._schema.learn_functions({int(oid) for tree in trees for oid in FUNCTIONS.findall(tree)} - {0})

    def read(
        self, statement: Statement, variant: Variant, shape: Shape, text: str | None, why_not: str | None
    ) -> Described | Refused:
        """Return the description of a variant; ``text`` is its tree's, ``why_not`` says why there is none.

        Refused for a copy into what is not there, of which PostgreSQL says nothing before it runs.
        """
        if statement.copy is not None:
            return describe_copy(statement.copy, self._schema, self._types, why_not or "copy has no tree")
        query = _query(text)
        if query is None:
            why_not = why_not or "its tree cannot be read"
            return Described(
                tuple(self._parameters(variant, shape, {})),
                tuple(self._column(index, shape, nullable(why_not), True, None) for index in range(len(shape.columns))),
                unproved=why_not,
            )
        lines = JoinLines(query, variant.text, statement.text_line)
        prover = Prover(self._schema, lines, views=self._views)
        verdicts = prover.columns(query)
        if len(verdicts) != len(shape.columns):
            verdicts = [nullable("its tree cannot be read")] * len(shape.columns)
        return Described(
            tuple(self._parameters(variant, shape, targets(query, self._schema))),
            tuple(self._columns(query, variant, shape, verdicts, prover)),
            single=_careful(single, query, self._schema),
            always=_careful(always, query, self._schema),
        )

    def _parameters(self, variant: Variant, shape: Shape, written: dict[int, str]) -> Iterator[DescribedParameter]:
        for number, (reference, oid) in enumerate(zip(variant.references, shape.parameters, strict=True), 1):
            yield DescribedParameter(number, reference, self._types.type(oid), written.get(number))

    def _columns(
        self, query: Node, variant: Variant, shape: Shape, verdicts: list[Verdict], prover: Prover
    ) -> Iterator[DescribedColumn]:
        in_row: list[Verdict] | None = None
        for index, verdict in enumerate(verdicts):
            certain_in_row = verdict.certain
            if not certain_in_row and "." in shape.columns[index][0]:
                if in_row is None:
                    in_row = Prover(self._schema, views=self._views_in_row, assume_rows=True).columns(query)
                certain_in_row = in_row[index].certain
            json = json_shape(query, index, prover) if shape.columns[index][1] in (114, 3802) else None
            named = Verdict(verdict.needs, _named(verdict.reason, variant))
            yield self._column(index, shape, named, not certain_in_row, json)

    def _column(
        self, index: int, shape: Shape, verdict: Verdict, nullable_in_row: bool, json: JsonShape | None
    ) -> DescribedColumn:
        name, oid, modifier, table, column = shape.columns[index]
        relation = self._schema.relation(table) if table else None
        attribute = relation.columns.get(column) if relation is not None else None
        return DescribedColumn(
            name,
            self._types.type(oid, modifier),
            not verdict.certain,
            f"{'not null' if verdict.certain else 'nullable'}: {verdict.reason}",
            f"{relation.name}.{attribute.name}" if relation is not None and attribute is not None else None,
            json,
            verdict.needs or frozenset(),
            nullable_in_row,
            self._checked(relation, column) if relation is not None else None,
        )

    def _checked(self, relation: Relation, column: int) -> tuple[str | int, ...] | None:
        key = (relation.oid, column)
        if key not in self._values:
            self._values[key] = checked_values(self._schema, relation, column)
        return self._values[key]


def _query(text: str | None) -> Node | None:
    if text is None:
        return None
    try:
        tree = parse_tree(text)
    except TreeError:
        return None
    while isinstance(tree, list) and tree:
        tree = tree[-1]
    return tree if isinstance(tree, Node) and tree.tag == "QUERY" else None


def _careful(prove: object, query: Node, schema: Schema) -> str | None:
    try:
        return prove(query, schema)  # type: ignore[operator,no-any-return]
    except (KeyError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None


def _named(reason: str, variant: Variant) -> str:
    """Call parameters by their names."""

    def name(match: re.Match[str]) -> str:
        number = int(match[1])
        return f":{variant.references[number - 1]}" if 0 < number <= len(variant.references) else match[0]

    return NUMBERED.sub(name, reason)
