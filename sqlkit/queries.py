"""``load``: contracts and statements become methods with the Protocol's own signature.

What disagrees between the two is a ``ContractError`` here, when the module is imported, with the places of both. Each
method is compiled with its own signature, so that a wrong argument is Python's own TypeError and a call costs no
binding; its code says it comes from the ``.sql`` file, so that a traceback shows the statement's line.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import CodeType, FrameType, FunctionType
from typing import Any, Literal

from sqlkit.bindings import Binding, bind, local
from sqlkit.contracts.contract import EMPTY, KEYWORD, POSITIONAL_ONLY, Cardinality, Contract, read_contracts
from sqlkit.contracts.items import read_path
from sqlkit.errors import ContractError, SqlFileError
from sqlkit.execution.bulk import run_batch, run_batch_async
from sqlkit.execution.calls import call, call_async
from sqlkit.execution.copies import copy_in, copy_in_async
from sqlkit.execution.streams import AsyncRows, Rows
from sqlkit.rows.collector import paused_collector
from sqlkit.statements import Statement, read_statements

__all__ = ["load", "refusals_to"]


def load(interface: type, path: str | os.PathLike[str], *, validate: Literal["needed", "always"] = "needed") -> Any:
    """Implement a Protocol on the statements of a ``.sql`` file, each method on the statement of its name.

    Returns an object with the Protocol's methods; the annotation beside the call says so to type checkers:
    ``songs: SongQueries = sqlkit.load(SongQueries, "songs.sql")``. A relative path is one from the working directory.
    With ``validate="always"`` pydantic validates every row, also where the columns' types make it needless. Raises
    ``SqlFileError`` for a file that does not parse and ``ContractError`` where Protocol and file disagree.
    """
    caller = sys._getframe(1)
    methods: dict[str, Any] = {}
    with paused_collector(), _Refusing(caller) as refusing:
        contracts = read_contracts(interface, caller.f_locals, validate=validate == "always")
        statements = {statement.name: statement for statement in read_statements(path)}
        for contract in contracts:
            with refusing:
                methods[contract.name] = staticmethod(_method(contract, _statement_of(contract, statements, path)))
    namespace = {"__doc__": interface.__doc__, "__module__": interface.__module__, **methods}
    return type(interface.__name__, (interface,), namespace)()


Refusal = ContractError | SqlFileError
_taker: ContextVar[Callable[[Refusal, FrameType], object] | None] = ContextVar("taker", default=None)


@contextmanager
def refusals_to(take: Callable[[Refusal, FrameType], object]) -> Generator[None]:
    """Give what ``load`` refuses, and the frame that called it, to a function instead of raising it.

    The methods that are refused keep the Protocol's own body. So all that is wrong with a module is found at once.
    """
    token = _taker.set(take)
    try:
        yield
    finally:
        _taker.reset(token)


class _Refusing:
    """Lets a refusal pass, or gives it to who wants them all."""

    def __init__(self, caller: FrameType) -> None:
        self.caller = caller

    def __enter__(self) -> _Refusing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        take = _taker.get()
        if take is None or not isinstance(error, ContractError | SqlFileError):
            return False
        take(error, self.caller)
        return True


def _statement_of(contract: Contract, statements: dict[str, Statement], path: str | os.PathLike[str]) -> Statement:
    try:
        return statements[contract.name]
    except KeyError:
        near = difflib.get_close_matches(contract.name, statements, 1)
        hint = f", did you mean {near[0]}?" if near else f" (it has {', '.join(statements)})"
        raise ContractError(f"{contract.label}: {os.fspath(path)} has no statement of this name{hint}") from None


def _method(contract: Contract, statement: Statement) -> Callable[..., Any]:
    """Make one method, whose code stands at the statement's line."""
    binding = bind(contract, statement)
    names: dict[str, Any] = {"sqlkit_read_path": read_path}
    body = _body(contract, binding, names)
    colour = "async " if contract.asynchronous and contract.cardinality is not Cardinality.STREAM else ""
    code = _compiled(f"{colour}def method({_parameters(contract)}): return {body}").replace(
        co_varnames=tuple([part.name for part in contract.taken]),
        co_name=contract.name,
        co_qualname=f"{contract.interface.__name__}.{contract.name}",
        co_filename=str(statement.path),
        co_firstlineno=statement.line,
    )
    method = FunctionType(code, names, contract.name)
    given = [part for part in contract.taken if part.default is not EMPTY]
    method.__defaults__ = tuple([part.default for part in given if part.kind is not KEYWORD]) or None
    method.__kwdefaults__ = {part.name: part.default for part in given if part.kind is KEYWORD} or None
    return _dress(method, contract, statement)


@lru_cache(maxsize=256)
def _compiled(source: str) -> CodeType:
    """Compile a function, all of it on one line: methods that differ in the names of their parameters have one code."""
    module = compile(source, "<sqlkit>", "exec")
    (code,) = (constant for constant in module.co_consts if isinstance(constant, CodeType))
    return code.replace(co_linetable=_on_first_line(len(code.co_code) // 2))


def _on_first_line(units: int) -> bytes:
    """Return the table that puts all units of a code on its first line, without columns: they are not the file's.

    Each entry is for up to eight units (CPython's Objects/locations.md): kind 13, so many units, no more lines.
    """
    return b"".join(bytes((0x80 | 13 << 3 | min(units - done, 8) - 1, 0)) for done in range(0, units, 8))


def _parameters(contract: Contract) -> str:
    """Spell the parameters, without their names and defaults."""
    parts: list[str] = []
    former = None
    for position, parameter in enumerate(contract.taken):
        kind = parameter.kind
        if former is POSITIONAL_ONLY and kind is not POSITIONAL_ONLY:
            parts.append("/")
        if kind is KEYWORD and former is not KEYWORD:
            parts.append("*")
        parts.append(local(position))
        former = kind
    return ", ".join([*parts, "/"] if former is POSITIONAL_ONLY else parts)


def _body(contract: Contract, binding: Binding, names: dict[str, Any]) -> str:
    """Spell the one expression of a method, on its arguments by their positions."""
    db, *rest = map(local, range(len(contract.taken)))
    arguments = ", ".join(rest)
    asynchronous = contract.asynchronous
    wait = "await " if asynchronous else ""
    if binding.copy is not None:
        names.update(sqlkit_run=copy_in_async if asynchronous else copy_in, sqlkit_copy=binding.copy)
        return f"{wait}sqlkit_run({db}, sqlkit_copy({arguments}), {binding.items})"
    if binding.batch is not None:
        names.update(sqlkit_run=run_batch_async if asynchronous else run_batch, sqlkit_batch=binding.batch)
        return f"{wait}sqlkit_run({db}, sqlkit_batch({arguments}), {binding.items})"
    names["sqlkit_query"] = binding.query
    if contract.cardinality is Cardinality.STREAM:
        names["sqlkit_run"] = AsyncRows if asynchronous else Rows
        wait = ""
    else:
        names["sqlkit_run"] = call_async if asynchronous else call
    if binding.values is not None:
        names["sqlkit_variant"] = binding.query.statement.variant()
        return f"{wait}sqlkit_run({db}, sqlkit_query, sqlkit_variant, {binding.values})"
    names["sqlkit_choose"] = binding.choose
    return f"{wait}sqlkit_run({db}, sqlkit_query, *sqlkit_choose({arguments}))"


def _dress(method: Any, contract: Contract, statement: Statement) -> Callable[..., Any]:
    source = contract.function
    method.__module__ = contract.interface.__module__
    method.__doc__ = source.__doc__ or statement.doc or None
    method.__annotations__ = dict(source.__annotations__)
    method.sqlkit_statement = statement
    method.sqlkit_contract = contract
    return method  # type: ignore[no-any-return]
