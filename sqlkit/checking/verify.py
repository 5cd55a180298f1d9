"""Contracts against what PostgreSQL says: each thing that does not hold, once, with the variants it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from sqlkit.checking.arguments import Arguments
from sqlkit.checking.columns import Columns
from sqlkit.checking.findings import Finding, Severity
from sqlkit.checking.positions import SqlPlaces, variant_words
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.checking.sources import LoadedQuery
from sqlkit.checking.types.spelling import spelled
from sqlkit.contracts.contract import Cardinality
from sqlkit.describing.description import Described, Description
from sqlkit.statements import Statement

__all__ = ["verify"]

#: What is true of some variants, in words, and the test of it.
Condition: TypeAlias = tuple[str, Callable[[Description], bool]]

SINGLE = (Cardinality.ONE, Cardinality.OPTIONAL)


def verify(
    queries: Iterable[LoadedQuery], descriptions: Mapping[Statement, Sequence[Description]]
) -> Iterator[Finding]:
    """Yield what of the contracts of queries does not hold (SK002 to SK009, SK017, SK021).

    ``descriptions`` are those of all variants of their statements; what PostgreSQL refused or could not be asked is
    passed over. A finding that is about some variants only says which. A field that takes None for one query is no
    hint for another that shares its model.
    """
    sql, python = SqlPlaces(), PythonPlaces()
    hints: list[tuple[Finding, _Query]] = []
    filled: set[tuple[object, str]] = set()
    for query in queries:
        checked = _Query(query, sql, python)
        for finding in checked.verify(descriptions.get(query.statement, ())):
            if finding.severity is Severity.HINT:
                hints.append((finding, checked))
            else:
                yield finding
        filled |= checked.columns.filled_by_null
    for finding, checked in hints:
        if checked.columns.never_null.get(finding) not in filled:
            yield finding


class _Query:
    def __init__(self, query: LoadedQuery, sql: SqlPlaces, python: PythonPlaces) -> None:
        self.query = query
        self.contract = query.contract
        self.sql = sql
        self.python = python
        self.arguments = Arguments(query, sql, python)
        self.columns = Columns(query, self.arguments, sql, python)

    def verify(self, descriptions: Sequence[Description]) -> Iterator[Finding]:
        """Yield what does not hold, each once, with the variants that it is about."""
        found: dict[tuple[object, ...], tuple[Finding, list[Description]]] = {}
        described = [each for each in descriptions if isinstance(each.outcome, Described)]
        for description in described:
            for finding in self.findings(description):
                key = finding.code, finding.message, finding.reason, finding.python
                variants = found.setdefault(key, (finding, []))[1]
                if description not in variants[-1:]:
                    variants.append(description)
        for finding, variants in found.values():
            if finding.severity is not Severity.HINT:
                yield replace(finding, variant=_words(variants, described))
            elif len(variants) == len(described):  # a None that one variant never gives may be another's
                yield finding

    def findings(self, description: Description) -> Iterator[Finding]:
        """Yield what does not hold for one variant."""
        described = description.outcome
        assert isinstance(described, Described)  # noqa: S101 - others are sorted out before
        yield from self.arguments.findings(described)
        row = self.contract.row
        if row is None:
            yield from self._dropped(described)
        elif not described.columns:
            reason = f"the statement returns no columns, and {self._returned()} is promised"
            advice = "add returning, or return Affected or None" if self.query.statement.writes else "return None"
            yield self._finding("SK005", f"{reason}: {advice}")
        else:
            yield from self.columns.findings(description, described, row)
            yield from self._rows(described)

    def _dropped(self, described: Described) -> Iterator[Finding]:
        """Look at what a writing statement returns for nobody; a select may be there for what its functions do."""
        if described.columns and self.query.statement.writes:
            names = ", ".join(column.name for column in described.columns)
            reason = f"the statement returns {names}, and -> {self._returned()} drops it"
            yield self._finding("SK004", f"{reason}: return the rows, or take returning away")

    def _rows(self, described: Described) -> Iterator[Finding]:
        if self.contract.cardinality in SINGLE and described.single is None and described.unproved is None:
            row = spelled(self.contract.row.annotation) if self.contract.row else ""
            reason = f"{self._returned()} is promised, and nothing proves that one row at most comes"
            advice = f"select by a unique key, add limit 1, or return list[{row.removesuffix(' | None')}]"
            yield self._finding("SK009", f"{reason}: {advice}")

    def _returned(self) -> str:
        returned = self.contract.signature.return_annotation
        row = self.contract.row
        if row is None:
            return "Affected" if self.contract.cardinality is Cardinality.AFFECTED else "None"
        said = spelled(row.annotation)
        if self.contract.cardinality is Cardinality.OPTIONAL and row.shape != "value":
            return f"{said} | None"
        if self.contract.cardinality is Cardinality.ALL:
            return f"list[{said}]"
        if self.contract.cardinality is Cardinality.STREAM:
            return str(returned) if isinstance(returned, str) else f"Rows[{said}]"
        return said

    def _finding(self, code: str, message: str) -> Finding:
        sql = self.sql.statement(self.query.statement)
        return Finding(code, message, self.contract.name, sql, self.python.returns(self.contract))


# Which variants.


def _words(found: Sequence[Description], all_: Sequence[Description]) -> str | None:
    """Say of which variants something is true; None where it is all of them."""
    if len(found) == len(all_):
        return None
    first = found[0]
    true = [(words, is_so) for words, is_so in _conditions(first.statement, first) if all(map(is_so, found))]
    if _meant(true, all_) != list(found):
        return variant_words(first.statement, first.given, first.chosen)
    for condition in list(true):
        others = [other for other in true if other is not condition]
        if _meant(others, all_) == list(found):
            true = others
    return ", ".join(words for words, _ in true)


def _meant(conditions: Sequence[Condition], all_: Sequence[Description]) -> list[Description]:
    return [each for each in all_ if all(is_so(each) for _, is_so in conditions)]


def _conditions(statement: Statement, first: Description) -> Iterator[Condition]:
    """Yield the single conditions on variants that one of them fulfils."""
    for bit, region in enumerate(statement.regions):
        names = " and ".join(dict.fromkeys(str(reference) for reference in region.references))
        given = first.given >> bit & 1
        yield ("with " if given else "without ") + names, _given(bit, given)
    for index, key in enumerate(statement.choices):
        label = (first.chosen or statement.standing)[index]
        yield f"{key}: {label}", _chosen(index, label)


def _given(bit: int, given: int) -> Callable[[Description], bool]:
    return lambda each: each.given >> bit & 1 == given


def _chosen(index: int, label: str) -> Callable[[Description], bool]:
    return lambda each: (each.chosen or each.statement.standing)[index] == label
