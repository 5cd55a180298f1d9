"""What a project declares: the queries that its modules load, and the statements of its ``.sql`` files.

Modules are imported, for only then is a Protocol's annotation a type. One that does not import is an obstacle, and the
rest is still read.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

from sqlkit.checking.findings import Finding, Place
from sqlkit.checking.refusals import contract_finding, file_finding
from sqlkit.contracts.contract import Contract
from sqlkit.describing.description import Description
from sqlkit.errors import ContractError, SqlFileError, SqlkitError
from sqlkit.queries import refusals_to
from sqlkit.statements import Statement, read_statements

__all__ = ["LoadedQuery", "ProjectFacts", "Sources", "importable", "read_sources"]

#: Errors whose text names what is wrong in the code; others may quote a value, which may be a secret.
TELLING = (ImportError, SyntaxError, NameError, AttributeError, SqlkitError)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedQuery:
    """A method that ``sqlkit.load`` made: what it promises, and the statement that it runs.

    ``module`` and ``attribute`` say where the loaded object is (``app.queries``, ``songs``). Queries on one statement
    share the object: ``statement`` is the one of ``ProjectFacts.statements``.
    """

    contract: Contract
    statement: Statement
    method: Any
    module: str
    attribute: str


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """All that is known of a project when its lints are asked.

    ``statements`` are those of all its files, declared or not; ``descriptions`` has what PostgreSQL said of each one's
    variants, nothing where it could not be asked; ``called`` are the names that the project's Python reads from any
    object, None where nobody looked. ``declares`` tells whether a statement without a Protocol is worth a word.
    """

    queries: Sequence[LoadedQuery] = ()
    statements: Sequence[Statement] = ()
    descriptions: Mapping[Statement, Sequence[Description]] = field(default_factory=dict)
    called: frozenset[str] | None = None
    declares: bool = True


@dataclass(slots=True)
class Sources:
    """What was read: queries, statements, what is wrong with some, and what could not be read at all, in words.

    ``complete`` tells whether every module was imported, so that what nothing declares is really undeclared.
    """

    queries: list[LoadedQuery] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    complete: bool = True


@contextlib.contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let modules be found below a folder, or below its ``src``, as ``python -m`` would find them there."""
    added = [str(folder) for folder in (root / "src", root) if folder.is_dir() and str(folder) not in sys.path]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)


def read_sources(root: Path, modules: Sequence[str], folders: Sequence[Path]) -> Sources:
    """Import modules, find what they load, and read the files of that and of ``folders``.

    ``package.*`` means a package and all modules below it.
    """
    sources = Sources()
    found: list[LoadedQuery] = []
    seen: set[int] = set()
    with importable(root):
        for name in modules:
            for module in _import_all(name, root, sources):
                found += [query for query in loaded_queries(module) if not _known(query, seen)]
    paths = dict.fromkeys(query.statement.path.absolute() for query in found)
    for folder in folders:
        paths |= dict.fromkeys(_files(folder, sources))
    known = _read_files(paths, found, sources)
    for query in found:
        key = (query.statement.path.resolve(), query.statement.name)
        sources.queries.append(replace(query, statement=known.get(key, query.statement)))
    return sources


def loaded_queries(module: ModuleType) -> Iterator[LoadedQuery]:
    """Yield the queries of what ``sqlkit.load`` returned to a module: its attributes, those of its classes too."""
    for attribute, value in _attributes(module.__name__, vars(module)):
        for member in vars(type(value)).values():
            method = getattr(member, "__func__", None)
            if isinstance(member, staticmethod) and hasattr(method, "sqlkit_contract"):
                yield LoadedQuery(
                    method.sqlkit_contract,  # type: ignore[union-attr]
                    method.sqlkit_statement,  # type: ignore[union-attr]
                    method,
                    module.__name__,
                    attribute,
                )


def _attributes(module: str, names: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in list(names.items()):
        if isinstance(value, type):
            if value.__module__ == module and value.__qualname__ == above + value.__name__:
                yield from _attributes(module, vars(value), f"{above}{name}.")
            continue
        yield above + name, value
        yield from ((above + name, each) for each in _inside(value))


def _inside(value: Any) -> list[Any]:
    """Return what a container holds, nothing for what is none."""
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _known(query: LoadedQuery, seen: set[int]) -> bool:
    """Tell whether a method was found before, under another name or in another module."""
    known = id(query.method) in seen
    seen.add(id(query.method))
    return known


def _import_all(name: str, root: Path, sources: Sources) -> Iterator[ModuleType]:
    wanted, star = name.removesuffix(".*"), name.endswith(".*")
    module = _import(wanted, root, sources)
    if module is None:
        return
    yield module
    if star:
        for below in pkgutil.iter_modules(getattr(module, "__path__", [])):
            if below.name != "__main__":
                yield from _import_all(f"{wanted}.{below.name}{'.*' if below.ispkg else ''}", root, sources)


def _import(name: str, root: Path, sources: Sources) -> ModuleType | None:
    def take(error: ContractError | SqlFileError, caller: FrameType) -> None:
        sources.complete = False
        place = _call_place(caller)
        finding = file_finding(error, place) if isinstance(error, SqlFileError) else contract_finding(error, place)
        sources.findings.append(finding)

    if not all(name.split(".")) or "/" in name or (name.endswith(".py") and (root / name).is_file()):
        sources.obstacles.append(f"{name or repr(name)}: is no module's name{_meant(name)}")
        sources.complete = False
        return None
    try:
        with refusals_to(take), contextlib.redirect_stdout(sys.stderr):  # stdout is the report's alone
            return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a script that runs as it is imported
        sources.obstacles.append(_obstacle(name, error, root))
    sources.complete = False
    return None


def _meant(path: str) -> str:
    """Return the advice for the path of a module (``app/queries.py``)."""
    parts = [part for part in Path(path.removesuffix(".py")).parts if part.isidentifier()]
    return f": write {'.'.join(parts)}" if parts else ""


def _obstacle(name: str, error: BaseException, root: Path) -> str:
    kind = type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name and name.startswith(error.name):
        return f"{name}: there is no such module below {root} (ModuleNotFoundError: {error.name})"
    place = _last_place(error, root)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place = Place(Path(error.filename), error.lineno, error.offset or 1)
    said = f"{kind}: {getattr(error, 'msg', None) or error}" if isinstance(error, TELLING) else kind
    where = f"{place.path}:{place.line}: " if place else ""
    return f"{where}{name} does not import: {' '.join(said.split())}"


def _last_place(error: BaseException, root: Path) -> Place | None:
    """Return the last line of the project's own that an error passed, else the last that is not of this package."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not _is_machinery(frame.filename)
    ]
    own = [
        frame for frame in frames if Path(frame.filename).is_relative_to(root) and "site-packages" not in frame.filename
    ]
    for frame in reversed(own or frames):
        return Place(Path(frame.filename), frame.lineno or 1, 1)
    return None


def _call_place(frame: FrameType) -> Place:
    """Return what a frame is executing: the call of ``load``, as far as it stands in its first line."""
    path = Path(frame.f_code.co_filename)
    line, last, column, end = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    if line is None or column is None or end is None:
        return Place(path, frame.f_lineno, 1)
    return Place(path, line, column + 1, end + 1 if last == line else None)


def _is_machinery(filename: str) -> bool:
    """Tell whether a file is sqlkit's own or importlib's, which is no place to look for a mistake.

    The apps are projects like any other.
    """
    path, package = Path(filename), Path(__file__).parent.parent
    return path.parent.name == "importlib" or (
        path.is_relative_to(package) and not path.is_relative_to(package / "apps")
    )


def _files(folder: Path, sources: Sources) -> list[Path]:
    if folder.is_file():
        return [folder.absolute()]
    found = sorted(folder.rglob("*.sql")) if folder.is_dir() else []
    if not found:
        sources.obstacles.append(f"{folder}: no .sql file there")
    return [path.absolute() for path in found]


def _read_files(
    paths: Mapping[Path, None], found: Sequence[LoadedQuery], sources: Sources
) -> dict[tuple[Path, str], Statement]:
    """Read each file once, by whatever path it is named; what was loaded from one stands for it."""
    known: dict[tuple[Path, str], Statement] = {}
    for query in found:
        known.setdefault((query.statement.path.resolve(), query.statement.name), query.statement)
    read: set[Path] = set()
    for path in paths:
        resolved = path.resolve()
        if resolved in read:
            continue
        read.add(resolved)
        try:
            statements = read_statements(path)
        except SqlFileError as error:
            if not any(other.sql and other.sql.path.resolve() == resolved for other in sources.findings):
                sources.findings.append(file_finding(error, None))
            statements = []
        for statement in statements:
            sources.statements.append(known.setdefault((resolved, statement.name), statement))
    return known
