"""What a ``copy ... from stdin`` takes, from the catalogue: PostgreSQL says nothing of it before it runs."""

from __future__ import annotations

from sqlkit.describing.description import Described, DescribedParameter, Refused
from sqlkit.describing.schema import Schema
from sqlkit.describing.servertypes import ServerTypes
from sqlkit.statements import CopyTarget, Reference

__all__ = ["describe_copy"]

UNDEFINED_TABLE, UNDEFINED_COLUMN, GENERATED_COLUMN = "42P01", "42703", "42P10"


def describe_copy(target: CopyTarget, schema: Schema, types: ServerTypes, why_not: str) -> Described | Refused:
    """Describe a copy: a parameter for each of its columns, or what PostgreSQL will say against it."""
    name = target.table.replace("'", "''").replace("%", "%%")
    oid = schema.ask(f"select pg_catalog.to_regclass('{name}')::oid")[0][0]
    relation = schema.relation(oid) if oid else None
    if relation is None:
        return Refused(UNDEFINED_TABLE, f'relation "{target.table}" does not exist')
    columns = {column.name: column for column in relation.columns.values()}
    parameters = []
    for number, wanted in enumerate(target.columns, 1):
        column = columns.get(wanted)
        if column is None:
            return Refused(UNDEFINED_COLUMN, f'column "{wanted}" of relation "{relation.name}" does not exist')
        if column.generated:
            return Refused(GENERATED_COLUMN, f'column "{wanted}" is a generated column')
        parameters.append(
            DescribedParameter(
                number,
                Reference(wanted),
                types.type(column.type, column.typmod),
                f"{relation.name}.{wanted}" if column.not_null else None,
            )
        )
    return Described(tuple(parameters), (), unproved=why_not)
