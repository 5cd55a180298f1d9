"""Whether the columns of a statement fill the row type of its method: names, types, NULL, nested groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from sqlkit.checking.arguments import Arguments
from sqlkit.checking.findings import Finding, Place
from sqlkit.checking.matching import Filled, Match, NestedGroup, match_columns
from sqlkit.checking.positions import SqlPlaces
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.checking.sources import LoadedQuery
from sqlkit.checking.types.documents import document_misfits
from sqlkit.checking.types.loading import loading
from sqlkit.checking.types.spelling import spelled
from sqlkit.contracts.contract import Cardinality
from sqlkit.describing.description import Described, DescribedColumn, Description
from sqlkit.rows.shapes import RowType

__all__ = ["Columns"]


class Columns:
    """The row type of one query, compared with the columns of its variants (SK004 to SK008, SK017, SK021)."""

    def __init__(self, query: LoadedQuery, arguments: Arguments, sql: SqlPlaces, python: PythonPlaces) -> None:
        self.query = query
        self.arguments = arguments
        self.sql = sql
        self.python = python
        #: Fields that a NULL fills, and those that the findings of code SK008 are about.
        self.filled_by_null: set[tuple[Any, str]] = set()
        self.never_null: dict[Finding, tuple[Any, str]] = {}
        self._matches: dict[tuple[str, ...], Match] = {}

    def findings(self, description: Description, described: Described, row: RowType) -> Iterator[Finding]:
        """Yield what is wrong with the columns of a variant for a row type."""
        names = tuple(column.name for column in described.columns)
        match = self._matches.get(names)
        if match is None:
            match = self._matches[names] = match_columns(row, names)
        yield from _Variant(self, description, described, match).findings()


@dataclass(frozen=True, slots=True)
class _Variant:
    of: Columns
    description: Description
    described: Described
    match: Match

    def findings(self) -> Iterator[Finding]:
        for misplaced in self.match.misplaced:
            place = self._owned(misplaced.owner, misplaced.name)
            yield self._finding(misplaced.code, misplaced.message, misplaced.column, place)
        for filled in self.match.filled:
            yield from self._types(filled)
        if self.described.unproved is None:
            missing = list(self._missing_groups())
            for filled in self.match.filled:
                if filled.group not in missing:
                    yield from self._null(filled)
            yield from self._groups(missing)

    # Types.

    def _types(self, filled: Filled) -> Iterator[Finding]:
        column = self.described.columns[filled.column]
        misfits = loading(filled.expected, column.type, column.values, in_table=column.source is not None)
        if column.json is not None:
            misfits = [
                *misfits,
                *document_misfits(filled.expected, column.json, f"is a {column.type.name} {column.json.kind}"),
            ]
        for misfit in misfits:
            if misfit.code != "SK007" or self.described.unproved is None:
                yield self._of(filled, misfit.code, f"column {column.name!r} {misfit.told}")

    # NULL.

    def _null(self, filled: Filled) -> Iterator[Finding]:
        column = self.described.columns[filled.column]
        if self._is_nullable(filled, column):
            self.of.filled_by_null.add((filled.owner, filled.name))
            if not filled.expected.takes_none:
                told = f"column {column.name!r} can be NULL, and {self._subject(filled)} takes no None"
                advice = f"make it {filled.expected} | None"
                yield self._of(filled, "SK007", f"{told}: {advice}", column.reason)
        elif self._is_needless(filled):
            told = f"column {column.name!r} is never NULL, and {self._subject(filled)} takes None"
            yield self._hint(filled.owner, filled.name, f"{told}: take None off", filled.column)

    def _is_nullable(self, filled: Filled, column: DescribedColumn) -> bool:
        """Tell whether NULL can come: in an optional group only while the group's row is there, else it is None."""
        group = filled.group
        while group is not None:
            if group.optional:
                return column.nullable_in_row and not self._hangs_on_arguments(column)
            group = group.above
        return column.nullable and not self._hangs_on_arguments(column)

    def _hangs_on_arguments(self, column: DescribedColumn) -> bool:
        """Tell whether a column is never NULL because the arguments that could make it so are never None."""
        return bool(column.depends) and self.of.arguments.never_none(self.described, column.depends)

    def _is_needless(self, filled: Filled) -> bool:
        if not filled.required or not filled.expected.says_none:
            return False
        # A scalar's None is also that there is no row.
        alone = filled.owner is None and self.of.query.contract.cardinality is Cardinality.OPTIONAL
        return not alone or self.described.always is not None

    def _subject(self, filled: Filled) -> str:
        if filled.owner is None:
            return f"{filled.expected}"
        return f"the field {filled.name!r} of {spelled(filled.owner)}"

    # Nested groups.

    def _columns(self, group: NestedGroup) -> Sequence[DescribedColumn]:
        return [self.described.columns[index] for index in group.columns]

    def _missing_groups(self) -> Iterator[NestedGroup]:
        """Yield the groups that may be missing, though their field takes no None: one finding for all their columns."""
        for group in self.match.groups:
            columns = self._columns(group)
            if not group.optional and columns and all(column.nullable for column in columns):
                padded = any(not column.nullable_in_row for column in columns)
                takes_all = all(part.expected.takes_none for part in self.match.filled if part.group is group)
                if padded or takes_all:
                    yield group

    def _groups(self, missing: Sequence[NestedGroup]) -> Iterator[Finding]:
        for group in self.match.groups:
            columns = self._columns(group)
            place = self._owned(group.owner, group.name)
            kind, owner = spelled(group.annotation), spelled(group.owner)
            if not columns:
                continue
            first = group.columns[0]
            if group in missing:
                reason = columns[0].reason
                told = (
                    f"all columns of {group.path!r} can be NULL, and the field {group.name!r} of {owner} takes no None"
                )
                yield self._finding("SK007", f"{told}: make it {kind} | None", first, place, reason)
            elif group.optional and all(column.nullable_in_row for column in columns):
                told = f"{group.path!r} has no column that is never NULL while its row is there"
                advice = f"select one (its key), or a row of NULLs reads as no {kind}"
                yield self._finding("SK017", f"{told}: {advice}", first, place)
            elif group.optional and not all(column.nullable for column in columns):
                proved = next(column for column in columns if not column.nullable)
                told = f"column {proved.name!r} is never NULL, and the field {group.name!r} of {owner} takes None"
                yield self._hint(
                    group.owner, group.name, f"{told}: take None off", group.columns[columns.index(proved)]
                )
            elif group.optional:
                self.of.filled_by_null.add((group.owner, group.name))

    # Findings.

    def _of(self, filled: Filled, code: str, message: str, reason: str | None = None) -> Finding:
        place = self._owned(filled.owner, filled.name)
        return self._finding(code, message, filled.column, place, reason)

    def _hint(self, owner: Any, name: str, message: str, column: int) -> Finding:
        reason = self.described.columns[column].reason
        finding = self._finding("SK008", message, column, self._owned(owner, name), reason)
        if owner is not None:
            self.of.never_null[finding] = owner, name
        return finding

    def _owned(self, owner: Any, name: str) -> Place | None:
        """Return the place of a field, else of its class; None for what is no field."""
        cls = get_origin(owner) or owner
        if not isinstance(cls, type):
            return None
        return (self.of.python.field(cls, name) if name else None) or self.of.python.cls(cls)

    def _finding(
        self, code: str, message: str, column: int | None, python: Place | None, reason: str | None = None
    ) -> Finding:
        query, described = self.of.query, self.description
        if column is None:
            sql = self.of.sql.statement(query.statement)
        else:
            name = self.described.columns[column].name
            sql = self.of.sql.column(query.statement, column, name, described.given, described.chosen)
        python = python or self.of.python.returns(query.contract)
        return Finding(code, message, query.contract.name, sql, python, reason=reason)
