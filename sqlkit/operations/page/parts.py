"""What sections are made of: tables that become cards on a narrow screen, tiles, statements, remarks, trees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sqlkit.operations.activity import Waiting
from sqlkit.operations.attention import Remark
from sqlkit.operations.overview import Missing
from sqlkit.operations.page.markup import Child, Html, breakable, joined, tag
from sqlkit.operations.units import UNKNOWN, seconds_text

__all__ = ["code", "missing_list", "remark_list", "section", "statement", "table", "tile", "tree"]

#: How much of a statement is shown before it is opened.
SHOWN = 140
#: From how many characters on a word of a command has no place on a line of 400 pixels.
LONG = 36


def section(key: str, title: str, note: str, *children: Child) -> Html:
    """Return a section with its title, and a note on how to read it."""
    heading = tag("h2", title, id=f"{key}-title")
    return tag("section", heading, tag("p", note, class_="soft"), *children, id=key, aria_labelledby=f"{key}-title")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Html:
    """Return a table. A column whose name begins with ``>`` is of numbers, with ``=`` of charts, with ``*`` of texts.

    On a narrow screen each row is a card, of which all but the first and the texts have the names of their columns.
    """
    kinds = {">": "number", "=": "drawn", "*": "wide"}
    named = [(column.lstrip(">=*"), kinds.get(column[:1])) for column in columns]
    told = [number > 0 and kind != "wide" for number, (_, kind) in enumerate(named)]
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in named))
    body = [tag("tr", *(_cell(*one) for one in zip(row, named, told, strict=True))) for row in rows]
    return tag("table", tag("thead", head), tag("tbody", *body), aria_label=caption)


def _cell(child: Child, column: tuple[str, str | None], told: bool) -> Html:
    name, kind = column
    shown = UNKNOWN if child is None else breakable(child)
    return tag("td", shown, class_=kind, data_label=name if told else None)


def tile(label: str, value: str, note: str = "", chart: Html | None = None) -> Html:
    """Return one figure with what it is."""
    return tag(
        "div",
        tag("div", label, class_="label"),
        tag("div", value, class_="value"),
        chart,
        tag("div", note, class_="note") if note else None,
        class_="tile",
    )


def code(text: str) -> Html:
    """Return a command; a word that is too long for a narrow screen breaks within its names."""
    words = re.split(r"(\s+)", text)
    return tag("code", *(breakable(word) if len(word) > LONG else word for word in words))


def statement(name: str | None, query: str | None) -> Html:
    """Return a statement with its name; a long one opens at a click."""
    text = " ".join((query or UNKNOWN).split())
    if name:
        text = text.replace(f"/* {name} */ ", "", 1)
    head = tag("div", name, class_="name") if name else None
    if len(text) <= SHOWN:
        return joined([head, code(text)])
    return joined([head, tag("details", tag("summary", code(text[:SHOWN] + " …")), tag("pre", query))])


def remark_list(remarks: Sequence[Remark]) -> Html:
    """Return what wants attention."""
    if not remarks:
        return tag("p", "Nothing wants attention.", class_="good")
    words = {"urgent": "Urgent", "look": "Have a look"}
    items = [
        tag("li", tag("b", words[one.level]), one.text, code(one.remedy) if one.remedy else None, class_=one.level)
        for one in remarks
    ]
    return tag("ul", *items, class_="remarks")


def missing_list(missing: Sequence[Missing]) -> Html:
    """Return what is not shown, with what mends it."""
    items = [
        tag("li", tag("b", one.view), one.reason, code(one.remedy) if one.remedy else None, class_="look")
        for one in missing
    ]
    return tag("ul", *items, class_="remarks")


def tree(waiting: Sequence[Waiting]) -> Html:
    """Return who blocks whom, each within whom it waits for."""
    return tag("ul", *map(_branch, waiting), class_="tree")


def _branch(one: Waiting) -> Html:
    below = tag("ul", *map(_branch, one.waiting)) if one.waiting else None
    return tag("li", _who(one), below)


def _who(one: Waiting) -> Html:
    if one.pid == 0:
        return tag("div", "a prepared transaction, see pg_prepared_xacts")
    session = one.session
    if session is None:
        return tag("div", f"process {one.pid}, not listed")
    told = [f"{session.user_name or UNKNOWN}@{session.database_name or UNKNOWN}", session.application_name]
    state = "hidden" if session.is_hidden else f"{session.state or UNKNOWN} for {seconds_text(session.state_seconds)}"
    wants = f"wants {session.lock_mode}" if session.lock_mode else None
    if wants and session.lock_table:
        wants = f"{wants} on {session.lock_table}"
    if wants and session.waiting_seconds is not None:
        wants = f"{wants} for {seconds_text(session.waiting_seconds)}"
    circle = "in a circle of sessions that wait for each other" if one.circle else None
    behind = f"also behind {', '.join(map(str, one.also_behind))}" if one.also_behind else None
    line = ", ".join(part for part in (*told, state, wants, circle, behind) if part)
    text = None if session.is_hidden or not session.query else statement(session.name, session.query)
    return tag("div", tag("b", f"{one.pid} "), line, text)
