"""The markers of a statement: which lines stand only while parameters are given, and which for a label alone.

The result is a view of the statement with every line in it, those that are commented out for another label
too: the significant tokens in order, and for each marked line what it depends on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlkit.lexer import BLANK, Kind, LexerError, Token, tokenize
from sqlkit.sqlfile.sections import Section
from sqlkit.sqlfile.sqltext import SqlText, python_name

__all__ = ["ALWAYS", "Condition", "Marked", "read_markers"]

_MARKER = re.compile(r"--[?|@]")
_OPTIONAL = re.compile(r"--\?\s*optional")
_BRACE = re.compile(r"--\?\s*(?:optional\s*(\{)|(\}))")
_CHOICE = re.compile(r"--\|\s*([^\s:]+)\s*:\s*(\S+)")
_LABEL = re.compile(r"[A-Za-z_][\w-]*")
# What can only be meant as a marker, though it stands in the middle of a comment.
_LATE = re.compile(r"--\?\s*optional|--\|\s*[\w-]+\s*:")


@dataclass(frozen=True, slots=True)
class Condition:
    """What a line depends on: the index of its optional region, and the key and label of its choice."""

    region: int | None = None
    choice: tuple[str, str] | None = None

    def leaves(self, other: Condition) -> bool:
        """Tell whether a line on this condition can be away while one on another stands."""
        return self.region not in (None, other.region) or self.choice not in (None, other.choice)

    def excludes(self, other: Condition) -> bool:
        """Tell whether the two never stand together: two labels of one key."""
        if not self.choice or not other.choice:
            return False
        return self.choice[0] == other.choice[0] and self.choice != other.choice


ALWAYS = Condition()


@dataclass(slots=True)
class Marked:
    """A statement's significant tokens, commented-out choice lines included, and what its lines depend on.

    ``conditions`` has the marked lines alone, ``dead`` the offset of the ``--`` of each commented-out one,
    ``regions`` the offset of each optional region's marker, ``choices`` the labels of each key in order,
    ``standing`` the label of each key whose lines are live in the file, ``keys`` the offset where each key is
    first given.
    """

    source: SqlText
    items: list[Token] = field(default_factory=list)
    conditions: dict[int, Condition] = field(default_factory=dict)
    dead: dict[int, int] = field(default_factory=dict)
    regions: list[int] = field(default_factory=list)
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    def condition(self, token: Token) -> Condition:
        """Return what the line of a token depends on."""
        return self.conditions.get(self.source.line(token.start), ALWAYS) if self.conditions else ALWAYS


def read_markers(source: SqlText, section: Section) -> Marked:
    """Read the markers of a section; raise SqlFileError for one that does not parse or is misplaced."""
    if not any(_concerns(source.text[comment.start : comment.end]) for comment in section.comments):
        return Marked(source, list(section.items))
    reader = _Reader(source, section)
    for token in section.tokens:
        reader.take(token)
    return reader.finish()


def _concerns(comment: str) -> bool:
    """Tell whether a comment may hold a marker of lines."""
    return "--|" in comment or "--?" in comment


@dataclass(slots=True)
class _Marker:
    """The markers in one comment: of its line, or of a block's first or last line (``brace``)."""

    optional: bool = False
    choice: tuple[str, str] | None = None
    brace: str = ""


@dataclass(slots=True)
class _Uses:
    """Where one label stands: the offsets of its markers on live and on commented-out lines."""

    live: list[int] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)


class _Reader:
    """One pass over the tokens of a section."""

    __slots__ = ("block", "block_start", "marked", "opened", "section", "source", "uses")

    def __init__(self, source: SqlText, section: Section) -> None:
        self.source = source
        self.section = section
        self.marked = Marked(source)
        self.opened: list[str] = []
        # The region of the block that is open, and the offset of its opener.
        self.block: int | None = None
        self.block_start = 0
        self.uses: dict[str, dict[str, _Uses]] = {}

    def take(self, token: Token) -> None:
        kind, start, end = token
        if kind not in BLANK:
            self.marked.items.append(token)
            if kind is Kind.OPEN:
                self.opened.append(self.source.text[start])
            elif kind is Kind.CLOSE and self.opened:
                self.opened.pop()
        elif kind is Kind.LINE_COMMENT:
            self._comment(token, self.source.text[start:end])

    def finish(self) -> Marked:
        if self.block is not None:
            raise self.source.error(self.block_start, "--? optional { is never closed; write --? } below its lines")
        for key, uses in self.uses.items():
            self.marked.choices[key] = tuple(uses)
            self.marked.standing[key] = self._standing(key, uses)
        return self.marked

    def _comment(self, token: Token, comment: str) -> None:
        if comment.startswith("--@"):
            return
        if _MARKER.match(comment):
            self._live(token.start, self._parse(token.start, comment))
        elif self.source.first_on_line(token.start):
            if "--|" in comment:
                self._commented_out(token)
        else:
            self._refuse_late(token.start, comment)

    def _refuse_late(self, start: int, comment: str) -> None:
        late = _LATE.search(comment)
        if late:
            raise self.source.error(
                start + late.start(), "a marker stands directly behind the SQL, before other comments"
            )

    def _parse(self, start: int, comment: str) -> _Marker:
        """Read a comment that begins with a marker; a line may have one of each kind."""
        marker = _Marker()
        places = [found.start() for found in _MARKER.finditer(comment)]
        for place, behind in zip(places, [*places[1:], len(comment)], strict=True):
            part = comment[place:behind].rstrip()
            if _OPTIONAL.fullmatch(part) and not marker.optional:
                marker.optional = True
            elif (brace := _BRACE.fullmatch(part)) and len(places) == 1:
                marker.brace = brace[1] or brace[2]
            elif (choice := _CHOICE.fullmatch(part)) and not marker.choice:
                marker.choice = self._choice(start + place, choice[1], choice[2])
            else:
                wanted = "--| key: label" if part.startswith("--|") else "--? optional, --? optional { or --? }"
                raise self.source.error(start + place, f"a marker that does not parse; write {wanted}, once on a line")
        return marker

    def _choice(self, start: int, key: str, label: str) -> tuple[str, str]:
        name = python_name(key)
        if name is None:
            raise self.source.error(start, f"{key!r} cannot be a parameter in Python; choose another key")
        if not _LABEL.fullmatch(label):
            raise self.source.error(start, f"{label!r} is no label; write a letter, then letters, digits, _ or -")
        self.marked.keys.setdefault(name, start)
        return name, label

    def _live(self, start: int, marker: _Marker) -> None:
        """Take a marker that is a comment of its own, behind SQL or, a block's braces, on its own line."""
        line = self.source.line(start)
        if marker.brace:
            self._brace(start, line, marker.brace)
            return
        items = self.marked.items
        if not items or self.source.line(items[-1].end - 1) != line:
            raise self.source.error(start, "a marker on a line without SQL; it stands at the end of the line it marks")
        if marker.choice:
            self._use(marker.choice).live.append(start)
        self._condition(start, line, marker)

    def _brace(self, start: int, line: int, brace: str) -> None:
        source, marked = self.source, self.marked
        if not source.first_on_line(start):
            raise source.error(start, f"--? {'optional {' if brace == '{' else '}'} stands on a line of its own")
        if brace == "{":
            if self.block is not None:
                above = source.line(self.block_start)
                raise source.error(start, f"an optional block within the one of line {above}; blocks do not nest")
            self.block, self.block_start = len(marked.regions), start
            marked.regions.append(start)
            return
        if self.block is None:
            raise source.error(start, "--? } without --? optional { above it")
        for between in range(source.line(self.block_start) + 1, line):
            marked.conditions.setdefault(between, Condition(self.block))
        self.block = None

    def _commented_out(self, token: Token) -> None:
        """Take a comment on a line of its own that holds a choice line, if it does."""
        source, (_, start, end) = self.source, token
        try:
            tokens = tokenize(source.text, start + 2, end, subscript=self.opened[-1:] == ["["])
        except LexerError as error:
            reason = f"a commented-out choice line must be whole by itself: {error.reason}"
            raise source.error(error.offset, reason) from None
        last = tokens[-1]
        comment = source.text[last.start : end]
        if last.kind is not Kind.LINE_COMMENT:
            return  # the marker is part of a literal
        if not _MARKER.match(comment):
            self._refuse_late(last.start, comment)
            return
        marker = self._parse(last.start, comment)
        if marker.choice:
            self._use(marker.choice).dead.append(last.start)
            self._add_line(token, last.start, tokens, marker)

    def _add_line(self, token: Token, place: int, tokens: list[Token], marker: _Marker) -> None:
        source = self.source
        items = [item for item in tokens if item.kind not in BLANK]
        if not items:
            raise source.error(place, "a marker on a line without SQL; it stands at the end of the line it marks")
        if token.start < self.section.text_start or token.start >= self.section.text_end:
            raise source.error(place, "a choice line stands between the directives and the closing `;`")
        for item in items:
            if source.text.startswith(";", item.start):
                raise source.error(item.start, "a `;` in a commented-out line; write it below, on a line of its own")
        self.marked.items += items
        line = source.line(token.start)
        self.marked.dead[line] = token.start
        self._condition(place, line, marker)

    def _use(self, choice: tuple[str, str]) -> _Uses:
        key, label = choice
        return self.uses.setdefault(key, {}).setdefault(label, _Uses())

    def _condition(self, start: int, line: int, marker: _Marker) -> None:
        region = self.block
        if marker.optional:
            if region is not None:
                above = self.source.line(self.block_start)
                raise self.source.error(start, f"an optional line within the optional block of line {above}")
            region = len(self.marked.regions)
            self.marked.regions.append(start)
        self.marked.conditions[line] = Condition(region, marker.choice)

    def _standing(self, key: str, uses: dict[str, _Uses]) -> str:
        """Return the label whose lines are live; all lines of the others are commented out."""
        source, place = self.source, self.marked.keys[key]
        if len(uses) == 1:
            raise source.error(place, f"the choice {key} has one label; give it two or more, all but one commented out")
        live = [label for label, use in uses.items() if use.live]
        if not live:
            raise source.error(place, f"every line of the choice {key} is commented out; leave one label's lines live")
        if len(live) > 1:
            reason = f"the choice {key} has {live[0]} and {live[1]} live at once; comment out all but one"
            raise source.error(uses[live[1]].live[0], reason)
        if uses[live[0]].dead:
            reason = f"the lines of {key}: {live[0]} are partly commented out; comment out all of them or none"
            raise source.error(uses[live[0]].dead[0], reason)
        return live[0]
