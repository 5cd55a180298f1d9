"""A ``.sql`` file to its statements: names, documentation, parameters, and the text of each variant.

The grammar of a file is in ``docs/sql-files.md``. Reading checks all of it, so that a statement that was read
can give any of its variants without an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from types import MappingProxyType

from sqlkit.errors import ArgumentError
from sqlkit.sqlfile.boundaries import check_boundaries, check_brackets, check_spans
from sqlkit.sqlfile.clauses import writes
from sqlkit.sqlfile.copying import CopyTarget, copy_target
from sqlkit.sqlfile.guards import check_guards
from sqlkit.sqlfile.markers import read_markers
from sqlkit.sqlfile.naming import full_name
from sqlkit.sqlfile.references import Reference
from sqlkit.sqlfile.regions import Region, read_uses
from sqlkit.sqlfile.replica import replica_lag
from sqlkit.sqlfile.sections import Section, cut, whole
from sqlkit.sqlfile.segments import Segment, cut_segments, join, trace
from sqlkit.sqlfile.sqltext import SqlText, read_text

__all__ = [
    "CopyTarget",
    "Reference",
    "Region",
    "Statement",
    "Variant",
    "parse_statement",
    "parse_statements",
    "read_statements",
]


@dataclass(frozen=True, slots=True)
class Variant:
    """One text of a statement as PostgreSQL gets it: ``references[i]`` is what ``$i+1`` stands for."""

    text: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement of a ``.sql`` file.

    ``parameters`` are the names at the top (``song`` for ``:song.title``) in order of first appearance, those
    of optional and of commented-out lines included, and ``references`` what is asked of them. ``required``
    stand in an unmarked line, ``regions`` are the optional lines and blocks in order, ``choices`` the labels
    of each key in order, ``standing`` the label of each key that is live in the file, ``chosen_references``
    what stands in the lines of one key and label. ``line`` is the line of ``-- name:``, ``text_line`` the one
    where ``text`` begins, both from 1, so line i of any variant is line ``text_line + i - 1`` of the file.
    ``replica`` is the greatest lag in seconds of a replica that it may run on, infinity where its directive names
    none, None for the primary only.
    """

    name: str
    doc: str
    parameters: tuple[str, ...]
    path: Path
    line: int
    text: str
    text_line: int
    directives: Mapping[str, str]
    references: tuple[Reference, ...]
    required: frozenset[Reference]
    regions: tuple[Region, ...]
    choices: Mapping[str, tuple[str, ...]]
    standing: tuple[str, ...]
    chosen_references: Mapping[tuple[str, str], tuple[Reference, ...]]
    writes: bool
    copy: CopyTarget | None
    replica: float | None
    _segments: tuple[Segment, ...] = field(repr=False)
    _variants: dict[tuple[int, tuple[str, ...]], Variant] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """The file and line: ``sql/songs.sql:14``."""
        return f"{self.path}:{self.line}"

    @property
    def label(self) -> str:
        """What each error about the statement begins with: ``sql/songs.sql:14: get_song``."""
        return f"{self.path}:{self.line}: {self.name}"

    @property
    def full_name(self) -> str:
        """The name by which the server and the statistics know it: ``soleil.songs.get_song``; empty for ad hoc SQL."""
        return full_name(self.path, self.name)

    def variant(self, given: int = 0, chosen: tuple[str, ...] = ()) -> Variant:
        """Return the text in which a set of optional regions and a set of labels stand.

        Bit i of ``given`` is ``regions[i]``; ``chosen`` has one label for each key in the order of
        ``choices``, and without it the labels stand that are live in the file. Raises ArgumentError for a
        label that a key lacks.
        """
        try:
            return self._variants[given, chosen]
        except KeyError:
            return self._variants.setdefault((given, chosen), self._variant(given, chosen))

    def locate(self, given: int, chosen: tuple[str, ...], offset: int) -> int:
        """Return where in ``text`` what stands at an offset of a variant's text comes from, both from 0.

        Lines are the same in both; columns are not, for ``:name`` became ``$1``. The end of the text, for an offset
        behind the variant's.
        """
        return trace(self._segments, self.text, given, self._labels(chosen), offset)

    def _variant(self, given: int, chosen: tuple[str, ...]) -> Variant:
        labels = self._labels(chosen)
        if given < 0 or given >> len(self.regions):
            raise ArgumentError(f"{self.label}: given has a bit for each of {len(self.regions)} optional regions")
        return Variant(*join(self._segments, given, labels))

    def _labels(self, chosen: tuple[str, ...]) -> dict[str, str]:
        chosen = chosen or self.standing
        if len(chosen) != len(self.choices):
            raise ArgumentError(f"{self.label}: one label for each of: {', '.join(self.choices) or 'no choice'}")
        for (key, labels), label in zip(self.choices.items(), chosen, strict=True):
            if label not in labels:
                raise ArgumentError(f"{self.label}: {key} is one of: {', '.join(labels)}")
        return dict(zip(self.choices, chosen, strict=True))

    def needs(self, chosen: tuple[str, ...] = ()) -> tuple[tuple[Reference, ...], ...]:
        """Return for each region what must be given, all or nothing, when these labels are chosen.

        A region has none where all its lines belong to other labels; its bit then makes no difference.
        """
        labels = self._labels(chosen)
        return tuple(region.under(labels) for region in self.regions)

    def variants(self, limit: int = 64) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the arguments of ``variant`` that can occur in a call, all of them up to the limit.

        Above it: no region, all, each alone and each missing, once for the labels that stand in the file and
        once for each other label alone. Regions that share a parameter stand and leave together.
        """
        # Their number may be astronomical: take no more than tells that it is above the limit.
        every = list(islice(product(*self.choices.values()), limit + 1))
        groups = {chosen: self._groups(chosen) for chosen in every}
        if sum(1 << len(masks) for masks in groups.values()) <= limit:
            for chosen, masks in groups.items():
                for subset in product((0, 1), repeat=len(masks)):
                    yield sum(mask for mask, stands in zip(masks, subset, strict=True) if stands), chosen
            return
        for chosen in self._labels_alone():
            masks = self._groups(chosen)
            together = sum(masks)
            for given in dict.fromkeys([0, together, *masks, *(together ^ mask for mask in masks)]):
                yield given, chosen

    def _labels_alone(self) -> Iterator[tuple[str, ...]]:
        yield self.standing
        for index, labels in enumerate(self.choices.values()):
            for label in labels:
                if label != self.standing[index]:
                    yield (*self.standing[:index], label, *self.standing[index + 1 :])

    def _groups(self, chosen: tuple[str, ...]) -> list[int]:
        """Return the regions as bits, those together that share a reference: given to one, given to all."""
        first: dict[Reference, int] = {}
        groups: dict[int, list[int]] = {}
        group_of: dict[int, int] = {}
        for index, needed in enumerate(self.needs(chosen)):
            joined = {group_of[first[reference]] for reference in needed if reference in first}
            for reference in needed:
                first.setdefault(reference, index)
            if needed:
                together = [index, *(each for group in joined for each in groups.pop(group))]
                groups[min(together)] = together
                group_of |= dict.fromkeys(together, min(together))
        return [sum(1 << index for index in groups[group]) for group in sorted(groups)]


def read_statements(path: str | os.PathLike[str]) -> list[Statement]:
    """Read a ``.sql`` file and return its statements in order.

    Raises SqlFileError with file, line and column for whatever does not follow the grammar, and for a file
    that is missing or not UTF-8.
    """
    file = Path(path)
    return _statements(read_text(file))


def parse_statements(text: str, path: Path) -> list[Statement]:
    """Return the statements of a file's text; ``path`` is what errors and labels name."""
    return _statements(SqlText(text, path))


def parse_statement(sql: str, *, name: str = "<sql>", path: Path = Path("<sql>")) -> Statement:
    """Return one statement that has no ``-- name:`` line, by the same rules."""
    source = SqlText(sql, path)
    return _statement(source, whole(source, name))


def _statements(source: SqlText) -> list[Statement]:
    return [_statement(source, section) for section in cut(source)]


def _statement(source: SqlText, section: Section) -> Statement:
    marked = read_markers(source, section)
    check_spans(marked, section.tokens)
    uses = read_uses(marked)
    check_brackets(marked)
    check_boundaries(marked)
    check_guards(marked)
    references = tuple(dict.fromkeys(reference for _, reference in uses.places))
    return Statement(
        name=section.name,
        doc=section.doc,
        parameters=tuple(dict.fromkeys(reference.name for reference in references)),
        path=source.path,
        line=source.line(section.header),
        text=source.text[section.text_start : section.text_end],
        text_line=source.line(section.text_start),
        directives=MappingProxyType(section.directives),
        references=references,
        required=frozenset(uses.unmarked),
        regions=tuple(uses.regions),
        choices=MappingProxyType(marked.choices),
        standing=tuple(marked.standing.values()),
        chosen_references=MappingProxyType({choice: tuple(used) for choice, used in uses.chosen.items()}),
        writes=writes(marked),
        copy=copy_target(marked),
        replica=replica_lag(marked, section),
        _segments=cut_segments(section, marked, uses.places),
    )
