"""Which names a project's Python reads from objects: a query whose name is among them may be called."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["called_names"]

#: Folders that are no part of a project's program; a query that only a test calls is called by nobody.
FOREIGN = frozenset({"node_modules", "site-packages", "build", "dist", "tests", "test"})


def called_names(root: Path, modules: Sequence[str]) -> frozenset[str]:
    """Return each name that is read as an attribute, or given to ``getattr``, below the packages of the modules.

    A module that is in no package stands for the whole folder.
    """
    names: set[str] = set()
    for folder in dict.fromkeys(_folder(root, module) for module in modules):
        for path in _python_files(folder):
            try:
                tree = ast.parse(path.read_bytes())
            except (OSError, SyntaxError, ValueError):
                continue  # one that does not parse calls nothing yet
            names.update(_names(tree))
    return frozenset(names)


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _folder(root: Path, module: str) -> Path:
    package = module.split(".")[0]
    for above in (root, root / "src"):
        if (above / package).is_dir():
            return above / package
    return root


def _python_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in FOREIGN
            and not name.startswith((".", "__"))
            and not (Path(place) / name / "pyvenv.cfg").exists()
        )
        yield from (Path(place) / name for name in sorted(files) if name.endswith(".py"))
