"""The guard of update and delete: no forgotten argument can empty a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlkit.lexer import Kind
from sqlkit.sqlfile.clauses import Verb, Words, verbs
from sqlkit.sqlfile.markers import Marked

__all__ = ["check_guards"]


def check_guards(marked: Marked) -> None:
    """Raise SqlFileError for an update or delete that a forgotten argument could widen to every row."""
    if not marked.conditions:
        return
    words = Words(marked.source.text, marked.items)
    for verb in verbs(marked, words):
        if verb.word in ("update", "delete"):
            _Guard(marked, words, verb).check()


class _Guard:
    """The ``where`` of one update or delete."""

    __slots__ = ("base", "end", "marked", "start", "verb", "words")

    def __init__(self, marked: Marked, words: Words, verb: Verb) -> None:
        self.marked = marked
        self.verb = verb.word
        # What the whole query depends on, as when it stands in an optional block with all its lines.
        self.base = marked.condition(words.items[verb.index])
        behind = words.items[verb.index :]
        if self.base.choice:
            behind = [item for item in behind if not marked.condition(item).excludes(self.base)]
        self.words = Words(marked.source.text, behind)
        self.start, self.end = self._where()

    def _where(self) -> tuple[int, int]:
        """Return the indices of `where` and of what ends it: `returning`, a closing bracket, `;`, the end."""
        words, depth, start = self.words.words, 0, -1
        for place in range(1, len(words)):
            kind, word = self.words.items[place].kind, words[place]
            depth += (kind is Kind.OPEN) - (kind is Kind.CLOSE)
            if depth < 0 or (depth == 0 and (word == ";" or (word == "returning" and start >= 0))):
                return start, place
            if depth == 0 and word == "where" and start < 0 and words[place - 1] != ".":
                start = place
        return start, len(words)

    def check(self) -> None:
        """Raise SqlFileError where the condition could fall away, or is joined by an `or`."""
        source, items = self.marked.source, self.words.items
        inside = [index for index in range(self.start, self.end) if self._is_marked(index)] if self.start >= 0 else []
        if not inside:
            return
        if inside[0] == self.start:
            reason = f"`where` of {self.verb} stands in an unmarked line, with a condition on a parameter"
            raise source.error(items[self.start].start, reason)
        top, parameters = self._groups()
        if top.ors:
            reason = f"`or` beside markers in the `where` of {self.verb}; put what it joins in parentheses"
            raise source.error(items[top.ors[0]].start, reason)
        if not any(group.guards() for group in parameters):
            reason = f"a marker in `where` of {self.verb} stands beside an unmarked condition with a parameter"
            raise source.error(items[inside[0]].start, f"{reason}, lest a forgotten argument reach every row")

    def _is_marked(self, index: int) -> bool:
        return self.marked.condition(self.words.items[index]).leaves(self.base)

    def _groups(self) -> tuple[_Group, list[_Group]]:
        """Return the group outside all parentheses, and the group of each parameter in an unmarked line."""
        group = top = _Group(None)
        parameters: list[_Group] = []
        for index in range(self.start + 1, self.end):
            kind = self.words.items[index].kind
            if kind is Kind.OPEN:
                group = _Group(group)
            elif kind is Kind.CLOSE:
                group = group.outer or top
            elif self.words.words[index] == "or":
                group.ors.append(index)
            if self._is_marked(index):
                group.mark()
            elif kind is Kind.PARAMETER:
                parameters.append(group)
        return top, parameters


@dataclass(slots=True)
class _Group:
    """What stands between two brackets: the places of its own `or`s, and whether a line in it is marked."""

    outer: _Group | None
    ors: list[int] = field(default_factory=list)
    marked: bool = False

    def mark(self) -> None:
        self.marked = True
        if self.outer:
            self.outer.mark()

    def guards(self) -> bool:
        """Tell whether a condition in here holds in every variant: no `or` joins it to what may leave."""
        return not (self.ors and self.marked) and (self.outer is None or self.outer.guards())
