"""What is wrong without asking PostgreSQL: undeclared statements, uncalled queries, no where, stars, unequal twins."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlkit.checking.findings import Finding
from sqlkit.checking.positions import SqlPlaces
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.checking.sources import LoadedQuery, ProjectFacts
from sqlkit.checking.stars import stars
from sqlkit.contracts.contract import Cardinality, Contract, Parameter
from sqlkit.lexer import Kind
from sqlkit.rows.shapes import describe_type
from sqlkit.sqlfile.clauses import Verb, Words, verbs
from sqlkit.sqlfile.markers import Marked, read_markers
from sqlkit.sqlfile.sections import whole
from sqlkit.sqlfile.sqltext import SqlText
from sqlkit.statements import Statement

__all__ = ["lint"]

KINDS: Mapping[Any, str] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional or by name",
    inspect.Parameter.KEYWORD_ONLY: "by name only",
}

#: How many rows in a reader's words; a stream and a list are different promises.
PROMISES = {
    Cardinality.ONE: "one row",
    Cardinality.OPTIONAL: "a row or None",
    Cardinality.ALL: "a list",
    Cardinality.STREAM: "a stream",
    Cardinality.AFFECTED: "Affected",
    Cardinality.NOTHING: "None",
}


def lint(facts: ProjectFacts) -> Iterator[Finding]:
    """Yield SK010 to SK014 for a project's statements and queries."""
    sql, python = SqlPlaces(), PythonPlaces()
    if facts.declares:
        yield from _undeclared(facts, sql)
    if facts.called is not None:
        yield from _uncalled(facts.queries, facts.called, sql, python)
    for statement in facts.statements:
        marked = _marked(statement)
        yield from _unconditional(statement, marked, sql)
        yield from _stars(statement, marked, sql)
    yield from _disagreeing(facts.queries, sql, python)


def _undeclared(facts: ProjectFacts, places: SqlPlaces) -> Iterator[Finding]:
    declared = {id(query.statement) for query in facts.queries}
    for statement in facts.statements:
        if id(statement) not in declared:
            message = f"no Protocol declares it: load one with a method {statement.name}, or remove the statement"
            yield Finding("SK010", message, statement.name, sql=places.header(statement))


def _uncalled(
    queries: Sequence[LoadedQuery], called: frozenset[str], sql: SqlPlaces, python: PythonPlaces
) -> Iterator[Finding]:
    for query in {id(query.statement): query for query in reversed(queries)}.values():
        if query.contract.name not in called:
            yield Finding(
                "SK011",
                "nothing in the project calls it",
                _name(query.contract),
                sql=sql.header(query.statement),
                python=python.method(query.contract),
            )


def _distinct(queries: Sequence[LoadedQuery]) -> list[LoadedQuery]:
    """Return the queries without those of a method that another Protocol inherits, or that is loaded twice."""
    return list({(id(query.contract.function), id(query.statement)): query for query in reversed(queries)}.values())[
        ::-1
    ]


def _name(contract: Contract) -> str:
    return f"{contract.interface.__name__}.{contract.name}"


def _marked(statement: Statement) -> Marked:
    """Return a statement's tokens, commented-out choice lines included, at their offsets in its text."""
    source = SqlText(statement.text, statement.path)
    return read_markers(source, whole(source, statement.name))


def _unconditional(statement: Statement, marked: Marked, places: SqlPlaces) -> Iterator[Finding]:
    words = Words(marked.source.text, marked.items)
    for verb in verbs(marked, words):
        if verb.word in ("update", "delete") and not _has_where(marked, words, verb):
            token = words.items[verb.index]
            message = f"{verb.word} without where reaches every row: add a condition, or --@ allow: SK012"
            yield Finding("SK012", message, statement.name, sql=places.at(statement, token.start, token.end))


def _has_where(marked: Marked, words: Words, verb: Verb) -> bool:
    """Tell whether a where belongs to a verb: before the end of its query, outside of brackets."""
    base = marked.condition(words.items[verb.index])
    depth, before = 0, ""
    for place in range(verb.index + 1, len(words.items)):
        token, word = words.items[place], words.words[place]
        if marked.condition(token).excludes(base):
            continue
        depth += (token.kind is Kind.OPEN) - (token.kind is Kind.CLOSE)
        if depth < 0 or (depth == 0 and word == ";"):
            return False
        if depth == 0 and word == "where" and before != ".":
            return True
        before = word
    return False


def _stars(statement: Statement, marked: Marked, places: SqlPlaces) -> Iterator[Finding]:
    for start, end in stars(marked):
        written = "".join(statement.text[start:end].split())
        message = f"{written} takes whatever columns there are, and breaks what reads them when one is added: name them"
        yield Finding("SK013", message, statement.name, sql=places.at(statement, start, end))


def _disagreeing(queries: Sequence[LoadedQuery], sql: SqlPlaces, python: PythonPlaces) -> Iterator[Finding]:
    """Yield SK014 for methods of one name on one statement that promise or take different things."""
    first: dict[int, LoadedQuery] = {}
    for query in _distinct(queries):
        other = first.setdefault(id(query.statement), query)
        if other is query:
            continue
        for parameter, difference in _differences(query.contract, other.contract):
            contract = query.contract
            place = python.parameter(contract, parameter) if parameter else python.method(contract)
            if parameter == "return":
                place = python.returns(contract)
            message = f"{difference}: make them agree"
            yield Finding("SK014", message, _name(contract), sql=sql.header(query.statement), python=place)


def _differences(one: Contract, other: Contract) -> Iterator[tuple[str, str]]:
    """Yield the parameter (``return`` for the answer, empty for all) and what is different about it."""
    twins = one.interface.__name__ == other.interface.__name__
    there = f"{other.interface.__module__}.{_name(other)}" if twins else _name(other)
    for name in sorted(one.parameters.keys() - other.parameters.keys()):
        yield name, f"{there} has no parameter {name}"
    for name in sorted(other.parameters.keys() - one.parameters.keys()):
        yield "", f"{there} has a parameter {name}, this has none"
    for name in [name for name in one.parameters if name in other.parameters]:
        if difference := _parameter_difference(one, other, name):
            yield name, f"{name} is {difference[0]} here and {difference[1]} in {there}"
    if one.parameters.keys() == other.parameters.keys() and list(one.parameters) != list(other.parameters):
        yield "", f"{there} takes {', '.join(other.parameters)} in this order, this {', '.join(one.parameters)}"
    if one.cardinality is not other.cardinality:
        yield "return", f"it returns {PROMISES[one.cardinality]} here and {PROMISES[other.cardinality]} in {there}"
    elif one.row is not None and other.row is not None and one.row.annotation != other.row.annotation:
        here, said = _both(one.row.annotation, other.row.annotation)
        yield "return", f"a row is {here} here and {said} in {there}"


def _parameter_difference(one: Contract, other: Contract, name: str) -> tuple[str, str] | None:
    here, there = one.parameters[name], other.parameters[name]
    kinds = [KINDS[contract.signature.parameters[name].kind] for contract in (one, other)]
    if kinds[0] != kinds[1]:
        return kinds[0], kinds[1]
    if here.item is not None and there.item is not None:  # asynchronous or not: each side has its own way to iterate
        items = _both(here.item, there.item)
        return None if here.item == there.item else (f"Iterable[{items[0]}]", f"Iterable[{items[1]}]")
    if here.annotation != there.annotation:
        return _both(here.annotation, there.annotation)
    if type(here.default) is not type(there.default) or here.default != there.default:
        return _default(here), _default(there)
    return None


def _both(one: Any, other: Any) -> tuple[str, str]:
    """Spell two annotations, with their modules where they read the same."""
    names = describe_type(one), describe_type(other)
    if names[0] != names[1] or not (isinstance(one, type) and isinstance(other, type)):
        return names
    return f"{one.__module__}.{one.__qualname__}", f"{other.__module__}.{other.__qualname__}"


def _default(parameter: Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return f"by default {parameter.default!r}"[:60]
