"""Source that is written for exactly one row type and its columns, compiled so that a traceback shows it."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

__all__ = ["LARGE_BATCH", "compiled", "target_of"]

#: From how many rows on the collector is paused: below, the pause costs as much as it saves.
LARGE_BATCH = 200

_serial = count(1)


def target_of(number: int) -> str:
    """Return what a row of so many columns is unpacked into: ``c0, c1,``."""
    return "".join(f"c{index}, " for index in range(number)).rstrip() or "_"


def compiled(function: str, source: str, names: Mapping[str, Any], title: str) -> Callable[..., Any]:
    """Compile the source of a function that sees ``names``."""
    filename = f"<sqlkit rows {next(_serial)}: {title}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = dict(names)
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102 - our own source, of field names and indexes
    made: Callable[..., Any] = namespace[function]
    return made
