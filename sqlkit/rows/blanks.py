"""Blank objects that become models or frozen dataclasses: Python's fastest way to an instance whose values are known.

A model's own ``__setattr__`` is pydantic's; what is set past it goes through four descriptors and a dict, which is most
of what a model costs. A blank is of a class of the same layout with ``object``'s ways: its attributes are stored by the
interpreter's own short path, in a dict that shares its keys. At the end it is given the model's class, which Python
allows between two classes of one layout, and is then an instance like any other.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABCMeta
from keyword import iskeyword
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel

__all__ = ["blank_of", "blank_of_dataclass", "is_generated_tuple"]

#: One for each model, for the shared keys are the class's.
_blanks: WeakKeyDictionary[type[BaseModel], type | None] = WeakKeyDictionary()


def blank_of(model: type[BaseModel]) -> type | None:
    """Return the class of blanks for a model, or None where one cannot become the model."""
    if model not in _blanks:
        _blanks[model] = _made(model) if all(map(_is_storable, model.model_fields)) else None
    return _blanks[model]


def _is_storable(name: str) -> bool:
    """Tell whether a field can be stored by its name in source: no other word, and nothing of pydantic's in its way."""
    return (
        name.isascii()
        and name.isidentifier()
        and not iskeyword(name)
        and not hasattr(getattr(BaseModel, name, None), "__set__")
    )


def _made(model: type[BaseModel]) -> type | None:
    own = ("__init__", "__setattr__", "__delattr__", "__getattribute__")
    namespace: dict[str, Any] = {name: getattr(object, name) for name in own}
    namespace |= {"__module__": __name__, "__doc__": f"What becomes a {model.__name__}."}
    # Not by pydantic's metaclass, which would build a model; ABCMeta gives it a registry of its own.
    meta: Any = type(BaseModel)
    blank = cast("type", ABCMeta.__new__(meta, "Blank", (BaseModel,), namespace))
    try:
        made = blank()
        made.__class__ = model
    except TypeError:  # the model has slots of its own, or another layout
        return None
    return blank


def blank_of_dataclass(cls: Any) -> type | None:
    """Return what a plain dataclass is stored into, itself where it lets its fields be set; None where it is called."""
    names = [part.name for part in dataclasses.fields(cls)]
    if not all(name.isascii() for name in names):  # source is normalised, names need not be
        return None
    if cls.__setattr__ is object.__setattr__:
        return cast("type", cls)
    if any(hasattr(inspect.getattr_static(cls, name, None), "__set__") for name in names):
        return None
    blank = type("Blank", (), {"__module__": __name__})  # one each, for the shared keys are the class's
    try:
        made: Any = blank()
        made.__class__ = cls
    except TypeError:  # it has slots, or another layout
        return None
    return blank


def is_generated_tuple(cls: type) -> bool:
    """Tell whether a named tuple is made by the ``__new__`` that ``collections`` wrote, and by no other."""
    code = getattr(cls.__new__, "__code__", None)
    return cls.__mro__[1:] == (tuple, object) and code is not None and code.co_filename == "<string>"
