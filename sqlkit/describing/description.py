"""What PostgreSQL says of one variant of a statement: parameters, columns, how many rows, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlkit.statements import Reference, Statement, Variant
from sqlkit.values.catalog import PgType

__all__ = [
    "Described",
    "DescribedColumn",
    "DescribedParameter",
    "Description",
    "JsonShape",
    "Refused",
    "ServerType",
    "Undescribed",
]


@dataclass(frozen=True, slots=True)
class ServerType:
    """A type as the server knows it.

    ``oid`` is the type's own (a domain's, where it is one), ``name`` its spelling by ``format_type``, ``structure``
    what it is made of with domains seen through, ``labels`` those of an enum (also behind an array or a domain), in
    order.
    """

    oid: int
    name: str
    structure: PgType
    labels: tuple[str, ...] = ()
    domain: bool = False


@dataclass(frozen=True, slots=True)
class JsonShape:
    """What the tree shows of a JSON column that is built in the statement.

    ``kind`` is "object" (``json_build_object``, ``row_to_json`` and their like) or "array" (``json_agg``,
    ``json_build_array``). ``keys`` are an object's, each with whether its value can be NULL; ``element`` is the shape
    of an array's elements, None where nothing is known of them; ``null_elements`` says that an element can be NULL.
    ``types`` has the types that an object's values have in SQL (OIDs, 0 where the tree does not tell), ``parts`` the
    shapes of those that are built there too, ``element_type`` the type of an array's elements.
    """

    kind: str
    keys: Mapping[str, bool] = field(default_factory=dict)
    element: JsonShape | None = None
    null_elements: bool = True
    types: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, JsonShape] = field(default_factory=dict)
    element_type: int = 0


@dataclass(frozen=True, slots=True)
class DescribedParameter:
    """A parameter of a variant: ``$number`` of its text.

    ``target`` names a NOT NULL column (``songs.title``) where the parameter's only use is to be written there; None
    otherwise.
    """

    number: int
    reference: Reference
    type: ServerType
    target: str | None = None


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column of a variant's result.

    ``nullable`` is False only where the tree proves it; ``reason`` says why: ``not null: column users.user_id``,
    ``nullable: right side of the left join at line 4``. ``depends`` are the numbers of the parameters that make it
    never NULL when none of them is, where that is what it hangs on. ``nullable_in_row`` tells whether it can be NULL
    even where the row of an outer join's nullable side is there. ``source`` names the table's column that it is taken
    from unchanged (``users.user_id``), None where it is an expression; ``values`` are those that a CHECK leaves to it
    there (to an array's elements), None for any.
    """

    name: str
    type: ServerType
    nullable: bool
    reason: str
    source: str | None = None
    json: JsonShape | None = None
    depends: frozenset[int] = frozenset()
    nullable_in_row: bool = True
    values: tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """A variant that PostgreSQL takes.

    ``single`` says why at most one row can come (``unique key songs_pkey``, ``limit 1``, ``aggregate without group
    by``), None where that is not proved; ``always`` why at least one must. ``unproved`` says why there is no tree, so
    that every column counts as nullable (COPY, a utility statement, no TEMP right); None where there is one.
    """

    parameters: tuple[DescribedParameter, ...]
    columns: tuple[DescribedColumn, ...]
    single: str | None = None
    always: str | None = None
    unproved: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A variant that PostgreSQL refuses: its message, its hint and the offset in the variant's text, from 0, if any.

    Parameters have their names in the message. ``parameter`` is the one whose type PostgreSQL could not tell.
    """

    sqlstate: str
    message: str
    hint: str | None = None
    offset: int | None = None
    parameter: Reference | None = None


@dataclass(frozen=True, slots=True)
class Undescribed:
    """A variant that could not be tried, and why (an extension that is missing, a connection that was lost)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Description:
    """One variant of a statement and what was found; ``given`` and ``chosen`` are the arguments of ``variant``."""

    statement: Statement
    given: int
    chosen: tuple[str, ...]
    outcome: Described | Refused | Undescribed

    @property
    def variant(self) -> Variant:
        """The text that was tried."""
        return self.statement.variant(self.given, self.chosen)
