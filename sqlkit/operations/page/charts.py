"""Charts as inline SVG: shapes by percentages, so that they fit a page of any width and its text keeps its size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlkit.operations.page.markup import Html, joined, tag

__all__ = ["bar", "legend", "span", "stacked"]

HEIGHT = 14
GAP = 2


def bar(part: float, told: str, kind: str = "s1") -> Html:
    """Draw a part of a whole, from 0 to 1, on a track; ``told`` is said to whoever does not see it."""
    return _svg(told, [_rect(0, 1, "track"), _rect(0, _within(part), kind)])


def stacked(parts: Sequence[tuple[float, str]], told: str) -> Html:
    """Draw parts of a whole side by side, each in the colour of its kind; the whole may be more than they are."""
    shapes, start = [_rect(0, 1, "track")], 0.0
    for part, kind in parts:
        shapes.append(_rect(start, _within(part), kind))
        start = _within(start + part)
    return _svg(told, shapes)


def span(start: float, end: float, now: float, told: str, kind: str = "s1") -> Html:
    """Draw a span on an axis from 0 to 1, with a line where now is."""
    shapes = [_rect(0, 1, "track"), _rect(_within(start), _within(end) - _within(start), kind)]
    position = f"{_within(now):.2%}"
    line = tag("line", x1=position, x2=position, y1=0, y2=HEIGHT, class_="now")
    return _svg(told, [*shapes, line])


def legend(entries: Sequence[tuple[str, str]]) -> Html:
    """Say what the colours mean."""
    items = [tag("li", _key(kind), name) for kind, name in entries]
    return tag("ul", *items, class_="legend")


def position(moment: datetime, first: datetime, last: datetime) -> float:
    """Return where a moment is on an axis, from 0 to 1."""
    whole = (last - first).total_seconds()
    return _within((moment - first).total_seconds() / whole) if whole else 0.0


def _key(kind: str) -> Html:
    return tag("svg", _rect(0, 1, kind, 10), width=10, height=10, aria_hidden="true")


def _rect(start: float, width: float, kind: str, height: int = HEIGHT) -> Html:
    return tag("rect", x=f"{start:.2%}", y=0, width=f"{max(0.0, width):.2%}", height=height, rx=GAP, class_=kind)


def _svg(told: str, shapes: Sequence[Html]) -> Html:
    drawn = joined([tag("title", told), *shapes])
    return tag("svg", drawn, role="img", aria_label=told, width="100%", height=HEIGHT, class_="chart")


def _within(part: float) -> float:
    return min(1.0, max(0.0, part))
