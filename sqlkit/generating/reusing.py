"""Models that exist already: a planned class whose fields an existing one has is imported instead of written."""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from sqlkit.errors import ConfigurationError
from sqlkit.generating.plan import TYPE, ClassPlan, EnumPlan, FieldPlan, ModulePlan, named

__all__ = ["reuse"]


def reuse(plan: ModulePlan, module: str) -> tuple[tuple[str, str], ...]:
    """Rename what a module has already in a plan; return the names to be imported, with the module.

    Raises ConfigurationError for a module that does not import.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is the written module's alone
            found = importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(f"--models-from {module}: does not import: {error}") from None
    except Exception as error:  # whose text may quote a value, which may be a secret
        raise ConfigurationError(f"--models-from {module}: does not import: {type(error).__name__}") from None
    classes = {
        name: value
        for name, value in vars(found).items()
        if isinstance(value, type) and not name.startswith("_") and value.__module__.partition(".")[0] != "pydantic"
    }
    return _Matcher(plan, classes).run(module)


class _Matcher:
    def __init__(self, plan: ModulePlan, classes: Mapping[str, type]) -> None:
        self.plan = plan
        self.classes = classes
        self.renamed: dict[str, str] = {}

    def run(self, module: str) -> tuple[tuple[str, str], ...]:
        for enum in self.plan.enums:
            self._rename(enum.name, next((name for name, cls in self.classes.items() if _is_enum(enum, cls)), None))
        for model in self.plan.classes:  # what a model is made of is planned before it
            fitting = [name for name, cls in self.classes.items() if self._is_model(model, cls)]
            self._rename(model.name, model.name if model.name in fitting else next(iter(fitting), None))
        _apply(self.plan, self.renamed)
        return tuple((name, module) for name in dict.fromkeys(self.renamed.values()))

    def _rename(self, planned: str, existing: str | None) -> None:
        if existing is not None:
            self.renamed[planned] = existing

    def _is_model(self, plan: ClassPlan, cls: type) -> bool:
        if not issubclass(cls, BaseModel) or {part.name for part in plan.fields} != set(cls.model_fields):
            return False
        if plan.strict is not (cls.model_config.get("extra") == "forbid"):
            return False
        for part in plan.fields:
            info = cls.model_fields[part.name]
            if part.default is None and not plan.strict and not info.is_required():
                return False
            if not self._fits(part, info.annotation):
                return False
        return True

    def _fits(self, part: FieldPlan, annotation: Any) -> bool:
        planned, none = part.annotation.removesuffix(" | None"), part.annotation.endswith(" | None")
        members = _members(annotation)
        if planned == named("Any", "typing"):  # a document, which the author may have given a shape
            return True
        if none is not (type(None) in members):
            return False
        rest = [member for member in members if member is not type(None)]
        return len(rest) == 1 and self._is_type(planned, rest[0])

    def _is_type(self, planned: str, annotation: Any) -> bool:
        if get_origin(annotation) is typing.Annotated:
            annotation = get_args(annotation)[0]
        found = TYPE.match(planned)
        if found is None:
            return False
        module, name = found.groups()
        inner = planned[found.end() :].removeprefix("[").removesuffix("]")
        if name in ("list", "PgRange", "PgMultirange", "dict") and inner:
            return self._is_generic(name, inner, annotation)
        if module == "":
            alias = next((each for each in self.plan.aliases if each.name == name), None)
            if alias is not None:
                return set(get_args(annotation)) == set(alias.labels) or _takes_texts(annotation, alias.labels)
            return getattr(annotation, "__name__", "") == self.renamed.get(name)
        if (name, module) == ("str", "builtins") and isinstance(annotation, type) and issubclass(annotation, str):
            return True  # a StrEnum takes some of the texts: the author knows which there are
        return getattr(annotation, "__name__", "") == name

    def _is_generic(self, name: str, inner: str, annotation: Any) -> bool:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if name == "list":
            return origin is list and self._is_type(inner.removesuffix(" | None"), arguments[0])
        if name == "dict":
            return origin is dict
        return getattr(origin, "__name__", "") == name.removeprefix("Pg") and self._is_type(inner, arguments[0])


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _is_enum(plan: EnumPlan, cls: type) -> bool:
    return issubclass(cls, Enum) and [member.value for member in cls] == [value for _, value in plan.members]


def _takes_texts(annotation: Any, labels: tuple[str, ...]) -> bool:
    return annotation is str or (
        isinstance(annotation, type)
        and issubclass(annotation, Enum)
        and {member.value for member in annotation} == set(labels)
    )


def _apply(plan: ModulePlan, renamed: Mapping[str, str]) -> None:
    """Put the existing names into all annotations, and leave the classes out that are not to be written."""

    def spelled(text: str) -> str:
        return TYPE.sub(lambda found: named(renamed.get(found[2], found[2])) if not found[1] else found[0], text)

    plan.enums = [each for each in plan.enums if each.name not in renamed]
    plan.classes = [each for each in plan.classes if each.name not in renamed]
    for model in plan.classes:
        model.fields = tuple(
            replace(part, annotation=spelled(part.annotation), default=part.default and spelled(part.default))
            for part in model.fields
        )
    plan.methods = [
        replace(
            method,
            returns=spelled(method.returns),
            items=method.items and replace(method.items, annotation=spelled(method.items.annotation)),
            parameters=tuple(
                replace(part, annotation=spelled(part.annotation), default=part.default and spelled(part.default))
                for part in method.parameters
            ),
        )
        for method in plan.methods
    ]
