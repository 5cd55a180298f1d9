"""Annotations for PostgreSQL's types, with the enums and models that they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlkit.describing.description import ServerType
from sqlkit.describing.servertypes import ServerTypes
from sqlkit.generating.catalogue import Catalogue
from sqlkit.generating.naming import Names, camel, identifier, member_name, singular
from sqlkit.generating.plan import Alias, ClassPlan, EnumPlan, FieldPlan, ModulePlan, named, quoted
from sqlkit.values.catalog import JSONS, PgType

__all__ = ["ANY", "Annotator", "field_for", "hides_attribute", "nullable", "told_apart"]

ANY = named("Any", "typing")

#: How no field of a model may begin.
PROTECTED = ("model_validate", "model_dump")

#: The Python type that holds each of PostgreSQL's without loss; all others are texts.
NATURAL = {
    "bool": ("bool", "builtins"),
    "int2": ("int", "builtins"),
    "int4": ("int", "builtins"),
    "int8": ("int", "builtins"),
    "oid": ("int", "builtins"),
    "float4": ("float", "builtins"),
    "float8": ("float", "builtins"),
    "numeric": ("Decimal", "decimal"),
    "uuid": ("UUID", "uuid"),
    "date": ("date", "datetime"),
    "time": ("time", "datetime"),
    "timetz": ("time", "datetime"),
    "timestamp": ("datetime", "datetime"),
    "timestamptz": ("datetime", "datetime"),
    "interval": ("timedelta", "datetime"),
    "bytea": ("bytes", "builtins"),
}
UNIONS = {
    "inet": ("IPv4Address", "IPv6Address", "IPv4Interface", "IPv6Interface"),
    "cidr": ("IPv4Network", "IPv6Network"),
}
#: What JSON writes as a text that Python does not read as the type.
TEXT_IN_JSON = frozenset({"bytea", "interval", "inet", "cidr"})


def nullable(annotation: str) -> str:
    """Return an annotation that takes None too."""
    return annotation if annotation == ANY or annotation.endswith("| None") else f"{annotation} | None"


class Annotator:
    """Spells types, and plans the enums and models of composite types when they are first wanted."""

    def __init__(self, catalogue: Catalogue, plan: ModulePlan, names: Names) -> None:
        self.catalogue = catalogue
        self.plan = plan
        self.names = names
        self.types = ServerTypes(catalogue.conn)
        self._enums: dict[str, str] = {}
        self._composites: dict[tuple[PgType, bool], str] = {}
        self._aliases: dict[tuple[str, ...], str] = {}

    def annotate(self, pgtype: PgType, labels: Sequence[str] = (), *, document: bool = False) -> str:
        """Return the annotation of a type that is not NULL.

        ``labels`` are an enum's, also behind an array. ``document`` says that the value stands in a JSON document,
        where bytes, intervals and ranges are texts.
        """
        name = pgtype.name
        if pgtype.kind == "e":
            return self.enum(name, labels)
        if pgtype.kind == "a" and pgtype.element is not None:
            return f"{named('list', 'builtins')}[{self.annotate(pgtype.element, labels, document=document)}]"
        if pgtype.kind == "c":
            return self.composite(pgtype, document=document)
        if document and (pgtype.kind in ("r", "m") or name in TEXT_IN_JSON):
            return named("str", "builtins")
        if pgtype.kind in ("r", "m") and pgtype.element is not None:
            bound = pgtype.element.element if pgtype.kind == "m" else pgtype.element
            generic = named("PgMultirange" if pgtype.kind == "m" else "PgRange", "sqlkit")
            return f"{generic}[{self.annotate(bound) if bound else ANY}]"
        if name in JSONS or name == "record":
            return ANY
        if name in UNIONS:
            return " | ".join(named(part, "ipaddress") for part in UNIONS[name])
        return named(*NATURAL.get(name, ("str", "builtins")))

    def enum(self, name: str, labels: Sequence[str] = ()) -> str:
        """Return the class of an enum type."""
        if name not in self._enums:
            known = self.catalogue.enum(name)
            labels = known.labels if known else labels
            taken = Names()
            members = tuple((taken.take(member_name(label)), label) for label in labels)
            doc = (known.comment if known else None) or f"PostgreSQL's type ``{name}``."
            self._enums[name] = self.names.take(camel(name), camel(name, "enum"))
            self.plan.enums.append(EnumPlan(self._enums[name], doc, members))
        return named(self._enums[name])

    def constant(self, annotation: str, value: str) -> str | None:
        """Return a value of a class or an alias that is planned here as Python text, None where it has none such."""
        for enum in self.plan.enums:
            if annotation == named(enum.name):
                return next((f"{annotation}.{member}" for member, label in enum.members if label == value), None)
        for alias in self.plan.aliases:
            if annotation == named(alias.name) and value in alias.labels:
                return quoted(value)
        return None

    def composite(self, pgtype: PgType, *, document: bool = False) -> str:
        """Return the model of a composite type; any of its fields can be NULL."""
        key = (pgtype, document)
        if not pgtype.fields:
            return ANY
        if key not in self._composites:
            fields = told_apart(
                field_for(column, nullable(self.annotate(part, document=document))) for column, part in pgtype.fields
            )
            other = self._composites.get((pgtype, not document))
            if other is not None and any(each.name == other and each.fields == fields for each in self.plan.classes):
                self._composites[key] = other
                return named(other)
            name = self._composites[key] = self.names.take(camel(singular(pgtype.name)), camel(pgtype.name, "value"))
            self.plan.classes.append(ClassPlan(name, f"PostgreSQL's type ``{pgtype.name}``.", fields))
        return named(self._composites[key])

    def column_type(self, oid: int) -> ServerType:
        """Return the type of a column by its OID."""
        return self.types.type(oid)

    def texts(self, table: str, column: str, labels: tuple[str, ...]) -> str:
        """Return the alias of the texts that a column may have."""
        key = (table, column, *labels)
        if key not in self._aliases:
            short = camel(column) if singular(table).endswith(f"_{column}") else camel(singular(table), column)
            self._aliases[key] = self.names.take(short, camel(table, column, "text"))
            doc = f"What ``{table}.{column}`` may be."
            self.plan.aliases.append(Alias(self._aliases[key], doc, labels))
        return named(self._aliases[key])


def field_for(column: str, annotation: str, default: str | None = None) -> FieldPlan:
    """Return the field of a model for a column: by an alias where Python or pydantic cannot have its name."""
    name = identifier(column)
    if name.startswith(PROTECTED):
        name = f"column_{name}"
    elif hides_attribute(name):
        name = f"{name}_"
    return FieldPlan(name, annotation, default, alias=None if name == column else column)


def told_apart(fields: Iterable[FieldPlan]) -> tuple[FieldPlan, ...]:
    """Return the fields of one model, with a number where two columns would have one name."""
    listed = list(fields)
    names = Names(part.name for part in listed if part.alias is None)
    found: list[FieldPlan] = []
    for part in listed:
        name = part.name if part.alias is None else names.take(part.name)
        found.append(replace(part, name=name))
    return tuple(found)


def hides_attribute(name: str) -> bool:
    """Tell whether a field of this name would hide what every model has."""
    from pydantic import BaseModel

    return hasattr(BaseModel, name) or name.startswith(PROTECTED)
