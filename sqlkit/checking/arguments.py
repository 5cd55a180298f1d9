"""Whether what a method takes can be sent as what its statement wants, and be NULL where it may be None."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from types import NoneType
from typing import Any, get_origin

from pydantic import BaseModel

from sqlkit.annotations import UNSET
from sqlkit.checking.findings import Finding, Place
from sqlkit.checking.positions import SqlPlaces
from sqlkit.checking.python_places import PythonPlaces
from sqlkit.checking.sources import LoadedQuery
from sqlkit.checking.types.doubts import doubts
from sqlkit.checking.types.loading import natural
from sqlkit.checking.types.paths import annotation_at, members, without_unset
from sqlkit.checking.types.sending import Send, send_as_copied, send_as_text, sending
from sqlkit.checking.types.spelling import spelled
from sqlkit.contracts.contract import Parameter
from sqlkit.contracts.items import is_mapping
from sqlkit.describing.description import Described, DescribedParameter, ServerType
from sqlkit.statements import Reference

__all__ = ["Arguments"]


class Arguments:
    """The arguments of one query, compared with the parameters of its variants (SK002, SK003, SK021)."""

    def __init__(self, query: LoadedQuery, sql: SqlPlaces, python: PythonPlaces) -> None:
        self.query = query
        self.contract = query.contract
        self.statement = query.statement
        self.sql = sql
        self.python = python
        self.items = self._items()
        self._known: dict[tuple[Reference, ServerType, str | None], list[Finding]] = {}
        self.optional = {reference for region in self.statement.regions for reference in region.references}

    def _items(self) -> Parameter | None:
        used = set(self.statement.parameters)
        found = [part for part in self.contract.parameters.values() if part.item is not None and part.name not in used]
        return found[0] if len(found) == 1 else None

    def findings(self, described: Described) -> Iterator[Finding]:
        """Yield what is wrong with the arguments of a variant."""
        copied = send_as_copied([part.type.structure for part in described.parameters]) if self.statement.copy else {}
        for parameter in described.parameters:
            key = (parameter.reference, parameter.type, parameter.target)
            known = self._known.get(key)
            if known is None:
                send = copied.get(parameter.type.structure, send_as_text)
                known = self._known[key] = list(self._of(parameter, send))
            yield from known

    def _of(self, parameter: DescribedParameter, send: Send) -> Iterator[Finding]:
        found = self._annotation(parameter.reference)
        if found is None:
            return
        annotation, subject = found
        reasons = sending(annotation, parameter.type, send)
        for reason in reasons:
            advice = self._advice(parameter, reason)
            yield self._finding("SK002", f"{subject}: {reason}: {advice}", parameter)
        if not reasons:
            for reason in doubts(annotation, parameter.type):
                wanted = natural(parameter.type.structure)
                yield self._finding("SK021", f"{subject}: {reason}: make it {wanted}", parameter)
        if parameter.target is not None and self._takes_none(parameter.reference, annotation, (NoneType,)):
            told = f"{subject} can be None, and is written to {parameter.target}, which is NOT NULL"
            optional = parameter.reference in self.optional and parameter.reference.path
            advice = "take None off, and make sqlkit.UNSET its default" if optional else "take None off"
            yield self._finding("SK003", f"{told}: {advice}", parameter)

    def _advice(self, parameter: DescribedParameter, reason: str) -> str:
        if parameter.type.labels and " has " in reason:
            return "leave out what the type has not, or add the label to it"
        wanted = natural(parameter.type.structure)
        return f"make it {wanted}" + ("" if self.statement.copy else f", or cast :{parameter.reference}")

    def _annotation(self, reference: Reference) -> tuple[Any, str] | None:
        """Return the annotation of what a reference reads, and what to call it; None where there is none."""
        parameter = self.contract.parameters.get(reference.name)
        if parameter is not None:
            if parameter.annotation is inspect.Parameter.empty:
                return None
            return annotation_at(parameter.annotation, reference.path), f"parameter {str(reference)!r}"
        if self.items is None:
            return None
        path = (reference.name, *reference.path)
        return annotation_at(self.items.item, path), f"field {'.'.join(path)!r} of {spelled(self.items.item)}"

    # None.

    def never_none(self, described: Described, numbers: Collection[int]) -> bool:
        """Tell whether none of a variant's parameters with these numbers can be NULL."""
        references = [parameter.reference for parameter in described.parameters if parameter.number in numbers]
        found = [(reference, self._annotation(reference)) for reference in references]
        return len(found) == len(numbers) and not any(
            told is None or self._takes_none(reference, told[0], (NoneType, Any, object)) for reference, told in found
        )

    def _takes_none(self, reference: Reference, annotation: Any, nones: Collection[Any]) -> bool:
        """Tell whether None can be sent; ``nones`` are the annotations that say so."""
        if not any(part in nones for part in without_unset(members(annotation))):
            return False
        parameter = self.contract.parameters.get(reference.name)
        if reference not in self.optional or parameter is None:
            return True
        if not reference.path:
            return parameter.default is UNSET  # else None is "not given", and the line is left out
        return any(
            _none_is_a_value(owner, reference.path[-1])
            for owner in members(annotation_at(parameter.annotation, reference.path[:-1]))
        )

    # Places.

    def _finding(self, code: str, message: str, parameter: DescribedParameter) -> Finding:
        sql = (
            self.sql.copied(self.statement, parameter.reference.name)
            if self.statement.copy
            else self.sql.parameter(self.statement, parameter.reference)
        )
        return Finding(code, message, self.contract.name, sql, self._place(parameter.reference))

    def _place(self, reference: Reference) -> Place:
        """Return the place of the field that is read, else of the parameter."""
        owner: Any = None
        path: Sequence[str] = reference.path
        name = reference.name
        if reference.name in self.contract.parameters:
            owner = self.contract.parameters[reference.name].annotation
        elif self.items is not None:
            owner, path, name = self.items.item, (reference.name, *reference.path), self.items.name
        if path:
            for cls in members(annotation_at(owner, tuple(path[:-1]))):
                place = self.python.field(cls, path[-1]) if isinstance(cls, type) else None
                if place is not None:
                    return place
        return self.python.parameter(self.contract, name)


def _none_is_a_value(owner: Any, name: str) -> bool:
    """Tell whether a None in an attribute is sent, and not taken for "not given" (see ``contracts.items.is_given``)."""
    cls: Any = get_origin(owner) or owner
    if not isinstance(cls, type) or owner is NoneType:
        return False
    if issubclass(cls, BaseModel) or is_mapping(cls):
        return True
    part = getattr(cls, "__dataclass_fields__", {}).get(name)
    return part is None or part.default is not None
