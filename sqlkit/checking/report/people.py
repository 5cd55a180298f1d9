"""A report for people: each finding with its line of SQL and of Python, and a mark under what is meant."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlkit.checking.findings import Finding, Place, Severity
from sqlkit.checking.report.lines import FileLines, shown_text, spell_place
from sqlkit.checking.run import Counts, Report

__all__ = ["Line", "Span", "plain", "report_lines"]

#: The colour of a finding's weight.
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.HINT: "bold cyan"}
FAINT = "dim"
#: Characters of a line that are shown: a statement may be one line of a megabyte.
LONGEST = 240


class Span(NamedTuple):
    """A piece of a line, with rich's name for how it looks."""

    text: str
    style: str = ""


Line = Sequence[Span]


def plain(lines: Iterator[Line]) -> str:
    """Return lines as text without colours."""
    return "".join("".join(span.text for span in line) + "\n" for line in lines)


def report_lines(report: Report) -> Iterator[Line]:
    """Yield a report line by line: the findings, what could not be checked, the counts."""
    files = FileLines()
    for finding in report.findings:
        yield from _finding(finding, files)
        yield []
    for trouble in report.troubles:
        yield [Span("could not check", "bold red"), Span(f": {shown_text(str(trouble))}")]
    if report.troubles:
        yield []
    yield [Span(_total(report), "bold")]


def _finding(finding: Finding, files: FileLines) -> Iterator[Line]:
    style = STYLES[finding.severity]
    first, second = (finding.sql, finding.python) if finding.sql else (finding.python, None)
    heading = [Span(f"{finding.severity.value} {finding.code}", style), Span(f": {shown_text(finding.message)}")]
    query = Span(f"{finding.query}: " if finding.query else "", "bold")
    if first is None:
        yield [query, *heading]
        return
    yield [Span(f"{spell_place(first)}: "), query, *heading]
    width = max(len(str(place.line)) for place in (first, second) if place) + 3
    yield from _excerpt(first, files, width, style)
    if second is not None:
        yield [Span("  --> ", FAINT), Span(spell_place(second))]
        yield from _excerpt(second, files, width, style)
    for name, text in (("reason", finding.reason), ("variant", finding.variant)):
        if text:
            yield [Span(f"{'':{width}} = ", FAINT), Span(f"{name}: {text}")]


def _excerpt(place: Place, files: FileLines, width: int, style: str) -> Iterator[Line]:
    """Yield the line of a place with a mark under it, of a very long one what is around; nothing where it is away."""
    text = files.line(place.path, place.line)
    if text is None or not text.strip():
        return
    start, end = place.column - 1, min(place.end or place.column + 1, len(text) + 1) - 1
    text, start, end = _around(text.rstrip(), start, end)
    yield [Span(f"{place.line:>{width}} | ", FAINT), Span(text)]
    before = "".join(map(_blank, text[:start]))
    yield [Span(f"{'':{width}} | ", FAINT), Span(before), Span("^" * max(end - start, 1), style)]


def _around(text: str, start: int, end: int) -> tuple[str, int, int]:
    """Cut what is far from a mark out of a very long line, with dots in its place."""
    if len(text) <= LONGEST:
        return text, start, end
    first = max(0, min(start - LONGEST // 3, len(text) - LONGEST))
    last = first + LONGEST
    cut = f"{'...' if first else ''}{text[first:last]}{'...' if last < len(text) else ''}"
    shift = first - 3 * bool(first)
    return cut, start - shift, min(end, last) - shift


def _blank(character: str) -> str:
    """Return what is as wide as a character and shows nothing."""
    if character == "\t":
        return character
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def _total(report: Report) -> str:
    found = Counter(finding.severity for finding in report.findings)
    words = [_number(found[severity], severity.value) for severity in Severity if found[severity]]
    return f"{_spell_counts(report.counts)}: {', '.join(words) or ('not all checked' if report.troubles else 'clean')}"


def _spell_counts(counts: Counts) -> str:
    words = [
        _number(counts.statements, "statement"),
        _number(counts.variants, "variant"),
        f"{_number(counts.columns, 'column')} ({counts.proved} never NULL)",
    ]
    return ", ".join(words)


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
