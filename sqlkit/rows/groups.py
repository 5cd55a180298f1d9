"""Which column of a result fills which field of a row type, nested ones included.

What cannot fit is a ``Mismatch`` here, before any row is read: two columns of one name, a column without a field, a
field without a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_origin

from sqlkit.rows.shapes import Column, Mismatch, RowField, RowType, classify, describe_type, is_annotated, without_none

__all__ = ["Group", "group_columns"]


@dataclass(slots=True)
class Group:
    """A row type, or a nested one, with the columns (by index) and groups that fill its fields.

    ``path`` is the dotted name of a nested group's field, ``nullable`` says that the field may be None, ``bare`` that
    its annotation says no more than the type.
    """

    annotation: Any
    shape: str
    fields: Mapping[str, RowField]
    path: str = ""
    nullable: bool = False
    bare: bool = True
    entries: dict[str, int | Group] = field(default_factory=dict)

    def columns(self) -> list[int]:
        """Return the indexes of all columns of the group, nested ones included."""
        found: list[int] = []
        for entry in self.entries.values():
            found.extend(entry.columns() if isinstance(entry, Group) else [entry])
        return found

    def key(self, name: str) -> str:
        """Return the name under which pydantic takes a field's value."""
        part = self.fields.get(name)
        return part.key if part is not None else name

    def config(self) -> Mapping[str, Any]:
        """Return pydantic's configuration of the class, as its author wrote it."""
        cls = get_origin(self.annotation) or self.annotation
        return getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}

    def absent(self) -> str:
        """Return the expression that is true where all columns of the group are NULL."""
        return " and ".join(f"c{index} is None" for index in self.columns())

    def missing(self) -> Mismatch:
        """Return what is wrong where all columns of a group are NULL whose field is never None."""
        expected = describe_type(self.annotation)
        reason = (
            f"column {self.path!r}: expected {expected}, got NULL in each of its columns: make the field "
            f"{expected} | None if there may be none"
        )
        return Mismatch(reason, self.path, expected, "NULL")


def group_columns(row: RowType, columns: tuple[Column, ...]) -> Group:
    """Distribute the columns over the fields of a row type; Mismatch where they do not fit."""
    if row.shape in ("value", "tuple"):
        return _positional(row, columns)
    twice = [name for name, number in Counter(column.name for column in columns).items() if number > 1]
    if twice:
        raise Mismatch(f"two columns are named {twice[0]!r}: give one of them another name with as", twice[0])
    root = Group(row.annotation, row.shape, row.fields)
    for index, column in enumerate(columns):
        _place(root, column.name, column.name, index)
    _finish(root)
    return root


def _positional(row: RowType, columns: tuple[Column, ...]) -> Group:
    if row.shape == "value":
        if len(columns) != 1:
            raise Mismatch(f"{row} takes one column, the statement returns {len(columns)}")
        return Group(row.annotation, "value", {"0": RowField(row.annotation, "0")}, entries={"0": 0})
    if len(columns) != len(row.fields):
        raise Mismatch(f"{row} takes {len(row.fields)} columns, the statement returns {len(columns)}")
    return Group(row.annotation, "tuple", row.fields, entries={str(index): index for index in range(len(columns))})


def _place(group: Group, whole: str, rest: str, index: int) -> None:
    """Give a column to the field that it names; ``rest`` is what of its name is not yet resolved."""
    name = _field_named(group, rest)
    if name is not None:
        if name in group.entries:
            raise Mismatch(f"two columns fill the field {name!r} of {describe_type(group.annotation)}", whole)
        group.entries[name] = index
        return
    first, _, behind = rest.partition(".")
    name = _field_named(group, first) if behind else None
    if name is None:
        _place_extra(group, whole, rest, index)
        return
    nested = group.entries.get(name)
    if nested is None:
        nested = group.entries[name] = _nested(group, name, whole)
    if not isinstance(nested, Group):
        raise Mismatch(f"columns {first!r} and {whole!r} both fill the field {name!r}", whole)
    _place(nested, whole, behind, index)


def _place_extra(group: Group, whole: str, rest: str, index: int) -> None:
    extra = group.config().get("extra")
    if extra == "allow":
        group.entries[rest] = index
    elif extra != "ignore":
        raise Mismatch(
            f"column {whole!r} has no field in {describe_type(group.annotation)}: add the field or drop the column",
            whole,
        )


def _field_named(group: Group, name: str) -> str | None:
    # Aliases first, as pydantic looks: a field may be named as another's alias.
    for field_name, part in group.fields.items():
        if name in part.columns:
            return field_name
    return name if name in group.fields else None


def _nested(group: Group, name: str, whole: str) -> Group:
    annotation = group.fields[name].annotation
    inner, nullable = without_none(annotation)
    try:
        shape, fields = classify(inner)
    except TypeError:
        shape, fields = "value", {}
    if shape in ("value", "tuple"):
        raise Mismatch(
            f"column {whole!r}: the field {name!r} of {describe_type(group.annotation)} is "
            f"{describe_type(annotation)}, which has no fields of its own",
            whole,
        )
    path = f"{group.path}.{name}" if group.path else name
    return Group(inner, shape, fields, path, nullable, not is_annotated(annotation))


def _finish(group: Group) -> None:
    """Look for fields without a column, and put the entries in the order of the fields, as pydantic reads them."""
    for name, part in group.fields.items():
        if name not in group.entries and part.required:
            path = f"{group.path}.{name}" if group.path else name
            raise Mismatch(
                f"no column for the field {path!r} of {describe_type(group.annotation)}: select it, or give the field "
                "a default",
                path,
            )
    ordered = {name: group.entries[name] for name in group.fields if name in group.entries}
    group.entries = ordered | group.entries
    for entry in group.entries.values():
        if isinstance(entry, Group):
            _finish(entry)
