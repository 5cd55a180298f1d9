"""HTML that is escaped by being built: a ``str`` is text, only ``Html`` is markup, and ``tag`` makes it of text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

__all__ = ["Child", "Html", "breakable", "joined", "tag", "text"]

#: What no HTML may hold, not even escaped: what a terminal would obey, too.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
#: Where a long name may be broken, rather than anywhere.
JOINT = re.compile(r"(?<=[_.])(?=\w)")
#: Elements that have no end.
VOID = frozenset({"meta", "link", "br"})


class Html(str):
    """Markup, which is put into a page as it is."""

    __slots__ = ()


Child: TypeAlias = str | Html | None


def text(value: object) -> Html:
    """Return a value as text."""
    return value if isinstance(value, Html) else Html(escape(FORBIDDEN.sub(" ", str(value)), quote=True))


def breakable(value: object) -> Html:
    """Return a value as text that may be broken within its names."""
    return value if isinstance(value, Html) else Html(JOINT.sub("<wbr>", text(value)))


def joined(children: Iterable[Child]) -> Html:
    """Return pieces one after the other; None is nothing."""
    return Html("".join(text(child) for child in children if child is not None))


def tag(element: str, /, *children: Child, **attributes: object) -> Html:
    """Return an element. ``class_`` and ``aria_label`` are ``class`` and ``aria-label``; what is None is left out."""
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    listed = "".join(f' {key}="{text(value)}"' for key, value in given.items())
    if element in VOID:
        return Html(f"<{element}{listed}>")
    return Html(f"<{element}{listed}>{joined(children)}</{element}>")
