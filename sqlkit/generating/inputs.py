"""What statements take: parameters of methods, and models for what comes in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

from sqlkit.describing.description import ServerType
from sqlkit.generating.annotating import ANY, Annotator, hides_attribute, nullable
from sqlkit.generating.catalogue import Table, TableColumn
from sqlkit.generating.conditions import Items, Literal, parse_condition
from sqlkit.generating.constraints import Demands, demands_of
from sqlkit.generating.naming import camel, identifier, singular
from sqlkit.generating.outcomes import Outcome, Wanted, refuse
from sqlkit.generating.plan import UNCHANGED, ClassPlan, FieldPlan, ParameterPlan, named, quoted
from sqlkit.generating.rows import document_type
from sqlkit.statements import Reference, Statement

__all__ = ["InputModels"]

UNSET = named("UNSET", "sqlkit")
LENGTHS = ("max_length", "min_length", "pattern")
BOUNDS = ("ge", "gt", "le", "lt")

#: What a parameter's attributes want, by their names.
Wants: TypeAlias = "dict[str, Wanted | Wants]"


@dataclass(frozen=True, slots=True)
class Value:
    """How a value that comes in is written down: its annotation, a default that the table has, what it must satisfy."""

    annotation: str
    takes_none: bool = False
    default: str | None = None
    demands: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class InputModels:
    """Plans parameters and input models; statements whose models have the same fields share one."""

    annotator: Annotator
    classes: dict[tuple[FieldPlan, ...], str] = field(default_factory=dict)

    # Methods.

    def parameters(self, outcome: Outcome) -> tuple[ParameterPlan, ...]:
        """Return the parameters of a method that runs a statement once."""
        statement = outcome.statement
        found: list[ParameterPlan] = []
        for name in statement.parameters:
            if name == "self":
                raise refuse(statement, ":self is what a method's own object is called: choose another name")
            references = [reference for reference in statement.references if reference.name == name]
            if any(reference.path for reference in references):
                found.append(self._model_parameter(outcome, name, references))
            else:
                found.append(self._plain_parameter(outcome, references[0]))
        return (*found, *_choices(statement))

    def items(self, outcome: Outcome) -> tuple[ParameterPlan, tuple[ParameterPlan, ...]]:
        """Return the parameter of a batch or a copy, and those beside it."""
        statement = outcome.statement
        if statement.regions:
            raise refuse(statement, "a batch takes no optional lines: each item runs the same text")
        table: Table | None
        if statement.copy is not None:
            table, fields = self._copied(statement)
        else:
            wants = _tree(outcome, statement.references)
            table, fields = self._table_of(wants), self._fields(outcome, wants, ())
        wanted = [camel("new", singular(table.name))] if table else []
        doc = f"A row for ``{table.name}``." if table else f"An item of ``{statement.name}``."
        model = self._class(statement, fields, doc, *wanted, camel(statement.name, "item"))
        name = identifier(table.name) if table else "items"
        taken = {*statement.parameters, *statement.choices, "db"}
        name = name if name not in taken else "items" if "items" not in taken else "rows_"
        annotation = f"{named('Iterable', 'collections.abc')}[{model}]"
        return ParameterPlan(name, annotation), _choices(statement)

    def _plain_parameter(self, outcome: Outcome, reference: Reference) -> ParameterPlan:
        statement, wanted = outcome.statement, outcome.wanted.get(reference)
        if wanted is None:
            return ParameterPlan(reference.name, ANY)
        value = self._value(wanted)
        if reference in {each for region in statement.regions for each in region.references}:
            if value.takes_none and wanted.target is not None:
                annotation = f"{value.annotation} | {named('Unset', 'sqlkit')} | None"
                return ParameterPlan(reference.name, annotation, UNSET)
            return ParameterPlan(reference.name, nullable(value.annotation), "None")
        if value.takes_none:
            default = "None" if wanted.target and wanted.target.verb == "insert" else None
            return ParameterPlan(reference.name, nullable(value.annotation), default)
        if value.default not in (None, "[]", "{}") and wanted.target and wanted.target.verb == "insert":
            return ParameterPlan(reference.name, value.annotation, value.default)
        if reference not in statement.required:  # it stands under one label of a choice only
            return ParameterPlan(reference.name, nullable(value.annotation), "None")
        return ParameterPlan(reference.name, value.annotation)

    def _model_parameter(self, outcome: Outcome, name: str, references: list[Reference]) -> ParameterPlan:
        statement = outcome.statement
        verbs = {wanted.target.verb for each in references if (wanted := outcome.wanted.get(each)) and wanted.target}
        together = "update" not in verbs and self._together(statement, references)
        optional = () if together else tuple(each for region in statement.regions for each in region.references)
        wants = _tree(outcome, [reference for reference in references if reference.path], depth=1)
        fields = self._fields(outcome, wants, tuple(each.path for each in optional if each.name == name))
        table = self._table_of(wants)
        names = [camel(statement.name, name)]
        doc = f"``{name}`` of what ``{statement.name}`` takes."
        if table is not None and "insert" in verbs:
            names.insert(0, camel("new", singular(table.name)))
            doc = f"A row for ``{table.name}``."
        elif table is not None:
            names.insert(0, camel(singular(table.name), "changes"))
            doc = f"What to change of a row of ``{table.name}``."
        model = self._class(statement, fields, doc, *names)
        omitted = together or ("update" not in verbs and set(references) <= set(optional))
        return ParameterPlan(name, nullable(model), "None") if omitted else ParameterPlan(name, model)

    def _together(self, statement: Statement, references: list[Reference]) -> bool:
        """Tell whether all attributes of a parameter stand in one optional region: it is given as a whole or not."""
        return any(set(references) <= set(region.references) for region in statement.regions)

    # Models.

    def _fields(
        self, outcome: Outcome, wants: Wants, optional: tuple[tuple[str, ...], ...], path: tuple[str, ...] = ()
    ) -> tuple[FieldPlan, ...]:
        fields: list[FieldPlan] = []
        for name, wanted in wants.items():
            here = (*path, name)
            if isinstance(wanted, dict):
                inner = self._fields(outcome, wanted, optional, here)
                doc = f"``{'.'.join(here)}`` of what ``{outcome.statement.name}`` takes."
                model = self._class(outcome.statement, inner, doc, camel(outcome.statement.name, *here))
                fields.append(FieldPlan(name, model))
            else:
                fields.append(_input_field(name, self._value(wanted), unchanged=here in optional, wanted=wanted))
        return tuple(fields)

    def _copied(self, statement: Statement) -> tuple[Table, tuple[FieldPlan, ...]]:
        copy = statement.copy
        assert copy is not None  # noqa: S101 - the caller has looked
        table = self.annotator.catalogue.table(copy.table)
        if table is None:
            raise refuse(statement, f"there is no table {copy.table}")
        if not copy.columns:
            columns = ", ".join(column.name for column in table.columns.values() if not column.generated)
            raise refuse(statement, f"name the columns: copy {copy.table} ({columns}) from stdin")
        fields: list[FieldPlan] = []
        for name in copy.columns:
            column = table.columns.get(name)
            if column is None:
                raise refuse(statement, f"{table.name} has no column {name!r}")
            if identifier(name) != name:
                reason = (
                    f"the column {name!r} can be no attribute in Python: insert it, from a parameter of another name"
                )
                raise refuse(statement, reason)
            value = self._written(table, column, self.annotator.column_type(column.type_oid))
            fields.append(_input_field(name, value, unchanged=False))
        return table, tuple(fields)

    def _table_of(self, wants: Wants) -> Table | None:
        """Return the one table that all attributes are written to."""
        tables: dict[int, Table] = {}
        for wanted in wants.values():
            target = None if isinstance(wanted, dict) else wanted.target
            table = self.annotator.catalogue.table(target.table) if target else None
            if table is None:
                return None
            tables[table.oid] = table
        return next(iter(tables.values())) if len(tables) == 1 else None

    def _class(self, statement: Statement, fields: tuple[FieldPlan, ...], doc: str, *names: str) -> str:
        if fields not in self.classes:
            name = self.classes[fields] = self.annotator.names.take(*names, camel(statement.name, "input"))
            for each in fields:
                if each.name.startswith("_"):
                    raise refuse(statement, f"{each.name!r} would be private in a model: choose another name")
            plain = any(hides_attribute(each.name) for each in fields)
            self.annotator.plan.classes.append(ClassPlan(name, doc, fields, strict=True, dataclass=plain))
        return named(self.classes[fields])

    # Values.

    def _value(self, wanted: Wanted) -> Value:
        target = wanted.target
        table = self.annotator.catalogue.table(target.table) if target else None
        column = table.columns.get(target.column) if table and target else None
        if target is None or table is None or column is None:
            return Value(self.annotator.annotate(wanted.type.structure, wanted.type.labels))
        value = self._written(table, column, wanted.type)
        if wanted.not_null:  # behind a view, too, whose own columns take anything
            value = replace(value, takes_none=False)
        if target.replaced:
            return Value(value.annotation, True, None, value.demands)
        return value

    def _written(self, table: Table, column: TableColumn, type_: ServerType) -> Value:
        """Return how a value for a column is written down."""
        demands = demands_of(table.checks).get(column.name, Demands())
        for name, inner in demands_of(column.checks).items():
            if name.lower() == "value":
                demands = _merged(demands, inner)
        annotation = self.annotator.annotate(type_.structure, type_.labels)
        text = named("str", "builtins")
        said = dict(demands.field)
        if column.length is not None and annotation == text:
            said["max_length"] = Decimal(column.length)
        if demands.texts and annotation == text:
            annotation, said = self.annotator.texts(table.name, column.name, demands.texts), {}
        elif demands.element_texts and annotation == f"{named('list', 'builtins')}[{text}]":
            inner_texts = self.annotator.texts(table.name, column.name, demands.element_texts)
            annotation = f"{named('list', 'builtins')}[{inner_texts}]"
        elif annotation == ANY:
            annotation = document_type(demands.json_type)
        takes_none = not (column.not_null or demands.not_null)
        default = _default(self.annotator, column.default, annotation)
        return Value(annotation, takes_none, default, _spelled(said, annotation))


def _choices(statement: Statement) -> tuple[ParameterPlan, ...]:
    literal = named("Literal", "typing")
    return tuple(
        ParameterPlan(key, f"{literal}[{', '.join(map(quoted, labels))}]", quoted(standing))
        for (key, labels), standing in zip(statement.choices.items(), statement.standing, strict=True)
    )


def _tree(outcome: Outcome, references: Iterable[Reference], depth: int = 0) -> Wants:
    root: Wants = {}
    for reference in references:
        *path, last = (reference.name, *reference.path)[depth:]
        group = root
        for part in path:
            inner = group.setdefault(part, {})
            if not isinstance(inner, dict):
                raise refuse(outcome.statement, f":{reference} and :{part} are both parameters: choose another name")
            group = inner
        if reference not in outcome.wanted:
            raise refuse(outcome.statement, f":{reference} stands in no variant that was described")
        group[last] = outcome.wanted[reference]
    return root


def _input_field(name: str, value: Value, *, unchanged: bool, wanted: Wanted | None = None) -> FieldPlan:
    annotation = nullable(value.annotation) if value.takes_none else value.annotation
    updates = wanted is not None and wanted.target is not None and wanted.target.verb == "update"
    if unchanged:
        default: str | None = UNCHANGED
    elif updates:
        default = None
    else:
        default = value.default or ("None" if value.takes_none else None)
    return FieldPlan(name, annotation, default, value.demands)


def _merged(first: Demands, second: Demands) -> Demands:
    return Demands(
        {**second.field, **first.field},
        first.texts or second.texts,
        first.element_texts or second.element_texts,
        first.json_type or second.json_type,
        first.not_null or second.not_null,
    )


def _spelled(said: Mapping[str, Decimal | str], annotation: str) -> tuple[tuple[str, str], ...]:
    """Return the arguments of ``Field`` that an annotation can have, as Python text."""
    numeric = annotation in (named("int", "builtins"), named("float", "builtins"), named("Decimal", "decimal"))
    sized = annotation == named("str", "builtins") or annotation.startswith(named("list", "builtins"))
    found: list[tuple[str, str]] = []
    for name, value in said.items():
        if isinstance(value, str):
            if annotation == named("str", "builtins"):
                found.append((name, _raw(value)))
        elif (name in BOUNDS and numeric) or (name in LENGTHS and sized):
            found.append((name, _number(value, annotation)))
    return tuple(found)


def _number(value: Decimal, annotation: str) -> str:
    if value == value.to_integral_value():
        return str(int(value))
    if annotation == named("Decimal", "decimal"):
        return f'{named("Decimal", "decimal")}("{value}")'
    return str(float(value))


#: Numbers as a default spells them.
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _default(annotator: Annotator, default: str | None, annotation: str) -> str | None:
    """Return a column's default as Python text where it is a plain value."""
    read = parse_condition(default) if default else None
    list_of, dict_of = named("list", "builtins"), named("dict", "builtins")
    if isinstance(read, Items) and not read.items and annotation.startswith(list_of):
        return "[]"
    if not isinstance(read, Literal):
        return None
    value = read.value
    if isinstance(value, bool):
        return str(value) if annotation == named("bool", "builtins") else None
    if isinstance(value, Decimal):
        return _number_default(value, annotation)
    if value in ("{}", "[]") and (annotation.startswith((list_of, dict_of)) or annotation == ANY):
        return "[]" if annotation.startswith(list_of) or value == "[]" else "{}"
    if value is None or annotation == ANY:
        return None
    return _text_default(annotator, value, annotation)


def _number_default(value: Decimal, annotation: str) -> str | None:
    if annotation == named("int", "builtins"):
        return str(int(value)) if value == value.to_integral_value() else None
    if annotation == named("float", "builtins"):
        return str(float(value))
    if annotation == named("Decimal", "decimal"):
        whole = str(value).removeprefix("-").isdigit()
        return f"{annotation}({value})" if whole else f'{annotation}("{value}")'
    return None


def _text_default(annotator: Annotator, value: str, annotation: str) -> str | None:
    if annotation == named("str", "builtins"):
        return quoted(value)
    if NUMBER.fullmatch(value) and (number := _number_default(Decimal(value), annotation)):
        return number  # negative ones and those of many digits stand in quotes
    return annotator.constant(annotation, value)


def _raw(text: str) -> str:
    """Return a pattern as Python writes it, raw where it has a backslash."""
    if "\\" in text and '"' not in text and text.isprintable() and not text.endswith("\\"):
        return f'r"{text}"'
    return quoted(text)
