"""What variants are made of: a statement's text cut where its lines' conditions change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlkit.lexer import PARAMETER, Token
from sqlkit.sqlfile.markers import ALWAYS, Condition, Marked
from sqlkit.sqlfile.references import Reference
from sqlkit.sqlfile.sections import Section
from sqlkit.sqlfile.sqltext import LINE_END

__all__ = ["Segment", "cut_segments", "join", "trace"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Lines that stand or leave together: text and references in turn, and the line ends, which stay."""

    condition: Condition
    parts: tuple[str | Reference, ...]
    line_ends: str

    def stands(self, given: int, chosen: Mapping[str, str]) -> bool:
        """Tell whether the lines stand; bit i of ``given`` is region i, ``chosen`` the label of each key."""
        region, choice = self.condition.region, self.condition.choice
        if region is not None and not given >> region & 1:
            return False
        return choice is None or chosen[choice[0]] == choice[1]


def join(segments: tuple[Segment, ...], given: int, chosen: Mapping[str, str]) -> tuple[str, tuple[Reference, ...]]:
    """Return one variant's text with ``$n`` for its references, and these in the order of their numbers."""
    numbers: dict[Reference, int] = {}
    pieces: list[str] = []
    for segment in segments:
        if not segment.stands(given, chosen):
            pieces.append(segment.line_ends)
            continue
        for part in segment.parts:
            pieces.append(part if isinstance(part, str) else f"${numbers.setdefault(part, len(numbers) + 1)}")
    return "".join(pieces), tuple(numbers)


def trace(segments: tuple[Segment, ...], text: str, given: int, chosen: Mapping[str, str], offset: int) -> int:
    """Return where in the statement's own text what stands at an offset of a variant's text comes from."""
    numbers: dict[Reference, int] = {}
    place = reached = 0  # in the statement's text, in the variant's
    for segment in segments:
        stands = segment.stands(given, chosen)
        begin = reached
        for part in segment.parts:
            own, length = _widths(part, text, place, numbers, stands)
            if stands and offset < reached + length:
                return place + min(offset - reached, own - 1) if isinstance(part, str) else place
            place += own
            reached += length if stands else 0
        if not stands:
            reached = begin + len(segment.line_ends)
            if offset < reached:
                return place - 1
    return place


def _widths(
    part: str | Reference, text: str, place: int, numbers: dict[Reference, int], stands: bool
) -> tuple[int, int]:
    """Return how much of the statement's text a part comes from, and how much of a variant's it is."""
    if isinstance(part, str):
        apart = text.startswith(":", place + len(part) - 1) and part.endswith(" ")  # the blank is not in the file
        return len(part) - apart, len(part)
    found = PARAMETER.match(text, place)
    own = found.end() - place if found else len(str(part)) + 1
    return own, len(f"${numbers.setdefault(part, len(numbers) + 1)}") if stands else 0


def cut_segments(section: Section, marked: Marked, places: Sequence[tuple[Token, Reference]]) -> tuple[Segment, ...]:
    """Cut a statement's text, with the references at their places taken out of it."""
    text = marked.source.text
    waiting = list(reversed(places))
    segments: list[Segment] = []
    for condition, start, end, dead in _stretches(section, marked):
        parts: list[str | Reference] = []
        place = start
        if dead >= 0:  # the two hyphens become blanks, so columns stay
            parts.append(text[start:dead] + "  ")
            place = dead + 2
        while waiting and waiting[-1][0].start < end:
            token, reference = waiting.pop()
            parts += (_apart(text[place : token.start]), reference)
            place = token.end
        parts.append(text[place:end])
        line_ends = "".join(LINE_END.findall(text, start, end)) if condition != ALWAYS else ""
        segments.append(Segment(condition, tuple(part for part in parts if part), line_ends))
    return tuple(segments)


def _apart(text: str) -> str:
    """Keep ``$1`` off an identifier before it (``like:name``), which would take it in."""
    last = text[-1:]
    return f"{text} " if last.isalnum() or last in ("_", "$") or last > "\x7f" else text


def _stretches(section: Section, marked: Marked) -> Iterator[tuple[Condition, int, int, int]]:
    """Yield condition, start, end and the offset of the ``--`` of a commented-out line, or -1, in order."""
    source, start, text_end = marked.source, section.text_start, section.text_end
    for line, condition in sorted(marked.conditions.items()):
        begin, end = max(source.line_start(line), start), min(source.line_start(line + 1), text_end)
        if begin >= end:
            continue
        if start < begin:
            yield ALWAYS, start, begin, -1
        yield condition, begin, end, marked.dead.get(line, -1)
        start = end
    if start < text_end:
        yield ALWAYS, start, text_end, -1
