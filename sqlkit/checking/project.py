"""What to check: ``[tool.sqlkit]`` in ``pyproject.toml``, or arguments.

::

    [tool.sqlkit]
    modules = ["app.queries"]      # imported; "app.*" is a package with all that is below it
    migrations = "migrations"      # applied to a server that is started for the check; several are a list
    schema = "app"                 # the schema that tables are in
    sql = ["sql"]                  # folders whose statements must all be declared
    hints = false                  # show hints, too
    ignore = ["SK013"]             # codes that are not reported
    plans = "plans.json"           # the snapshot of the plans

Several projects in one repository are ``[[tool.sqlkit.project]]``, each with a ``name`` and the same keys; what stands
in ``[tool.sqlkit]`` itself is then said for all of them.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlkit.checking.findings import CODES
from sqlkit.errors import ConfigurationError

__all__ = ["Project", "find_config", "known_codes", "read_projects"]

FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """What is checked together: modules, the migrations and the schema that their statements are proved against.

    ``root`` is the folder that modules are found in, paths are absolute. ``name`` is empty where there is one project.
    ``migrations`` are the folders to apply, none for statements that need no table; None says nothing of it. A table
    with more than ``large_table`` rows should not be read from end to end.
    """

    root: Path
    name: str = ""
    modules: tuple[str, ...] = ()
    migrations: tuple[Path, ...] | None = None
    schema: str | None = None
    sql: tuple[Path, ...] = ()
    hints: bool = False
    ignore: frozenset[str] = frozenset()
    plans: Path | None = None
    large_table: int = 10_000

    def replaced(self, **arguments: Any) -> Project:
        """Return the project with what the arguments say, where they are neither None nor empty."""
        return replace(self, **{name: value for name, value in arguments.items() if value not in (None, (), False)})


def find_config(start: Path) -> Path | None:
    """Return the nearest ``pyproject.toml`` with a ``[tool.sqlkit]``, in a folder or above it."""
    for folder in (start, *start.parents):
        path = folder / FILE
        if path.is_file() and _table(path) is not None:
            return path
    return None


def read_projects(config: Path | None = None, *, start: Path | None = None) -> list[Project]:
    """Read the projects of a configuration file, found by walking up from ``start`` where none is named.

    None where there is no file to be found. Raises ConfigurationError for a file that is missing or no TOML, and for
    keys and values that nobody knows.
    """
    path = config.absolute() if config else find_config((start or Path.cwd()).absolute())
    if path is None:
        return []
    table = _table(path)
    if table is None:
        raise ConfigurationError(f"{path}: has no [tool.sqlkit]")
    shared = {key: value for key, value in table.items() if key != "project"}
    first = _project(path, "tool.sqlkit", shared, Project(path.parent))
    parts = table.get("project", [])
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise ConfigurationError(f"{path}: tool.sqlkit.project: is an array of tables: [[tool.sqlkit.project]]")
    if not parts:
        return [first]
    return _named(
        path,
        [
            _project(path, f"tool.sqlkit.project {number}", part, first, name=True)
            for number, part in enumerate(parts, 1)
        ],
    )


def known_codes(names: Sequence[str], where: str) -> frozenset[str]:
    """Return codes as a set; ConfigurationError, which begins with ``where``, for what is none."""
    for name in names:
        if name not in CODES:
            raise ConfigurationError(f"{where}: {name!r} is no code{_near(name.upper(), CODES, 0.7)}")
    return frozenset(names)


def _table(path: Path) -> Mapping[str, Any] | None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: is no TOML: {error}") from None
    table = content.get("tool", {}).get("sqlkit")
    if table is not None and not isinstance(table, Mapping):
        raise ConfigurationError(f"{path}: tool.sqlkit: is a table: [tool.sqlkit]")
    return table


def _named(path: Path, projects: list[Project]) -> list[Project]:
    names = [project.name for project in projects]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: tool.sqlkit.project: two projects are named {name!r}")
    return projects


class _Values:
    """Reads the values of one table; an error names the file and the key."""

    def __init__(self, path: Path, where: str, table: Mapping[str, Any]) -> None:
        self.path = path
        self.where = where
        self.table = table

    def error(self, key: str, reason: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}: {self.where}.{key}: {reason}")

    def text(self, key: str, example: str) -> str | None:
        value = self.table.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.error(key, f'is a text: {key} = "{example}"')
        return value

    def texts(self, key: str, example: str) -> tuple[str, ...]:
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(part, str) and part for part in value):
            raise self.error(key, f'is a list of texts: {key} = ["{example}"]')
        return tuple(value)

    def one_or_more(self, key: str, example: str) -> tuple[str, ...]:
        if isinstance(self.table.get(key), list):
            return self.texts(key, example)
        value = self.text(key, example)
        return (value,) if value else ()

    def flag(self, key: str) -> bool:
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"is true or false: {key} = true")
        return value

    def number(self, key: str) -> int | None:
        value = self.table.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self.error(key, f"is a number of rows: {key} = 10000")
        return value

    def check(self, known: Sequence[str]) -> None:
        for key in self.table:
            if key not in known:
                raise self.error(key, f"is no key{_near(key, known, 0.6)}")


KEYS = ("modules", "migrations", "schema", "sql", "hints", "ignore", "plans", "large_table")


def _project(path: Path, where: str, table: Mapping[str, Any], base: Project, *, name: bool = False) -> Project:
    values = _Values(path, where, table)
    values.check((*KEYS, "name") if name else (*KEYS, "project"))
    root = path.parent
    named = values.text("name", "app") if name else ""
    if named is None:
        raise ConfigurationError(f'{path}: {where}: has no name: name = "app"')
    plans = values.text("plans", "plans.json")
    folders = tuple(root / folder for folder in values.one_or_more("migrations", "migrations"))
    project = replace(base, migrations=folders) if "migrations" in table else base
    return project.replaced(
        name=named or "",
        modules=values.texts("modules", "app.queries"),
        schema=values.text("schema", "app"),
        sql=tuple(root / folder for folder in values.texts("sql", "sql")),
        hints=values.flag("hints"),
        ignore=known_codes(values.texts("ignore", "SK013"), f"{path}: {where}.ignore") | base.ignore,
        plans=root / plans if plans else None,
        large_table=values.number("large_table"),
    )


def _near(word: str, known: Sequence[str] | Mapping[str, Any], cutoff: float) -> str:
    near = difflib.get_close_matches(word, list(known), 1, cutoff)
    return f", did you mean {near[0]}?" if near else f" (there are {', '.join(sorted(known))})"
