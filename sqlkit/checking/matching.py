"""Which column fills which field of a row type, with all that is in the way: columns and fields that are left over.

By the rules of ``sqlkit.rows.groups``, which stops at the first thing that does not fit.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_origin

from sqlkit.checking.types.expected import Expected
from sqlkit.checking.types.spelling import spelled
from sqlkit.rows.shapes import RowField, RowType, classify, without_none

__all__ = ["Filled", "Match", "Misplaced", "NestedGroup", "match_columns"]

#: What PostgreSQL calls a column that is an expression without a name.
NAMELESS = "?column?"


@dataclass(frozen=True, slots=True)
class Filled:
    """A column and what it fills: a field of ``owner``, or a part of a tuple or a value, whose owner is None.

    ``group`` is the nested group that it stands in; ``required`` says that the field has no default.
    """

    column: int
    expected: Expected
    owner: Any = None
    name: str = ""
    group: NestedGroup | None = None
    required: bool = True


@dataclass(eq=False, slots=True)
class NestedGroup:
    """A field that several columns fill: ``path`` is its dotted name, ``optional`` says that it takes None."""

    path: str
    annotation: Any
    owner: Any
    name: str
    optional: bool
    above: NestedGroup | None
    columns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A column without a field (``SK004``) or a field without a column (``SK005``), in words."""

    code: str
    message: str
    column: int | None = None
    owner: Any = None
    name: str = ""


@dataclass(slots=True)
class Match:
    """All that is filled, the nested groups, and what is left over."""

    filled: list[Filled] = field(default_factory=list)
    groups: list[NestedGroup] = field(default_factory=list)
    misplaced: list[Misplaced] = field(default_factory=list)


def match_columns(row: RowType, names: Sequence[str]) -> Match:
    """Distribute the columns of these names over the fields of a row type."""
    if row.shape == "value":
        return _value(row, names)
    if row.shape == "tuple":
        return _tuple(row, names)
    return _Matching(row, names).match()


def _value(row: RowType, names: Sequence[str]) -> Match:
    if len(names) == 1:
        return Match([Filled(0, Expected(row.annotation))])
    return Match(misplaced=[_count(row, 1, names)])


def _tuple(row: RowType, names: Sequence[str]) -> Match:
    parts = list(row.fields.values())
    filled = [Filled(index, Expected(part.annotation)) for index, part in enumerate(parts[: len(names)])]
    return Match(filled, misplaced=[] if len(names) == len(parts) else [_count(row, len(parts), names)])


def _count(row: RowType, wanted: int, names: Sequence[str]) -> Misplaced:
    columns = "one column" if wanted == 1 else f"{wanted} columns"
    listed = f"{len(names)} ({', '.join(names)})"
    if len(names) > wanted:
        advice = "drop a column, or return a row with a field for each" if wanted == 1 else "make both agree"
        return Misplaced("SK004", f"{row} takes {columns}, the statement returns {listed}: {advice}", column=wanted)
    return Misplaced("SK005", f"{row} takes {columns}, the statement returns {listed}: make both agree")


@dataclass(slots=True)
class _Level:
    """A class whose fields are filled: the row's own, or a nested group's."""

    annotation: Any
    fields: Mapping[str, RowField]
    group: NestedGroup | None = None
    entries: dict[str, int | _Level] = field(default_factory=dict)

    @property
    def extra(self) -> Any:
        cls = get_origin(self.annotation) or self.annotation
        config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
        return config.get("extra")

    def field_named(self, name: str) -> str | None:
        """Return the field that a column names: by an alias first, as pydantic looks."""
        for own, part in self.fields.items():
            if name in part.columns:
                return own
        return name if name in self.fields else None

    def path(self, name: str) -> str:
        return f"{self.group.path}.{name}" if self.group else name


class _Matching:
    def __init__(self, row: RowType, names: Sequence[str]) -> None:
        self.names = names
        self.root = _Level(row.annotation, row.fields)
        self.found = Match()

    def match(self) -> Match:
        twice = {name for name, number in Counter(self.names).items() if number > 1}
        seen: set[str] = set()
        for index, name in enumerate(self.names):
            if name in twice and name in seen:
                reason = f"two columns are named {name!r}: give one of them another name with as"
                self.found.misplaced.append(Misplaced("SK004", reason, index))
                continue
            seen.add(name)
            self._place(self.root, name, name, index)
        self._finish(self.root)
        self.found.filled.sort(key=lambda filled: filled.column)
        return self.found

    def _place(self, level: _Level, whole: str, rest: str, index: int) -> None:
        name = level.field_named(rest)
        if name is not None:
            self._fill(level, whole, name, index)
            return
        first, _, behind = rest.partition(".")
        name = level.field_named(first) if behind else None
        if name is None:
            self._left_over(level, whole, index)
            return
        nested = level.entries[name] if name in level.entries else self._nested(level, name, whole, index)
        if nested is None:
            level.entries[name] = index
            return
        if isinstance(nested, int):
            reason = f"columns {self.names[nested]!r} and {whole!r} both fill the field {name!r}: drop one of them"
            self.found.misplaced.append(Misplaced("SK004", reason, index, level.annotation, name))
            return
        level.entries[name] = nested
        self._place(nested, whole, behind, index)

    def _fill(self, level: _Level, whole: str, name: str, index: int) -> None:
        if name in level.entries:
            reason = f"column {whole!r} fills the field {name!r}, which another column fills too: drop one of them"
            self.found.misplaced.append(Misplaced("SK004", reason, index, level.annotation, name))
            return
        level.entries[name] = index
        part = level.fields[name]
        expected = Expected.of_field(level.annotation, name, part)
        filled = Filled(index, expected, level.annotation, name, level.group, part.required)
        self.found.filled.append(filled)
        group = level.group
        while group is not None:
            group.columns.append(index)
            group = group.above

    def _nested(self, level: _Level, name: str, whole: str, index: int) -> _Level | None:
        annotation = level.fields[name].annotation
        inner, optional = without_none(annotation)
        try:
            shape, fields = classify(inner)
        except TypeError:
            shape, fields = "value", {}
        if shape in ("value", "tuple"):
            reason = (
                f"column {whole!r} wants a field inside {name!r} of {spelled(level.annotation)}, and "
                f"{spelled(annotation)} has none: make it a model, or name the column {name}"
            )
            self.found.misplaced.append(Misplaced("SK004", reason, index, level.annotation, name))
            return None
        group = NestedGroup(level.path(name), inner, level.annotation, name, optional, level.group)
        self.found.groups.append(group)
        return _Level(inner, fields, group)

    def _left_over(self, level: _Level, whole: str, index: int) -> None:
        if level.extra in ("allow", "ignore"):
            return
        empty = [level.path(name) for name in level.fields if level.path(name) not in self.names]
        near = difflib.get_close_matches(whole, empty, 1)
        advice = (
            f"name it {near[0]!r}, add the field, or drop the column" if near else "add the field or drop the column"
        )
        if whole == NAMELESS:
            advice = "give it a field's name with as, or drop it"
        reason = f"column {whole!r} has no field in {spelled(level.annotation)}: {advice}"
        self.found.misplaced.append(Misplaced("SK004", reason, index, level.annotation))

    def _finish(self, level: _Level) -> None:
        for name, part in level.fields.items():
            if name not in level.entries and part.required:
                self.found.misplaced.append(self._empty(level, name))
        for entry in level.entries.values():
            if isinstance(entry, _Level):
                self._finish(entry)

    def _empty(self, level: _Level, name: str) -> Misplaced:
        path = level.path(name)
        unused = [column for column in self.names if self._is_unused(column)]
        near = difflib.get_close_matches(path, unused, 1)
        advice = f"name the column {near[0]!r} so" if near else "select it, or give the field a default"
        reason = f"no column for the field {path!r} of {spelled(level.annotation)}: {advice}"
        return Misplaced("SK005", reason, None, level.annotation, name)

    def _is_unused(self, column: str) -> bool:
        index = self.names.index(column)
        return all(filled.column != index for filled in self.found.filled)
