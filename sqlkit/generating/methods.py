"""Methods of the Protocol: how many rows each promises, and of what."""

from __future__ import annotations

from sqlkit.generating.annotating import nullable
from sqlkit.generating.inputs import InputModels
from sqlkit.generating.outcomes import Outcome, refuse
from sqlkit.generating.plan import TYPE, MethodPlan, ParameterPlan, named
from sqlkit.generating.rows import RowModels
from sqlkit.lexer import Kind, tokenize
from sqlkit.statements import Statement

__all__ = ["method_of"]

BATCHES = frozenset({"batchexec", "batchone", "batchmany", "copyfrom"})
AFFECTED = named("Affected", "sqlkit")

#: What a docstring begins with when its comment has no verb, by the statement's first word.
LEADS = {"insert": "Insert", "update": "Update", "delete": "Delete", "merge": "Merge", "copy": "Copy rows in"}


def method_of(outcome: Outcome, rows: RowModels, inputs: InputModels) -> MethodPlan:
    """Return the method of a statement."""
    statement = outcome.statement
    word = statement.directives.get("cardinality")
    items: ParameterPlan | None = None
    if statement.copy is not None or word in BATCHES:
        items, parameters = inputs.items(outcome)
        returns, stream = _batch_returns(outcome, rows, word), False
    else:
        parameters = inputs.parameters(outcome)
        returns, stream = _returns(outcome, rows, word)
    first = _first_word(statement)
    lead = "Return" if outcome.columns and returns not in (AFFECTED, "None") else LEADS.get(first, "Run")
    return MethodPlan(statement.name, statement.doc, lead, parameters, items, returns, stream)


def _batch_returns(outcome: Outcome, rows: RowModels, word: str | None) -> str:
    if not outcome.columns or word in ("batchexec", "copyfrom"):
        return AFFECTED
    return _listed(outcome, rows)


def _returns(outcome: Outcome, rows: RowModels, word: str | None) -> tuple[str, bool]:
    """Return the annotation of what a call returns, and whether that is a stream."""
    statement = outcome.statement
    if word == "exec" or _is_void(outcome):
        return "None", False
    if word in ("execrows", "execresult"):
        return AFFECTED, False
    if not outcome.columns:
        if word in ("one", "optional", "stream"):
            raise refuse(statement, f":{word} promises rows, and the statement returns none")
        return (AFFECTED if _counts(outcome) else "None"), False
    if word == "stream":
        return f"{named('Rows', 'sqlkit')}[{_element(outcome, rows)}]", True
    if word == "many" or (word is None and not outcome.single):
        return _listed(outcome, rows), False
    if word == "one" or outcome.always:
        return _one(outcome, rows), False
    return _optional(outcome, rows), False


def _counts(outcome: Outcome) -> bool:
    return _first_word(outcome.statement) in ("insert", "update", "delete", "merge", "with", "copy")


def _first_word(statement: Statement) -> str:
    """Return the word that says what a statement does, behind comments and parentheses."""
    text = statement.text
    return next((text[start:end].lower() for kind, start, end in tokenize(text) if kind is Kind.WORD), "")


def _is_void(outcome: Outcome) -> bool:
    return len(outcome.columns) == 1 and outcome.columns[0].described.type.structure.name == "void"


def _is_plain(annotation: str) -> bool:
    """Tell whether an annotation of a value means the value wherever it stands: no list, and no class with fields."""
    return not annotation.startswith(named("list", "builtins")) and TYPE.sub("", annotation) in ("", " | None")


def _element(outcome: Outcome, rows: RowModels) -> str:
    """Return the annotation of one of many rows."""
    if rows.is_scalar(outcome):
        value = rows.value(outcome)
        if not rows.has_fields(value):
            return value
    return rows.model(outcome)


def _listed(outcome: Outcome, rows: RowModels) -> str:
    return f"{named('list', 'builtins')}[{_element(outcome, rows)}]"


def _one(outcome: Outcome, rows: RowModels) -> str:
    if not rows.is_scalar(outcome):
        return rows.model(outcome)
    value = rows.value(outcome)
    reads_otherwise = value.endswith("| None") or not _is_plain(value) or rows.has_fields(value)
    return f"{named('One', 'sqlkit')}[{value}]" if reads_otherwise else value


def _optional(outcome: Outcome, rows: RowModels) -> str:
    if rows.is_scalar(outcome):
        value = rows.value(outcome)
        if _is_plain(value) and not rows.has_fields(value):
            return nullable(value)
    return nullable(rows.model(outcome))
