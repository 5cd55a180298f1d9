"""The two colours have one surface: every method of Database is on AsyncDatabase, with the same parameters."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from sqlkit.database import AsyncDatabase, AsyncView, Database, View

PAIRS = [(Database, AsyncDatabase), (View, AsyncView)]
# What only one colour has, each with its reason: the protocols of the two kinds of `with`.
ONE_COLOUR = {"__enter__", "__exit__", "__aenter__", "__aexit__"}


def public(kind: type) -> dict[str, Any]:
    """Return what people use of a class: its public names and its operators, but not what object has."""
    names = {name for name in dir(kind) if not name.startswith("_") or (name.startswith("__") and name in vars(kind))}
    plumbing = {"__module__", "__doc__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"}
    return {name: inspect.getattr_static(kind, name) for name in names - plumbing - ONE_COLOUR}


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    """Return names, kinds and defaults of a function's parameters."""
    function = getattr(function, "__func__", function)
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("plain", "coloured"), PAIRS)
def test_both_colours_have_the_same_names(plain: type, coloured: type) -> None:
    """No method is missing on either side, and none has a suffix."""
    assert public(plain).keys() == public(coloured).keys()
    assert not [name for name in public(coloured) if name.startswith("a") and name.endswith("async")]


@pytest.mark.parametrize(
    ("plain", "coloured", "name"),
    [(plain, coloured, name) for plain, coloured in PAIRS for name in sorted(public(plain))],
)
def test_both_colours_have_the_same_parameters(plain: type, coloured: type, name: str) -> None:
    """A call reads the same in both colours, but for await."""
    one, other = public(plain)[name], public(coloured)[name]
    assert type(one) is type(other)
    if callable(getattr(one, "__func__", one)):
        assert parameters(one) == parameters(other)


@pytest.mark.parametrize(
    ("plain", "coloured", "name"),
    [(plain, coloured, name) for plain, coloured in PAIRS for name in sorted(public(plain)) if name[0] != "_"],
)
def test_both_colours_are_documented_alike(plain: type, coloured: type, name: str) -> None:
    """Every public method has a docstring, and the two say the same but for the names of the colours."""
    said = [inspect.getdoc(getattr(kind, name)) for kind in (plain, coloured)]
    assert all(said)
    assert first_sentence(said[0]) == first_sentence(said[1])


def first_sentence(text: str | None) -> str:
    """Return the first words of a docstring, without what names a colour."""
    assert text is not None
    return re.split(r"[.:;]", text.replace("Async", ""))[0]


@pytest.mark.parametrize("name", ["lend", "take_back", "run", "resize", "health", "close", "migrate"])
def test_what_waits_is_awaited(name: str) -> None:
    """What talks to the server or waits is a coroutine on the asynchronous side, and the rest is not."""
    assert inspect.iscoroutinefunction(getattr(AsyncDatabase, name))
    assert not inspect.iscoroutinefunction(getattr(Database, name))
