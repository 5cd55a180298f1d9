"""Models for rows: one for each table whose whole row is selected, one for each other shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sqlkit.describing.description import JsonShape
from sqlkit.generating.annotating import ANY, Annotator, field_for, nullable, told_apart
from sqlkit.generating.catalogue import Table
from sqlkit.generating.constraints import demands_of
from sqlkit.generating.naming import camel, singular
from sqlkit.generating.outcomes import Outcome, OutputColumn, refuse
from sqlkit.generating.plan import ClassPlan, FieldPlan, named

__all__ = ["RowModels"]

TEXT = named("str", "builtins")
#: How the annotations of texts and of arrays of texts end.
TEXTS = (TEXT, f"{TEXT}]")

#: How the annotations of documents begin whose kind a CHECK tells.
DOCUMENTS = (named("dict", "builtins"), named("list", "builtins"))

#: So many other columns may stand beside a whole row of a table in what is still named after it.
BESIDE = 2

#: The columns of a row, those of nested models in a mapping of their own.
Tree: TypeAlias = "dict[str, OutputColumn | Tree]"


@dataclass(slots=True)
class Shape:
    """The fields of a row, where they come from, and for which statements."""

    fields: tuple[FieldPlan, ...]
    table: Table | None
    missing: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    doc: str = ""
    statements: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether it is a whole row of a table and nothing else."""
        return self.table is not None and not self.missing and not self.beside


def is_mostly(table: Table | None, missing: Sequence[str]) -> bool:
    """Tell whether most columns of a table are there; a view says nothing of its columns' NULLs."""
    return table is not None and table.stored and 2 * len(missing) < len(table.columns)


class RowModels:
    """Plans models of rows; statements that select the same fields share one."""

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator
        self.shapes: dict[tuple[FieldPlan, ...], Shape] = {}
        self.classes: dict[tuple[FieldPlan, ...], str] = {}
        self.statement = ""  # whose documents are being read

    def look(self, outcome: Outcome) -> None:
        """Count the shape of a statement's rows, before any is named."""
        if not self.is_scalar(outcome):
            self._shape(outcome, self._tree(outcome), outcome.statement.name)

    def is_scalar(self, outcome: Outcome) -> bool:
        """Tell whether a statement returns one column that stands for itself."""
        return len(outcome.columns) == 1 and "." not in outcome.columns[0].name

    def has_fields(self, annotation: str) -> bool:
        """Tell whether an annotation is a class with fields, which alone would read as a row, or says nothing."""
        bare = annotation.removesuffix(" | None")
        return bare == ANY or any(bare == named(each.name) for each in self.annotator.plan.classes)

    def value(self, outcome: Outcome) -> str:
        """Return the annotation of the one column of a statement."""
        self.statement = outcome.statement.name
        return self._annotation(outcome.columns[0], camel(outcome.statement.name, outcome.columns[0].name))

    def model(self, outcome: Outcome) -> str:
        """Return the annotation of a statement's row."""
        tree = self._tree(outcome)
        return self._class(self._shape(outcome, tree, outcome.statement.name), camel(outcome.statement.name, "row"))

    # From columns to shapes.

    def _tree(self, outcome: Outcome) -> Tree:
        root: Tree = {}
        for column in outcome.columns:
            *path, last = column.name.split(".")
            group = root
            for part in path:
                inner = group.setdefault(part, {})
                if not isinstance(inner, dict):
                    raise refuse(outcome.statement, f"the column {part!r} and the columns of {part}.* are one field")
                group = inner
            if last in group or not last:
                raise refuse(outcome.statement, f"the column {column.name!r} stands for a field that has columns")
            group[last] = column
        return root

    def _shape(self, outcome: Outcome, tree: Tree, statement: str) -> Shape:
        fields: list[FieldPlan] = []
        self.statement = outcome.statement.name
        table, missing, beside = self._origin(tree)
        like_table = is_mostly(table, missing)
        for name, part in tree.items():
            if isinstance(part, dict):
                fields.append(self._group(outcome, name, part, statement))
            else:
                hint = camel(statement, singular(name))
                # One model for a table, also where a condition proves more of one of its columns.
                wide = like_table and table is not None and name not in beside and not table.columns[name].not_null
                annotation = self._annotation(replace(part, nullable=part.nullable or wide), hint)
                fields.append(field_for(name, annotation, None if part.always else "None"))
        if table is not None:  # in the table's own order, however a statement has it
            order = {column: index for index, column in enumerate(table.columns)}
            fields.sort(key=lambda part: order.get(part.alias or part.name, len(order)))
        key = told_apart(fields)
        if key not in self.shapes:
            self.shapes[key] = Shape(key, table, missing, beside)
        if statement not in self.shapes[key].statements:
            self.shapes[key].statements.append(statement)
        return self.shapes[key]

    def _group(self, outcome: Outcome, name: str, tree: Tree, statement: str) -> FieldPlan:
        """Return the field of a nested model: None where an outer join found nothing."""
        leaves = list(_leaves(tree))
        padded = all(column.nullable for column in leaves)
        if padded:
            if all(column.described.nullable_in_row for column in leaves):
                reason = f"the columns of {name}.* can all be NULL: select one that never is, such as the key"
                raise refuse(outcome.statement, reason)
            tree = _without_padding(tree)
        shape = self._shape(outcome, tree, f"{statement}_{name}")
        annotation = self._class(shape, camel(statement, name))
        return field_for(name, nullable(annotation) if padded else annotation)

    def _origin(self, tree: Tree) -> tuple[Table | None, tuple[str, ...], tuple[str, ...]]:
        """Return the one table that a shape's columns are taken from, which of its columns are missing, what is beside.

        Beside a whole row of a table there may be a few other fields.
        """
        tables: dict[int, Table] = {}
        taken: set[str] = set()
        for name, column in tree.items():
            known = self._unchanged(name, column)
            if known is not None:
                tables[known.oid] = known
                taken.add(name)
        if len(tables) != 1:
            return None, (), ()
        (table,) = tables.values()
        missing = tuple(name for name in table.columns if name not in taken)
        beside = tuple(name for name in tree if name not in taken)
        if beside and (missing or len(beside) > BESIDE):
            return None, (), ()
        return table, missing, beside

    def _unchanged(self, name: str, column: OutputColumn | Tree) -> Table | None:
        """Return the table that a column is taken from as it is, under its own name and with its own NULLs."""
        if isinstance(column, dict) or not column.always or not column.described.source:
            return None
        known = self.annotator.catalogue.column(column.described.source)
        if known is None or known[1].name != name or (column.nullable and known[1].not_null):
            return None
        return known[0]

    # Annotations.

    def _annotation(self, column: OutputColumn, hint: str) -> str:
        described = column.described
        pgtype, labels = described.type.structure, described.type.labels
        if described.json is not None:
            annotation = self._document(described.json, hint)
        else:
            annotation = self.annotator.annotate(pgtype, labels)
            if described.source:
                annotation = self._checked(annotation, described.source, described.values)
        return nullable(annotation) if column.nullable or not column.always else annotation

    def _checked(self, annotation: str, source: str, values: Sequence[str | int] | None) -> str:
        """Return what a CHECK says of a column: which texts it has, whether its documents are objects or arrays."""
        known = self.annotator.catalogue.column(source)
        if known is None:
            return annotation
        table, column = known
        if annotation == ANY:
            demands = demands_of(table.proved).get(column.name)
            return document_type(demands.json_type if demands else None)
        texts = tuple(value for value in values or () if isinstance(value, str))
        if texts and annotation.endswith(TEXTS):
            return annotation.replace(TEXT, self.annotator.texts(table.name, column.name, texts))
        return annotation

    def _document(self, shape: JsonShape, hint: str) -> str:
        """Return the annotation of a document that is built in the statement: models for its objects."""
        if shape.kind == "array":
            inner = self._in_document(shape.element, shape.element_type, camel(hint.removesuffix("Row")))
            return f"{named('list', 'builtins')}[{nullable(inner) if shape.null_elements else inner}]"
        if not shape.keys:
            return document_type("object")
        fields: list[FieldPlan] = []
        for key, can_be_null in shape.keys.items():
            inner = self._in_document(shape.parts.get(key), shape.types.get(key, 0), f"{hint}{camel(singular(key))}")
            fields.append(field_for(key, nullable(inner) if can_be_null else inner))
        known = next((each for each in self.shapes.values() if self._reads(each.fields, fields)), None)
        if known is not None and known.statements:
            return self._class(known, camel(known.statements[0], "row"))
        return self._class(known or self._document_shape(told_apart(fields)), hint)

    def _reads(self, fields: Sequence[FieldPlan], document: Sequence[FieldPlan]) -> bool:
        """Tell whether a model reads a document: the same fields, and what is open there may be closed here."""
        if [each.name for each in fields] != [each.name for each in document]:
            return False
        pairs = [(mine.annotation, other.annotation) for mine, other in zip(fields, document, strict=True)]
        return all(mine == other or self._is_closer(mine, other) for mine, other in pairs)

    def _is_closer(self, annotation: str, open_one: str) -> bool:
        """Tell whether an annotation says more of a document, or of a text, than an open one does."""
        if open_one == ANY:
            return annotation.startswith(DOCUMENTS)
        for alias in self.annotator.plan.aliases:
            annotation = annotation.replace(named(alias.name), TEXT)
        return annotation == open_one

    def _document_shape(self, fields: tuple[FieldPlan, ...]) -> Shape:
        doc = f"A document that ``{self.statement}`` builds."
        return self.shapes.setdefault(fields, Shape(fields, None, doc=doc))

    def _in_document(self, shape: JsonShape | None, oid: int, hint: str) -> str:
        if shape is not None:
            return self._document(shape, hint)
        if not oid:
            return ANY
        found = self.annotator.column_type(oid)
        return self.annotator.annotate(found.structure, found.labels, document=True)

    # Classes.

    def _class(self, shape: Shape, hint: str) -> str:
        """Return the class of a shape, planned when it is first wanted."""
        if shape.fields not in self.classes:
            doc = shape.doc or f"A row of ``{shape.statements[0]}``."
            wanted = [hint]
            if shape.table is not None:
                table = singular(shape.table.name)
                if shape.whole:
                    wanted = [camel(table), camel(table, "row")]
                    doc = shape.table.comment or f"A row of ``{shape.table.name}``."
                elif shape.beside:
                    wanted = [camel(table, "with", "_and_".join(shape.beside)), hint]
                    doc = f"A row of ``{shape.table.name}`` with ``{'`` and ``'.join(shape.beside)}``."
                elif len(shape.missing) == 1 and is_mostly(shape.table, shape.missing):
                    wanted = [camel(table, "without", shape.missing[0]), hint]
                    doc = f"A row of ``{shape.table.name}`` without ``{shape.missing[0]}``."
                elif len(shape.statements) > 1:
                    wanted = [camel(table, "row"), hint]
                    doc = f"A row of ``{shape.table.name}``, in part."
            name = self.classes[shape.fields] = self.annotator.names.take(*wanted)
            self.annotator.plan.classes.append(ClassPlan(name, doc, shape.fields))
        return named(self.classes[shape.fields])


def document_type(kind: str | None) -> str:
    """Return the annotation of a JSON document by what ``jsonb_typeof`` says of it, if that is known.

    ``Any`` rather than pydantic's ``JsonValue``, which refuses the Decimals that keep all digits of a number.
    """
    if kind == "object":
        return f"{named('dict', 'builtins')}[{named('str', 'builtins')}, {ANY}]"
    if kind == "array":
        return f"{named('list', 'builtins')}[{ANY}]"
    texts: Mapping[str, str] = {"string": "str", "boolean": "bool"}
    return named(texts[kind], "builtins") if kind is not None and kind in texts else ANY


def _leaves(tree: Tree) -> Iterable[OutputColumn]:
    for part in tree.values():
        if isinstance(part, dict):
            yield from _leaves(part)
        else:
            yield part


def _without_padding(tree: Tree) -> Tree:
    """Return columns as they are where the row of the outer join's nullable side is there.

    What is nested deeper stays as it is: another join may pad it where this one found a row.
    """
    return {
        name: part if isinstance(part, dict) else replace(part, nullable=part.described.nullable_in_row)
        for name, part in tree.items()
    }
