"""Blank objects that become models: the fastest way that Python has to make an instance whose values are known.

A model's own ``__setattr__`` is pydantic's; what is set past it goes through four descriptors and a dict, which is most
of what a model costs. A blank is of a class of the same layout with ``object``'s ways: its attributes are stored by the
interpreter's own short path, in a dict that shares its keys. At the end it is given the model's class, which Python
allows between two classes of one layout, and is then an instance like any other.
"""

from __future__ import annotations

from abc import ABCMeta
from keyword import iskeyword
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel

__all__ = ["blank_of"]

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
