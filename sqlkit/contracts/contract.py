"""A method of a Protocol, read as a contract: parameters, number of rows, row type, colour.

Nothing here knows SQL. What an annotation cannot say is a ``ContractError`` with the method's place, raised before
anything runs.
"""

from __future__ import annotations

import builtins
import collections.abc
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import psycopg
from typing_extensions import TypeAliasType

from sqlkit.annotations import Affected, OneMarker
from sqlkit.errors import ContractError
from sqlkit.rows.shapes import RowType, describe_type

__all__ = ["Cardinality", "Contract", "Parameter", "read_contract", "read_contracts"]

EMPTY = inspect.Parameter.empty
POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
KEYWORD = inspect.Parameter.KEYWORD_ONLY
ITERABLES = (collections.abc.Iterable, collections.abc.AsyncIterable)


class Cardinality(Enum):
    """How many rows a return annotation promises."""

    ONE = "one"
    OPTIONAL = "optional"
    ALL = "all"
    STREAM = "stream"
    AFFECTED = "affected"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a method; ``annotation`` and ``default`` are ``inspect.Parameter.empty`` where there is none."""

    name: str
    annotation: Any
    default: Any
    kind: inspect._ParameterKind = POSITIONAL

    @property
    def item(self) -> Any:
        """The T of ``Iterable[T]``, ``AsyncIterable[T]`` or the union of both; None where it is no such thing."""
        if type(self.annotation) is type:
            return None  # a plain class, as most are
        members = get_args(self.annotation) if get_origin(self.annotation) in (Union, UnionType) else [self.annotation]
        if not all(get_origin(member) in ITERABLES for member in members):
            return None
        items = [get_args(member)[0] for member in members]
        return items[0] if all(item == items[0] for item in items) else None

    @property
    def only_async(self) -> bool:
        """Tell whether the items can come asynchronously only."""
        return get_origin(self.annotation) is collections.abc.AsyncIterable


@dataclass(frozen=True, slots=True)
class Contract:
    """What a method promises and takes.

    ``place`` is ``file:line`` of the method, ``label`` begins every error about it, ``row`` is None where no rows are
    returned, ``executor`` the first parameter's name; ``taken`` are all of them, in order, ``parameters`` those behind
    the executor.
    """

    name: str
    interface: type
    function: Any
    place: str
    taken: tuple[Parameter, ...]
    executor: str
    parameters: Mapping[str, Parameter]
    cardinality: Cardinality
    row: RowType | None
    asynchronous: bool

    @property
    def label(self) -> str:
        """Return the place and the method's name, with which an error begins."""
        return f"{self.place}: {self.interface.__name__}.{self.name}"

    @property
    def signature(self) -> inspect.Signature:
        """Return the method's signature, without ``self``."""
        signature = inspect.signature(self.function)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def read_contracts(
    interface: type, names: Mapping[str, Any] | None = None, *, validate: bool = False
) -> list[Contract]:
    """Read the contracts of all methods of a Protocol, those that it inherits included.

    ``names`` are further names for annotations (the caller's locals). Raises ContractError.
    """
    if not isinstance(interface, type) or not getattr(interface, "_is_protocol", False):
        name = getattr(interface, "__name__", repr(interface))
        raise ContractError(f"{name}: load takes a typing.Protocol: class {name}(Protocol)")
    contracts: dict[str, Contract] = {}
    meanings = Meanings(interface, names or {}, validate)
    for cls in reversed(interface.__mro__):
        if not getattr(cls, "_is_protocol", False) or cls is typing.Protocol:
            continue
        _refuse_attributes(cls, interface)
        for name, member in vars(cls).items():
            if inspect.isfunction(member) and not _is_special(name):
                if name in PROTOCOL_MACHINERY:
                    continue
                contracts[name] = _read(interface, member, meanings)
    if not contracts:
        raise ContractError(f"{interface.__name__}: the Protocol has no methods, so there is nothing to load")
    return list(contracts.values())


#: What typing adds to every Protocol.
PROTOCOL_MACHINERY = frozenset({"_no_init_or_replace_init", "_proto_hook"})


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _refuse_attributes(cls: type, interface: type) -> None:
    for name, member in vars(cls).items():
        if _is_special(name):
            continue  # typing's own __subclasshook__ is a classmethod since Python 3.12
        if isinstance(member, staticmethod | classmethod | property):
            kind = type(member).__name__
            raise ContractError(f"{interface.__name__}.{name}: a query is a plain method, not a {kind}")
    for name in inspect.get_annotations(cls):
        raise ContractError(f"{interface.__name__}.{name}: a Protocol for load has methods only, no attributes")


def read_contract(
    interface: type, function: Any, names: Mapping[str, Any] | None = None, *, validate: bool = False
) -> Contract:
    """Read one method of a Protocol; ContractError where its signature cannot be a query's."""
    return _read(interface, function, Meanings(interface, names or {}, validate))


def _read(interface: type, function: Any, meanings: Meanings) -> Contract:
    code = function.__code__
    place = f"{code.co_filename}:{code.co_firstlineno}"
    label = f"{place}: {interface.__name__}.{function.__name__}"
    hints = _hints(function, meanings, label)
    parameters = _parameters(function, hints, label)
    if len(parameters) < 2:
        raise ContractError(f"{label}: the first parameter behind self is the executor: db: Executor")
    if "return" not in hints:
        raise ContractError(f"{label}: say what it returns: -> Model | None, list[Model], Affected, None, ...")
    returned = hints["return"]
    coroutine = inspect.iscoroutinefunction(function)
    cardinality, row, stream = _read_return(returned, label, meanings)
    if stream and coroutine:
        raise ContractError(f"{label}: a stream is declared with plain def, for it is iterated, not awaited")
    asynchronous = coroutine or stream == "async"
    _check_colour(meanings.colours_of(parameters[1].annotation), asynchronous, label)
    return Contract(
        function.__name__,
        interface,
        function,
        place,
        tuple(parameters[1:]),
        parameters[1].name,
        {part.name: part for part in parameters[2:]},
        cardinality,
        row,
        asynchronous,
    )


def _parameters(function: Any, hints: Mapping[str, Any], label: str) -> list[Parameter]:
    """Return the parameters of a method, ``self`` too; in a fifth of the time that ``inspect.signature`` takes."""
    source = inspect.unwrap(function)
    code, defaults, by_name = source.__code__, source.__defaults__ or (), source.__kwdefaults__ or {}
    positional, named = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    for flag, stars in ((inspect.CO_VARARGS, "*"), (inspect.CO_VARKEYWORDS, "**")):
        if code.co_flags & flag:
            several = code.co_varnames[named + (stars == "**" and bool(code.co_flags & inspect.CO_VARARGS))]
            raise ContractError(f"{label}: {stars}{several} is no parameter of a query: name each one")
    parameters = []
    for index, name in enumerate(code.co_varnames[:named]):
        kind: inspect._ParameterKind = KEYWORD
        default: Any = EMPTY
        if index >= positional:
            default = by_name.get(name, EMPTY)
        else:
            kind = POSITIONAL_ONLY if index < code.co_posonlyargcount else POSITIONAL
            if index >= positional - len(defaults):
                default = defaults[index - positional]
        parameters.append(Parameter(name, hints.get(name, EMPTY), default, kind))
    return parameters


class Meanings:
    """What the annotations of a Protocol's methods mean: worked out once, not for each method.

    A name means what it does in the module of its method, or is one of the Protocol's own classes; the caller's locals
    count where load is called in the function that defines the Protocol. Of another module's names only what is known
    nowhere else counts: it may have another class of the same name.
    """

    def __init__(self, interface: type, names: Mapping[str, Any], validate: bool) -> None:
        self.validate = validate
        self._names = names
        self._local = "<locals>" in interface.__qualname__
        self._own = {
            name: value for cls in interface.__mro__ for name, value in vars(cls).items() if isinstance(value, type)
        }
        self._of_module: dict[int, dict[str, Any]] = {}
        self._rows: dict[type, RowType] = {}
        self._colours: dict[int, tuple[Any, set[str]]] = {}

    def names_for(self, function: Any) -> dict[str, Any]:
        """Return what names mean in a method's annotations, besides the globals of its module."""
        known = function.__globals__
        found = self._of_module.get(id(known))
        if found is None:
            found = self._of_module[id(known)] = {
                name: value
                for name, value in self._names.items()
                if self._local or (name not in known and not hasattr(builtins, name))
            } | self._own
        return found

    def row_of(self, annotation: Any) -> RowType:
        """Return the row type of an annotation: one and the same for all methods that return a class."""
        if not isinstance(annotation, type):
            return RowType.of(annotation, validate=self.validate)
        row = self._rows.get(annotation)
        if row is None:
            row = self._rows[annotation] = RowType.of(annotation, validate=self.validate)
        return row

    def colours_of(self, annotation: Any) -> set[str]:
        """Return the colours of the executors that an annotation admits."""
        known = self._colours.get(id(annotation))
        if known is None:
            colours = {colour for colour in map(_colour, _members(annotation)) if colour is not None}
            known = self._colours[id(annotation)] = annotation, colours  # which keeps the identity its own
        return known[1]

    def value_of(self, annotation: Any) -> RowType:
        """Return the row type of one value, whatever the annotation would mean as a row."""
        return RowType.value(annotation, validate=self.validate)


def _hints(function: Any, meanings: Meanings, label: str) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function, localns=meanings.names_for(function), include_extras=True)
        return {name: _unaliased(hint) for name, hint in hints.items()}
    except NameError as error:
        raise ContractError(
            f"{label}: the annotation names {error.name!r}, which is not known when load runs: import it at run time, "
            "not under TYPE_CHECKING"
        ) from error
    except (TypeError, SyntaxError) as error:
        raise ContractError(f"{label}: an annotation cannot be read: {error}") from error


def _unaliased(annotation: Any) -> Any:
    """Return what a ``type X = ...`` stands for."""
    while isinstance(annotation, TypeAliasType):
        annotation = annotation.__value__
    return annotation


def _read_return(returned: Any, label: str, meanings: Meanings) -> tuple[Cardinality, RowType | None, str | None]:
    """Return how many rows, of what type, and the colour of a stream."""
    try:
        return _classify_return(returned, meanings)
    except TypeError as error:
        raise ContractError(f"{label}: {describe_type(returned)} cannot be mapped: {error}") from None


def _classify_return(returned: Any, meanings: Meanings) -> tuple[Cardinality, RowType | None, str | None]:
    origin, arguments = get_origin(returned), get_args(returned)
    if returned is None or returned is NoneType:
        return Cardinality.NOTHING, None, None
    if returned is Affected:
        return Cardinality.AFFECTED, None, None
    if origin is Annotated and any(isinstance(part, OneMarker) for part in arguments[1:]):
        # Annotated of Annotated is one: what else stands in it belongs to the value.
        further = tuple(part for part in arguments[1:] if not isinstance(part, OneMarker))
        value: Any = Annotated[(arguments[0], *further)] if further else arguments[0]
        return Cardinality.ONE, meanings.value_of(value), None
    stream = getattr(origin, "__sqlkit_stream__", None)
    if stream:
        return Cardinality.STREAM, meanings.row_of(arguments[0]), stream
    if getattr(returned, "__sqlkit_stream__", None):
        raise TypeError("say of what: Rows[Model]")
    _refuse_vague(returned, origin)
    if origin is list:
        return Cardinality.ALL, meanings.row_of(_unaliased(arguments[0])), None
    if origin in (Union, UnionType) and NoneType in arguments:
        others = [_unaliased(part) for part in arguments if part is not NoneType]
        if any(get_origin(part) is list for part in others):
            raise TypeError("rows are list[...], empty for none; an array that may be NULL is One[list[...] | None]")
        if len(others) == 1 and meanings.row_of(others[0]).shape != "value":
            return Cardinality.OPTIONAL, meanings.row_of(others[0]), None
        return Cardinality.OPTIONAL, meanings.value_of(returned), None
    return Cardinality.ONE, meanings.row_of(returned), None


def _refuse_vague(returned: Any, origin: Any) -> None:
    if returned in (list, dict, tuple, set):
        raise TypeError(f"say of what: {returned.__name__}[...]")
    if isinstance(returned, TypeVar) or any(isinstance(part, TypeVar) for part in get_args(returned)):
        raise TypeError("a type variable says nothing at run time: declare the method with the type itself")
    if returned is Any or returned is object:
        raise TypeError("say what it returns: a model, a scalar type, Affected, None")
    abstract = (*ITERABLES, collections.abc.Sequence, collections.abc.Iterator, collections.abc.AsyncIterator)
    if origin in (*abstract, collections.abc.Generator, collections.abc.AsyncGenerator, set, frozenset):
        raise TypeError("rows are list[...], or Rows[...] and AsyncRows[...] for a stream")


def _check_colour(colours: set[str], asynchronous: bool, label: str) -> None:
    if not colours:
        raise ContractError(f"{label}: the first parameter is the executor: db: Executor, or db: AsyncExecutor")
    if colours == {"sync"} and asynchronous:
        raise ContractError(f"{label}: an asynchronous query takes db: AsyncExecutor")
    if colours == {"async"} and not asynchronous:
        raise ContractError(f"{label}: a query on an AsyncExecutor is declared with async def (or returns AsyncRows)")


def _members(annotation: Any) -> tuple[Any, ...]:
    annotation = _unaliased(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for part in get_args(annotation) for inner in _members(part))
    return (get_origin(annotation) or annotation,)


def _colour(executor: Any) -> str | None:
    if not isinstance(executor, type):
        return None
    if issubclass(executor, psycopg.AsyncConnection):
        return "async"
    if issubclass(executor, psycopg.Connection):
        return "sync"
    lend = getattr(executor, "lend", None)
    if lend is None:
        return None
    return "async" if inspect.iscoroutinefunction(lend) else "sync"
