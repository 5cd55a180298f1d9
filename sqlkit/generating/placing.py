"""Where a module is to stand: which project it is part of, how wide its lines are, where it finds its ``.sql`` file."""

from __future__ import annotations

import builtins
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlkit.generating.naming import camel, identifier, singular
from sqlkit.generating.plan import named, quoted
from sqlkit.generating.silencing import rules_on
from sqlkit.generating.writing import Layout

__all__ = ["layout_for"]

#: ruff's and black's own, where the project says nothing.
WIDTH = 88


def layout_for(
    sql: Path, output: Path | None = None, *, protocol: str | None = None, colours: tuple[str, ...] = ("sync",)
) -> Layout:
    """Return the layout of the module for a ``.sql`` file.

    Without ``output`` the module finds the file from the working directory, else from its own place.
    """
    stem = identifier(sql.stem)
    place = (output or Path("module.py")).absolute()
    style = _style(place.parent)
    return Layout(
        protocol=protocol or camel(singular(stem), "queries"),
        variable=f"{stem}_queries" if stem in ("sqlkit", "async") or hasattr(builtins, stem) else stem,
        path=_relative(sql, place) if output else quoted(sql.as_posix()),
        file=sql.name,
        colours=colours,
        width=style.width,
        watched=style.watched,
        own=frozenset(_packages(style.root)),
    )


def _relative(sql: Path, module: Path) -> str:
    """Return the Python expression for a file's path, from the module's own."""
    parts = Path(os.path.relpath(sql.absolute(), module.parent)).parts
    up = sum(part == ".." for part in parts)
    path = f"{named('Path', 'pathlib')}(__file__)"
    path += f".parents[{up}]" if up else ".parent"
    return " / ".join([path, *(quoted(part) for part in parts[up:])])


@dataclass(frozen=True, slots=True)
class _Style:
    """What a project's ``pyproject.toml`` says of its Python."""

    root: Path
    width: int = WIDTH
    watched: frozenset[str] = frozenset()


def _style(folder: Path) -> _Style:
    """Read the nearest ``ruff.toml`` or ``pyproject.toml``: how wide lines are there, which rules are on."""
    for parent in (folder, *folder.parents):
        for name in (".ruff.toml", "ruff.toml", "pyproject.toml"):
            if (parent / name).is_file():
                return _style_of(parent, _read(parent / name), own=name != "pyproject.toml")
    return _Style(folder)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # ruff will say what is wrong with it
        return {}


def _style_of(root: Path, content: dict[str, Any], *, own: bool) -> _Style:
    """Return what a file says; ``own`` says that it is ruff's own."""
    tools = {"ruff": content} if own else content.get("tool", {})
    ruff = tools.get("ruff", {})
    width = ruff.get("line-length") or tools.get("black", {}).get("line-length")
    lint = {**ruff, **ruff.get("lint", {})}
    return _Style(root, width if isinstance(width, int) else WIDTH, rules_on(lint))


def _packages(root: Path) -> list[str]:
    """Return the top-level modules that lie in a project: ruff puts their imports last."""
    folders = [folder for folder in (root, root / "src") if folder.is_dir()]
    return [path.stem for folder in folders for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()]
