"""Where a contract stands in Python: its method, parameters and return annotation, and the fields of its models."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from sqlkit.checking.findings import Place
from sqlkit.contracts.contract import Contract

__all__ = ["PythonPlaces"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Located = ast.expr | ast.stmt | ast.arg


class PythonPlaces:
    """Finds places in the source of Protocols and models; what has no source is found by its first line alone."""

    def method(self, contract: Contract) -> Place:
        """Return the place of a method's name."""
        return self.function(*_origin(contract), contract.name)

    def function(self, path: Path, line: int, name: str) -> Place:
        """Return the place of the name of the function that begins at a line."""
        node = _function(path, line, name)
        if node is None:
            return Place(path, line, 1)
        text = _source(path).lines[node.lineno - 1]
        column = text.find(node.name, text.find("def ") + 4) + 1
        return Place(path, node.lineno, column, column + len(node.name))

    def parameter(self, contract: Contract, name: str) -> Place:
        """Return the place of a parameter's annotation, of the method where it has no such parameter."""
        path, line = _origin(contract)
        node = _function(path, line, contract.name)
        for argument in _arguments(node) if node else ():
            if argument.arg == name:
                return _place(path, argument.annotation or argument)
        return self.method(contract)

    def returns(self, contract: Contract) -> Place:
        """Return the place of a method's return annotation."""
        path, line = _origin(contract)
        node = _function(path, line, contract.name)
        return _place(path, node.returns) if node and node.returns else self.method(contract)

    def field(self, row_class: type, field_name: str) -> Place | None:
        """Return the place of a field of a model, dataclass, NamedTuple or TypedDict, also of an inherited one.

        None where its class was not written as one, or its source is away.
        """
        for cls in _family(row_class):
            node = _class(cls)
            for statement in node.body if node else ():
                if isinstance(statement, ast.AnnAssign) and _name(statement.target) == field_name:
                    place = _place(_file(cls), statement.target)
                    return Place(
                        place.path, place.line, place.column, _place(place.path, statement.annotation, place.line).end
                    )
        return None

    def cls(self, row_class: type) -> Place | None:
        """Return the place of a class's name, None where its source is away."""
        node = _class(row_class)
        if node is None:
            return None
        path = _file(row_class)
        column = _source(path).lines[node.lineno - 1].find(node.name) + 1
        return Place(path, node.lineno, column, column + len(node.name))


class _Source:
    """A file's lines, syntax tree and functions by name; none of them where it cannot be read."""

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8-sig")
            self.tree: ast.Module = ast.parse(text)
        except (OSError, ValueError, SyntaxError):
            text, self.tree = "", ast.Module([], [])
        # As Python's own parser counts lines: a form feed ends none.
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.functions: dict[str, list[Function]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                self.functions.setdefault(node.name, []).append(node)


@lru_cache(maxsize=256)
def _read(path: Path, stamp: int) -> _Source:  # noqa: ARG001 - an edited file is another one
    return _Source(path)


def _source(path: Path) -> _Source:
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError:
        return _read(path, 0)


def _origin(contract: Contract) -> tuple[Path, int]:
    code = contract.function.__code__
    return Path(code.co_filename), code.co_firstlineno


def _function(path: Path, line: int, name: str) -> Function | None:
    """Return the definition that begins at a line, its decorators included."""
    for node in _source(path).functions.get(name, ()):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        if first <= line <= node.lineno:
            return node
    return None


def _arguments(node: Function) -> Iterator[ast.arg]:
    found = node.args
    yield from (*found.posonlyargs, *found.args, *found.kwonlyargs)


def _family(cls: type) -> Iterator[type]:
    """Yield a class and those that it inherits from; a TypedDict's are known by its source alone, before 3.12."""
    yield from cls.__mro__
    node = _class(cls)
    for base in node.bases if node else ():
        found = getattr(sys.modules.get(cls.__module__), _name(base) or "", None)
        if isinstance(found, type) and found not in cls.__mro__:
            yield from _family(found)


def _file(cls: type) -> Path:
    return Path(getattr(sys.modules.get(cls.__module__), "__file__", None) or "<unknown>")


def _class(cls: type) -> ast.ClassDef | None:
    """Return the definition of a class, found by its qualified name."""
    scope: list[ast.stmt] = _source(_file(cls)).tree.body
    found: ast.stmt | None = None
    for name in cls.__qualname__.split("."):
        if name == "<locals>":
            continue
        found = next((node for node in _statements(scope) if getattr(node, "name", None) == name), None)
        if found is None:
            return None
        scope = getattr(found, "body", [])
    return found if isinstance(found, ast.ClassDef) else None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body, those under its conditions and loops too."""
    for node in body:
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, part, []))


def _name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _place(path: Path, node: Located, line: int | None = None) -> Place:
    """Return the place of a node; ``end`` is that of its first line, or of the line asked for."""
    line = line or node.lineno
    column = _column(path, node.lineno, node.col_offset)
    end = _column(path, line, node.end_col_offset or 0) if node.end_lineno == line else None
    return Place(path, node.lineno, column, end)


def _column(path: Path, line: int, offset: int) -> int:
    """Turn the parser's offset in bytes of UTF-8 into a column."""
    lines = _source(path).lines
    text = lines[line - 1] if line <= len(lines) else ""
    return len(text.encode()[:offset].decode(errors="ignore")) + 1
