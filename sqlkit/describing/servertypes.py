"""Types as the server spells them, with their structure and the labels of enums."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from sqlkit.connection import Memory
from sqlkit.describing.description import ServerType
from sqlkit.execution.prepared import learn_types, type_of

__all__ = ["ServerTypes"]

#: Labels of the enum that a type is, or that its elements or its base are.
LABELS = b"""
with recursive inner_type as (
    select t.oid as outer_id, t.oid as type_id, t.typtype, t.typelem, t.typbasetype
    from pg_catalog.pg_type as t
    where t.oid = any(%s::oid[])
    union all
    select inner_type.outer_id, t.oid, t.typtype, t.typelem, t.typbasetype
    from inner_type
    inner join pg_catalog.pg_type as t
        on t.oid = case when inner_type.typtype = 'd' then inner_type.typbasetype else inner_type.typelem end
    where inner_type.typtype = 'd' or (inner_type.typtype = 'b' and inner_type.typelem <> 0)
)
select
    inner_type.outer_id,
    bool_or(inner_type.typtype = 'd' and inner_type.type_id = inner_type.outer_id),
    array(
        select e.enumlabel::text from pg_catalog.pg_enum as e
        where e.enumtypid = any(array_agg(inner_type.type_id)) order by e.enumsortorder
    )
from inner_type
group by inner_type.outer_id
"""

NAMES = b"""
select wanted.type_id, wanted.modifier, pg_catalog.format_type(wanted.type_id, nullif(wanted.modifier, -1))
from unnest(%s::oid[], %s::int[]) as wanted (type_id, modifier)
"""

#: PostgreSQL's first object of a user: types before it are no enums and no domains of a user's.
FIRST_OF_USERS = 16384


class ServerTypes:
    """The types of one connection, asked for when they are first wanted; ``idle`` makes it ready to be asked."""

    def __init__(self, conn: psycopg.Connection[Any], idle: Callable[[], None] | None = None) -> None:
        self._conn = conn
        self._idle = idle
        self._types: dict[tuple[int, int], ServerType] = {}
        self._memory = Memory()
        self._names: dict[tuple[int, int], str] = {}
        self._labels: dict[int, tuple[bool, tuple[str, ...]]] = {}

    def learn(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Read types that are not known yet, all at once; each is an OID and a modifier, -1 for none."""
        missing = sorted({pair for pair in wanted if pair not in self._names})
        if not missing:
            return
        if self._idle is not None:
            self._idle()
        oids = [oid for oid, _ in missing]
        modifiers = [modifier for _, modifier in missing]
        self._conn.wait(learn_types(self._conn, self._memory, oids))
        for oid, modifier, name in self._conn.execute(NAMES, (oids, modifiers)):
            self._names[oid, modifier] = name
        of_users = sorted({oid for oid in oids if oid >= FIRST_OF_USERS and oid not in self._labels})
        if of_users:
            for oid, domain, labels in self._conn.execute(LABELS, (of_users,)):
                self._labels[oid] = (domain, tuple(labels))

    def type(self, oid: int, modifier: int = -1) -> ServerType:
        """Return a type."""
        found = self._types.get((oid, modifier))
        if found is None:
            self.learn([(oid, modifier)])
            domain, labels = self._labels.get(oid, (False, ()))
            found = ServerType(oid, self._names[oid, modifier], type_of(self._memory, oid), labels, domain)
            self._types[oid, modifier] = found
        return found
