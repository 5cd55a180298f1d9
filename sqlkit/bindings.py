"""Which argument fills which parameter of a statement: the agreement of a contract and a statement.

All that can be known before a call is decided here, and what disagrees is a ``ContractError``.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Literal, get_args, get_origin

from sqlkit.annotations import UNSET
from sqlkit.contracts.contract import Cardinality, Contract, Parameter
from sqlkit.contracts.items import access, describe_fields, field_names, is_given, read_path, reader_of_all
from sqlkit.errors import ArgumentError, ContractError
from sqlkit.execution.bulk import Batch
from sqlkit.execution.copies import CopyIn
from sqlkit.execution.query import Query
from sqlkit.rows.shapes import describe_type
from sqlkit.statements import Reference, Statement, Variant

__all__ = ["Binding", "bind", "local"]


@dataclass(slots=True)
class Binding:
    """How a method's arguments reach its statement; one of ``values``, ``choose``, ``batch`` and ``copy`` is set.

    ``values`` is the expression of a statement with one variant, ``choose`` gives the variant and its values,
    ``batch`` and ``copy`` make what runs the items of the argument ``items``. Both spell an argument by ``local``.
    """

    query: Query
    values: str | None = None
    choose: Callable[..., tuple[Variant, Sequence[Any]]] | None = None
    batch: Callable[..., Batch] | None = None
    copy: Callable[..., CopyIn] | None = None
    items: str = ""


def local(position: int) -> str:
    """Return what an argument is called in the code of a method: by its position, so that methods can share code."""
    return f"sqlkit_{position}"


def bind(contract: Contract, statement: Statement) -> Binding:
    """Bind a contract to a statement; ContractError names both places."""
    return _Binder(contract, statement).bind()


class _Binder:
    def __init__(self, contract: Contract, statement: Statement) -> None:
        self.contract = contract
        self.statement = statement
        self.query = Query(statement, contract.cardinality, contract.row)

    def error(self, reason: str) -> ContractError:
        return ContractError(f"{self.contract.label}: {reason} ({self.statement.place})")

    def bind(self) -> Binding:
        items = self._items()
        if items is not None:
            return self._bind_items(items)
        if self.statement.copy is not None:
            raise self.error("copy ... from stdin takes a parameter Iterable[...] with the rows")
        self._check_names(self.contract.parameters, None)
        self._check_choices()
        self._check_optional()
        if not self.statement.regions and not self.statement.choices:
            return Binding(self.query, values=self._expression(self.statement.variant()))
        return Binding(self.query, choose=self._choose())

    # Which names there are on either side.

    def _items(self) -> Parameter | None:
        used = set(self.statement.parameters)
        found = [part for part in self.contract.parameters.values() if part.item is not None and part.name not in used]
        if len(found) > 1:
            raise self.error(f"{found[0].name!r} and {found[1].name!r} cannot both be the batch")
        return found[0] if found else None

    def _check_names(self, parameters: Any, items: Parameter | None) -> None:
        statement = self.statement
        known = {*statement.parameters, *statement.choices}
        for name, parameter in parameters.items():
            if name in known or parameter is items:
                continue
            if statement.copy is not None and name in statement.copy.columns:
                continue
            if get_origin(parameter.annotation) in (list, set, tuple) or parameter.annotation in (list, set, tuple):
                raise self.error(f"the statement has no :{name}; if {name!r} is a batch, annotate it Iterable[...]")
            near = difflib.get_close_matches(name, known, 1)
            raise self.error(f"the statement has no :{name}" + (f", did you mean :{near[0]}?" if near else ""))
        for reference in statement.references:
            if reference.name in parameters:
                self._check_path(reference, parameters[reference.name].annotation)
            elif items is None:
                near = difflib.get_close_matches(reference.name, parameters, 1)
                hint = f", did you mean {near[0]!r}?" if near else ""
                raise self.error(f"the statement wants :{reference}, and the method has no such parameter{hint}")
            else:
                self._check_item(items, reference)

    def _check_path(self, reference: Reference, annotation: Any) -> None:
        names = field_names(annotation)
        if reference.path and names is not None and reference.path[0] not in names:
            raise self.error(f"the statement wants :{reference}, which {describe_fields(annotation)} has not")

    def _check_item(self, items: Parameter, reference: Reference) -> None:
        names = field_names(items.item)
        if names is not None and reference.name not in names:
            raise self.error(
                f"the statement wants :{reference}, which is neither a parameter nor a field of {items.name!r}, "
                f"whose items are {describe_fields(items.item)}"
            )
        if names is None and items.item in (int, str, float, bool, bytes):
            raise self.error(
                f"the items of {items.name!r} have no fields: a batch takes models, dataclasses, mappings, ..."
            )

    def _check_choices(self) -> None:
        for key, labels in self.statement.choices.items():
            parameter = self.contract.parameters.get(key)
            wanted = ", ".join(repr(label) for label in labels)
            if parameter is None:
                raise self.error(f"the statement has the choice {key!r}: add {key}: Literal[{wanted}]")
            values = get_args(parameter.annotation) if get_origin(parameter.annotation) is Literal else ()
            if set(values) != set(labels):
                raise self.error(f"{key!r} is {describe_type(parameter.annotation)}, the file has Literal[{wanted}]")
            if parameter.default is not inspect.Parameter.empty and parameter.default not in labels:
                raise self.error(f"the default of {key!r} is none of {wanted}")

    def _check_optional(self) -> None:
        statement = self.statement
        for region in statement.regions:
            for reference in region.references:
                default = self.contract.parameters[reference.name].default
                if not reference.path and default is not None and default is not UNSET:
                    raise self.error(
                        f"{reference.name!r} is optional at line {region.line}: give it the default None, or "
                        "sqlkit.UNSET where None is a value"
                    )
        for reference in statement.required:
            if self.contract.parameters[reference.name].default is UNSET:
                raise self.error(f"{reference.name!r} is not optional in the statement, so UNSET is no default for it")

    # How values are read.

    def _local(self, name: str) -> str:
        return local([part.name for part in self.contract.taken].index(name))

    def _expression(self, variant: Variant) -> str:
        parts = [
            access(self._local(reference.name), self.contract.parameters[reference.name].annotation, reference.path)
            for reference in variant.references
        ]
        return "(" + "".join(f"{part}, " for part in parts) + ")"

    def _choose(self) -> Callable[..., tuple[Variant, Sequence[Any]]]:
        """Return the function from arguments to a variant and its values.

        A call only asks which references are given; what follows from that is worked out once for each set of them.
        """
        statement, parameters = self.statement, self.contract.parameters
        positions = {name: index for index, name in enumerate(parameters)}
        keys = [positions[key] for key in statement.choices]
        plans: dict[tuple[str, ...], _Plan] = {}

        def choose(*arguments: Any) -> tuple[Variant, Sequence[Any]]:
            chosen = _labels(statement, [arguments[index] for index in keys]) if keys else ()
            plan = plans.get(chosen)
            if plan is None:
                plan = plans[chosen] = _Plan(statement, chosen, parameters)
            given = 0
            for index, is_there, bit in plan.asked:
                if is_there(arguments[index]):
                    given |= bit
            variant, paths = plan.known.get(given) or plan.decide(given)
            return variant, [read_path(arguments[index], path) if path else arguments[index] for index, path in paths]

        return choose

    # Batches and copies.

    def _bind_items(self, items: Parameter) -> Binding:
        contract, statement = self.contract, self.statement
        if items.only_async and not contract.asynchronous:
            raise self.error(f"{items.name!r} is an AsyncIterable, which needs an asynchronous query")
        self._check_names(contract.parameters, items)
        self._check_choices()
        if statement.regions:
            raise self.error("a batch takes no optional lines: each item runs the same text")
        if contract.cardinality in (Cardinality.ONE, Cardinality.OPTIONAL, Cardinality.STREAM):
            raise self.error("a batch returns list[...], Affected or None: one result for each item")
        if statement.copy is not None:
            return Binding(self.query, copy=self._copy(items), items=self._local(items.name))
        return Binding(self.query, batch=self._batch(items), items=self._local(items.name))

    def _item_reader(
        self, items: Parameter, wanted: Sequence[Reference]
    ) -> Callable[..., Callable[[Any], Sequence[Any]]]:
        """Compile the function that takes the arguments and gives the function from an item to its values."""
        parameters = self.contract.parameters
        parts = [
            access(reference.name, parameters[reference.name].annotation, reference.path)
            if reference.name in parameters
            else access("sqlkit_item", items.item, (reference.name, *reference.path))
            for reference in wanted
        ]
        if plain := _plain_reader(parts, [reference.name for reference in wanted]):
            return lambda *_: plain
        names: dict[str, Any] = {"sqlkit_read_path": read_path}
        row = "(" + "".join(f"{part}, " for part in parts) + ")"
        source = f"def reader({', '.join(parameters)}):\n    return lambda sqlkit_item: {row}\n"
        exec(source, names)  # noqa: S102 - identifiers that the lexer and Python have checked
        reader: Callable[..., Callable[[Any], Sequence[Any]]] = names["reader"]
        return reader

    def _batch(self, items: Parameter) -> Callable[..., Batch]:
        statement, query = self.statement, self.query
        positions = {name: index for index, name in enumerate(self.contract.parameters)}
        keys = [positions[key] for key in statement.choices]
        readers: dict[tuple[str, ...], Any] = {}

        def make_batch(*arguments: Any) -> Batch:
            chosen = _labels(statement, [arguments[index] for index in keys])
            variant = statement.variant(0, chosen)
            reader = readers.get(chosen)
            if reader is None:
                reader = readers[chosen] = self._item_reader(items, variant.references)
            return Batch(query, variant, reader(*arguments))

        return make_batch

    def _copy(self, items: Parameter) -> Callable[..., CopyIn]:
        target, query = self.statement.copy, self.query
        assert target is not None  # noqa: S101 - the caller has looked
        if not target.columns:
            raise self.error(f"name the columns: copy {target.table} (...) from stdin")
        if self.contract.cardinality is Cardinality.ALL:
            raise self.error("copy returns Affected or None")
        for column in target.columns:
            if column not in self.contract.parameters:
                self._check_item(items, Reference(column))
        reader = self._item_reader(items, [Reference(column) for column in target.columns])
        text = self.statement.variant().text

        def make_copy(*arguments: Any) -> CopyIn:
            read = reader(*arguments)
            return CopyIn(query, text, target.table, target.columns, read, reader_of_all(read, items.item))

        return make_copy


def _plain_reader(parts: Sequence[str], names: Sequence[str]) -> Callable[[Any], Sequence[Any]] | None:
    """Return what reads an item in C, where all that is wanted are attributes, or keys, of its own; else None."""
    if len(parts) < 2:  # of one name there would be no tuple
        return None
    if all(part == f"sqlkit_item.{name}" for part, name in zip(parts, names, strict=True)):
        return attrgetter(*names)
    if all(part == f"sqlkit_item[{name!r}]" for part, name in zip(parts, names, strict=True)):
        return itemgetter(*names)
    return None


def _labels(statement: Statement, chosen: list[Any]) -> tuple[str, ...]:
    """Return the labels of a call; ArgumentError for what is none, as a value that no Literal would admit."""
    for label, (key, labels) in zip(chosen, statement.choices.items(), strict=True):
        if not isinstance(label, str) or label not in labels:
            raise ArgumentError(f"{statement.label}: {key} is one of: {', '.join(labels)}")
    return tuple(chosen)


class _Plan:
    """What to ask of the arguments under some labels, and what follows from the answers: a variant and its values.

    ``asked`` are the optional references: the argument's index, the test whether it is given, and a bit of its own.
    ``known`` has, by the bits of those that are given, the variant and where its values are read.
    """

    __slots__ = ("_chosen", "_needs", "_optional", "_positions", "_statement", "asked", "known")

    def __init__(self, statement: Statement, chosen: tuple[str, ...], parameters: Mapping[str, Parameter]) -> None:
        self._statement = statement
        self._chosen = chosen
        self._needs = statement.needs(chosen)
        self._optional = list(dict.fromkeys(reference for needed in self._needs for reference in needed))
        self._positions = {name: index for index, name in enumerate(parameters)}
        self.asked = [
            (self._positions[reference.name], is_given(reference.path, parameters[reference.name].default), 1 << bit)
            for bit, reference in enumerate(self._optional)
        ]
        self.known: dict[int, tuple[Variant, list[tuple[int, tuple[str, ...]]]]] = {}

    def decide(self, given: int) -> tuple[Variant, list[tuple[int, tuple[str, ...]]]]:
        """Work out what stands when these references are given; ArgumentError for a line that is half given."""
        standing = {reference for bit, reference in enumerate(self._optional) if given >> bit & 1}
        variant = self._statement.variant(self._regions(standing), self._chosen)
        paths = [(self._positions[reference.name], reference.path) for reference in variant.references]
        self.known[given] = variant, paths
        return variant, paths

    def _regions(self, given: set[Reference]) -> int:
        """Return the optional regions that stand, as bits."""
        standing = 0
        for bit, needed in enumerate(self._needs):
            missing = [reference for reference in needed if reference not in given]
            if needed and not missing:
                standing |= 1 << bit
            elif missing and len(missing) < len(needed):
                raise half_given(self._statement.label, self._statement.regions[bit].line, missing, needed)
        return standing


def half_given(label: str, line: int, missing: Sequence[Reference], needed: Sequence[Reference]) -> ArgumentError:
    """Return the error for an optional line of which only some parameters are given."""
    given = [str(reference) for reference in needed if reference not in missing]
    lacking = ", ".join(str(reference) for reference in missing)
    return ArgumentError(
        f"{label}: the optional line {line} has {', '.join(given)} but not {lacking}: give all of them or none"
    )
