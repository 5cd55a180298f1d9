"""What the catalogue says of tables and types beyond what a description of a statement holds.

Asked for when it is first wanted, and kept: a ``Catalogue`` belongs to one connection and one state of the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

__all__ = ["Catalogue", "EnumType", "Table", "TableColumn"]

_TABLE = """
select c.oid, c.relname, c.relkind in ('r', 'p'), obj_description(c.oid, 'pg_class')
from pg_class as c
where c.oid = to_regclass(%s)
"""

_COLUMNS = """
select
    a.attname,
    a.attnotnull or (t.typtype = 'd' and t.typnotnull),
    a.attgenerated::text <> '' or a.attidentity::text = 'a',
    pg_get_expr(d.adbin, d.adrelid),
    case
        when coalesce(nullif(t.typbasetype, 0), t.oid) in ('varchar'::regtype, 'bpchar'::regtype)
            then nullif(greatest(a.atttypmod, t.typtypmod), -1) - 4
    end,
    a.atttypid,
    coalesce(
        (
            select array_agg(pg_get_expr(con.conbin, 0) order by con.conname)
            from pg_constraint as con
            where
                con.contypid = a.atttypid
                and con.contype = 'c'
                and coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
        ),
        '{}'
    )
from pg_attribute as a
inner join pg_type as t on t.oid = a.atttypid
left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""

#: What every new row must satisfy; one that is not validated holds for new rows too.
_CHECKS = """
select pg_get_expr(con.conbin, con.conrelid), con.convalidated
from pg_constraint as con
where con.conrelid = %s and con.contype = 'c' and coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
order by con.conname
"""

#: By what stands first in the search path, for a name may be in several schemas.
_ENUM = """
select t.oid, t.typname, array(
    select enumlabel::text from pg_enum where enumtypid = t.oid order by enumsortorder
), obj_description(t.oid, 'pg_type')
from pg_type as t
where t.typname = %s and t.typtype = 'e'
order by pg_type_is_visible(t.oid) desc, t.oid
limit 1
"""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: ``length`` is n of varchar(n), ``checks`` are those of its domain, in SQL of VALUE."""

    name: str
    not_null: bool
    generated: bool
    default: str | None
    length: int | None
    type_oid: int
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view (``stored`` is False then): its columns in order, and the CHECK constraints in SQL.

    ``checks`` hold for each new row, ``proved`` for those that are there, too.
    """

    oid: int
    name: str
    stored: bool
    comment: str | None
    columns: Mapping[str, TableColumn]
    checks: tuple[str, ...]
    proved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum type of the database."""

    name: str
    labels: tuple[str, ...]
    comment: str | None = None


@dataclass(slots=True)
class Catalogue:
    """Facts of one database, on one connection."""

    conn: psycopg.Connection[Any]
    _tables: dict[str, Table | None] = field(default_factory=dict)
    _by_oid: dict[int, Table] = field(default_factory=dict)
    _enums: dict[str, EnumType | None] = field(default_factory=dict)

    def table(self, name: str) -> Table | None:
        """Return a table by its name as SQL has it, with quotes and schema where need be; None where there is none."""
        if name not in self._tables:
            self._tables[name] = self._read_table(name)
        return self._tables[name]

    def _read_table(self, name: str) -> Table | None:
        try:
            with self.conn.transaction():
                row = self.conn.execute(_TABLE, [name]).fetchone()
        except psycopg.errors.Error:  # what stands there is no name at all
            return None
        if row is None:
            return None
        oid, relname, stored, comment = row
        if oid not in self._by_oid:
            columns = [_column(*found) for found in self.conn.execute(_COLUMNS, [oid])]
            checks = self.conn.execute(_CHECKS, [oid]).fetchall()
            proved = tuple(text for text, validated in checks if validated)
            by_name = {column.name: column for column in columns}
            self._by_oid[oid] = Table(oid, relname, stored, comment, by_name, tuple(text for text, _ in checks), proved)
        return self._by_oid[oid]

    def column(self, source: str) -> tuple[Table, TableColumn] | None:
        """Return the column that ``table.column`` names, None where it cannot be found."""
        owner, _, name = source.rpartition(".")
        table = self.table(owner) or self.table(_quoted(owner))
        column = table.columns.get(name) if table else None
        return (table, column) if table and column else None

    def enum(self, name: str) -> EnumType | None:
        """Return the enum type of a name."""
        if name not in self._enums:
            row = self.conn.execute(_ENUM, [name]).fetchone()
            self._enums[name] = EnumType(row[1], tuple(row[2]), row[3]) if row else None
        return self._enums[name]


def _column(
    name: str, not_null: bool, generated: bool, default: str | None, length: int | None, oid: int, checks: list[str]
) -> TableColumn:
    return TableColumn(name, not_null, generated, default, length, oid, tuple(checks))


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
